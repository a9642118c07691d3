"""Scores of a whole split, with tables and drawings of them.

Shapes: H, W height and width, Q classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api
from maecli.api.measure import (
    class_iou,
    class_recall,
    constant_counts,
    overlap_counts,
    overlap_intervals,
    overlap_scores,
    resampled_scores,
)

from .heads import Segmenter

if TYPE_CHECKING:
    from .task import Segment

NUM_DRAWN = 6
DRAWN_SIDE = 640
"""Drawings are made from pictures reduced to this."""
MOST_BARS = 60
MOST_NAMED = 8
"""Classes that a note names."""
LABELS = {
    "miou": "mIoU",
    "foreground_iou": "foreground IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_class_accuracy": "mean class accuracy",
}


class Overlap(api.Evaluator[Segmenter]):
    """One confusion matrix over all pictures, counts of each picture, and a few pictures to look at."""

    def __init__(self, task: Segment, thorough: bool) -> None:
        self.task, self.card, self.thorough = task, task.card, thorough
        self.drawn: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        """Picture (1, C, H, W), truth and prediction (H, W), by a number that is drawn from the sample's key."""

    def update(self, module: Segmenter, batch: api.Batch) -> None:
        predicted = self.task.classes_of(module, batch["image"], batch.tensors.get("valid"))
        num = len(self.card.mask_classes)
        if not self.thorough:
            self.add({"matrix": api.measure.confusion(batch["mask"], predicted, num)})
            return
        counts = []
        for i, (truth, guess) in enumerate(zip(batch["mask"], predicted, strict=True)):
            matrix = api.measure.confusion(truth, guess, num)
            self.add({"matrix": matrix})
            counts.append(overlap_counts(matrix))
            if truth.ndim == 2:
                self._keep(batch.keys[i], batch["image"][i : i + 1], truth, guess)
        self.add_rows(batch.draws.ids, {"counts": torch.stack(counts)})

    def _keep(self, key: str, image: Tensor, truth: Tensor, guess: Tensor) -> None:
        """Hold a few samples to draw, the same ones in whatever order they come: those whose keys hash lowest."""
        place = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
        if len(self.drawn) == NUM_DRAWN:
            if place > (last := max(self.drawn)):
                return
            del self.drawn[last]
        step = -(-max(truth.shape) // DRAWN_SIDE)
        small = image if step == 1 else F.avg_pool2d(image, min(step, *truth.shape), step, ceil_mode=True)
        self.drawn[place] = (small.clone(), truth[::step, ::step].clone(), guess[::step, ::step].clone())

    @property
    def matrix(self) -> Tensor:
        """Pixels (Q, Q) by true and predicted class."""
        matrix = self.total("matrix")
        return torch.zeros([len(self.card.mask_classes)] * 2, dtype=torch.int64) if matrix is None else matrix

    def difference(self, other: api.Evaluator[Segmenter]) -> api.Difference | None:
        """Return it by resampling pictures, the same ones for both."""
        counts = self.shared_rows(other, "counts")
        if counts is None or len(counts[0]) < 2:
            return None
        pictures, background = [each.numpy() for each in counts], self.card.background
        one, another = (float(overlap_scores(each.sum(0), background)["miou"]) for each in pictures)
        resampled, others = (resampled_scores(each, background)["miou"] for each in pictures)
        return api.measure.paired_bootstrap(one - another, resampled - others, len(pictures[0]))

    def metrics(self) -> Sequence[api.Metric]:
        counts, background = overlap_counts(self.matrix).numpy(), self.card.background
        always, baseline = self._constant(counts)
        scores = overlap_scores(counts, background)
        baselines = {name: {always: float(value)} for name, value in overlap_scores(baseline, background).items()}
        if background is not None:
            baselines["foreground_iou"]["all-foreground"] = (
                1 - baselines["pixel_accuracy"][always] if counts[1].any() else 0.0
            )
        pictures = self.rows("counts")
        intervals = {} if pictures is None else overlap_intervals(pictures.numpy(), background)
        absent = [name for name, pixels in zip(self.card.mask_classes, counts[1], strict=True) if pixels == 0]
        note = f"mean of {len(self.card.mask_classes) - len(absent)} classes"
        if absent:
            more = f" and {len(absent) - MOST_NAMED:,} more" if len(absent) > MOST_NAMED else ""
            note += f"; no pixel here of {', '.join(absent[:MOST_NAMED])}{more}"
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
            return "all-background", constant_counts(counts, number)
        number = int(counts[1].argmax())
        return f"all {self.card.mask_classes[number]}", constant_counts(counts, number)

    def finding(self) -> str:
        """Return which classes are drawn best and worst, and how many are not found at all."""
        counts = overlap_counts(self.matrix).numpy()
        shares, classes = class_iou(counts), self.card.mask_classes
        judged = [int(q) for q in np.flatnonzero(counts[1]) if q != self.card.background]
        predicted = np.flatnonzero(counts[2])
        if len(predicted) == 1 and judged and predicted[0] not in judged:
            return f"everything is taken for {classes[predicted[0]]}"
        if not judged:
            return ""
        mean = f"mIoU is {overlap_scores(counts, self.card.background)['miou']:.0%}"
        best, worst = max(judged, key=lambda q: shares[q]), min(judged, key=lambda q: shares[q])
        if best == worst:
            return f"{mean}, {classes[best]} alone has {shares[best]:.0%}"
        lost = sum(counts[0][q] == 0 for q in judged)
        text = f"{mean}: {classes[best]} is drawn best (IoU {shares[best]:.0%})"
        if lost > 1:
            return f"{text}, {lost} of {len(judged)} classes are not found at all"
        return f"{text}, {classes[worst]} worst ({shares[worst]:.0%})"

    def tables(self) -> Sequence[api.Table]:
        counts = overlap_counts(self.matrix).numpy()
        always, baseline = self._constant(counts)
        total = max(int(counts[1].sum()), 1)
        columns = ("class", "pixels", "share of pixels", "IoU", "accuracy", f"IoU of {always}")
        measures = (counts[1] / total, class_iou(counts), class_recall(counts), class_iou(baseline))
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
        pictures, truths, guesses = zip(*(self.drawn[place] for place in sorted(self.drawn)), strict=True)
        true, predicted = ([mask.cpu().numpy() for mask in masks] for masks in (truths, guesses))
        shown = [self.task.drawable(picture)[0] for picture in pictures]
        png = api.draw.overlay_rows(shown, true, predicted, self.task.style)
        caption = "Samples from all over the split, with true and predicted masks."
        return [api.Drawing(name="predictions", caption=caption, png=png)]

    def _bars(self) -> list[api.Drawing]:
        counts = overlap_counts(self.matrix).numpy()
        always, baseline = self._constant(counts)
        frequent = [int(i) for i in np.argsort(-counts[1], kind="stable") if counts[1][i]][:MOST_BARS]
        if not frequent:
            return []
        names = self.card.mask_classes
        own, trivial = ({names[i]: float(iou[i]) for i in frequent} for iou in (class_iou(counts), class_iou(baseline)))
        marks = {name: value for name, value in trivial.items() if value > 0}
        png = api.draw.class_bars(own, "IoU", marks, f"IoU of {always}, where it is not 0")
        which = f"the {MOST_BARS} most frequent classes" if len(frequent) == MOST_BARS else "each class of the split"
        return [api.Drawing(name="iou-per-class", caption=f"IoU of {which}.", png=png)]

    def _confusion(self) -> api.Drawing:
        png = api.draw.confusion_matrix(self.matrix.numpy(), self.card.mask_classes)
        caption = "Pixels. Rows: truth. Columns: prediction. Colour: share of the true class."
        return api.Drawing(name="confusion-matrix", caption=caption, png=png)
