"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maecli.errors import MaeError

NAME_MAX = 255
"""How many bytes the name of a file may have."""
CUT = 200
"""How many of them are kept of a longer name."""


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


def sync(path: Path) -> None:
    """Ask the system to bring a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_name(path: Path) -> Path:
    """Return the name beside `path` under which it is written; being killed may leave it behind.

    It is no longer than what file systems take: of a long name it holds the beginning, and a digest of the whole.
    """
    name = os.fsencode(path.name)
    if len(name) > NAME_MAX - len("..tmp"):
        digest = hashlib.blake2b(name, digest_size=8).hexdigest()
        return path.with_name(f".{name[:CUT].decode(errors='ignore')}~{digest}.tmp")
    return path.with_name(f".{path.name}.tmp")


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file at one stroke: temporary name in the same folder, fsync, rename."""
    temporary = temporary_name(path)
    with disk_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file at one stroke, in UTF-8; what UTF-8 cannot hold of a file's name is written as an escape."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file at one stroke."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


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


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it takes the name `path` when the block ends without an error.

    An interruption leaves one of the two under that name, whole, the old or the new one.
    """
    temporary = temporary_name(path)
    with disk_errors(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for file in temporary.iterdir():
                sync(file)
            sync(temporary)
            _put_in_place(temporary, path)
            sync(path.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _put_in_place(new: Path, path: Path) -> None:
    """Give the folder `new` the name `path`; what stood there is deleted when that is done, and not before."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
