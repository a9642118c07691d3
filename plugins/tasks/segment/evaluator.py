"""Scores of a whole split, with tables and drawings of them.

Shapes: H, W height and width, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
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
from .shown import Examples, View

if TYPE_CHECKING:
    from .task import Segment

MOST_BARS = 60
MOST_NAMED = 8
"""Classes that a note names."""


class Overlap(api.Evaluator[Segmenter]):
    """One confusion matrix over all pictures, counts of each picture, and a few pictures to look at."""

    def __init__(self, task: Segment, thorough: bool) -> None:
        self.task, self.card, self.thorough = task, task.card, thorough
        self.part = task.preprocess.modality.part
        self.examples = Examples()

    @property
    def by_sample(self) -> bool:
        """Whether each sample is counted by itself."""
        return self.thorough

    def update(self, module: Segmenter, batch: api.Batch) -> None:
        truths = batch.tensors.get("own_mask", batch["mask"])
        predicted = self.task.classes_of(module, batch["image"], batch.tensors.get("valid"), truths.shape[1:])
        num = len(self.card.mask_classes)
        if not self.by_sample:
            self.add({"matrix": api.measure.confusion(truths, predicted, num)})
            return
        counts = []
        for truth, guess in zip(truths, predicted, strict=True):
            matrix = api.measure.confusion(truth, guess, num)
            self.add({"matrix": matrix})
            counts.append(overlap_counts(matrix))
        self.keep(batch, truths, predicted, torch.stack(counts))

    def keep(self, batch: api.Batch, truths: Tensor, predicted: Tensor, counts: Tensor) -> None:
        """Keep what is needed of each sample: true and predicted classes (B, *S), and counts (B, 3, Q)."""
        self.add_rows(batch.draws.ids, {"counts": counts})
        if self.task.preprocess.modality.pictorial:
            self._look_at(batch, predicted, counts.cpu().numpy())

    def _look_at(self, batch: api.Batch, predicted: Tensor, counts: np.ndarray) -> None:
        """Show those of a batch with a judged pixel to what holds examples, which waits for their scores."""
        shares = overlap_scores(counts, self.card.background)["miou"]
        for i in np.flatnonzero(counts[:, 1].any(-1)).tolist():
            view = partial(View, batch["image"][i : i + 1], batch["mask"][i], predicted[i])
            self.examples.add(batch.keys[i], float(shares[i]), view)

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
        num = len(self.card.mask_classes) - len(absent)
        note = f"mean of {num} class{'' if num == 1 else 'es'}"
        if absent:
            more = f" and {len(absent) - MOST_NAMED:,} more" if len(absent) > MOST_NAMED else ""
            note += f"; no {self.part} here of {', '.join(absent[:MOST_NAMED])}{more}"
        return [
            api.Metric(
                name=name,
                label=self._label(name),
                value=float(value),
                unit="share",
                baselines=baselines[name],
                interval=intervals.get(name),
                note=note if name == "miou" else "",
            )
            for name, value in scores.items()
        ]

    def _label(self, name: str) -> str:
        labels = {"miou": "mIoU", "foreground_iou": "foreground IoU", "pixel_accuracy": f"{self.part} accuracy"}
        return labels.get(name, name.replace("_", " "))

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
        columns = ("class", f"{self.part}s", f"share of {self.part}s", "IoU", "accuracy", f"IoU of {always}")
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
        task = self.task
        examples = self.examples.drawings(task.drawable, task.style, "mean IoU", task.preprocess.modality.one)
        return [*examples, *self._bars(), self._confusion()]

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
        caption = f"{self.part.capitalize()}s. Rows: truth. Columns: prediction. Colour: share of the true class."
        return api.Drawing(name="confusion-matrix", caption=caption, png=png)
