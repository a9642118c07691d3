"""Classification: one label per sample, or several.

Shapes: B batch, N patches, Q classes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from maecli import api

MAX_NAMED = 3
"""Classes in the caption of one picture."""


class Classify(api.Task[api.nets.Classifier]):
    """Cross-entropy on pooled tokens; top-1 accuracy beside majority and chance.

    Where samples have several labels, each class is judged for itself: binary cross-entropy; mean average precision
    beside random rankings.
    """

    name = "classify"
    fields = ("image", "label")
    on_whole_pictures: ClassVar[Mapping[str, Any]] = {"patch_drop": 0.0}

    class Options(api.Options):
        pool: Literal["mean", "cls"] = Field(default="mean", description="mean of the patch tokens, or class token")
        head: Literal["linear", "mlp"] = Field(default="linear", description="what stands on the pooled token")
        head_norm: Literal["auto", "none", "batch"] = Field(
            default="auto",
            description="batch: standardise features over the batch before the head, without parameters, "
            "arXiv:2111.06377, appendix A.1; auto: batch where the encoder is frozen, else none",
        )
        label_smoothing: float = Field(
            default=0.0,
            ge=0,
            lt=1,
            description="arXiv:1512.00567, section 7; of several labels, each is smoothed towards one half",
        )
        mixup: float = Field(default=0.0, ge=0, description="alpha of mixup, arXiv:1710.09412; 0: off")
        cutmix: float = Field(default=0.0, ge=0, description="alpha of CutMix, arXiv:1905.04899; 0: off")
        mix_until: float = Field(default=1.0, ge=0, le=1, description="share of the run in which samples are mixed")
        patch_drop: float = Field(
            default=0.0, ge=0, lt=1, description="share of patches left out in training, arXiv:2208.07220"
        )
        patch_drop_until: float = Field(
            default=1.0, ge=0, le=1, description="share of the run in which patches are left out"
        )

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        at_least = 1 if card.multi_label else 2
        if card.num_classes < at_least:
            raise api.DataError(
                f"{card.name} has {card.num_classes} labelled classes; classify needs at least {at_least}: sort the "
                "pictures into one folder per class, or name their labels in labels.csv"
            )
        self.labels: Labels = SeveralLabels(card) if card.multi_label else OneLabel(card)
        self.monitor = self.labels.monitor

    def build(self, encoder: api.Encoder) -> api.nets.Classifier:
        if self.options.patch_drop:
            self._check_patch_drop(encoder)
        norm = self.options.head_norm
        if norm == "auto":
            norm = "batch" if encoder.frozen else "none"
        head = self.labels.head(encoder.embed_dim, self.options.head, norm)
        return api.nets.Classifier(encoder, head, self.options.pool)

    def _check_patch_drop(self, encoder: api.Encoder) -> None:
        """Raise SpecError where patches cannot, or must not, be left out."""
        drop = self.options.patch_drop
        if not encoder.can_mask:
            raise api.SpecError(
                f"task.patch_drop {drop} leaves patches out, and this model reads whole pictures; give "
                "--set task.patch_drop=0 with it"
            )
        if encoder.frozen:
            raise api.SpecError(
                f"task.patch_drop {drop} would hide patches from a frozen encoder, which works on whole pictures; give "
                "--set task.patch_drop=0 with --freeze"
            )
        if api.nets.num_kept(math.prod(encoder.grid), drop) == 0:
            raise api.SpecError(f"task.patch_drop {drop} leaves no patch")

    def frozen_features(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor | None:
        mixes = self.options.mixup or self.options.cutmix
        return None if mixes else module.pooled(batch["image"])

    def loss(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor:
        target = self.labels.target(batch["label"])
        if "features" in batch:
            return self.labels.loss(_logits(module, batch), target, self.options.label_smoothing)
        image = batch["image"]
        alphas = (self.options.mixup, self.options.cutmix)
        if batch.progress < self.options.mix_until and any(alphas) and len(image) > 1:
            image, share = api.nets.mix(image, *alphas)
            target = torch.lerp(target.roll(1, 0), target, share.unsqueeze(1))  # NaN where either is
        logits = module(image, self._ids_keep(module, batch))
        return self.labels.loss(logits, target, self.options.label_smoothing)

    def _ids_keep(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor | None:
        drop = self.options.patch_drop if batch.progress < self.options.patch_drop_until else 0.0
        num_patches = math.prod(module.encoder.grid)
        kept = api.nets.num_kept(num_patches, drop)
        if kept == num_patches:
            return None
        return batch.draws.uniform("patch_drop", num_patches).argsort(1)[:, :kept]

    def evaluator(self, thorough: bool = True) -> api.Evaluator[api.nets.Classifier]:
        return Precision(self.card, thorough) if self.card.multi_label else Accuracy(self.card)

    def predict(self, module: api.nets.Classifier, batch: api.Batch) -> list[api.Prediction]:
        classes = self.card.classes
        return [
            api.Prediction(
                {**self.labels.answer(row), **self.class_columns(classes, row.numpy(), "p_", "probability")},
            )
            for row in self.labels.probabilities(module(batch["image"])).cpu()
        ]

    def draw(self, module: api.nets.Classifier, batch: api.Batch) -> list[api.Drawing]:
        if batch["image"].ndim != 4:
            return []
        probabilities = self.labels.probabilities(module(batch["image"])).cpu()
        wrong = self.labels.wrong(probabilities, batch["label"].cpu()) if "label" in batch else None
        pictures = self.preprocess.to_pixels(batch["image"]).clamp(0, 1).cpu().numpy()
        captions = [self.labels.caption(row) for row in probabilities]
        png = api.draw.contact_sheet(list(pictures), captions, wrong, batch.keys)
        return [api.Drawing(name="predictions", caption=self.labels.drawn, png=png)]

    def describe(self) -> Sequence[str]:
        return [self.labels.note] if self.labels.note else []


class Labels(ABC):
    """What one label per sample and several do differently. Probabilities are (B, Q), or (Q,) of one sample."""

    monitor: ClassVar[str]
    drawn: ClassVar[str]
    """The sentence under drawn predictions."""
    note: ClassVar[str] = ""
    """How the metrics were taken, where that needs saying."""

    def __init__(self, card: api.DataCard) -> None:
        self.card = card

    def head(self, embed_dim: int, kind: Literal["linear", "mlp"], norm: api.nets.HeadNorm) -> api.nets.ClassifierHead:
        """Return a new head."""
        return api.nets.ClassifierHead(embed_dim, self.card.num_classes, kind, norm)

    @abstractmethod
    def target(self, label: Tensor) -> Tensor:
        """Return float targets (B, Q), NaN where nothing is judged."""

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Return the mean loss () of logits and targets (B, Q)."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor: ...

    @abstractmethod
    def answer(self, probabilities: Tensor) -> dict[str, str | int | float]:
        """Return the predicted class or classes (Q,) of one sample."""

    @abstractmethod
    def caption(self, probabilities: Tensor) -> str:
        """Return classes (Q,) with their probabilities, in few words."""

    @abstractmethod
    def wrong(self, probabilities: Tensor, label: Tensor) -> list[bool | None]:
        """Return whether each sample's prediction is wrong; None where no label is known, which is -1."""


class OneLabel(Labels):
    monitor = "top1"
    drawn = "Predicted class and probability; predictions that are known to be wrong are marked."

    def target(self, label: Tensor) -> Tensor:
        return F.one_hot(label, self.card.num_classes).float()

    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        return F.cross_entropy(logits, target, label_smoothing=smoothing)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def answer(self, probabilities: Tensor) -> dict[str, str | int | float]:
        return {"class": self.card.classes[int(probabilities.argmax())]}

    def caption(self, probabilities: Tensor) -> str:
        return f"{self.card.classes[int(probabilities.argmax())]} {float(probabilities.max()):.0%}"

    def wrong(self, probabilities: Tensor, label: Tensor) -> list[bool | None]:
        guesses = probabilities.argmax(-1).tolist()
        return [guess != truth if truth >= 0 else None for guess, truth in zip(guesses, label.tolist(), strict=True)]


class SeveralLabels(Labels):
    """Labels (B, Q): 1 present, 0 absent, -1 not to be judged, neither in the loss nor in any metric.

    A class counts as predicted above a probability of one half.
    """

    monitor = "map"
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

    def target(self, label: Tensor) -> Tensor:
        return torch.where(label < 0, torch.nan, label.float())

    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Return the binary cross-entropy of the judged cells; a mixed cell is judged where both its samples are."""
        judged = ~target.isnan()
        target = torch.where(judged, target, 0.0) * (1 - smoothing) + smoothing / 2
        total = F.binary_cross_entropy_with_logits(logits, target, judged.float(), reduction="sum")
        return total / judged.sum().clamp(min=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def answer(self, probabilities: Tensor) -> dict[str, str | int | float]:
        return {"classes": ";".join(self.card.classes[q] for q in (probabilities > 0.5).nonzero().flatten().tolist())}

    def caption(self, probabilities: Tensor) -> str:
        order = probabilities.argsort(descending=True).tolist()
        named = [f"{self.card.classes[q]} {float(probabilities[q]):.0%}" for q in order[:MAX_NAMED]]
        num = int((probabilities > 0.5).sum())
        return ", ".join(named[:num]) if num else f"({named[0]})"

    def wrong(self, probabilities: Tensor, label: Tensor) -> list[bool | None]:
        known = label >= 0
        misses = ((probabilities > 0.5) != (label == 1)) & known  # (B, Q)
        return [bool(miss) if some else None for miss, some in zip(misses.any(1), known.any(1).tolist(), strict=True)]


class PreciseHead(api.nets.ClassifierHead):
    """A head that works in float32: in bfloat16 many samples of a rare class would get one score."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())  # type: ignore[no-untyped-call]


def _logits(module: api.nets.Classifier, batch: api.Batch) -> Tensor:
    """Return logits (B, Q) of a batch of pictures, or of features computed before."""
    return module.judge(batch["features"]) if "features" in batch else module(batch["image"])


def frequencies(card: api.DataCard) -> Tensor:
    """Return how often each class (Q,) is present in training, never 0 or 1: (count + 1) / (num + 2)."""
    return (torch.tensor(card.class_counts) + 1.0) / (card.split_sizes["train"] + 2.0)


class Accuracy(api.Evaluator[api.nets.Classifier]):
    """A confusion matrix, and what follows from it."""

    def __init__(self, card: api.DataCard) -> None:
        self.card = card
        self.matrix = torch.zeros(card.num_classes, card.num_classes, dtype=torch.int64)  # true, predicted
        self.loss_sum = 0.0

    def update(self, module: api.nets.Classifier, batch: api.Batch) -> None:
        logits, label = _logits(module, batch), batch["label"]
        num = self.card.num_classes
        cells = (label * num + logits.argmax(-1)).cpu()
        self.matrix += torch.bincount(cells, minlength=num * num).reshape(num, num)
        self.loss_sum += float(F.cross_entropy(logits, label, reduction="sum"))

    def metrics(self) -> Sequence[api.Metric]:
        num, hits = int(self.matrix.sum()), int(self.matrix.trace())
        truth = self.matrix.sum(1)  # (Q,)
        # A data set that does not count its classes is measured against the most frequent class of the split.
        counts = torch.tensor(self.card.class_counts) if self.card.class_counts else truth
        majority = int(counts.argmax())
        present = int((truth > 0).sum())
        baselines = {
            f"majority ({self.card.classes[majority]})": int(truth[majority]) / max(num, 1),
            "chance": 1 / self.card.num_classes,
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
                value=float(_f1(self.matrix)[truth > 0].sum() / max(present, 1)),
                unit="share",
                baselines={"majority": _majority_f1(truth, majority)},
                note="" if present == len(truth) else f"mean of the {present} classes that occur",
            ),
            api.Metric(
                name="cross_entropy",
                label="cross-entropy",
                value=self.loss_sum / max(num, 1),
                better="lower",
                baselines={"chance": math.log(self.card.num_classes), "training frequencies": self._prior(counts)},
            ),
        ]

    def _prior(self, counts: Tensor) -> float:
        """Return the cross-entropy of always predicting the training set's class frequencies."""
        frequency = (counts.double() + 1e-9) / (counts.sum() + 1e-9)
        truth = self.matrix.sum(1).double()
        return float(-(truth * frequency.log()).sum() / truth.sum().clamp(min=1))

    def tables(self) -> Sequence[api.Table]:
        truth, predicted = self.matrix.sum(1), self.matrix.sum(0)
        hits = self.matrix.diagonal()
        measures = (hits / truth.clamp(min=1), hits / predicted.clamp(min=1), _f1(self.matrix))
        rows = tuple(
            (
                name,
                int(truth[i]),
                *(float(measure[i]) if truth[i] else "n/a" for measure in measures),
            )
            for i, name in enumerate(self.card.classes)
        )
        return [api.Table(title="Per class", columns=("class", "samples", "recall", "precision", "F1"), rows=rows)]

    def drawings(self) -> Sequence[api.Drawing]:
        png = api.draw.confusion_matrix(self.matrix.numpy(), self.card.classes)
        return [api.Drawing(name="confusion-matrix", caption="Rows: truth. Columns: prediction.", png=png)]


def _f1(matrix: Tensor) -> Tensor:
    """Return the F1 score (Q,) of each class; 0 for one that neither occurs nor is predicted."""
    both = (matrix.sum(0) + matrix.sum(1)).clamp(min=1)
    return 2.0 * matrix.diagonal().double() / both  # double: float32 could beat an equal baseline by rounding


def _majority_f1(truth: Tensor, majority: int) -> float:
    """Return the macro F1, over the classes that occur, of always predicting one class."""
    num = int(truth.sum())
    return 2.0 * int(truth[majority]) / max(num + int(truth[majority]), 1) / max(int((truth > 0).sum()), 1)


class Precision(api.Evaluator[api.nets.Classifier]):
    """Scores and labels of all samples, and how well each class's scores rank its samples."""

    def __init__(self, card: api.DataCard, thorough: bool = True) -> None:
        self.card, self.thorough = card, thorough
        self.logits: list[Tensor] = []
        self.labels: list[Tensor] = []

    def update(self, module: api.nets.Classifier, batch: api.Batch) -> None:
        self.logits.append(_logits(module, batch).cpu())
        self.labels.append(batch["label"].cpu())

    def _all(self) -> tuple[Tensor, Tensor]:
        """Return logits and labels (N, Q) of every sample so far."""
        none = torch.zeros(0, self.card.num_classes)
        return torch.cat([none, *self.logits]), torch.cat([none.to(torch.int8), *self.labels])

    def _per_class(self) -> list[tuple[int, int, float]]:
        """Return of each class how many samples are positive, how many are judged, and its average precision."""
        logits, truth = (each.numpy() for each in self._all())
        return [
            (
                int((truth[:, q] == 1).sum()),
                int((truth[:, q] >= 0).sum()),
                float(api.measure.average_precision(logits[:, q], truth[:, q])),
            )
            for q in range(self.card.num_classes)
        ]

    def metrics(self) -> Sequence[api.Metric]:
        return [self._mean_precision(), self._cross_entropy()]

    def _mean_precision(self) -> api.Metric:
        classes = self._per_class()
        counted = [each for each in classes if each[0]]
        missing = [name for name, (num, *_) in zip(self.card.classes, classes, strict=True) if not num]
        baselines = (
            {"one score for all": float(np.mean([num / judged for num, judged, _ in counted]))} if counted else {}
        )
        interval = None
        if self.thorough and counted:
            baselines["random ranking"] = float(
                np.mean([api.measure.random_precision(num, judged) for num, judged, _ in counted])
            )
            logits, truth = self._all()
            interval = api.measure.mean_precision_interval(logits.numpy(), truth.numpy())
        return api.Metric(
            name="map",
            label="mean average precision",
            value=float(np.mean([precision for *_, precision in counted])) if counted else 0.0,
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


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Classify]
