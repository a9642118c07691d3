"""The interface of a data set: a card, and splits that are sequences of samples.

A sample is a dict of named arrays: `image` (C, H, W); `label` () int64, or (Q,) int8 where samples have several
labels; `mask` (H, W) uint8; `boxes` (K, 4) float32 as left, top, right, bottom in pixels, with `box_label` (K,) int64.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maecli import plugin_options
from maecli.data.card import DataCard, SplitName
from maecli.errors import Fault

Sample = dict[str, np.ndarray]


def default_data_dir() -> Path:
    """Return the folder that data sets are looked for in: `MAE_DATA`, else `./data`."""
    return Path(os.environ.get("MAE_DATA") or "data").expanduser()


class DatasetOptions(plugin_options.Options):
    """Options that every data set has."""

    root: Path | None = Field(default=None, description="folder that holds the data; default: MAE_DATA, else ./data")


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


class Dataset(ABC):
    """Base of a data-set plugin. The subclass's docstring is its data card in words.

    `card` and `split` are called with the fields that the task needs, so that a data set can leave out samples which
    lack one of them (an unlabelled picture when `label` is asked for), follow another official list, or read no more
    than is asked for (`boxes` need no picture).
    """

    name: ClassVar[str]
    recipe: ClassVar[str | None] = None
    """Name of the recipe that holds this data set's defaults, if it has one."""

    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    def __init__(self, options: DatasetOptions) -> None:
        self.options = options
        self.root = (options.root or default_data_dir()).expanduser()

    @abstractmethod
    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        """Describe the samples that have all of `fields`.

        Raises `DataError` when the data are missing, naming the folder and two ways out.
        """

    @abstractmethod
    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        """Return one split, holding those samples that have all of `fields`. May be empty."""

    def faults(self) -> Collection[Fault]:
        """Return the faults that are known so far: files that `card` and `split` leave out."""
        return ()

    def all_faults(self) -> Iterator[Fault]:
        """Yield the fault of every file that breaks a rule: what only reading everything shows, for `mae eda`.

        Samples that cannot be decoded need not be named here: they are found when they are read.
        """
        yield from self.faults()


def as_tensor(array: np.ndarray) -> Tensor:
    """Return a tensor for an array of any dtype that torch has a counterpart of (uint16 becomes int32)."""
    if array.dtype == np.uint16:
        array = array.astype(np.int32)
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
