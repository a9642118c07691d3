"""Pictures made by rule, to try tasks and models on: nothing is read, and every field is known.

Shapes: Q classes, C channels, H, W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.sample import Split, TensorSplit
from maecli.data.statistics import channel_stats
from maecli.modalities.pictures.masks.read import class_palette

SIZES: Mapping[SplitName, int] = {"train": 24, "val": 12, "test": 12}


class Synthetic(Dataset):
    """A bright square on noise; the class says where it stands, and the mask which pixels it has.

    Class k of Q stands in the k-th of Q equal parts of the picture, from left to right, in channel k modulo C; in
    `mask` it is k + 1, the noise is 0. With `multi_label` every second picture has the next class too, and the one
    after that is not to be judged. Fields: image (C, H, W) uint8, label, mask.
    """

    name = "synthetic"

    class Options(DatasetOptions):
        num_classes: int = Field(default=3, ge=1, description="classes of label; mask has one more, the background")
        multi_label: bool = Field(default=False, description="whether a sample has several labels")
        channels: int = Field(default=3, ge=1, description="channels of a picture")
        size: tuple[int, int] = Field(default=(16, 16), description="height and width")

    options: Options

    def __init__(self, options: DatasetOptions | None = None) -> None:
        super().__init__(options or self.Options())

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        train = self._make("train")
        mean, std = channel_stats([train["image"].numpy()], (0.0, 255.0))
        classes = tuple(f"class {k}" for k in range(self.options.num_classes))
        label = train["label"]
        counts = (label == 1).sum(0) if self.options.multi_label else torch.bincount(label, minlength=len(classes))
        sizes: dict[str, int] = dict(SIZES.items())
        return DataCard(
            name=self.name,
            title="squares on noise, made by the conformance kit",
            fields=("image", "label", "mask"),
            channels=self.options.channels,
            size=self.options.size,
            mean=mean,
            std=std,
            classes=classes,
            class_counts=tuple(counts.tolist()),
            multi_label=self.options.multi_label,
            mask_classes=("background", *classes),
            mask_palette=class_palette(len(classes) + 1),
            background=0,
            split_sizes=sizes,
            split_origin="made by rule",
        )

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        return TensorSplit(self._make(name), [f"{name}-{i}" for i in range(SIZES[name])])

    def _make(self, name: SplitName) -> dict[str, Tensor]:
        """Return every field of a split."""
        (H, W), C, Q = self.options.size, self.options.channels, self.options.num_classes
        num = SIZES[name]
        random = np.random.default_rng(list(SIZES).index(name))
        image = torch.from_numpy(random.integers(0, 64, (num, C, H, W), dtype=np.uint8))
        mask = torch.zeros(num, H, W, dtype=torch.uint8)
        for i in range(num):
            k = i % Q
            across = slice(k * W // Q, max((k + 1) * W // Q, k * W // Q + 1))
            image[i, k % C, H // 4 : H // 2 + 1, across] = 224
            mask[i, H // 4 : H // 2 + 1, across] = k + 1
        return {"image": image, "label": self._labels(num), "mask": mask}

    def _labels(self, num: int) -> Tensor:
        """Return labels (num,) int64, or (num, Q) int8 where a sample has several."""
        Q = self.options.num_classes
        label = torch.arange(num) % Q
        if not self.options.multi_label:
            return label
        several = torch.zeros(num, Q, dtype=torch.int8)
        for i in range(0, num, 2):
            several[i, (label[i] + 2) % Q] = -1
            several[i, (label[i] + 1) % Q] = 1
        several[torch.arange(num), label] = 1
        return several
