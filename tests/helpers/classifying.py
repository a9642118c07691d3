"""What tests of classification share: a small set of grey pictures, and a module that says what it is told."""

from __future__ import annotations

import cards
import torch
from torch import nn

from maecli import api

SIZE = (8, 8)
CLASSES = ("cat", "dog", "emu")


def card(classes, class_counts, multi_label=False):
    return cards.card(
        fields=("image", "label"),
        size=SIZE,
        mean=(0.5,),
        std=(0.5,),
        classes=classes,
        class_counts=class_counts,
        multi_label=multi_label,
        split_sizes={"train": 98},
    )


def encoder():
    torch.manual_seed(0)
    return api.nets.VisionTransformer(SIZE, (2, 2), 1, 12, 1, 2)


def batch(labels, image=None, progress=0.0, first=0):
    """Return the samples from the `first` on with one label each, or several: int8 as from a data set."""
    label = torch.tensor(labels)
    ids = torch.arange(first, first + len(label))
    image = torch.zeros(len(label), 1, *SIZE) if image is None else image
    tensors = {"image": image, "label": label if label.ndim == 1 else label.to(torch.int8)}
    return api.Batch(tensors, api.Draws(0, 0, ids), [str(i) for i in ids.tolist()], progress=progress)


class Says(nn.Module):
    """Answers with given logits, and remembers what it was asked."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.encoder, self.asked = torch.as_tensor(logits, dtype=torch.float32), encoder(), []

    def forward(self, x=None, ids_keep=None, valid=None, features=None):
        self.asked.append((x, ids_keep))
        return self.logits[: len(features if x is None else x)]


def metrics(evaluator):
    return {metric.name: metric for metric in evaluator.metrics()}
