"""Handwritten digits that come with scikit-learn: a data set for a first minute, without a download."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from pydantic import Field

from maecli import api

from .canvases import CanvasOptions, CanvasSet

NUM_VAL, NUM_TEST = 180, 360
INK = 7
"""On canvases, brighter pixels are a digit's."""


class Digits(api.Dataset):
    """Handwritten digits, 8x8 pixels, embedded in scikit-learn.

    Source: `sklearn.datasets.load_digits`, the test part of "Optical Recognition of Handwritten Digits"
        (Alpaydin and Kaynak, 1998), UCI machine learning repository. Nothing is downloaded.
    Format: 1,797 grey pictures, uint8, values 0 to 16: each pixel counts the inked dots of a 4x4 block.
    Classes: the digits 0 to 9, 174 to 183 of each.
    Splits: 1,257 train, 180 val, 360 test, cut by ourselves with the fixed seed 0, stratified by class. There
        is no official cut of these pictures, and the writers are not told, so one may be in two splits.
    Masks: made of the digits: canvases of 20x28 with 2 to 4 digits of the split's own, 1,000 train, 200 val and
        400 test, boxes overlapping by up to 15%. A pixel above 7 has the number of its digit + 1, others 0.
    Licence: CC BY 4.0.
    """

    name = "digits"
    recipe = "digits"

    class Options(CanvasOptions):
        train_canvases: int = Field(default=1_000, ge=1, description="canvases of train; the same ones in each epoch")
        val_canvases: int = Field(default=200, ge=1, description="canvases of val")
        test_canvases: int = Field(default=400, ge=1, description="canvases of test")
        canvas_size: tuple[int, int] = Field(default=(20, 28), description="height and width of a canvas")

    options: Options

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        train = self._splits["train"].tensors
        mean, std = api.pictures.channel_stats([train["image"].numpy()], (0.0, 16.0))
        card = api.DataCard(
            name=self.name,
            title="scikit-learn's handwritten digits, 8x8",
            fields=("image", "label"),
            channels=1,
            size=(8, 8),
            value_range=(0.0, 16.0),
            mean=mean,
            std=std,
            classes=tuple(str(digit) for digit in range(10)),
            class_counts=tuple(torch.bincount(train["label"], minlength=10).tolist()),
            split_sizes={name: len(split) for name, split in self._splits.items()},
            split_origin=f"not official: cut with the fixed seed {api.SPLIT_SEED}, stratified by class",
            source="sklearn.datasets.load_digits (UCI, Optical Recognition of Handwritten Digits)",
            licence="CC BY 4.0",
            notes=("values 0 to 16 count the inked dots of 4x4 blocks", "one writer may be in two splits"),
        )
        return self._canvases.card(card, fields) if "mask" in fields else card

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self._canvases.split(name, fields) if "mask" in fields else self._splits[name]

    @cached_property
    def _canvases(self) -> CanvasSet:
        return CanvasSet(self._splits, self.options, INK)

    @cached_property
    def _splits(self) -> dict[api.SplitName, api.TensorSplit]:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # heavy, so not before it is used

        digits = load_digits()
        images = torch.from_numpy(digits.images).to(torch.uint8)[:, None]  # (N, 1, 8, 8)
        labels = torch.from_numpy(digits.target).to(torch.int64)
        num = len(labels)
        whole = api.TensorSplit({"image": images, "label": labels})
        parts = api.cut(whole.keys, val_share=NUM_VAL / num, test_share=NUM_TEST / num, labels=labels.tolist())
        return {name: whole.view(ids) for name, ids in parts.items()}


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Digits]
