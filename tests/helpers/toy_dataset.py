"""A data set for tests of `mae eda`: a bright square of one of two classes on dim noise, with label, mask and box.

Picture i of a split shows class i % 2 as a square of 8 × 8 pixels in 24 × 32. Its mask has the class's number + 1, a
void column on its left, and background elsewhere; so of 768 pixels 64 are of the class and 8 are void.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from write_data import noise

from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, Fault
from maecli.modalities.pictures.masks.read import VOID, class_palette

SIDE, HEIGHT, WIDTH = 8, 24, 32
FIELDS = ("image", "label", "mask", "boxes", "box_label")


def picture(seed: int) -> np.ndarray:
    """Return (3, H, W) uint8 of smooth noise that is unlike any other seed's, with a square at a place of its own."""
    coarse = noise(seed, 3, HEIGHT // 4, WIDTH // 4) // 2
    image = coarse.repeat(4, axis=1).repeat(4, axis=2)
    top, left = place(seed)
    image[:, top : top + SIDE, left : left + SIDE] = 255
    return image


def place(seed: int) -> tuple[int, int]:
    """Return top and left of the square."""
    return seed % 4 * 4, 1 + seed % 5 * 4


class ShapesSplit(Split):
    """Samples that hold the fields asked for; `reads` counts what was asked of it."""

    def __init__(self, name: str, seeds: Sequence[int], fields: Sequence[str], broken: Mapping[str, str]) -> None:
        self._keys = [f"{name}/{i}.png" for i in range(len(seeds))]
        self.seeds, self.fields, self.broken_keys = seeds, fields, broken
        self.reads: Counter[str] = Counter()

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def size(self, index: int) -> tuple[int, ...]:
        self.reads["size"] += 1
        return HEIGHT, WIDTH

    def small(self, index: int, at_least: int) -> np.ndarray:
        self.reads["small"] += 1
        self._check(index)
        return picture(self.seeds[index])

    def __getitem__(self, index: int) -> Sample:
        self.reads["sample"] += 1
        self._check(index)
        seed, number = self.seeds[index], index % 2
        top, left = place(seed)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[top : top + SIDE, left : left + SIDE] = number + 1
        mask[top : top + SIDE, left - 1] = VOID
        sample = {
            "image": picture(seed),
            "label": np.array([number == 0, number == 1], np.int8),
            "mask": mask,
            "boxes": np.array([[left, top, left + SIDE, top + SIDE]], np.float32),
            "box_label": np.array([number]),
        }
        return {field: sample[field] for field in self.fields}

    def _check(self, index: int) -> None:
        key = self._keys[index]
        if key in self.broken_keys:
            raise BrokenSample(key, self.broken_keys[key])


class Shapes(Dataset):
    """Squares and circles that are squares too."""

    name = "shapes"

    def __init__(
        self,
        seeds: Mapping[SplitName, Sequence[int]],
        fields: Sequence[str] = FIELDS,
        broken: Mapping[str, str] | None = None,
        rules: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(DatasetOptions())
        self.seeds, self.fields, self.broken_keys, self.rules = seeds, fields, broken or {}, rules
        self.splits: list[ShapesSplit] = []

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        masks = "mask" in self.fields
        return DataCard(
            name=self.name,
            title="squares on noise",
            fields=tuple(self.fields),
            channels=3,
            size=(HEIGHT, WIDTH),
            mean=(0.25, 0.25, 0.25),
            std=(0.1, 0.1, 0.1),
            classes=("even", "odd") if "label" in self.fields else (),
            multi_label="label" in self.fields,
            mask_classes=("background", "even", "odd") if masks else (),
            mask_palette=class_palette(3) if masks else (),
            background=0 if masks else None,
            split_sizes={name: len(seeds) for name, seeds in self.seeds.items()},
            split_origin="as the test says",
        )

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        split = ShapesSplit(name, self.seeds.get(name, ()), fields, self.broken_keys)
        self.splits.append(split)
        return split

    def all_faults(self) -> Iterator[Fault]:
        for path, rule in self.rules:
            yield Fault(path, rule)


def shapes(num_train: int = 6, num_val: int = 3, num_test: int = 3, **changes: object) -> Shapes:
    """Return a set whose pictures all differ."""
    starts = {"train": (0, num_train), "val": (100, num_val), "test": (200, num_test)}
    seeds = {name: range(start, start + num) for name, (start, num) in starts.items()}
    return Shapes(seeds, **changes)  # type: ignore[arg-type]
