"""A person's own picture files, as a trained model wants to see them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.sample import Sample
from maecli.modalities.files import Files, named
from maecli.modalities.pictures.finding import check_is_read
from maecli.modalities.pictures.read import Reading, probe_picture, read_image, read_sample


class PictureSource(Files):
    """Pictures, a file each, whose sizes stand in their heads."""

    def __init__(self, root: Path, keys: Sequence[str], how: Reading) -> None:
        super().__init__(root, keys, partial(read_image, how=how))
        self.how = how

    def __getitem__(self, index: int) -> Sample:
        key = self.keys[index]
        with named(key):
            return read_sample(self._path(key), self.how)

    def small(self, index: int, at_least: int) -> np.ndarray:
        key = self.keys[index]
        with named(key):
            return read_image(self._path(key), self.how, at_least)

    def size(self, index: int) -> tuple[int, ...]:
        key, how, files = self.keys[index], self.how, self.how.files
        with named(key):
            info = probe_picture(
                self._path(key), npy_layout=files.npy_layout, tiff_pages=files.tiff_pages, channels=how.channels
            )
            return info.size

    def _path(self, key: str) -> Path:
        """Return a picture's file. Raises BrokenSample where its name says that its content is not read."""
        check_is_read(self.root / key)
        return self.root / key
