"""Samples, and splits: sequences of them.

A sample is a dict of named arrays. C channels, S spatial axes, of which a picture has two.

- `image` (C, *S), of the card's dtype;
- `valid` (*S) or (C, *S) bool: which of its cells exist; NaN in a float `image` says the same;
- `label` () int64, or (Q,) int8 where samples have several labels;
- `target` (Q,) float32: numbers to predict, NaN where one is not known; (Q, H) the H steps that follow a series;
- `withheld` (F,) float32: cells of a table's row that are missing in `image` to be measured on, as
  `api.tables.read_truth` gives them, NaN for all others;
- `mask` (*S), class numbers of any integer dtype, the card's `void` where nothing is judged;
- `own_mask` (*T), `own_size` (S,) int64 and `own_spacing` (S,) float32: of a sample that the data set resampled its
  mask, size and distance of cells as they were in its file, in the unit of its kind, NaN where it is not known.
  Predictions are given and judged so; samples of the model's size are without them;
- `centres` (K, S) int32: cells of a training sample around which parts of the model's size are cut out of it;
- `boxes` (K, 4) float32 as left, top, right, bottom in pixels, with `box_label` (K,) int64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from maecli.data.views.keys import Keys, take

Sample = dict[str, np.ndarray]
OWN = ("own_mask", "own_size", "own_spacing")
"""The fields that tell of a sample before it was resampled."""


class Split(ABC):
    """A part of a data set: samples by position, each with a stable key."""

    @property
    @abstractmethod
    def keys(self) -> Sequence[str]:
        """One stable, unique name per sample: a relative path, or a running number."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Return one sample, at its own size.

        Raises `BrokenSample` when the file behind it cannot be read.
        """

    def __len__(self) -> int:
        return len(self.keys)

    def size(self, index: int) -> tuple[int, ...]:
        """Return the spatial size of a sample's image. Override it where that needs no decoding.

        Raises `BrokenSample`.
        """
        return tuple(self[index]["image"].shape[1:])

    def own_size(self, index: int) -> tuple[int, ...]:
        """Return the size that a sample has in its file, before it was resampled; see `own_size` of samples.

        Override it where the two differ. Raises `BrokenSample`.
        """
        return self.size(index)

    def small(self, index: int, at_least: int) -> np.ndarray:
        """Return the image (C, H, W), perhaps reduced, no side below `at_least` unless it was. For statistics.

        Override it where a small picture is cheaper to decode. Raises `BrokenSample`.
        """
        return self[index]["image"]

    def files(self, index: int) -> Sequence[Path]:
        """Return the files behind a sample: picture, mask, annotation; none where it is made or in memory.

        They need not be readable. `--resume` refuses to go on with others than the run began with.
        """
        return ()

    def label(self, index: int) -> np.ndarray | None:
        """Return what a sample holds as `label`, None where it has none or where the picture would be decoded for it.

        Override it where labels stand in none of the sample's `files`, so that `--resume` sees when one is changed.
        """
        return None

    def notes(self) -> Sequence[str]:
        """Return what a person should know of how their own files were read: sentences without a full stop."""
        return ()

    def view(self, ids: Sequence[int]) -> Split:
        """Return the samples with the positions `ids`, in their order."""
        return View(Places.within(self, ids), take(self.keys, ids))


class TensorSplit(Split):
    """A split that fits in memory: one tensor per field, first axis the sample."""

    def __init__(self, tensors: Mapping[str, Tensor], keys: Sequence[str] | None = None) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"fields of one split differ in length: {lengths}")
        self.tensors = dict(tensors)
        self._keys = keys if keys is not None else [str(i) for i in range(next(iter(lengths.values())))]

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> Sample:
        return {name: tensor[index].numpy() for name, tensor in self.tensors.items()}

    def view(self, ids: Sequence[int]) -> TensorSplit:
        """Return the samples with the positions `ids`, in memory too."""
        tensors = {name: tensor[list(ids)] for name, tensor in self.tensors.items()}
        return TensorSplit(tensors, [self.keys[i] for i in ids])


def view_of(places: Places) -> Split:
    """Return samples of several splits as one, in memory where all of these are."""
    sources = [places.splits[i] for i in np.unique(places.split_of).tolist()]
    if len(sources) == 1 and type(sources[0]).view is not Split.view:
        return sources[0].view(places.ids.tolist())
    tensors = [split for split in sources if isinstance(split, TensorSplit)]
    if not sources or len(tensors) < len(sources):
        return View(places, take(sources[0].keys, places.ids) if len(sources) == 1 else None)
    starts = dict(zip(map(id, tensors), accumulate(map(len, tensors), initial=0), strict=False))
    joined = {name: torch.cat([split.tensors[name] for split in tensors]) for name in tensors[0].tensors}
    whole = TensorSplit(joined, [key for split in tensors for key in split.keys])
    return whole.view([starts[id(split)] + i for split, i in places])


class Places(Sequence[tuple["Split", int]]):
    """Positions in several splits, some bytes each: which of `splits` each is of, and where it stands there."""

    def __init__(self, splits: Sequence[Split], split_of: ArrayLike, ids: ArrayLike) -> None:
        self.splits, self.split_of, self.ids = splits, np.asarray(split_of, np.int32), np.asarray(ids, np.int64)

    @classmethod
    def within(cls, split: Split, ids: ArrayLike) -> Places:
        """Return positions in one split."""
        return cls([split], np.zeros(np.shape(ids), np.int32), ids)

    @classmethod
    def of(cls, places: Iterable[tuple[Split, int]]) -> Places:
        """Return positions, each with its split."""
        splits: dict[Split, int] = {}
        pairs = [(splits.setdefault(split, len(splits)), index) for split, index in places]
        return cls(list(splits), [split for split, _ in pairs], [index for _, index in pairs])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> tuple[Split, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Places: ...
    def __getitem__(self, index: int | slice) -> tuple[Split, int] | Places:
        if isinstance(index, slice):
            return Places(self.splits, self.split_of[index], self.ids[index])
        return self.splits[self.split_of[index]], int(self.ids[index])


class View(Split):
    """Some samples of one split or several, each by its split and its position there."""

    def __init__(self, places: Places, keys: Sequence[str] | None = None) -> None:
        self._places = places
        self._keys = Keys.of(split.keys[index] for split, index in places) if keys is None else keys

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> Sample:
        split, position = self._places[index]
        return split[position]

    def size(self, index: int) -> tuple[int, ...]:
        split, position = self._places[index]
        return split.size(position)

    def own_size(self, index: int) -> tuple[int, ...]:
        split, position = self._places[index]
        return split.own_size(position)

    def small(self, index: int, at_least: int) -> np.ndarray:
        split, position = self._places[index]
        return split.small(position, at_least)

    def files(self, index: int) -> Sequence[Path]:
        split, position = self._places[index]
        return split.files(position)

    def label(self, index: int) -> np.ndarray | None:
        split, position = self._places[index]
        return split.label(position)

    def notes(self) -> Sequence[str]:
        splits = [self._places.splits[i] for i in np.unique(self._places.split_of).tolist()]
        return list(dict.fromkeys(note for split in splits for note in split.notes()))
