"""A package of a stranger with data sets that are no pictures, each read from files that `write_grids` writes.

waves and beats are series, blobs and organs volumes, houses are the rows of a table. Two have masks: those of beats
and organs are int32 numbers of 300 classes, with -1 for void.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from maecli import api

CHANNELS = ("left", "right")
CELLS = ("rooms", "age", "income", "people", "distance", "area")
KINDS = ("cheap", "dear")
VOID, NUM_MASK_CLASSES = -1, 300
PARTS: dict[api.SplitName, tuple[int, ...]] = {"train": (0, 1, 2, 3), "val": (4,), "test": (5,)}


def of_split(items: Sequence[Any], name: api.SplitName) -> list[Any]:
    """Return four of each six, the fifth or the sixth."""
    return [item for number, item in enumerate(items) if number % 6 in PARTS[name]]


class Options(api.DatasetOptions):
    under: float | None = Field(
        default=None, description="what stands in cells that are not valid; without it, they are NaN"
    )


def said_by_valid(image: np.ndarray, under: float | None) -> api.Sample:
    """Return an image whose missing cells are NaN, or hold a number that `valid` says to be none."""
    if under is None:
        return {"image": image}
    there = ~np.isnan(image)
    return {"image": np.where(there, image, np.float32(under)), "valid": there}


class Files(api.Split):
    """A file each, in the folder of its class, with a mask beside it where there are masks."""

    def __init__(
        self, root: Path, keys: Sequence[str], card: api.DataCard, modality: api.Modality, under: float | None = None
    ) -> None:
        self.root, self._keys, self.card, self.modality, self.under = root, keys, card, modality, under

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def files(self, index: int) -> Sequence[Path]:
        return [self.root / self.keys[index], *([self._mask(index)] if self.card.mask_classes else [])]

    def _mask(self, index: int) -> Path:
        return self.root / "masks" / f"{Path(self.keys[index]).name.partition('.')[0]}.npy"

    def read(self, index: int) -> np.ndarray:
        return self.modality.read(self.root / self.keys[index], self.card)

    def __getitem__(self, index: int) -> api.Sample:
        sample = said_by_valid(self.read(index), self.under)
        if self.card.classes:
            sample["label"] = np.array(self.card.classes.index(self.keys[index].split("/")[0]))
        if self.card.mask_classes:
            sample["mask"] = np.load(self._mask(index))
        return sample


class Grids(api.Dataset):
    """Files of one kind."""

    Options = Options
    options: Options

    modality: ClassVar[type[api.Modality]]
    title: ClassVar[str]
    facts: ClassVar[dict[str, Any]]
    suffix: ClassVar[str]

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @cached_property
    def bare(self) -> api.DataCard:
        """What is known before a file is read."""
        number = self.facts["channels"]
        common: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "modality": self.modality.name,
            "size": None,
            "mean": (0.0,) * number,
            "std": (1.0,) * number,
            "split_sizes": {},
            "split_origin": "two thirds, a sixth, a sixth",
        }
        return api.DataCard(**common | self.facts)

    @cached_property
    def complete(self) -> api.DataCard:
        splits = {name: self.split(name) for name in api.SPLIT_NAMES}
        train = splits["train"]
        images = (train.read(i) for i in range(len(train)))
        mean, std = api.measure.channel_stats(images, self.bare.value_range, self.modality.axes)
        sizes = {name: len(split) for name, split in splits.items()}
        return self.bare.model_copy(update={"mean": mean, "std": std, "split_sizes": sizes})

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        if not self.folder.exists():
            raise api.DataError(f"{self.folder} does not exist; give --root")
        return self.complete

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> Files:
        keys = [
            file.relative_to(self.folder).as_posix()
            for folder in sorted(self.folder.iterdir())
            for file in of_split(sorted(folder.glob(f"*{self.suffix}")), name)
        ]
        return Files(self.folder, keys, self.bare, self.modality(), self.options.under)


class Waves(Grids):
    """Slow and fast waves on two channels, of different lengths, with gaps."""

    name = "waves"
    title = "slow and fast waves"
    modality = api.modalities.Series
    suffix = ".csv"
    facts: ClassVar[dict[str, Any]] = {
        "fields": ("image", "label"),
        "classes": ("fast", "slow"),
        "channels": 2,
        "channel_names": CHANNELS,
        "dtype": "float32",
        "value_range": ((-1.0, 1.0), (-100.0, 300.0)),
        "missing": True,
    }


class Blobs(Grids):
    """Cubes and rods in volumes of different sizes."""

    name = "blobs"
    title = "cubes and rods"
    modality = api.modalities.Volumes
    suffix = ".nii.gz"
    facts: ClassVar[dict[str, Any]] = {
        "fields": ("image", "label"),
        "classes": ("cube", "rod"),
        "channels": 1,
        "dtype": "int16",
        "value_range": (-1000.0, 1000.0),
    }


MASKS: dict[str, Any] = {
    "fields": ("image", "mask"),
    "mask_classes": ("nothing", *(f"part {number}" for number in range(1, NUM_MASK_CLASSES))),
    "mask_palette": tuple((number % 256, number // 256, 128) for number in range(NUM_MASK_CLASSES)),
    "background": 0,
    "void": VOID,
}


class Beats(Grids):
    """Series with a class for each step."""

    name = "beats"
    title = "series of two states"
    modality = api.modalities.Series
    suffix = ".csv"
    facts: ClassVar[dict[str, Any]] = {
        "channels": 2,
        "channel_names": CHANNELS,
        "dtype": "float32",
        "value_range": ((-1.0, 1.0), (-100.0, 300.0)),
        **MASKS,
    }


class Organs(Grids):
    """Volumes with a class for each voxel."""

    name = "organs"
    title = "cubes and rods with masks"
    modality = api.modalities.Volumes
    suffix = ".nii.gz"
    facts: ClassVar[dict[str, Any]] = {"channels": 1, "dtype": "int16", "value_range": (-1000.0, 1000.0), **MASKS}


class Rows(api.Split):
    """Rows of a table with their labels and targets."""

    def __init__(
        self, path: Path, numbers: Sequence[int], images: np.ndarray, about: list[dict[str, str]], under: float | None
    ) -> None:
        self.path, self.numbers, self.images, self.about, self.under = path, numbers, images, about, under

    @property
    def keys(self) -> Sequence[str]:
        return [f"{self.path.name}#{number + 1}" for number in self.numbers]

    def files(self, index: int) -> Sequence[Path]:
        return [self.path]

    def __getitem__(self, index: int) -> api.Sample:
        number = self.numbers[index]
        row = self.about[number]
        return {
            **said_by_valid(self.images[number], self.under),
            "label": np.array(KINDS.index(row["kind"])),
            "target": np.array([float(row["price"] or "nan")], np.float32),
        }


class Houses(api.Dataset):
    """Houses of two kinds in one table, some of whose cells are missing."""

    name = "houses"
    Options = Options
    options: Options

    @property
    def path(self) -> Path:
        return self.root / "houses.csv"

    @cached_property
    def bare(self) -> api.DataCard:
        return api.DataCard(
            name=self.name,
            title="Houses in one table",
            modality="tables",
            fields=("image", "label", "target"),
            channels=1,
            size=(len(CELLS),),
            cells=CELLS,
            dtype="float32",
            value_range=tuple((-10.0, 10.0) if cell == "age" else (0.0, 10.0) for cell in CELLS),
            missing=True,
            mean=(0.0,) * len(CELLS),
            std=(1.0,) * len(CELLS),
            classes=KINDS,
            targets=("price",),
            split_sizes={},
            split_origin="two thirds, a sixth, a sixth",
        )

    @cached_property
    def table(self) -> tuple[np.ndarray, list[dict[str, str]]]:
        """The rows as images (N, 1, F), and as they stand in the file."""
        _, rows = api.modalities.Tables().open(self.path, self.bare, self.bare.size)
        with self.path.open(encoding="utf-8", newline="") as file:
            return np.stack([rows[i]["image"] for i in range(len(rows))]), list(csv.DictReader(file))

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        splits = {name: self.split(name) for name in api.SPLIT_NAMES}
        cells = self.table[0][splits["train"].numbers, 0, :, None]
        mean, std = api.measure.channel_stats([cells], self.bare.value_range, axes=1)
        sizes = {name: len(split) for name, split in splits.items()}
        return self.bare.model_copy(update={"mean": mean, "std": std, "split_sizes": sizes})

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> Rows:
        images, about = self.table
        return Rows(self.path, of_split(range(len(images)), name), images, about, self.options.under)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Waves, Blobs, Beats, Organs, Houses]
