"""The files and folders that a person names: one or many, by patterns, in lists, on standard input."""

from __future__ import annotations

import codecs
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from maecli.errors import DataError, SpecError

STDIN = "-"
LIST = "@"
ANYWHERE = "**"


@dataclass(frozen=True)
class Sources:
    """Files and folders, each once, in the order in which they were named."""

    paths: tuple[Path, ...]

    @property
    def single(self) -> Path | None:
        """The path, if it is the only one."""
        return self.paths[0] if len(self.paths) == 1 else None

    @cached_property
    def folders(self) -> Sequence[Path]:
        """The folders that are named, or hold what is, each once."""
        paths = map(_absolute, self.paths)
        return list(dict.fromkeys(path if path.is_dir() else path.parent for path in paths))

    @cached_property
    def root(self) -> Path:
        """The folder that holds them all, below which samples are named. Raises DataError where there is none."""
        if self.single is not None:
            return self.single if self.single.is_dir() else self.single.parent
        try:
            return Path(os.path.commonpath(self.folders))
        except ValueError as error:
            raise DataError(
                "the paths lie on different disks, and no folder holds them all; run each by itself"
            ) from error

    def parts(self) -> Iterator[Path | list[str]]:
        """Yield each folder, and as relative POSIX paths below the root the files between them, in order."""
        for is_folder, paths in groupby(map(_absolute, self.paths), Path.is_dir):
            if is_folder:
                yield from paths
            else:
                yield [path.relative_to(self.root).as_posix() for path in paths]

    def below(self, folder: Path) -> str:
        """Return what stands before the paths of a folder's samples: nothing, or a path that ends in a slash."""
        below = _absolute(folder).relative_to(self.root).as_posix()
        return "" if below == "." else f"{below}/"


def find_sources(words: Sequence[str], stdin: Callable[[], bytes], say: Callable[[str], None]) -> Sources:
    """Return what the words of a command line name.

    A word is a path, a pattern such as new/*.jpg (with ** also in folders below), @LIST, a file with a path per line,
    or -, standard input with the same; what is there by exactly that name comes first. Paths in a list are those of the
    current folder, or else of the list's own. A single word that is not there is left to whoever opens it.
    Raises DataError where nothing is there, SpecError where a word can be read in two ways.
    """
    if words.count(STDIN) > 1:
        raise SpecError("standard input (-) is named twice and can be read once")
    found: dict[str, Path] = {}
    for word in words:
        for path in _named(word, stdin, say, alone=len(words) == 1):
            found.setdefault(str(_absolute(path)), path)
    return Sources(tuple(found.values()))


def _named(word: str, stdin: Callable[[], bytes], say: Callable[[str], None], alone: bool) -> Sequence[Path]:
    if word == STDIN:
        return _listed(stdin(), "standard input", Path(), say)
    path = Path(word).expanduser()
    if word.startswith(LIST) and len(word) > 1:
        file = Path(word[1:]).expanduser()
        if path.exists() and file.exists():
            raise SpecError(f"{word} is the list {file}, or the file of that name; write ./{word} for the file")
        if not path.exists():
            try:
                return _listed(file.read_bytes(), str(file), file.parent, say)
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                raise DataError(f"{word} names a list, a file with a path per line, and {file}: {why}") from error
    if os.path.lexists(path) or (alone and not glob.has_magic(word)):
        return [path]
    if not glob.has_magic(word):
        raise DataError(f"{path} does not exist")
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207  of any path
    if ANYWHERE in word:  # it matches the files in folders too
        matches = [match for match in matches if not match.is_dir()]
    if not matches:
        raise DataError(f"nothing is there that matches {word}")
    return matches


def _listed(data: bytes, name: str, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Return the paths of a list; those that are not there are told when they are opened, unless none is."""
    lines = _lines(data)
    if not lines:
        raise DataError(f"{name} names no file; give a path per line")
    bases = [Path(), folder]
    counts = [sum(os.path.lexists(base / line) for line in lines) for base in bases]
    elsewhere = _absolute(folder) != _absolute(Path())
    if not any(counts):
        also = f", neither from the current folder nor from {folder}" if elsewhere else ""
        raise DataError(f"none of the paths in {name} is there{also}, such as {str(lines[0])[:200]!r}")
    relative = [line for line in lines if not line.is_absolute()]
    if elsewhere and relative and counts[0] == counts[1]:
        raise DataError(
            f"the paths in {name} are there from the current folder and from {folder}; write whole paths, or go to the "
            f"one that is meant and give the list as - (< {Path(name).name})"
        )
    if counts[1] > counts[0]:
        say(f"paths in {name} are those of its own folder, {folder}")
        lines = [folder / line for line in lines]
    return _without_inner(lines)


def _without_inner(paths: Sequence[Path]) -> list[Path]:
    """Return paths without what lies below a folder among them, as `find` lists it: the folder is searched as a whole.

    What is not there stays, so that it is told.
    """
    folders = {path for path in map(_absolute, paths) if path.is_dir()}
    return [path for path in paths if folders.isdisjoint(_absolute(path).parents) or not os.path.lexists(path)]


def _lines(data: bytes) -> list[Path]:
    """Return the paths of a text, one per line, or ended by NUL as `find -print0` writes them."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # of PowerShell
        text = data.decode("utf-16", errors="replace")
    else:
        text = os.fsdecode(data.removeprefix(codecs.BOM_UTF8))
    lines = text.split("\0") if "\0" in text else text.split("\n")
    return [Path(line).expanduser() for line in (line.removesuffix("\r") for line in lines) if line.strip()]


def _absolute(path: Path) -> Path:
    """Return a path from the top, without . and .., links as they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() follows links
