"""Data sets in memory of any modality, for tests of what asks the modality and counts no axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.sample import Split, TensorSplit


class Grids(Dataset):
    """Fields of splits as arrays; the card follows from them, and from what is given of it."""

    name = "grids"

    def __init__(self, splits: Mapping[SplitName, Mapping[str, np.ndarray]], **card: Any) -> None:
        super().__init__(DatasetOptions())
        self.splits, self.changes = splits, card

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        train = self.splits["train"]
        _, channels, *size = train["image"].shape
        image = np.where(np.isfinite(train["image"]), train["image"], np.nan)
        per_cell = self.changes["modality"] == "tables"
        axes = tuple(range(2 + len(size) - 1)) if per_cell else (0, *range(2, 2 + len(size)))
        facts: dict[str, Any] = {
            "name": self.name,
            "title": f"a toy set of {self.changes['modality']}",
            "fields": tuple(name for name in train if name != "valid"),
            "channels": channels,
            "size": tuple(size),
            "dtype": str(train["image"].dtype),
            "value_range": (0.0, 1.0),
            "mean": tuple(np.nanmean(image, axis=axes).tolist()),
            "std": tuple((np.nanstd(image, axis=axes) + 1e-3).tolist()),
            "split_sizes": {name: len(fields["image"]) for name, fields in self.splits.items()},
            "split_origin": "as the test says",
        }
        return DataCard(**(facts | self.changes))

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        arrays = self.splits.get(name, {key: array[:0] for key, array in self.splits["train"].items()})
        wanted = {key: array for key, array in arrays.items() if key in (*fields, "valid")}
        return TensorSplit({key: torch.from_numpy(array) for key, array in wanted.items()})


def uniform(seed: int, *shape: int) -> np.ndarray:
    """Return float32 in [0, 1)."""
    return np.random.default_rng(seed).random(shape, np.float32)


def series(num: int = 12, steps: int = 48) -> Grids:
    """Return waves of two channels, sharp and soft, labelled so, of which test repeats the first of train."""
    t = np.linspace(0, 4 * np.pi, steps, dtype=np.float32)
    phase = np.arange(num, dtype=np.float32)[:, None]
    wave = np.stack([np.sin(t + phase), np.sign(np.sin(t + phase))], axis=1) * 0.4 + 0.5  # (N, 2, T)
    labels = np.arange(num) % 2
    train = {"image": wave, "label": labels}
    test = {"image": np.concatenate([wave[:1], 1 - wave[1:3]]), "label": np.array([0, 1, 0])}
    names = {"classes": ("sharp", "soft"), "channel_names": ("soft wave", "square wave")}
    return Grids({"train": train, "test": test}, modality="series", **names)


def forecasts(num: int = 24, steps: int = 16, horizon: int = 6, gaps: bool = False, **card: Any) -> Grids:
    """Return windows of three columns, of which the first and the last are to be forecast: waves of 8 steps, shifted.

    The second column is noise. With `gaps` every fourth step of the first column of every second window is missing, and
    so is the first step to forecast of all.
    """
    t = np.arange(steps + horizon, dtype=np.float32)
    phase = np.arange(num, dtype=np.float32)[:, None]
    wave = np.sin(2 * np.pi * (t + phase) / 8)
    whole = np.stack([0.5 + 0.4 * wave, uniform(3, num, steps + horizon), 3 + wave], axis=1).astype(np.float32)
    image, target = whole[:, :, :steps].copy(), whole[:, [0, 2], steps:].copy()
    if gaps:
        image[::2, 0, ::4] = np.nan
        target[:, 0, 0] = np.nan
    fields = {"image": image, "target": target}
    facts = {
        "channel_names": ("soft", "noise", "high"),
        "targets": ("soft", "high"),
        "horizon": horizon,
        "season": 8,
        "missing": gaps,
        "value_range": ((0.0, 1.0), (0.0, 1.0), (2.0, 4.0)),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.35),
    }
    splits = {name: {key: array[part::3] for key, array in fields.items()} for part, name in enumerate(SPLIT_NAMES)}
    return Grids(splits, modality="series", **(facts | card))


def volumes(num: int = 6) -> Grids:
    """Return volumes with a bright cube of 3³ in 8 × 10 × 12 of noise, which their masks call a cube."""
    image = 0.3 * uniform(1, num, 1, 8, 10, 12)
    mask = np.zeros((num, 8, 10, 12), np.uint8)
    for i in range(num):
        mask[i, 2:5, 3 + i % 3 : 6 + i % 3, 5:8] = 1
        image[i, 0][mask[i] == 1] = 1
    classes = {"mask_classes": ("nothing", "cube"), "mask_palette": ((0, 0, 0), (200, 60, 20)), "background": 0}
    whole = {"image": image, "mask": mask}
    return Grids(
        {"train": whole, "val": {key: array[:2] for key, array in whole.items()}}, modality="volumes", **classes
    )


def tables(num: int = 40) -> Grids:
    """Return rows of four cells: the second lacks a quarter, the third is always 7, and two numbers to predict."""
    rows = uniform(2, num, 1, 4)
    rows[:, 0, 1][: num // 4] = np.nan
    rows[:, 0, 2] = 7
    rows[:, 0, 3] = 1000 * rows[:, 0, 3]
    target = np.stack([rows[:, 0, 0] * 2, rows[:, 0, 3]], axis=1).astype(np.float32)
    target[0, 1] = np.nan
    ranges = {"value_range": ((0.0, 1.0), (0.0, 1.0), (0.0, 10.0), (0.0, 100.0))}
    names = {"cells": ("age", "rooms", "version", "price"), "targets": ("twice", "value")}
    return Grids({"train": {"image": rows, "target": target}}, modality="tables", missing=True, **ranges, **names)
