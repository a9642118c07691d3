"""Canvases: several labelled small pictures on one dark ground, with the mask that says which is where.

Shapes: N pictures, C channels of them (1), h, w their size; M canvases, H, W their size; K boxes, T tries.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from maecli import api

from .in_memory import InMemory

LEAST, MOST = 2, 4
"""How many pictures a canvas holds."""

TRIES = 64
HOPELESS = 1 << 18
"""After so many layouts in a row that were all refused, the canvas counts as too small."""

CHUNK = 1024
"""Canvases that are composed at a time, which bounds the memory that the indices take."""


class CanvasOptions(api.DatasetOptions):
    """Options of a data set that offers `mask` by composing canvases."""

    train_canvases: int = Field(default=10_000, ge=1, description="canvases of train; the same ones in each epoch")
    val_canvases: int = Field(default=1_000, ge=1, description="canvases of val")
    test_canvases: int = Field(default=2_000, ge=1, description="canvases of test")
    canvas_size: tuple[int, int] = Field(default=(64, 84), description="height and width of a canvas")
    canvas_overlap: float = Field(
        default=0.15, ge=0, le=1, description="largest share of its box that a picture may have in common with another"
    )


class CanvasDataset(InMemory):
    """Base of a data set of pictures on a dark ground, which are composed to canvases where `mask` is asked for."""

    ink: ClassVar[int]
    """Brighter pixels are a picture's."""

    options: CanvasOptions

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        card = super().card(fields)
        return self._canvases.card(card, fields) if "mask" in fields else card

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self._canvases.split(name, fields) if "mask" in fields else super().split(name, fields)

    @cached_property
    def _canvases(self) -> CanvasSet:
        return CanvasSet(self.splits, self.options, self.ink)


class CanvasSet:
    """Canvases of the pictures of a data set, those of each split from the split's own pictures.

    A canvas holds 2, 3 or 4 pictures, each number equally often, drawn uniformly and with replacement. Their boxes
    lie uniformly within the canvas, drawn together until no two have more than `canvas_overlap` of a box in common.
    Where boxes do overlap, a pixel belongs to the brighter picture, and to the later of two equal ones. `mask` is
    the picture's label + 1 where that pixel is above `threshold`, and 0 elsewhere. Canvas i is a function of the
    fixed seed, the split's name, i and the pictures: not of the run's seed, nor of the number of canvases.

    Takes splits with the fields image (N, 1, h, w) and label (N,).
    """

    def __init__(self, parts: Mapping[api.SplitName, api.TensorSplit], options: CanvasOptions, threshold: int) -> None:
        self.parts, self.options, self.threshold = parts, options, threshold
        h, w = parts["train"].tensors["image"].shape[2:]
        self.box = (h, w)
        self.nums: dict[api.SplitName, int] = {name: getattr(options, f"{name}_canvases") for name in api.SPLIT_NAMES}
        self._composed: dict[api.SplitName, api.TensorSplit] = {}

    def card(self, card: api.DataCard, fields: Sequence[str]) -> api.DataCard:
        """Return the card of the canvases, given that of the pictures."""
        train = self.split("train", fields).tensors["image"]
        mean, std = api.measure.channel_stats((part.numpy() for part in torch.split(train, 1024)), card.value_range)
        (H, W), (h, w), options = self.options.canvas_size, self.box, self.options
        names = ("background", *card.classes)
        changes = {
            "title": f"{card.title}: {LEAST} to {MOST} on canvases of {H}x{W}, overlapping by up to "
            f"{options.canvas_overlap:.0%}",
            "fields": ("image", "mask"),
            "size": options.canvas_size,
            "mean": mean,
            "std": std,
            "classes": (),
            "class_counts": (),
            "mask_classes": names,
            "mask_palette": api.pictures.class_palette(len(names)),
            "background": 0,
            "split_sizes": dict(self.nums),
            "split_origin": f"canvases of each split are composed of its own pictures ({card.split_origin})",
            "notes": (
                *card.notes,
                (
                    f"{LEAST} to {MOST} pictures of {h}x{w} per canvas of {H}x{W}, "
                    f"drawn with the fixed seed {api.SPLIT_SEED}"
                ),
                f"two pictures' boxes overlap by up to {options.canvas_overlap:.0%}; pixels are the brighter picture's",
                f"mask: label + 1 where the pixel is above {self.threshold} of {card.value_range[1]:.0f}, 0 elsewhere",
                f"the same {options.train_canvases:,} train canvases in each epoch, augmented",
            ),
        }
        return api.DataCard.model_validate({**card.model_dump(), **changes})

    def split(self, name: api.SplitName, fields: Sequence[str]) -> api.TensorSplit:
        """Return the canvases of a split: image (M, 1, H, W) of the pictures' dtype, mask (M, H, W) uint8.

        Raises DataError for fields that canvases do not have, and SpecError where the pictures do not fit.
        """
        other = [field for field in fields if field not in ("image", "mask")]
        if other:
            raise api.DataError(
                f"canvases have image and mask, no {' or '.join(other)}; ask for either mask or {other[0]}"
            )
        if name not in self._composed:
            self._composed[name] = self._compose(name)
        return self._composed[name]

    def _compose(self, name: api.SplitName) -> api.TensorSplit:
        pictures, num = self.parts[name].tensors, self.nums[name]
        chunks = torch.split(torch.arange(num), CHUNK)
        parts = (self._draw(pictures["image"], pictures["label"], name, ids) for ids in chunks)
        images, masks = zip(*parts, strict=True)
        return api.TensorSplit(
            {"image": torch.cat(images), "mask": torch.cat(masks)}, [f"canvas-{name}-{i}" for i in range(num)]
        )

    def _draw(self, pictures: Tensor, labels: Tensor, name: api.SplitName, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return images (M, 1, H, W) and masks (M, H, W) of the canvases with the numbers `ids` (M,)."""
        (H, W), (h, w), M = self.options.canvas_size, self.box, len(ids)
        draws = api.Draws(api.SPLIT_SEED, 0, ids)
        counts = LEAST + (draws.uniform(f"{name} count", 1)[:, 0] * (MOST - LEAST + 1)).long()  # (M,)
        picture_ids = (draws.uniform(f"{name} pictures", MOST).double() * len(labels)).long()  # (M, K)
        top, left = self._places(name, ids, counts)  # (M, K) each
        inside = (torch.arange(h)[:, None] * W + torch.arange(w)).flatten()  # (h w,)
        image = torch.zeros(M, H * W, dtype=pictures.dtype)
        mask = torch.zeros(M, H * W, dtype=torch.uint8)
        for k in range(MOST):
            rows = torch.nonzero(counts > k)  # (R, 1)
            where = (top[:, k] * W + left[:, k])[rows] + inside  # (R, h w)
            picture = pictures[picture_ids[:, k]].flatten(1)[rows[:, 0]]
            before = image[rows, where]
            brighter = picture >= before
            inked = brighter & (picture > self.threshold)
            number = (labels[picture_ids[:, k]] + 1).to(torch.uint8)[rows]  # (R, 1)
            image[rows, where] = torch.where(brighter, picture, before)
            mask[rows, where] = torch.where(inked, number, mask[rows, where])
        return image.reshape(M, 1, H, W), mask.reshape(M, H, W)

    def _places(self, name: api.SplitName, ids: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return top and left (M, K) of each box; those past the canvas's count mean nothing."""
        (H, W), (h, w) = self.options.canvas_size, self.box
        if h > H or w > W:
            raise api.SpecError(f"dataset.canvas_size {H}x{W} is smaller than a picture ({h}x{w}); give a larger one")
        corners = torch.zeros(len(ids), MOST, 2, dtype=torch.int64)
        rest = torch.arange(len(ids))
        refused = 0
        for attempt in itertools.count():
            draws = api.Draws(api.SPLIT_SEED, attempt, ids[rest])
            shares = draws.uniform(f"{name} places", TRIES * MOST * 2).reshape(-1, TRIES, MOST, 2)
            places = (shares * torch.tensor([H - h + 1, W - w + 1])).long()  # (M', T, K, 2)
            fits = self._apart(places, counts[rest])  # (M', T)
            lucky = fits.any(1)
            first = fits.int().argmax(1)[lucky]
            corners[rest[lucky]] = places[lucky, first]
            refused = 0 if lucky.any() else refused + fits.numel()
            rest = rest[~lucky]
            if not len(rest):
                break
            if refused >= HOPELESS:
                raise api.SpecError(
                    f"dataset.canvas_size {H}x{W} has no room for {MOST} pictures of {h}x{w} that overlap by no more "
                    f"than dataset.canvas_overlap {self.options.canvas_overlap:g}; raise one of the two"
                )
        return corners[:, :, 0], corners[:, :, 1]

    def _apart(self, places: Tensor, counts: Tensor) -> Tensor:
        """Return (M, T), true where no two of the first `counts` (M,) boxes (M, T, K, 2) overlap too much."""
        h, w = self.box
        fits = torch.ones(places.shape[:2], dtype=torch.bool)
        for a, b in itertools.combinations(range(MOST), 2):
            common = torch.tensor([h, w]) - (places[:, :, a] - places[:, :, b]).abs()  # (M, T, 2)
            share = common.clamp(min=0).prod(-1) / (h * w)
            fits &= (share <= self.options.canvas_overlap) | (counts <= b)[:, None]
        return fits
