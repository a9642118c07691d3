"""A split of pictures in files, with their labels and masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, Fault
from maecli.modalities.pictures.decoders import NpyLayout
from maecli.modalities.pictures.paired_masks import read_paired_mask
from maecli.modalities.pictures.read import read_picture


@dataclass(frozen=True)
class Reading:
    """How every sample of the set is decoded."""

    channels: int
    dtype: str
    max_pixels: int
    npy_layout: NpyLayout
    num_classes: int
    """How many classes masks have."""


class PictureFiles(Split):
    """Pictures and masks decoded one by one, as they are asked for; what cannot be is added to `faults`."""

    def __init__(
        self,
        root: Path,
        keys: Sequence[str],
        sizes: np.ndarray,
        images: bool,
        labels: np.ndarray | None,
        masks: Sequence[str] | None,
        reading: Reading,
        faults: set[Fault],
    ) -> None:
        self._root, self._keys, self._sizes = root, keys, sizes
        self._images, self._labels, self._masks = images, labels, masks
        self._reading, self._faults = reading, faults

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def size(self, index: int) -> tuple[int, ...]:
        height, width = self._sizes[index].tolist()
        return height, width

    def small(self, index: int, at_least: int) -> np.ndarray:
        return self._image(index, at_least)

    def files(self, index: int) -> Sequence[Path]:
        names = [self._keys[index]] if self._images else []
        names += [self._masks[index]] if self._masks is not None else []
        return [self._root / name for name in names]

    def label(self, index: int) -> np.ndarray | None:
        return np.asarray(self._labels[index]) if self._labels is not None else None

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = {}
        if self._images:
            sample["image"] = self._image(index)
        if self._labels is not None:
            sample["label"] = np.asarray(self._labels[index])
        if self._masks is not None:
            size = sample["image"].shape[1:] if self._images else self.size(index)
            sample["mask"] = self._mask(index, (size[0], size[1]))
        return sample

    def _image(self, index: int, at_least: int | None = None) -> np.ndarray:
        key, reading = self._keys[index], self._reading
        with self._named(key):
            return read_picture(
                self._root / key,
                channels=reading.channels,
                dtype=reading.dtype,
                max_pixels=reading.max_pixels,
                npy_layout=reading.npy_layout,
                at_least=at_least,
            )

    def _mask(self, index: int, size: tuple[int, int]) -> np.ndarray:
        assert self._masks is not None
        mask, reading = self._masks[index], self._reading
        with self._named(mask):
            return read_paired_mask(
                self._root, mask, self._keys[index], size, reading.num_classes, max_pixels=reading.max_pixels
            )

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        """Call a broken file by its path within the folder, and remember it."""
        try:
            yield
        except BrokenSample as error:
            broken = BrokenSample(key, error.fault.reason)
            self._faults.add(broken.fault)
            raise broken from error
