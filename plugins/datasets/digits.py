"""Handwritten digits that come with scikit-learn: a data set for a first minute, without a download."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from pydantic import Field

from maecli import api

from .canvases import CanvasDataset, CanvasOptions

NUM_VAL, NUM_TEST = 180, 360


class Digits(CanvasDataset):
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
    ink = 7
    facts: ClassVar[Mapping[str, Any]] = {
        "title": "scikit-learn's handwritten digits, 8x8",
        "value_range": (0.0, 16.0),
        "classes": tuple(str(digit) for digit in range(10)),
        "split_origin": f"not official: cut with the fixed seed {api.SPLIT_SEED}, stratified by class",
        "source": "sklearn.datasets.load_digits (UCI, Optical Recognition of Handwritten Digits)",
        "licence": "CC BY 4.0",
        "notes": ("values 0 to 16 count the inked dots of 4x4 blocks", "one writer may be in two splits"),
    }

    class Options(CanvasOptions):
        train_canvases: int = Field(default=1_000, ge=1)
        val_canvases: int = Field(default=200, ge=1)
        test_canvases: int = Field(default=400, ge=1)
        canvas_size: tuple[int, int] = (20, 28)

    options: Options

    @cached_property
    def splits(self) -> dict[api.SplitName, api.TensorSplit]:
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
