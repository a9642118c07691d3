"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maecli.errors import MaeError

NAME_MAX = 255
"""How many bytes the name of a file may have."""
CUT = 200
"""How many of them are kept of a longer name."""
_NO_FOLDER = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS, errno.EISDIR)
"""What file systems answer that bring files to the disk and know no such thing of folders, as of SMB and FUSE."""


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a missing permission or a read-only place into one sentence about `path`."""
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.EACCES: "no permission",
            errno.EPERM: "no permission",
            errno.EROFS: "the file system is read-only",
            errno.ENOTDIR: "a part of the path is a file",
        }.get(error.errno or 0, error.strerror or str(error))
        raise MaeError(f"cannot write {path}: {reason}; what was saved before is untouched") from error


def check_links(path: Path) -> None:
    """Raise MaeError where a path, or a part of it, is a link to nothing: no folder can be made there."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise MaeError(
                f"{part} is a link to {part.readlink()}, which is not there; make that, or use another --out"
            )


def sync(path: Path) -> None:
    """Ask the system to bring a file or folder to the disk, a folder as far as its file system can."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER or not stat.S_ISDIR(os.fstat(handle).st_mode):
            raise
    finally:
        os.close(handle)


def let_others_read(path: Path) -> None:
    """Let those read, and write, a file who may do so in its folder: safetensors makes files for their owner alone."""
    path.chmod(path.parent.stat().st_mode & 0o666)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def temporary_name(path: Path) -> Path:
    """Return the name beside `path` under which it is written; being killed may leave it behind.

    It is no longer than what file systems take: of a long name it holds the beginning, and a digest of the whole.
    """
    name = os.fsencode(path.name)
    if len(name) > NAME_MAX - len("..tmp"):
        digest = hashlib.blake2b(name, digest_size=8).hexdigest()
        return path.with_name(f".{name[:CUT].decode(errors='ignore')}~{digest}.tmp")
    return path.with_name(f".{path.name}.tmp")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` at one stroke when the block ends without an error."""
    temporary = temporary_name(path)
    with disk_errors(path):
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file at one stroke: temporary name in the same folder, fsync, rename."""
    with new_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace a text file at one stroke, in UTF-8; what UTF-8 cannot hold of a file's name is written as an escape."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_parts(path: Path, parts: Iterable[str]) -> None:
    """Replace a text file, of which a part is held at a time, as `write_text` does."""
    with new_file(path) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(part.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file at one stroke."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace files that belong together, by their paths in a folder: all are written before the first is renamed."""
    written: list[tuple[Path, Path]] = []
    with disk_errors(folder):
        try:
            for name, data in files.items():
                temporary = temporary_name(folder / name)
                written.append((temporary, folder / name))
                with disk_errors(folder / name):
                    temporary.write_bytes(data)
                    sync(temporary)
            for temporary, path in written:
                with disk_errors(path):
                    temporary.replace(path)
        finally:
            for temporary, _ in written:
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it takes the name `path` when the block ends without an error.

    A folder of that name is replaced at one stroke where the system can; what it held besides stays in the new one. A
    link to a folder, which may be on another disk, stays one.
    """
    named, path = path, path.resolve() if path.is_symlink() else path
    temporary = temporary_name(path)
    with disk_errors(named):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for file in temporary.iterdir():
                sync(file)
            sync(temporary)
            replaces = path.exists()
            if replaces:
                exchange(temporary, path)
            else:
                temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        if replaces:
            move_missing(temporary, path)
            shutil.rmtree(temporary, ignore_errors=True)
        sync(path.parent)


def move_missing(source: Path, target: Path) -> None:
    """Move what lies in the folder `source` and has no namesake in `target` there."""
    for entry in source.iterdir():
        if not os.path.lexists(target / entry.name):
            entry.rename(target / entry.name)


def exchange(first: Path, second: Path) -> None:
    """Let two folders beside each other swap their names, at one stroke where the system knows how.

    Elsewhere by three renames; a kill between them leaves `second` under a hidden name ending in `.old.tmp`.
    """
    if _swap_names(first, second):
        return
    old = temporary_name(second.with_name(f"{second.name}.old"))
    second.rename(old)
    try:
        first.rename(second)
    except BaseException:
        old.rename(second)
        raise
    old.rename(first)


def _swap_names(first: Path, second: Path) -> bool:
    """Exchange two names by the system call for it (Linux renameat2, macOS renamex_np); return whether it worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
    names = os.fsencode(first), os.fsencode(second)
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(here, names[0], here, names[1], swap) == 0)
    if hasattr(libc, "renamex_np"):
        return bool(libc.renamex_np(*names, swap) == 0)
    return False
