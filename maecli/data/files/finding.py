"""Finding files: every file under a folder that may be data, in an order that does not change."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from maecli.data.files.not_data import OURS, WHOLE, why_marked, why_no_data, written_by_mae
from maecli.data.views.keys import Keys
from maecli.errors import DataError
from maecli.storage.ledger import HERE

GONE = "a folder that went away as it was listed"


@dataclass(frozen=True)
class Found:
    """What lies under a folder."""

    root: Path
    files: Keys
    """All that may be data, as sorted relative POSIX paths."""
    set_aside: dict[str, list[str]] = field(default_factory=dict)
    """Why something is no data → its paths; those of folders end in a slash, and nothing below them is named."""

    def left_out(self, is_sample: Callable[[str], bool]) -> dict[str, int]:
        """Return how many files of what is no data look like samples, by where they lie and why they are none.

        Hidden folders are not searched; one that went away counts as one.
        """
        counts: dict[str, int] = {}
        for why, paths in self.set_aside.items():
            counted = ((path, 1 if why == GONE else sum(map(is_sample, self._below(path)))) for path in paths)
            places = {path: num for path, num in counted if num}
            if places:
                counts[_where(list(places), why)] = sum(places.values())
        return counts

    def _below(self, path: str) -> Iterator[str]:
        """Yield the files of a path, but no notes of macOS on other files (`._cat.jpg`)."""
        if not path.endswith("/"):
            if not PurePosixPath(path).name.startswith("._"):
                yield path
        elif not PurePosixPath(path).name.startswith("."):
            for _, _, names in os.walk(self.root / path):
                yield from (f"{path}{name}" for name in names if not name.startswith("."))


def find_files(root: Path) -> list[str]:
    """Return every file under `root` that may be data as a sorted list of relative POSIX paths."""
    return list(search(root).files)


def links_out(root: Path, paths: Iterable[str]) -> str:
    """Return in words which of some paths below `root` lie elsewhere by links; nothing where none does."""
    home = os.path.realpath(root)
    folders: dict[str, bool] = {}
    first, num = "", 0
    for path in paths:
        folder, file = path.rpartition("/")[0], f"{root}/{path}"
        if folder not in folders:
            folders[folder] = _lies_outside(f"{root}/{folder}", home)
        if folders[folder] or (os.path.islink(file) and _lies_outside(file, home)):  # noqa: PTH114  a Path for each is slow
            first, num = first or path, num + 1
    if not num:
        return ""
    which = first if num == 1 else f"{num:,} files, such as {first},"
    lies, what = ("lies", "it is") if num == 1 else ("lie", "they are")
    return f"{which} {lies} out of the folder by a link, at {os.path.realpath(root / first)}; {what} read all the same"


def _lies_outside(path: str, home: str) -> bool:
    real = os.path.realpath(path)
    return real != home and not real.startswith(home.rstrip("/") + "/")


def search(root: Path) -> Found:
    """Return every file under `root`, and what is no data: see `maecli.data.files.not_data`.

    Runs and predictions below a folder of pictures are not among its data, nor is what `mae embed` put beside them;
    but whoever names what mae made as a whole, or a hidden folder, means it. Links to folders are followed after all
    real folders, and no folder is entered twice, so loops end. Links that lead nowhere are returned: opening them tells
    why. A folder that goes away meanwhile is set aside. Raises DataError where that is `root`.
    """
    files: list[str] = []
    set_aside: dict[str, list[str]] = {}
    seen: set[tuple[int, int]] = set()
    ours: set[str] = set()
    folders, links = [""], list[str]()
    while folders or links:
        if not folders:
            folders.append(links.pop(0))
        folder = folders.pop()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
            names = {entry.name for entry in entries}
            written = written_by_mae(root / folder, names)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not folder:
                raise DataError(f"{root} is gone, or no folder any more") from error
            set_aside.setdefault(GONE, []).append(f"{folder}/")
            continue
        why = OURS if WHOLE in written else why_marked(names)
        if folder and why:
            set_aside.setdefault(why, []).append(f"{folder}/")
            continue
        if folder or HERE not in written:  # what mae made as a whole is data to whoever names it
            ours |= {f"{folder}/{path}" if folder else path for path in written}
        for entry in entries:
            path, kind = f"{folder}/{entry.name}" if folder else entry.name, _kind(entry)
            why = OURS if path in ours else why_no_data(entry.name, kind == "folder")
            if kind == "other":
                continue
            if why:
                set_aside.setdefault(why, []).append(path + "/" * (kind == "folder"))
            elif kind == "folder":
                (links if entry.is_symlink() else folders).append(path)
            else:
                files.append(path)
    files.sort()
    return Found(root, Keys.of(files), set_aside)


def _where(paths: list[str], why: str) -> str:
    """Return where the paths of something that is no data lie, the first of them by name, and why it is none."""
    if why == OURS:  # runs lie beside each other: the folder that holds them says enough
        paths = [f"{path.split('/')[0]}/" for path in paths if "/" in path] or [""]
    places = sorted({path if path.endswith("/") else path.rpartition("/")[0] for path in paths})
    where = f"in {places[0].rstrip('/')}/" if places[0] else "at the top"
    if len(places) > 1:
        where += f" and {len(places) - 1:,} more such folder{'s' if len(places) > 2 else ''}"
    return f"{where}, {why}"


def _kind(entry: os.DirEntry[str]) -> Literal["folder", "file", "other"]:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "file" if entry.is_symlink() else "other"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"
