"""Which files are pictures, by their names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from maecli.data.finding import find_files
from maecli.modalities.pictures.formats import PICTURE_SUFFIXES


def find_pictures(root: Path) -> list[str]:
    """Return the files under `root` whose suffix is a picture's, as a sorted list of relative POSIX paths."""
    return [path for path in find_files(root) if is_picture(path)]


def is_picture(path: str) -> bool:
    """Whether the name ends as a picture's does, in capitals or not."""
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES
