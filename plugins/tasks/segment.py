"""Segmentation: a class for every pixel.

Shapes: B batch, C channels, H, W height and width, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from maecli import api

NUM_DRAWN = 6
DRAWN_SIDE = 640
"""Drawings are made from pictures reduced to this."""
MOST_BARS = 60
LABELS = {
    "miou": "mIoU",
    "foreground_iou": "foreground IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_class_accuracy": "mean class accuracy",
}


class Segment(api.Task[api.nets.Segmenter]):
    """Cross-entropy and Dice per pixel; IoU over a whole split, beside always saying background.

    Pixels of the number 255 are neither learnt nor judged.
    """

    name = "segment"
    fields = ("image", "mask")
    monitor = "miou"
    own_size = True

    class Options(api.Options):
        head: Literal["conv", "shuffle", "upernet"] = Field(
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
        inference: Literal["whole", "slide"] = Field(
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

    def build(self, encoder: api.Encoder) -> api.nets.Segmenter:
        if len(encoder.img_size) != 2:
            raise api.SpecError(
                f"segment works on pictures, not on data of {len(encoder.img_size)} axes such as {self.card.name}"
            )
        options, num = self.options, len(self.card.mask_classes)
        head = api.nets.segmentation_head(options.head, encoder, num, options.head_channels, options.head_drop)
        return api.nets.Segmenter(encoder, head)

    def loss(self, module: api.nets.Segmenter, batch: api.Batch) -> Tensor:
        logits, mask = module(batch["image"]), batch["mask"].long()
        loss = cross_entropy(logits, mask, self.options.class_weights)
        if self.options.dice:
            loss = loss + self.options.dice * dice_loss(logits, mask)
        return loss

    def classes_of(self, module: api.nets.Segmenter, image: Tensor) -> Tensor:
        """Return the predicted classes (B, H, W) uint8 of pictures (B, C, H, W), at their own size."""
        options = self.options
        return api.nets.predict_classes(
            module, image, self.preprocess.img_size, options.inference, options.stride, options.flip
        )

    def evaluator(self, thorough: bool = True) -> Overlap:
        return Overlap(self, thorough)

    def predict(self, module: api.nets.Segmenter, batch: api.Batch) -> list[api.Prediction]:
        masks = self.classes_of(module, batch["image"]).cpu().numpy()
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
                ".mask.png": api.pictures.mask_png(mask, self.card.mask_palette),
                ".overlay.png": api.draw.overlay(picture, mask, self.style),
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
        return [read, f"{counted} 95% intervals are of {api.measure.RESAMPLES:,} resamples of whole pictures."]


def cross_entropy(logits: Tensor, mask: Tensor, class_weights: Sequence[float] | None = None) -> Tensor:
    """Return the mean cross-entropy () over judged pixels, weighted by class; 0 where none is judged.

    Takes logits (B, Q, H, W) and masks (B, H, W) int64.
    """
    weights = torch.tensor(class_weights or [1.0] * logits.shape[1], device=logits.device)
    total = F.cross_entropy(logits, mask, weights, ignore_index=api.pictures.VOID, reduction="sum")
    judged = torch.where(mask == api.pictures.VOID, 0.0, weights[mask.clamp(max=len(weights) - 1)])
    return total / judged.sum().clamp(min=1e-6)  # torch's own mean would be 0 / 0 without a judged pixel


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Return 1 minus the soft Dice () of all judged pixels of the batch, averaged over the classes that occur.

    Takes logits (B, Q, H, W) and masks (B, H, W) int64. 0 where no pixel is judged.
    Source: V-Net, arXiv:1606.04797, section 3, with squares below; there for one class.
    """
    Q = logits.shape[1]
    judged = (mask != api.pictures.VOID).unsqueeze(1)
    truth = F.one_hot(mask.where(judged[:, 0], 0), Q).movedim(-1, 1) * judged  # (B, Q, H, W)
    p = logits.softmax(1) * judged
    both, sizes = (p * truth).sum((0, 2, 3)), (p * p + truth).sum((0, 2, 3))  # (Q,)
    occurs = truth.sum((0, 2, 3)) > 0
    losses = (1 - 2 * both / sizes.clamp(min=1e-6)) * occurs
    return losses.sum() / occurs.sum().clamp(min=1)


class Overlap(api.Evaluator[api.nets.Segmenter]):
    """One confusion matrix over all pictures, what follows from it, and a few pictures to look at."""

    def __init__(self, task: Segment, thorough: bool) -> None:
        self.task, self.card, self.thorough = task, task.card, thorough
        num = len(self.card.mask_classes)
        self.matrix = torch.zeros(num, num, dtype=torch.int64)  # true, predicted
        self.counts: list[np.ndarray] = []  # (3, Q) of each picture
        self.drawn: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # picture, truth, prediction
        self.seen, self.every = 0, 1

    def update(self, module: api.nets.Segmenter, batch: api.Batch) -> None:
        predicted = self.task.classes_of(module, batch["image"])
        for i, (truth, guess) in enumerate(zip(batch["mask"], predicted, strict=True)):
            matrix = api.measure.confusion(truth, guess, len(self.matrix)).cpu()
            self.matrix += matrix
            if self.thorough:
                self.counts.append(api.measure.overlap_counts(matrix.numpy()))
                self._keep(batch["image"][i : i + 1], truth, guess)
            self.seen += 1

    def _keep(self, image: Tensor, truth: Tensor, guess: Tensor) -> None:
        """Hold evenly spaced samples to draw: every second one is let go when there are twice as many as needed."""
        if self.seen % self.every:
            return
        if len(self.drawn) == 2 * NUM_DRAWN:
            self.drawn, self.every = self.drawn[::2], 2 * self.every
        step = -(-max(truth.shape) // DRAWN_SIDE)
        small = image if step == 1 else F.avg_pool2d(image, min(step, *truth.shape), step, ceil_mode=True)
        masks = (mask[::step, ::step].cpu().numpy() for mask in (truth, guess))
        self.drawn.append((self.task.drawable(small)[0], *masks))

    def metrics(self) -> Sequence[api.Metric]:
        counts, background = api.measure.overlap_counts(self.matrix.numpy()), self.card.background
        always, baseline = self._constant(counts)
        scores = api.measure.overlap_scores(counts, background)
        baselines = {
            name: {always: float(value)} for name, value in api.measure.overlap_scores(baseline, background).items()
        }
        if background is not None:
            baselines["foreground_iou"]["all-foreground"] = (
                1 - baselines["pixel_accuracy"][always] if counts[1].any() else 0.0
            )
        intervals = api.measure.overlap_intervals(np.stack(self.counts), background) if self.counts else {}
        absent = self._absent(counts)
        note = f"mean of {len(self.card.mask_classes) - len(absent)} classes"
        if absent:
            note += f"; no pixel here of {', '.join(absent)}"
        return [
            api.Metric(
                name=name,
                label=LABELS[name],
                value=float(value),
                unit="share",
                baselines=baselines[name],
                interval=intervals.get(name),
                note=note if name == "miou" else "",
            )
            for name, value in scores.items()
        ]

    def _constant(self, counts: np.ndarray) -> tuple[str, np.ndarray]:
        """Return the trivial predictor's name and counts: all background, else the split's most frequent class."""
        number = self.card.background
        if number is not None:
            return "all-background", api.measure.constant_counts(counts, number)
        number = int(counts[1].argmax())
        return f"all {self.card.mask_classes[number]}", api.measure.constant_counts(counts, number)

    def _absent(self, counts: np.ndarray) -> list[str]:
        return [name for name, pixels in zip(self.card.mask_classes, counts[1], strict=True) if pixels == 0]

    def tables(self) -> Sequence[api.Table]:
        counts = api.measure.overlap_counts(self.matrix.numpy())
        always, baseline = self._constant(counts)
        total = max(int(counts[1].sum()), 1)
        columns = ("class", "pixels", "share of pixels", "IoU", "accuracy", f"IoU of {always}")
        measures = (counts[1] / total, api.measure.iou(counts), api.measure.recall(counts), api.measure.iou(baseline))
        rows = tuple(
            (
                name,
                int(counts[1][i]),
                *(float(measure[i]) if counts[1][i] else "n/a" for measure in measures),
            )
            for i, name in enumerate(self.card.mask_classes)
        )
        return [api.Table(title="Per class, shares from 0 to 1", columns=columns, rows=rows)]

    def drawings(self) -> Sequence[api.Drawing]:
        return [*self._samples(), *self._bars(), self._confusion()]

    def _samples(self) -> list[api.Drawing]:
        if not self.drawn:
            return []
        where = np.linspace(0, len(self.drawn) - 1, min(NUM_DRAWN, len(self.drawn))).round().astype(int)
        pictures, truths, guesses = zip(*(self.drawn[i] for i in where), strict=True)
        png = api.draw.overlay_rows(pictures, truths, guesses, self.task.style)
        caption = "Samples from all over the split, with true and predicted masks."
        return [api.Drawing(name="predictions", caption=caption, png=png)]

    def _bars(self) -> list[api.Drawing]:
        counts = api.measure.overlap_counts(self.matrix.numpy())
        always, baseline = self._constant(counts)
        frequent = [int(i) for i in np.argsort(-counts[1], kind="stable") if counts[1][i]][:MOST_BARS]
        if not frequent:
            return []
        names = self.card.mask_classes
        own, trivial = (
            {names[i]: float(iou[i]) for i in frequent} for iou in (api.measure.iou(counts), api.measure.iou(baseline))
        )
        marks = {name: value for name, value in trivial.items() if value > 0}
        png = api.draw.class_bars(own, "IoU", marks, f"IoU of {always}, where it is not 0")
        which = f"the {MOST_BARS} most frequent classes" if len(frequent) == MOST_BARS else "each class of the split"
        return [api.Drawing(name="iou-per-class", caption=f"IoU of {which}.", png=png)]

    def _confusion(self) -> api.Drawing:
        png = api.draw.confusion_matrix(self.matrix.numpy(), self.card.mask_classes)
        caption = "Pixels. Rows: truth. Columns: prediction. Colour: share of the true class."
        return api.Drawing(name="confusion-matrix", caption=caption, png=png)


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Segment]
