"""Segmentation: a class for every pixel.

Shapes: B batch, C channels, H, W height and width, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maecli import api

from .evaluator import Overlap
from .heads import SegmentationKind, Segmenter, segmentation_head
from .losses import cross_entropy, dice_loss
from .overlap import RESAMPLES
from .tiling import Inference, predict_classes


class Segment(api.Task[Segmenter]):
    """Cross-entropy and Dice per pixel; IoU over a whole split, beside always saying background.

    Pixels of the number 255 are neither learnt nor judged.
    """

    name = "segment"
    fields = ("image", "mask")
    monitor = "miou"
    own_size = True

    class Options(api.Options):
        head: SegmentationKind = Field(
            default="conv",
            description="conv: 1×1 convolution on the token grid, bilinear up; shuffle: each token becomes its patch's "
            "pixels, then a 3×3 convolution of these and the picture; upernet: UPerNet on a feature pyramid",
        )
        head_channels: int | None = Field(
            default=None, ge=1, description="width of shuffle (default: the number of classes) and upernet (256)"
        )
        head_drop: float = Field(
            default=0.0, ge=0, lt=1, description="share of channels left out before the last layer in training"
        )
        dice: float = Field(
            default=0.0, ge=0, description="weight of the Dice loss beside cross-entropy, arXiv:1606.04797; 0: off"
        )
        class_weights: tuple[float, ...] | None = Field(
            default=None, description="weight of each class in cross-entropy, background included; default: all 1"
        )
        inference: Inference = Field(
            default="whole", description="read a picture at once, or in windows of the model's size"
        )
        stride: float = Field(
            default=2 / 3, gt=0, le=1, description="distance between windows, as a share of the window"
        )
        flip: bool = Field(default=False, description="average with the prediction of the mirror image")

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        num = len(card.mask_classes)
        if not 2 <= num <= api.pictures.VOID:
            raise api.DataError(
                f"{card.name} has {num} mask classes; segment needs 2 to {api.pictures.VOID}: give a data set whose "
                "masks name their classes"
            )
        weights = options.class_weights
        if weights is not None and (len(weights) != num or min(weights) < 0 or max(weights) == 0):
            raise api.SpecError(
                f"task.class_weights {list(weights)} must be one number for each mask class of {card.name}, none below "
                f"0 and not all 0; the {num} classes are {', '.join(card.mask_classes)}"
            )
        self.style = api.draw.ClassStyle(card.mask_classes, card.mask_palette, card.background)

    def build(self, encoder: api.Encoder) -> Segmenter:
        if len(encoder.img_size) != 2:
            raise api.SpecError(
                f"segment works on pictures, not on data of {len(encoder.img_size)} axes such as {self.card.name}"
            )
        options, num = self.options, len(self.card.mask_classes)
        head = segmentation_head(options.head, encoder, num, options.head_channels, options.head_drop)
        return Segmenter(encoder, head)

    def loss(self, module: Segmenter, batch: api.Batch) -> Tensor:
        logits, mask = module(batch["image"], batch.tensors.get("valid")), batch["mask"].long()
        loss = cross_entropy(logits, mask, self.options.class_weights)
        if self.options.dice:
            loss = loss + self.options.dice * dice_loss(logits, mask)
        return loss

    def classes_of(self, module: Segmenter, image: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the predicted classes (B, H, W) uint8 of pictures (B, C, H, W), at their own size."""
        inference, stride, flip = self.options.inference, self.options.stride, self.options.flip
        return predict_classes(module, image, self.preprocess.img_size, inference, stride, flip, valid)

    def evaluator(self, thorough: bool = True) -> Overlap:
        return Overlap(self, thorough)

    def predict(self, module: Segmenter, batch: api.Batch) -> list[api.Prediction]:
        masks = self.classes_of(module, batch["image"], batch.tensors.get("valid")).cpu().numpy()
        return [
            self._prediction(picture, mask) for picture, mask in zip(self.drawable(batch["image"]), masks, strict=True)
        ]

    def _prediction(self, picture: np.ndarray, mask: np.ndarray) -> api.Prediction:
        names = self.card.mask_classes
        counts = np.bincount(mask.ravel(), minlength=len(names))
        present = [name for i, name in enumerate(names) if counts[i] and i != self.card.background]
        return api.Prediction(
            {
                "classes": ";".join(present),
                **self.class_columns(names, counts / mask.size, "share_", "area"),
            },
            {
                ".mask.png": partial(api.pictures.mask_png, mask, self.card.mask_palette),
                ".overlay.png": partial(api.draw.overlay, picture, mask, self.style),
            },
        )

    def drawable(self, image: Tensor) -> np.ndarray:
        """Return normalised pictures (B, C, H, W) as uint8."""
        pixels = self.preprocess.to_pixels(image).clamp_(0, 1).mul_(255).round_()
        return pixels.to(torch.uint8).cpu().numpy()

    def describe(self) -> Sequence[str]:
        size = "×".join(map(str, self.preprocess.img_size))
        way = "in windows of that size" if self.options.inference == "slide" else "at once, very long ones in windows"
        flip = ", averaged with their mirror image" if self.options.flip else ""
        read = (
            f"Pictures are resized to cover {size} at their own aspect ratio, up to 8 times its length, and read {way}"
            f"{flip}; probabilities are brought back to the picture's own size, where they are compared with masks "
            "that nobody resized."
        )
        counted = "IoU comes from one confusion matrix over the whole split; void pixels are not judged."
        return [read, f"{counted} 95% intervals are of {RESAMPLES:,} resamples of whole pictures."]


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Segment]
