"""The samples of a split, read from their files one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maecli import api

from .annotations import read_names
from .classes import CLASSES, MASK_CLASSES, PALETTE, class_of
from .layout import key_of, keyed, path_of
from .objects import OF_OBJECTS, Remarks, arrays_of, kinds_of, objects_of


class VOCSplit(api.Split):
    """Samples read one by one, as they are asked for, and no more of them than `fields`."""

    def __init__(
        self, folder: Path, ids: Sequence[str], fields: Sequence[str], labels: np.ndarray | None = None
    ) -> None:
        self.ids, self.labels = ids, labels
        self._folder, self._fields = folder, tuple(fields)
        self._keys = [key_of(folder, key) for key in ids]

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> api.Sample:
        sample: api.Sample = {}
        if "image" in self._fields:
            sample["image"] = self._read(index)
        if "mask" in self._fields:
            size = sample["image"].shape[1:] if "image" in sample else self.size(index)
            sample["mask"] = self._mask(index, size)
        if self.labels is not None:
            sample["label"] = self.labels[index]
        if OF_OBJECTS & {*self._fields}:
            arrays = arrays_of(objects_of(self._folder, self.ids[index]))
            sample |= {name: array for name, array in arrays.items() if name in self._fields}
        return sample

    def size(self, index: int) -> tuple[int, ...]:
        with keyed(self._keys[index]):
            return api.pictures.probe_picture(self._picture(index)).size

    def small(self, index: int, at_least: int) -> np.ndarray:
        return self._read(index, at_least)

    def files(self, index: int) -> Sequence[Path]:
        return [self._folder / path_of(kind, self.ids[index]) for kind in kinds_of(self._fields)]

    def label(self, index: int) -> np.ndarray | None:
        return self.labels[index] if self.labels is not None else None

    def shown(self, remarks: Remarks) -> set[str]:
        """Return the classes of which the split has a positive picture, or, without labels, an object.

        What is made of boxes, where the samples have any, goes into `remarks`.
        """
        named: set[str] = set()
        for key in self.ids:
            with contextlib.suppress(api.BrokenSample):
                if OF_OBJECTS & {*self._fields}:
                    named |= {thing.name for thing in objects_of(self._folder, key, remarks)}
                elif self.labels is None:
                    named |= {name for name, _ in read_names(self._folder / path_of("Annotations", key))}
        if self.labels is not None:
            return {CLASSES[i] for i in np.flatnonzero((self.labels == 1).any(0))}
        return {CLASSES[number] for name in named if (number := class_of(name)) is not None}

    def _picture(self, index: int) -> Path:
        return self._folder / path_of("JPEGImages", self.ids[index])

    def _read(self, index: int, at_least: int | None = None) -> np.ndarray:
        with keyed(self._keys[index]):
            return api.pictures.read_picture(self._picture(index), channels=3, dtype="uint8", at_least=at_least)

    def _mask(self, index: int, size: tuple[int, ...]) -> np.ndarray:
        path = path_of("SegmentationClass", self.ids[index])
        with keyed(self._keys[index], path):
            mask = api.pictures.read_mask(self._folder / path, len(MASK_CLASSES), PALETTE)
        if mask.shape != size:
            raise api.BrokenSample(self._keys[index], f"{path}: {other_size(mask, size)}")
        return mask


def other_size(mask: np.ndarray, size: Sequence[int]) -> str:
    return f"mask is {mask.shape[1]}×{mask.shape[0]} pixels, but its image {size[1]}×{size[0]}"
