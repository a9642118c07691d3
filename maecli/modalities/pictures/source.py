"""A person's own picture files, as a trained model wants to see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.data.preprocess import Preprocess
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, DataError
from maecli.hardware import default_workers
from maecli.modalities.pictures.files import find_pictures
from maecli.modalities.pictures.read import read_picture

MAX_LARGE_WORKERS = 2
"""Processes that read pictures at their own size: each holds several ahead, and they may be large."""
FILES_PER_LARGE_WORKER = 16
"""As many pictures of their own size are worth starting a process for."""


class PictureSource(Split):
    """Picture files, brought to the channels and dtype that a model was trained on."""

    def __init__(self, root: Path, keys: Sequence[str], card: DataCard) -> None:
        self.root, self._keys, self.card = root, keys, card
        self.dtype = card.dtype if card.dtype in ("uint8", "uint16") else None

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def files(self, index: int) -> Sequence[Path]:
        return [self.root / self._keys[index]]

    def __getitem__(self, index: int) -> Sample:
        key = self._keys[index]
        try:
            return {"image": read_picture(self.root / key, channels=self.card.channels, dtype=self.dtype)}
        except BrokenSample as error:
            raise BrokenSample(key, error.fault.reason) from error


def file_range(preprocess: Preprocess, card: DataCard) -> Preprocess:
    """Return the preprocessing of picture files: integers use their format's full range, whatever the set used."""
    if card.dtype in ("uint8", "uint16"):
        return dataclasses.replace(preprocess, value_range=(0.0, float(np.iinfo(card.dtype).max)))
    return preprocess


def find_source(source: Path) -> tuple[Path, list[str]]:
    """Return a root and the pictures below it, as relative paths, for a picture or a folder. Raises DataError."""
    source = source.expanduser()
    if source.is_file():
        return source.parent, [source.name]
    if not source.is_dir():
        raise DataError(f"{source} does not exist; give a picture or a folder of pictures")
    keys = find_pictures(source)
    if not keys:
        raise DataError(f"{source} holds no picture (JPEG, PNG, WebP, BMP, TIFF or .npy), also not in its folders")
    return source, keys


def num_workers(num_files: int, batch_size: int, own_size: bool = False) -> int:
    """Return how many reading processes pay: none for less than a batch each."""
    if own_size:
        return min(num_files // FILES_PER_LARGE_WORKER, default_workers(), MAX_LARGE_WORKERS)
    return min(num_files // batch_size, default_workers())
