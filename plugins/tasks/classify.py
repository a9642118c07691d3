"""Classification: one label per sample.

Shapes: B batch, N patches, Q classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from maecli import api


class Classify(api.Task[api.Classifier]):
    """Cross-entropy on pooled tokens; top-1 accuracy beside majority and chance."""

    name = "classify"
    fields = ("image", "label")
    monitor = "top1"

    class Options(api.Options):
        pool: Literal["mean", "cls"] = Field(default="mean", description="mean of the patch tokens, or class token")
        head: Literal["linear", "mlp"] = Field(default="linear", description="what stands on the pooled token")
        label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="arXiv:1512.00567, section 7")
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
        if card.num_classes < 2:
            raise api.DataError(
                f"{card.name} has {card.num_classes} labelled classes; classify needs at least 2: sort the pictures "
                "into one folder per class, or name their labels in labels.csv"
            )

    def build(self, encoder: api.Encoder) -> api.Classifier:
        if self.options.patch_drop and api.num_kept(math.prod(encoder.grid), self.options.patch_drop) == 0:
            raise api.SpecError(f"task.patch_drop {self.options.patch_drop} leaves no patch")
        head = api.ClassifierHead(encoder.embed_dim, self.card.num_classes, self.options.head)
        return api.Classifier(encoder, head, self.options.pool)

    def loss(self, module: api.Classifier, batch: api.Batch) -> Tensor:
        image, label = batch["image"], batch["label"]
        target = F.one_hot(label, self.card.num_classes).float()  # (B, Q)
        if batch.progress < self.options.mix_until:
            image, target = self._mix(image, target)
        logits = module(image, self._ids_keep(module, batch))
        return F.cross_entropy(logits, target, label_smoothing=self.options.label_smoothing)

    def _ids_keep(self, module: api.Classifier, batch: api.Batch) -> Tensor | None:
        drop = self.options.patch_drop if batch.progress < self.options.patch_drop_until else 0.0
        num_patches = math.prod(module.encoder.grid)
        kept = api.num_kept(num_patches, drop)
        if kept == num_patches:
            return None
        return batch.draws.uniform("patch_drop", num_patches).argsort(1)[:, :kept]

    def _mix(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Blend each sample with its neighbour in the batch, or paste a box of the neighbour into it."""
        kinds = [kind for kind in ("mixup", "cutmix") if getattr(self.options, kind) > 0]
        if not kinds or len(image) < 2:
            return image, target
        kind = kinds[int(torch.rand(()) * len(kinds))]
        alpha = torch.full((len(image),), getattr(self.options, kind))
        share = torch.distributions.Beta(alpha, alpha).sample().to(image.device)  # (B,) of the sample's own
        other = image.roll(1, 0)
        if kind == "mixup":
            weight = share.reshape(-1, *[1] * (image.ndim - 1))
            image = torch.lerp(other, image, weight)
        else:
            inside = random_boxes(1 - share, image.shape[2:])  # (B, *S)
            image = torch.where(inside.unsqueeze(1), other, image)
            share = 1 - inside.flatten(1).float().mean(1)  # boxes are cut off at the border
        return image, torch.lerp(target.roll(1, 0), target, share.unsqueeze(1))

    def evaluator(self, thorough: bool = True) -> Accuracy:
        return Accuracy(self.card)

    def predict(self, module: api.Classifier, batch: api.Batch) -> list[api.Prediction]:
        probabilities = module(batch["image"]).softmax(-1).cpu()
        return [
            api.Prediction(
                {
                    "class": self.card.classes[int(row.argmax())],
                    **{f"p_{name}": round(float(p), 6) for name, p in zip(self.card.classes, row, strict=True)},
                }
            )
            for row in probabilities
        ]

    def draw(self, module: api.Classifier, batch: api.Batch) -> list[api.Picture]:
        if batch["image"].ndim != 4:
            return []
        probability, guess = module(batch["image"]).softmax(-1).max(-1)
        pictures = self.preprocess.to_pixels(batch["image"]).clamp(0, 1).cpu().numpy()
        names = [self.card.classes[i] for i in guess.tolist()]
        captions = [f"{name} {p:.0%}" for name, p in zip(names, probability.tolist(), strict=True)]
        png = api.contact_sheet(list(pictures), captions, (guess != batch["label"]).tolist())
        caption = "Evenly spaced samples with predicted class and probability; wrong ones are marked."
        return [api.Picture(name="predictions", caption=caption, png=png)]


def random_boxes(area: Tensor, size: Sequence[int]) -> Tensor:
    """Return masks (B, *S), true inside a box of the picture's proportions that covers `area` (B,) of it.

    Centres are uniform; what sticks out is cut off. Source: CutMix, arXiv:1905.04899, equation 2.
    """
    side = area ** (1.0 / len(size))  # (B,) in shares of each axis
    inside = torch.ones(len(area), *size, dtype=torch.bool, device=area.device)
    for axis, length in enumerate(size):
        centre = torch.rand(len(area), 1).to(area.device)
        position = (torch.arange(length, device=area.device) + 0.5) / length
        near = (position - centre).abs() < side.unsqueeze(1) / 2  # (B, length)
        inside &= near.reshape(len(area), *(length if i == axis else 1 for i in range(len(size))))
    return inside


class Accuracy(api.Evaluator[api.Classifier]):
    """A confusion matrix, and what follows from it."""

    def __init__(self, card: api.DataCard) -> None:
        self.card = card
        self.matrix = torch.zeros(card.num_classes, card.num_classes, dtype=torch.int64)  # true, predicted
        self.loss_sum = 0.0

    def update(self, module: api.Classifier, batch: api.Batch) -> None:
        logits, label = module(batch["image"]), batch["label"]
        num = self.card.num_classes
        cells = (label * num + logits.argmax(-1)).cpu()
        self.matrix += torch.bincount(cells, minlength=num * num).reshape(num, num)
        self.loss_sum += float(F.cross_entropy(logits, label, reduction="sum"))

    def figures(self) -> Sequence[api.Figure]:
        num, hits = int(self.matrix.sum()), int(self.matrix.trace())
        truth = self.matrix.sum(1)  # (Q,)
        # A data set that does not count its classes is measured against the most frequent class of the split.
        counts = torch.tensor(self.card.class_counts) if self.card.class_counts else truth
        majority = int(counts.argmax())
        twins = {
            f"majority ({self.card.classes[majority]})": int(truth[majority]) / max(num, 1),
            "chance": 1 / self.card.num_classes,
        }
        return [
            api.Figure(
                name="top1",
                label="top-1 accuracy",
                value=hits / max(num, 1),
                unit="share",
                twins=twins,
                interval=api.wilson_interval(hits, num) if num else None,
            ),
            api.Figure(
                name="macro_f1",
                label="macro F1",
                value=float(_f1(self.matrix).mean()),
                unit="share",
                twins={"majority": _majority_f1(truth, majority)},
            ),
            api.Figure(
                name="cross_entropy",
                label="cross-entropy",
                value=self.loss_sum / max(num, 1),
                better="lower",
                twins={"chance": math.log(self.card.num_classes), "training frequencies": self._prior(counts)},
            ),
        ]

    def _prior(self, counts: Tensor) -> float:
        """Return the cross-entropy of always predicting the training set's class frequencies."""
        frequency = (counts.double() + 1e-9) / (counts.sum() + 1e-9)
        truth = self.matrix.sum(1).double()
        return float(-(truth * frequency.log()).sum() / truth.sum().clamp(min=1))

    def tables(self) -> Sequence[api.Table]:
        truth, predicted = self.matrix.sum(1), self.matrix.sum(0)
        hits, f1 = self.matrix.diagonal(), _f1(self.matrix)
        rows = tuple(
            (
                name,
                int(truth[i]),
                float(hits[i] / truth[i].clamp(min=1)),
                float(hits[i] / predicted[i].clamp(min=1)),
                float(f1[i]),
            )
            for i, name in enumerate(self.card.classes)
        )
        return [api.Table(title="Per class", columns=("class", "samples", "recall", "precision", "F1"), rows=rows)]

    def pictures(self) -> Sequence[api.Picture]:
        png = api.confusion_matrix(self.matrix.numpy(), self.card.classes)
        return [api.Picture(name="confusion-matrix", caption="Rows: truth. Columns: prediction.", png=png)]


def _f1(matrix: Tensor) -> Tensor:
    """Return the F1 score (Q,) of each class; 0 for one that neither occurs nor is predicted."""
    both = (matrix.sum(0) + matrix.sum(1)).clamp(min=1)
    return 2.0 * matrix.diagonal().double() / both  # double: float32 could beat an equal twin by rounding


def _majority_f1(truth: Tensor, majority: int) -> float:
    """Return the macro F1 of always predicting one class."""
    num = int(truth.sum())
    return 2.0 * int(truth[majority]) / max(num + int(truth[majority]), 1) / len(truth)


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Classify]
