"""One label per sample: accuracy beside majority and chance.

Shapes: B batch, Q classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

from ..pooled.boosted_trees import NAME as TREES
from ..pooled.boosted_trees import BoostedTrees
from ..pooled.head import outputs_of
from .calibration import Calibration
from .finding import finding
from .labels import Labels
from .mistakes import Mistakes
from .temperature import expected_calibration_error, reliability


class OneLabel(Labels):
    monitor = "top1"
    columns = api.Answer("class", probability="probability", margin="margin", unsure="unsure")
    drawn = "Predicted class and probability; predictions that are known to be wrong are marked."

    def evaluator(
        self,
        thorough: bool,
        preprocess: api.Preprocess,
        calibration: Calibration | None,
        unsure_share: float,
        trees: BoostedTrees | None = None,
    ) -> Accuracy:
        mistakes = Mistakes(self.card, preprocess) if thorough else None
        return Accuracy(self.card, thorough, mistakes, calibration, unsure_share, trees)

    def calibrate(
        self, module: api.nets.Classifier, train: Iterable[api.Batch], val: Iterable[api.Batch]
    ) -> Calibration | None:
        return Calibration.fit(module, train, val)

    def target(self, label: Tensor) -> Tensor:
        return F.one_hot(label, self.card.num_classes).float()

    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Return the mean cross-entropy, each sample weighing what its class weighs, a blend as its classes together.

        torch's own weights would divide by their sum in a micro-batch, and count smoothed targets of other classes.
        """
        if self.weights is None:
            return F.cross_entropy(logits, target, label_smoothing=smoothing)
        losses = F.cross_entropy(logits, target, label_smoothing=smoothing, reduction="none")
        return (losses * (target @ api.measure.weights_on(self.weights, target.device))).mean()

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def answer(self, probabilities: np.ndarray) -> dict[str, str | int | float]:
        second, first = np.partition(probabilities, -2)[-2:].tolist()
        name = self.card.classes[int(probabilities.argmax())]
        return {"class": name, "probability": round(first, 6), "margin": round(first - second, 6)}

    def caption(self, probabilities: np.ndarray) -> str:
        return f"{self.card.classes[int(probabilities.argmax())]} {float(probabilities.max()):.0%}"

    def wrong(self, probabilities: np.ndarray, label: np.ndarray) -> list[bool | None]:
        guesses = probabilities.argmax(-1).tolist()
        return [guess != truth if truth >= 0 else None for guess, truth in zip(guesses, label.tolist(), strict=True)]


class Accuracy(api.Evaluator[api.nets.Classifier]):
    """A confusion matrix, and what follows from it; where it is thorough, which samples were hit.

    With a calibration also how far answers are to be believed.
    """

    def __init__(
        self,
        card: api.DataCard,
        thorough: bool = True,
        mistakes: Mistakes | None = None,
        calibration: Calibration | None = None,
        unsure_share: float = 0.0,
        trees: BoostedTrees | None = None,
    ) -> None:
        self.card, self.thorough, self.mistakes, self.trees = card, thorough, mistakes, trees
        self.calibration, self.unsure_share = calibration, unsure_share

    def update(self, module: api.nets.Classifier, batch: api.Batch) -> None:
        logits, label = outputs_of(module, batch), batch["label"]
        predicted = logits.argmax(-1)
        matrix = api.measure.confusion(label, predicted, self.card.num_classes)
        self.add({"matrix": matrix, "cross_entropy": F.cross_entropy(logits, label, reduction="sum")})
        if self.thorough:
            hits = {"hits": (predicted == label).to(torch.int8)}
            self.add_rows(batch.draws.ids, hits | self._believed(logits, batch))
            self._ask_trees(batch)
        if self.mistakes is not None and "image" in batch:
            self.mistakes.update(batch, self._scaled(logits).softmax(-1))

    def _ask_trees(self, batch: api.Batch) -> None:
        """Count what trees make of a batch, where they learnt anything."""
        guess = self.trees.predict(batch) if self.trees is not None else None
        if guess is not None:
            self.add({TREES: api.measure.confusion(batch["label"], guess, self.card.num_classes)})

    def _scaled(self, logits: Tensor) -> Tensor:
        """Return logits whose probabilities hold, where there is a calibration."""
        return logits if self.calibration is None else self.calibration.scaled(logits)

    def _believed(self, logits: Tensor, batch: api.Batch) -> dict[str, Tensor]:
        """Return of each sample (B,) how probable its answer is, raw and calibrated, and whether it is unsure."""
        if self.calibration is None:
            return {}
        rows = {"raw": logits.softmax(-1).amax(-1), "calibrated": self._scaled(logits).softmax(-1).amax(-1)}
        unsure = self.calibration.unsure(logits, batch, self.unsure_share)
        if unsure is not None:
            rows["unsure"] = torch.tensor(unsure, dtype=torch.int8, device=logits.device)
        return rows

    def _column(self, name: str) -> np.ndarray:
        """Return a row's number (N,) of all samples so far; nothing where there is none."""
        values = self.rows(name) if name in self.state() else None
        return np.zeros(0) if values is None else values.double().numpy()

    def difference(self, other: api.Evaluator[api.nets.Classifier]) -> api.Difference | None:
        hits = self.shared_rows(other, "hits")
        return api.measure.paired_shares(*(each.numpy() for each in hits)) if hits is not None else None

    @property
    def matrix(self) -> Tensor:
        """Samples (Q, Q) by true and predicted class."""
        matrix = self.total("matrix")
        return torch.zeros([self.card.num_classes] * 2, dtype=torch.int64) if matrix is None else matrix

    def metrics(self) -> Sequence[api.Metric]:
        matrix, loss = self.matrix, self.total("cross_entropy")
        num, hits = int(matrix.sum()), int(matrix.trace())
        truth = matrix.sum(1)  # (Q,)
        # A data set that does not count its classes is measured against the most frequent class of the split.
        counts = torch.tensor(self.card.class_counts) if self.card.class_counts else truth
        majority = int(counts.argmax())
        present, trees = truth > 0, self.total(TREES)
        hits_of_trees = {} if trees is None else {TREES: int(trees.trace()) / max(num, 1)}
        f1_of_trees = {} if trees is None else {TREES: _macro_f1(trees, present)}
        baselines = {
            f"majority ({self.card.classes[majority]})": int(truth[majority]) / max(num, 1),
            "chance": 1 / self.card.num_classes,
            **hits_of_trees,
        }
        return [
            api.Metric(
                name="top1",
                label="top-1 accuracy",
                value=hits / max(num, 1),
                unit="share",
                baselines=baselines,
                interval=api.measure.wilson_interval(hits, num) if num else None,
            ),
            api.Metric(
                name="macro_f1",
                label="macro F1",
                value=_macro_f1(matrix, present),
                unit="share",
                baselines={"majority": _majority_f1(truth, majority), **f1_of_trees},
                note="" if present.all() else f"mean over the classes that occur, {int(present.sum())} of {len(truth)}",
            ),
            api.Metric(
                name="cross_entropy",
                label="cross-entropy",
                value=0.0 if loss is None else float(loss) / max(num, 1),
                better="lower",
                baselines={"chance": math.log(self.card.num_classes), "training frequencies": _prior(counts, truth)},
            ),
            *self._calibration_metrics(hits, num),
        ]

    def finding(self) -> str:
        text, trees = finding(self.matrix.numpy(), self.card.classes), self.total(TREES)
        if not text or trees is None or (num := int(trees.trace())) <= int(self.matrix.trace()):
            return text
        return f"{text}; {TREES} on the same rows are better: they name {num:,} right"

    def _calibration_metrics(self, hits: int, num: int) -> Sequence[api.Metric]:
        right, calibrated = self._column("hits") == 1, self._column("calibrated")
        if not len(calibrated):
            return []
        before, after = (expected_calibration_error(each, right) for each in (self._column("raw"), calibrated))
        error = api.Metric(
            name="calibration_error",
            label="calibration error",
            value=after,
            unit="share",
            better="lower",
            baselines={"not calibrated": before} if before != after else {},
        )
        unsure = self._column("unsure") == 1
        if not len(unsure):
            return [error]
        share = api.Metric(
            name="unsure",
            label="marked unsure",
            value=float(unsure.mean()),
            unit="share",
            better="lower",
            interval=api.measure.wilson_interval(int(unsure.sum()), len(unsure)),
            note="of samples of known classes: what it costs to mark those that are like none of them",
        )
        if not unsure.any():
            return [error, share]
        num_sure, hits_sure = int((~unsure).sum()), int(right[~unsure].sum())
        sure = api.Metric(
            name="top1_sure",
            label="top-1 without unsure",
            value=hits_sure / max(num_sure, 1),
            unit="share",
            baselines={"top-1 of all": hits / max(num, 1)},
            interval=api.measure.wilson_interval(hits_sure, num_sure) if num_sure else None,
        )
        return [error, share, sure]

    def tables(self) -> Sequence[api.Table]:
        matrix = self.matrix
        truth, predicted, hits = matrix.sum(1), matrix.sum(0), matrix.diagonal()
        measures = (hits / truth.clamp(min=1), hits / predicted.clamp(min=1), _f1(matrix))
        rows = tuple(
            (
                name,
                int(truth[i]),
                *(float(measure[i]) if truth[i] else "n/a" for measure in measures),
            )
            for i, name in enumerate(self.card.classes)
        )
        per_class = api.Table(title="Per class", columns=("class", "samples", "recall", "precision", "F1"), rows=rows)
        calibrated = self._column("calibrated")
        return [per_class, reliability(calibrated, self._column("hits"))] if len(calibrated) else [per_class]

    def drawings(self) -> Sequence[api.Drawing]:
        png = api.draw.confusion_matrix(self.matrix.numpy(), self.card.classes)
        drawing = api.Drawing(name="confusion-matrix", caption="Rows: truth. Columns: prediction.", png=png)
        return [*(self.mistakes.drawings() if self.mistakes is not None else ()), drawing]


def _f1(matrix: Tensor) -> Tensor:
    """Return the F1 score (Q,) of each class; 0 for one that neither occurs nor is predicted."""
    both = (matrix.sum(0) + matrix.sum(1)).clamp(min=1)
    return 2.0 * matrix.diagonal().double() / both  # double: float32 could beat an equal baseline by rounding


def _macro_f1(matrix: Tensor, present: Tensor) -> float:
    """Return the mean F1 score of the classes (Q,) that are present."""
    return float(_f1(matrix)[present].sum() / max(int(present.sum()), 1))


def _prior(counts: Tensor, truth: Tensor) -> float:
    """Return the cross-entropy of always predicting the frequencies of `counts`, where `truth` (Q,) is the case."""
    frequency = (counts.double() + 1e-9) / (counts.sum() + 1e-9)
    return float(-(truth * frequency.log()).sum() / truth.sum().clamp(min=1))


def _majority_f1(truth: Tensor, majority: int) -> float:
    """Return the macro F1, over the classes that occur, of always predicting one class."""
    num = int(truth.sum())
    return 2.0 * int(truth[majority]) / max(num + int(truth[majority]), 1) / max(int((truth > 0).sum()), 1)
