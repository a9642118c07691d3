"""Several labels per sample: each class is judged for itself, by its average precision.

Shapes: B batch, N samples, Q classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

from ..pooled.head import outputs_of
from .labels import Labels
from .precision import average_precision, mean_precision, random_precision, resampled_means

MAX_NAMED = 3
"""Classes in the caption of one picture."""


class SeveralLabels(Labels):
    """Labels (B, Q): 1 present, 0 absent, -1 not to be judged, neither in the loss nor in any metric.

    A class counts as predicted above a probability of one half. So a sample may have none already, and nothing is
    calibrated.
    """

    monitor = "map"
    columns = api.Answer("classes", margin="margin", several=True)
    drawn = (
        "Classes above 50% and their probabilities, or the most probable one in parentheses; pictures are marked where "
        "a class is known to be there and is not above 50%, or the reverse."
    )
    note = (
        "Average precision of a class is the area under its precision-recall curve, each precision raised to the "
        "highest at the same or a higher recall (VOC from 2010 on); images not to be judged for a class are left out "
        "of it, and classes without a positive image are left out of the mean."
    )

    def head(self, embed_dim: int, kind: Literal["linear", "mlp"], norm: api.nets.HeadNorm) -> api.nets.ClassifierHead:
        """Return a head that begins with each class's frequency in training. Source: arXiv:1708.02002, section 4.1."""
        head = PreciseHead(embed_dim, self.card.num_classes, kind, norm)
        if self.card.class_counts:
            with torch.no_grad():
                head.get_parameter(f"{len(head) - 1}.bias").copy_(torch.logit(frequencies(self.card)))
        return head

    def evaluator(
        self,
        thorough: bool,
        preprocess: api.Preprocess,
        calibration: object,
        unsure_share: float,
        trees: object = None,
    ) -> Precision:
        return Precision(self.card, thorough)

    def target(self, label: Tensor) -> Tensor:
        return torch.where(label < 0, torch.nan, label.float())

    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Return the binary cross-entropy of the judged cells; a mixed cell is judged where both its samples are.

        A class's weight is that of its positives: the negatives of a rare class are many.
        """
        judged = ~target.isnan()
        target = torch.where(judged, target, 0.0) * (1 - smoothing) + smoothing / 2
        weights = None if self.weights is None else api.measure.weights_on(self.weights, logits.device)
        total = F.binary_cross_entropy_with_logits(
            logits, target, weight=judged.float(), pos_weight=weights, reduction="sum"
        )
        return total / judged.sum().clamp(min=1)

    def loss_weight(self, target: Tensor) -> Tensor:
        return (~target.isnan()).sum()

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def answer(self, probabilities: np.ndarray) -> dict[str, str | int | float]:
        """Return the classes above one half; the margin is that of the class which is nearest to it."""
        names = ";".join(self.card.classes[q] for q in np.flatnonzero(probabilities > 0.5).tolist())
        return {"classes": names, "margin": round(float(np.abs(2 * probabilities - 1).min()), 6)}

    def caption(self, probabilities: np.ndarray) -> str:
        order = np.argsort(-probabilities, kind="stable").tolist()
        named = [f"{self.card.classes[q]} {float(probabilities[q]):.0%}" for q in order[:MAX_NAMED]]
        num = int((probabilities > 0.5).sum())
        return ", ".join(named[:num]) if num else f"({named[0]})"

    def wrong(self, probabilities: np.ndarray, label: np.ndarray) -> list[bool | None]:
        known = label >= 0
        misses = ((probabilities > 0.5) != (label == 1)) & known  # (B, Q)
        rows = zip(np.any(misses, axis=1).tolist(), np.any(known, axis=1).tolist(), strict=True)
        return [miss if some else None for miss, some in rows]


class PreciseHead(api.nets.ClassifierHead):
    """A head that works in float32: in bfloat16 many samples of a rare class would get one score."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())  # type: ignore[no-untyped-call]


def frequencies(card: api.DataCard) -> Tensor:
    """Return how often each class (Q,) is present in training, never 0 or 1: (count + 1) / (num + 2)."""
    return (torch.tensor(card.class_counts) + 1.0) / (card.split_sizes["train"] + 2.0)


class Precision(api.Evaluator[api.nets.Classifier]):
    """Scores and labels of all samples, and how well each class's scores rank its samples."""

    def __init__(self, card: api.DataCard, thorough: bool = True) -> None:
        self.card, self.thorough = card, thorough
        self._ranked: list[tuple[int, int, float]] | None = None

    def update(self, module: api.nets.Classifier, batch: api.Batch) -> None:
        self.add_rows(batch.draws.ids, {"logits": outputs_of(module, batch), "labels": batch["label"]})
        self._ranked = None

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._ranked = None

    def _all(self) -> tuple[Tensor, Tensor]:
        """Return logits and labels (N, Q) of every sample so far, in the order of the split."""
        logits, labels = self.rows("logits"), self.rows("labels")
        if logits is None or labels is None:
            return torch.zeros(0, self.card.num_classes), torch.zeros(0, self.card.num_classes, dtype=torch.int8)
        return logits, labels

    def _per_class(self) -> list[tuple[int, int, float]]:
        """Return of each class how many samples are positive, how many are judged, and its average precision."""
        if self._ranked is None:
            scores, truth = (each.numpy() for each in self._all())
            precisions = [float(average_precision(*column)) for column in zip(scores.T, truth.T, strict=True)]
            positives, judged = (truth == 1).sum(0).tolist(), (truth >= 0).sum(0).tolist()
            self._ranked = list(zip(positives, judged, precisions, strict=True))
        return self._ranked

    def difference(self, other: api.Evaluator[api.nets.Classifier]) -> api.Difference | None:
        """Return it by resampling samples, the same ones for both."""
        scores, labels = self.shared_rows(other, "logits"), self.shared_rows(other, "labels")
        if scores is None or labels is None or not (labels[0] == 1).any():
            return None
        truth, both = labels[0].numpy(), [each.numpy() for each in scores]
        one, another = (mean_precision(each, truth) for each in both)
        resampled = resampled_means(both[0], truth) - resampled_means(both[1], truth)
        return api.measure.paired_bootstrap(one - another, resampled, len(truth))

    def metrics(self) -> Sequence[api.Metric]:
        return [self._mean_precision(), self._cross_entropy()]

    def _mean_precision(self) -> api.Metric:
        classes = self._per_class()
        counted = [each for each in classes if each[0]]
        missing = [name for name, (num, *_) in zip(self.card.classes, classes, strict=True) if not num]
        baselines = (
            {"one score for all": float(np.mean([num / judged for num, judged, _ in counted]))} if counted else {}
        )
        value = float(np.mean([precision for *_, precision in counted])) if counted else 0.0
        interval = None
        if self.thorough and counted:
            baselines["random ranking"] = float(np.mean([random_precision(num, judged) for num, judged, _ in counted]))
            logits, truth = self._all()
            interval = api.measure.bootstrap_interval(value, resampled_means(logits.numpy(), truth.numpy()))
        return api.Metric(
            name="map",
            label="mean average precision",
            value=value,
            unit="share",
            baselines=baselines,
            interval=interval,
            note=f"no positive sample, so left out: {', '.join(missing)}" if missing else "",
        )

    def _cross_entropy(self) -> api.Metric:
        logits, truth = self._all()
        judged = truth >= 0
        present = (truth == 1).double()
        frequency = frequencies(self.card).double() if self.card.class_counts else _shares(present, judged)

        def mean(losses: Tensor) -> float:
            return float(losses[judged].mean()) if judged.any() else 0.0

        constant = -(present * frequency.log() + (1 - present) * (1 - frequency).log())
        return api.Metric(
            name="cross_entropy",
            label="binary cross-entropy",
            value=mean(F.binary_cross_entropy_with_logits(logits.double(), present, reduction="none")),
            better="lower",
            baselines={"even odds": math.log(2), "training frequencies": mean(constant)},
        )

    def finding(self) -> str:
        """Return the classes that are ranked best and worst."""
        ranked = [(each[2], name) for name, each in zip(self.card.classes, self._per_class(), strict=True) if each[0]]
        if len(ranked) < 2:
            return ""
        (low, worst), (high, best) = min(ranked), max(ranked)
        mean = float(np.mean([precision for precision, _ in ranked]))
        return f"mean average precision is {mean:.0%}: {best} is ranked best ({high:.0%}), {worst} worst ({low:.0%})"

    def tables(self) -> Sequence[api.Table]:
        rows = tuple(
            (name, num, precision if num else "none", num / max(judged, 1))
            for name, (num, judged, precision) in zip(self.card.classes, self._per_class(), strict=True)
        )
        columns = ("class", "positives", "average precision", "share of positives")
        return [api.Table(title="Per class", columns=columns, rows=rows)]

    def drawings(self) -> Sequence[api.Drawing]:
        classes = {name: each for name, each in zip(self.card.classes, self._per_class(), strict=True) if each[0]}
        if not classes:
            return []
        precision = {name: each[2] for name, each in classes.items()}
        shares = {name: num / judged for name, (num, judged, _) in classes.items()}
        png = api.draw.class_bars(precision, "average precision", shares, "one score for all")
        caption = "Average precision of each class, beside its share of positives: what one score for all gets."
        return [api.Drawing(name="average-precision", caption=caption, png=png)]


def _shares(present: Tensor, judged: Tensor) -> Tensor:
    """Return the share of positives (Q,) among the judged of (N, Q), never 0 or 1."""
    return ((present * judged).sum(0) + 1) / (judged.sum(0) + 2)
