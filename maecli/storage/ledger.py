"""The ledger of a folder: which of its files mae wrote, so that no other file is ever removed or written over.

    DIR/.mae/ledger     lines of JSON: who wrote here, and each file before it was written
    DIR/.mae/lock       see `maecli.storage.lock`

Nothing else in `maecli` deletes what it finds on a disk; it only takes back temporary files of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from maecli.errors import MaeError
from maecli.storage.files import disk_errors, sync, temporary_name, write_text

HOME = ".mae"
"""The folder inside a folder of ours that holds what is ours alone."""
FILE = "ledger"
MAX_BYTES = 2**30
HERE = "./"
"""The path that stands for the folder itself, where mae made it."""


class InTheWay(MaeError):
    """A file that mae did not write has the name of one that it is about to write. Exit code 1."""


class Ledger:
    """What one writer (`run`, `infer`, …) wrote into a folder, and what is none of its business there."""

    def __init__(self, folder: Path, writer: str) -> None:
        self.folder, self.writer = folder, writer
        self.file = folder / HOME / FILE
        self._read = _Read()
        self._has_begun = False
        """Whether it began in this process, or was found to have."""

    @property
    def began(self) -> bool:
        """Whether this writer began to write here: the mark by which a folder is known as one of its own."""
        self._has_begun |= (began := any("began" in line for line in self._own()))
        return began

    @property
    def about(self) -> dict[str, Any]:
        """What the writer noted when it began."""
        return next((dict(line["began"]) for line in self._own() if isinstance(line.get("began"), dict)), {})

    @property
    def paths(self) -> set[str]:
        """What it wrote, as relative POSIX paths; folders that it made end in a slash."""
        return _paths(self._own())

    def begin(self, whole: bool = True, **about: Any) -> None:
        """Mark the folder before anything is written to it; it is made where it is missing.

        With `whole`, a folder that is new or empty is mae's as a whole from now on: it is never read as data.
        """
        with disk_errors(self.folder):
            made = whole and (not self.folder.exists() or is_bare(self.folder))
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._append([{"began": about}, *([{"path": HERE}] if made else [])], durable=True)

    def claim(self, *paths: str) -> None:
        """Note files, and folders (with a slash at the end), that are about to be written. Does nothing before `begin`.

        A folder that is there already stays its owner's. Raises InTheWay for a file that this writer did not write,
        MaeError where the folder was taken away since it began.
        """
        had_begun = self._has_begun
        if not self.began:
            if had_begun:
                raise MaeError(f"{self.folder} was taken away while mae wrote to it, so nothing more is written there")
            return
        known, new = self.paths, []
        for path in paths:
            target = self.folder / path
            if path in known or (path.endswith("/") and target.is_dir()):
                continue
            if os.path.lexists(target) and not self.about.get("adopted"):
                raise InTheWay(f"{target} is there and was not written by mae {self.writer}, so it stays; move it away")
            new.append({"path": path})
        if new:
            with disk_errors(self.file):
                self._append(new)

    def note(self, *paths: str) -> None:
        """Note files as they are now, so that a person's file that takes their place later is told from them."""
        with disk_errors(self.file):
            self._append({"path": path, "as": _state(self.folder / path)} for path in paths)

    def is_as_noted(self, path: str) -> bool:
        """Whether a file is the one that this writer wrote, as far as it was noted."""
        return path in self.paths and not self._is_another(path, self._noted())

    def _noted(self) -> dict[str, Any]:
        states = {line["path"]: line.get("as") for line in self._own() if "path" in line}  # as it was said last
        return {path: state for path, state in states.items() if state is not None}

    def _is_another(self, path: str, noted: Mapping[str, Any]) -> bool:
        return path in noted and noted[path] != _state(self.folder / path)

    def sync(self) -> None:
        """Bring what was noted to the disk, before the files that it is about."""
        if self.began:
            with disk_errors(self.file):
                sync(self.file)

    def own(self, *paths: str) -> None:
        """Note files that this writer wrote, as they are or are about to be, whatever was noted of them."""
        with disk_errors(self.file):
            self._append({"path": path} for path in paths)

    def foreign(self) -> list[str]:
        """Return the names of what lies in the folder and was not written by this writer."""
        if not self.folder.is_dir():
            return []
        own = {PurePosixPath(path).parts[0] for path in self.paths - {HERE}}
        ours = {HOME, *own, *(temporary_name(self.folder / name).name for name in own)}
        return sorted(entry.name for entry in self.folder.iterdir() if entry.name not in ours)

    def remove(self, below: str = "") -> None:
        """Remove what this writer wrote, or the part of it whose paths begin with `below`; nothing else.

        Folders that it made go when they are empty then. A link is followed only to a part of what was written there,
        such as one checkpoint of a run whose checkpoints were moved to another disk. What is gone is noted last, so
        that a removal which was interrupted can be repeated.
        """
        with disk_errors(self.folder), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.file.stat()  # a ledger that cannot be read just now is not an empty one, which would go
        gone = {path for path in self.paths if path.startswith(below) and path != HERE}
        noted = self._noted()
        with disk_errors(self.folder):
            for path in sorted(gone, key=lambda path: (-path.count("/"), path.endswith("/"))):  # the innermost first
                if not self._is_another(path, noted) and (below or not self._leads_elsewhere(path)):
                    self._remove_one(PurePosixPath(path), is_folder=path.endswith("/"))
            if below:
                self._append({"gone": path} for path in sorted(gone))
            else:
                self._forget()

    def _remove_one(self, path: PurePosixPath, is_folder: bool) -> None:
        target = self.folder / path
        if is_folder:
            if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
                target.rmdir()
            return
        for file in (target, temporary_name(target)):
            if file.is_symlink() or file.is_file():
                file.unlink(missing_ok=True)

    def links(self) -> list[str]:
        """Return the folders that it made and that are links to elsewhere now."""
        folders = (path.rstrip("/") for path in self.paths if path.endswith("/"))
        return sorted(path for path in folders if (self.folder / path).is_symlink())

    def _leads_elsewhere(self, path: str) -> bool:
        parents = PurePosixPath(path).parents
        return any((self.folder / parent).is_symlink() for parent in parents if parent != PurePosixPath("."))

    def _forget(self) -> None:
        """Take this writer's lines out of the ledger, and the ledger away when it was the only one."""
        self._has_begun = False
        kept = [line for line in self._all() if line["by"] != self.writer]
        if kept:
            write_text(self.file, "".join(json.dumps(line) + "\n" for line in kept))
        else:
            self.file.unlink(missing_ok=True)

    def _own(self) -> list[dict[str, Any]]:
        return [line for line in self._all() if line["by"] == self.writer]

    def _all(self) -> list[dict[str, Any]]:
        """Return the lines, those that other processes added meanwhile included."""
        try:
            status = self.file.stat()
        except OSError:
            self._read = _Read()
            return []
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return []
        if status.st_ino != self._read.inode or status.st_size < self._read.size:
            self._read = _Read(status.st_ino)
        if status.st_size > self._read.size:
            data = _bytes_from(self.file, self._read.size)
            whole = data.rfind(b"\n") + 1  # what follows is being written
            self._read.lines += _sound_lines(data[:whole])
            self._read.size += whole
        return self._read.lines

    def _ends_amid_a_line(self) -> bool:
        """Whether a full disk or a crash cut the last line."""
        size = self.file.stat().st_size if self.file.exists() else 0
        return size > 0 and _bytes_from(self.file, size - 1) != b"\n"

    def _append(self, lines: Iterable[Mapping[str, Any]], durable: bool = False) -> None:
        text = "".join(json.dumps({"by": self.writer, **line}) + "\n" for line in lines)
        with self.file.open("ab") as file:
            file.write(b"\n" * self._ends_amid_a_line() + text.encode())
            file.flush()
            if durable:
                os.fsync(file.fileno())


def is_bare(folder: Path) -> bool:
    """Whether a folder holds nothing, or nothing but a lock of ours."""
    entries = list(folder.iterdir())
    return not entries or (
        [entry.name for entry in entries] == [HOME]
        and entries[0].is_dir()
        and all(entry.name.endswith("lock") and entry.is_file() for entry in entries[0].iterdir())
    )


def written_paths(folder: Path) -> frozenset[str]:
    """Return what any writer of mae wrote into a folder, the folder itself ("./") included where mae made it."""
    return frozenset(_paths(Ledger(folder, "")._all()))


@dataclass
class _Read:
    """How far a ledger was read."""

    inode: int = -1
    size: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)


def _bytes_from(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read()


def _paths(lines: Iterable[Mapping[str, Any]]) -> set[str]:
    paths: set[str] = set()
    for line in lines:
        if "path" in line:
            paths.add(line["path"])
        elif "gone" in line:
            paths.discard(line["gone"])
    return paths


def _sound_lines(data: bytes) -> list[dict[str, Any]]:
    """Return the sound lines of a ledger. What could lead out of the folder is none."""
    lines = []
    for text in data.split(b"\n"):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(line, dict) or not isinstance(line.get("by"), str):
            continue
        if all(_stays_inside(line.get(key, HERE)) for key in ("path", "gone")):
            lines.append(line)
    return lines


def _state(file: Path) -> list[int]:
    """Return what tells a file from another one in its place: size and time; nothing where there is no file."""
    try:
        status = file.lstat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _stays_inside(path: Any) -> bool:
    if not isinstance(path, str) or "\0" in path:
        return False
    pure = PurePosixPath(path)
    return path == HERE or (bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts)
