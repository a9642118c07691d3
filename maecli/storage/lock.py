"""One writer at a time: a lock of the kernel on a folder, released when the process that holds it ends, however.

POSIX record locks (`fcntl.lockf`): unlike those of `flock`, and of libraries built on it, they are not shared by the
reading processes that a run forks, which may outlive it by seconds after a kill.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from maecli.errors import MaeError
from maecli.storage.files import check_links, disk_errors
from maecli.storage.ledger import HOME

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
_TRIES = 100
"""How often a folder that is gone is made again: each time another process may just have taken it away."""
_held: set[Path] = set()
"""Locks of this process, in which the kernel would grant them again."""
_unkept: set[Path] = set()
"""Those of them that the file system does not keep."""
_guard = threading.Lock()


class Locked(MaeError):
    """Another process writes to a folder. Exit code 1."""


@contextlib.contextmanager
def locked(
    folder: Path, name: str = LOCK, wait_s: float = 0.0, waiting: Callable[[str], None] = lambda _: None
) -> Iterator[str]:
    """Hold the lock of a folder, which is made where it is missing, and goes again if nothing was put into it.

    Gives what a person should know: on file systems without locks there is none, and nobody else is kept out. Raises
    Locked, naming the process and host of the holder, when it is not to be had within `wait_s`, MaeError where the
    disk refuses it; `waiting` is told whom it waits for.
    """
    made: list[Path] = []
    try:
        handle, file, note = _acquire(folder, name, wait_s, made, waiting)
        try:
            yield note
        finally:
            _release(handle, file)
    finally:
        with contextlib.suppress(OSError):
            for each in made:
                each.rmdir()


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder; those that had to be made are put before `made`, the innermost first.

    Raises MaeError where a link is in the way.
    """
    check_links(folder)
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir()
            made.insert(0, each)


def _acquire(
    folder: Path, name: str, wait_s: float, made: list[Path], waiting: Callable[[str], None]
) -> tuple[int, Path, str]:
    """Return the open lock file, its path, and what a person should know."""
    until = time.monotonic() + wait_s
    told = False
    tries = 0
    while True:
        with disk_errors(folder):
            try:
                _make(folder / HOME, made)
                file = (folder / HOME / name).resolve()
                handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:  # whoever had made the folder took it away just now
                tries += 1
                if tries == _TRIES:
                    raise
                continue
        with disk_errors(folder):
            taken = _try(handle, file)
        if taken:
            if _is_still(handle, file):
                _check_ours(handle, file)
                note = _without_locks(folder, handle) if file in _unkept else ""
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(errors="replace"))
                return handle, file, note
            _let_go(handle, file)  # whoever held it before took the file away
            continue
        holder = _holder(handle) or "another process"
        _close_unless_held(handle, file)
        if time.monotonic() >= until:
            raise Locked(f"{folder} is being written by {holder}; wait for it to end, or use another --out")
        if not told:
            waiting(f"{folder} is being written by {holder}: waiting up to {wait_s:g} s for it to end")
            told = True
        time.sleep(0.05)


def _holder(handle: int) -> str:
    """Return who wrote to a lock file last and did not take it away: who holds it, or ended without a word."""
    return os.pread(handle, 300, 0).decode(errors="replace")


def _without_locks(folder: Path, handle: int) -> str:
    """Return what a person should know where nobody is kept out."""
    note = f"{folder} is on a file system without locks, so no second process is kept from writing there"
    left = _holder(handle)
    return f"{note}; {left} began to and has not said that it ended: make sure that it has" if left else note


def _check_ours(handle: int, file: Path) -> None:
    """Raise MaeError, and let go, where the file of a lock holds something of a person's."""
    if not re.match(rb"$|process \d+ on ", os.pread(handle, 300, 0)):
        _let_go(handle, file)
        raise MaeError(f"{file} is no lock of mae's, so it stays as it is; move it away, or use another --out")


def _try(handle: int, file: Path) -> bool:
    """Take the lock if it is free. Raises OSError, and closes the handle, where that cannot be told."""
    with _guard:
        if file in _held:
            return False
        if fcntl is not None:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _TAKEN:
                    return False
                if error.errno not in _UNSUPPORTED:
                    os.close(handle)
                    raise
                _unkept.add(file)
        _held.add(file)
        return True


def _is_still(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _close_unless_held(handle: int, file: Path) -> None:
    """Close a handle. Where this process holds the lock by another one, closing would release it: it stays open."""
    with _guard:
        if file not in _held:
            os.close(handle)


def _release(handle: int, file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()  # while it is held: whoever waits for this file sees that it is gone, and makes another
    _let_go(handle, file)


def _let_go(handle: int, file: Path) -> None:
    with _guard:
        _held.discard(file)
        _unkept.discard(file)
        os.close(handle)
