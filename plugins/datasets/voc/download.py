"""Fetching a year of VOC that is not there, and what is said when that cannot be done."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from maecli import api

from .layout import is_year, locate, parent_of_years


def download(root: Path, year: int) -> Path:
    """Fetch the year beside its place, move it there when it is whole, and return its folder."""
    from torchvision import datasets  # type: ignore[import-untyped]  # takes seconds; only a download needs it

    parent = parent_of_years(root)
    if is_year(root) and root.name != f"VOC{year}":
        raise api.DataError(missing(root, year, "the root is another year's folder"))
    staging = parent / f".download-{year}"
    with api.downloading(partial(missing, root, year)):
        for image_set in ("train", "test") if year == 2007 else ("train",):
            datasets.VOCSegmentation(staging, year=str(year), image_set=image_set, download=True)
        folder = locate(staging, year)
        if folder is None:
            raise RuntimeError(f"the archive holds no VOC{year}")
        folder.rename(parent / f"VOC{year}")
        shutil.rmtree(staging)
    return parent / f"VOC{year}"


def missing(root: Path, year: int, why: str) -> str:
    """Return the message that a year is not in `root`, with the ways out."""
    others = [other for other in range(2007, 2013) if other != year and locate(root, other)]
    instead = f", or set dataset.year={others[-1]}, which is there" if others else ""
    return (
        f"VOC {year} was not found in {root} and {why}; put the devkit's folder VOC{year} with JPEGImages, "
        f"Annotations, SegmentationClass and ImageSets into {parent_of_years(root)}, or point --root or MAE_DATA at "
        f"the folder that holds VOCdevkit{instead}"
    )
