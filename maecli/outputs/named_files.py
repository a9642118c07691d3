"""A file of its own for everything that is made of an input, whatever the input's name."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath

from maecli.storage.files import disk_errors

NAME_MAX, PATH_MAX = 255, 4096
"""In bytes; taken where the system does not tell its own."""
OF_THE_NAME = frozenset(
    (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ELOOP)
)
"""What a disk answers to a name that is taken, also in other letters, too long or made of what it does not take."""


class NoName(Exception):
    """A disk takes none of the names that a file may get; the message says why."""


class OutputFiles:
    """Writes files below a new folder, named as their inputs, with a suffix.

    A name that the disk does not take, such as one of 250 letters, is shortened and made unique by a digest of the
    whole; so is a name that is taken already: on a disk that does not tell a from A, or where one input is a.jpg and
    another lies in a folder a.jpg.png. An input whose name leads out of the folder is named by such a digest alone.
    Nothing is synced: the folder is put in its place as a whole.
    """

    def __init__(self, folder: Path, place: Path, stem: Callable[[str], str] = lambda key: key) -> None:
        """Take the folder to fill, and the place where it will be.

        `stem` returns what of an input's path stands before a suffix.
        """
        self.folder, self.stem = folder, stem
        self._longest = max(len(os.fsencode(path.absolute())) for path in (folder, place))

    def usual(self, key: str, suffix: str) -> str:
        """Return the path that a file for the input `key` gets wherever the disk takes it."""
        return f"{self.stem(key) if suffix else key}{suffix}"

    def write(self, key: str, suffix: str, data: bytes | Iterable[bytes]) -> str:
        """Write a file for the input `key`, whole or in pieces, and return its path below the folder. Raises NoName."""
        reason = "the name is too long"
        for name in self._names(key, suffix):
            file = self.folder / name
            if self._longest + len(os.fsencode(name)) + 1 >= self._limit("PC_PATH_MAX", PATH_MAX):
                continue
            with disk_errors(file):
                try:
                    create(file, data)
                except OSError as error:
                    if error.errno not in OF_THE_NAME:
                        raise
                    reason = (error.strerror or str(error)).lower()
                    continue
            return name
        raise NoName(f"what was made of it cannot be written: {reason}")

    def _names(self, key: str, suffix: str) -> Iterator[str]:
        """Yield the names that a file may get, the one to be preferred first."""
        digest = hashlib.blake2b(os.fsencode(f"{key}{suffix}"), digest_size=8).hexdigest()
        if not PurePath(key).is_absolute() and ".." not in PurePath(key).parts:
            yield self.usual(key, suffix)
            folder, slash, name = key.rpartition("/")
            room = self._limit("PC_NAME_MAX", NAME_MAX) - len(os.fsencode(f"~{digest}{suffix}"))
            yield f"{folder}{slash}{os.fsencode(name)[: max(room, 0)].decode(errors='ignore')}~{digest}{suffix}"
        yield f"{digest}{suffix}"

    def _limit(self, name: str, default: int) -> int:
        try:
            return os.pathconf(self.folder.parent, name)
        except (AttributeError, OSError, ValueError):  # Windows has no pathconf
            return default


def create(file: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file that is not there yet, and the folders above it. Raises FileExistsError where something is.

    Where a piece cannot be made nothing is left of it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as opened:
        try:
            opened.writelines([data] if isinstance(data, bytes) else data)
        except BaseException:
            file.unlink()
            raise
