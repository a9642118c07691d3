"""Finding pictures: every file under a folder, in an order that does not change."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Literal

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".npy"})


def find_files(root: Path) -> list[str]:
    """Return every file under `root` as a sorted list of relative POSIX paths.

    Names that begin with a dot are left out. Links to folders are followed after all real folders, and no
    folder is entered twice, so loops end. Links that lead nowhere are returned: opening them tells why.
    """
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [""], list[str]()
    while folders or links:
        if not folders:
            folders.append(links.pop(0))
        folder = folders.pop()
        status = (root / folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                match _kind(entry):
                    case "folder":
                        (links if entry.is_symlink() else folders).append(path)
                    case "file":
                        files.append(path)
    return sorted(files)


def find_pictures(root: Path) -> list[str]:
    """Return the files under `root` whose suffix is a picture's, as a sorted list of relative POSIX paths."""
    return [path for path in find_files(root) if is_picture(path)]


def is_picture(path: str) -> bool:
    """Whether the name ends as a picture's does, in capitals or not."""
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES


def _kind(entry: os.DirEntry[str]) -> Literal["folder", "file", "other"]:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "file" if entry.is_symlink() else "other"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"
