"""Where the files of ADE20K lie, and what lies there. A picture and its mask have one stem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from maecli import api

Part = Literal["training", "validation"]
PARTS: tuple[Part, ...] = ("training", "validation")
NAME = "ADEChallengeData2016"
ARCHIVE = f"http://data.csail.mit.edu/places/ADEchallenge/{NAME}.zip"
MD5 = "7328b3957e407ddae1d3cbf487f149ef"


@dataclass(frozen=True)
class Files:
    """The files of one part, sorted by key; keys are paths below the folder."""

    pictures: tuple[str, ...]
    masks: Mapping[str, str]
    """Picture → its mask."""
    unpaired: tuple[str, ...]
    """Masks that are no picture's."""


def locate(root: Path) -> Path | None:
    """Return the folder of ADE20K, if it is `root` or lies in it."""
    return next((folder for folder in (root / NAME, root) if (folder / "images" / "training").is_dir()), None)


def list_files(folder: Path, part: Part) -> Files:
    """Return what lies in a part. Raises `DataError` where it has no picture."""
    pictures = {path.stem: f"images/{part}/{path.name}" for path in sorted((folder / "images" / part).glob("*.jpg"))}
    masks = {path.stem: f"annotations/{part}/{path.name}" for path in (folder / "annotations" / part).glob("*.png")}
    if not pictures:
        raise api.DataError(f"{folder / 'images' / part} holds no .jpg; restore ADE20K's {part} pictures")
    return Files(
        tuple(pictures.values()),
        {picture: masks[stem] for stem, picture in pictures.items() if stem in masks},
        tuple(sorted(mask for stem, mask in masks.items() if stem not in pictures)),
    )


def download(root: Path) -> Path:
    """Fetch ADE20K beside its place, move it there when it is whole, and return its folder."""
    from torchvision.datasets import utils  # type: ignore[import-untyped]  # takes seconds; only a download needs it

    staging, folder = root / ".download-ade20k", root / NAME
    with api.downloading(partial(missing, root)):
        utils.download_and_extract_archive(ARCHIVE, str(staging), md5=MD5, remove_finished=True)
        found = locate(staging)
        if found is None:
            raise RuntimeError(f"the archive holds no {NAME}/images/training")
        found.rename(folder)
        staging.rmdir()
    return folder


def missing(root: Path, why: str) -> str:
    """Return the message that ADE20K is not in `root`, with the ways out."""
    return (
        f"ADE20K was not found in {root} and {why}; put the folder {NAME} with images/ and annotations/, and training/ "
        f"and validation/ in both, into {root}, or point --root or MAE_DATA at the folder that holds it"
    )
