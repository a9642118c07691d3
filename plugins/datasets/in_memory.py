"""Data sets that fit into memory: pictures of one size with one label each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from maecli import api


class InMemory(api.Dataset):
    """Base of a data set whose splits have the fields image (N, C, H, W) and label (N,)."""

    facts: ClassVar[Mapping[str, Any]]
    """What the card says and the pictures do not: title, classes, split_origin, source, licence …"""

    @property
    @abstractmethod
    def splits(self) -> Mapping[api.SplitName, api.TensorSplit]: ...

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        image, label = (self.splits["train"].tensors[field] for field in ("image", "label"))
        card = {"name": self.name, "fields": ("image", "label"), "value_range": (0.0, 255.0), **self.facts}
        chunks = (chunk.numpy() for chunk in torch.split(image, 4096))
        mean, std = api.measure.channel_stats(chunks, card["value_range"])
        return api.DataCard(
            channels=image.shape[1],
            size=tuple(image.shape[2:]),
            mean=mean,
            std=std,
            class_counts=tuple(torch.bincount(label, minlength=len(card["classes"])).tolist()),
            split_sizes={name: len(split) for name, split in self.splits.items()},
            **card,
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self.splits[name]


def published(train: api.TensorSplit, test: api.TensorSplit, val_share: float) -> dict[api.SplitName, api.TensorSplit]:
    """Return the splits of an official train and test set: val is cut from train, stratified by class."""
    parts = api.cut(train.keys, val_share=val_share, labels=train.tensors["label"].tolist())
    return {"train": train.view(parts["train"]), "val": train.view(parts["val"]), "test": test}
