"""Classification: one label per sample, or several.

Shapes: B batch, N patches, Q classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maecli import api

from ..pairs import partners
from ..pooled.boosted_trees import ALL, BoostedTrees
from ..pooled.head import HeadOptions, features_of, outputs_of
from .calibration import Calibration
from .exported import ClassifyOutputs
from .labels import Labels
from .mixing import mix
from .one import OneLabel
from .several import SeveralLabels


class Classify(api.Task[api.nets.Classifier]):
    """Cross-entropy on pooled tokens; top-1 accuracy beside majority and chance.

    Where samples are rows of a table, gradient-boosted trees that learnt from the same ones stand beside it.
    Where samples have several labels, each class is judged for itself: binary cross-entropy; mean average precision
    beside random rankings.
    """

    name = "classify"
    hub_tasks: ClassVar[Mapping[str, str]] = {"pictures": "image-classification", "tables": "tabular-classification"}
    fields = ("image", "label")
    on_whole_pictures: ClassVar[Mapping[str, Any]] = {"patch_drop": 0.0}
    head_options = ("pool",)

    class Options(HeadOptions):
        label_smoothing: float = Field(
            default=0.0,
            ge=0,
            lt=1,
            description="arXiv:1512.00567, section 7; of several labels, each is smoothed towards one half",
        )
        class_weights: api.measure.ClassWeights = Field(
            default="none",
            description="weight of each class in the loss: balanced, inversely to its count; effective, "
            "arXiv:1901.05555; or by name, such as {cat: 2}, others 1; of several labels, that of their positives",
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

    @classmethod
    def suited(cls, facts: api.Facts) -> Mapping[str, Any]:
        return {"label_smoothing": 0.1}

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        at_least = 1 if card.multi_label else 2
        if card.num_classes < at_least:
            raise api.DataError(
                f"{card.name} has {card.num_classes} labelled classes; classify needs at least {at_least}: sort the "
                "pictures into one folder per class, or name their labels in labels.csv"
            )
        weights = api.measure.class_weights(options.class_weights, card.classes, card.class_counts)
        self.class_weights = dict(zip(card.classes, weights or (), strict=False))
        self.labels: Labels = SeveralLabels(card, weights) if card.multi_label else OneLabel(card, weights)
        self.monitor, self.answer = self.labels.monitor, self.labels.columns
        self.trees = None if card.multi_label else BoostedTrees.of(card, preprocess, "classes")
        self.baseline_samples = ALL if self.trees is not None else 0
        self.num_patches = 0
        self.patch_size: tuple[int, ...] = ()

    @classmethod
    def counted(cls, options: Any) -> Literal["label"] | None:
        return "label" if options.class_weights in api.measure.COUNTED else None

    def build(self, encoder: api.Encoder) -> api.nets.Classifier:
        self.num_patches, self.patch_size = math.prod(encoder.grid), encoder.patch_size
        if self.options.patch_drop:
            self._check_patch_drop(encoder)
        head = self.labels.head(encoder.embed_dim, self.options.head, self.options.norm_on(encoder))
        return api.nets.Classifier(encoder, head, self.options.pool)

    def class_rows(self, module: api.nets.Classifier) -> Mapping[str, Literal["label"]]:
        last = f"head.{len(module.head) - 1}"
        return {f"{last}.weight": "label", f"{last}.bias": "label"}

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
        if api.nets.num_kept(self.num_patches, drop) == 0:
            raise api.SpecError(f"task.patch_drop {drop} leaves no patch")

    def frozen_features(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor | None:
        mixes = self.options.mixup or self.options.cutmix
        return None if mixes else features_of(module, batch)

    def loss(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor:
        target = self.labels.target(batch["label"])
        if "features" in batch:
            return self.labels.loss(outputs_of(module, batch), target, self.options.label_smoothing)
        image, valid = batch["image"], batch.tensors.get("valid")
        if self._mixes(batch):
            image, share, valid = mix(image, batch.draws, self.options.mixup, self.options.cutmix, valid)
            target = torch.lerp(target[partners(target)], target, share.unsqueeze(1))  # NaN where either is
        logits = module(image, self._ids_keep(batch, valid), valid)
        return self.labels.loss(logits, target, self.options.label_smoothing)

    def loss_weight(self, batch: api.Batch) -> Tensor | None:
        target = self.labels.target(batch["label"])
        return self.labels.loss_weight(target + target[partners(target)] if self._mixes(batch) else target)

    def _mixes(self, batch: api.Batch) -> bool:
        """Whether samples are blended with their partners."""
        wanted = batch.progress < self.options.mix_until and (self.options.mixup > 0 or self.options.cutmix > 0)
        return wanted and "features" not in batch and len(batch) > 1

    def _ids_keep(self, batch: api.Batch, valid: Tensor | None) -> Tensor | None:
        drop = self.options.patch_drop if batch.progress < self.options.patch_drop_until else 0.0
        kept = api.nets.num_kept(self.num_patches, drop)
        if kept == self.num_patches:
            return None
        noise = batch.draws.uniform("patch_drop", self.num_patches)
        present = None if valid is None else api.nets.present_patches(valid, self.patch_size)
        return api.nets.random_masking(noise, drop, present).ids_keep

    @property
    def calibrated(self) -> Calibration | None:
        """What is known of how far the weights in use are to be believed."""
        return Calibration.of_tensors(self.calibration)

    def calibrate(
        self, module: api.nets.Classifier, train: Iterable[api.Batch], val: Iterable[api.Batch]
    ) -> Mapping[str, Tensor]:
        calibration = self.labels.calibrate(module, train, val)
        return calibration.tensors() if calibration is not None else {}

    def fit_baselines(self, batches: Iterable[api.Batch]) -> None:
        if self.trees is not None:
            self.trees.fit(batches, "label")

    def evaluator(self, thorough: bool = True) -> api.Evaluator[api.nets.Classifier]:
        return self.labels.evaluator(thorough, self.preprocess, self.calibrated, self.unsure_share, self.trees)

    def predict(self, module: api.nets.Classifier, batch: api.Batch) -> list[api.Prediction]:
        logits, calibration = outputs_of(module, batch), self.calibrated
        unsure = calibration.unsure(logits, batch, self.unsure_share) if calibration is not None else None
        told = [{}] * len(logits) if unsure is None else [{"unsure": each} for each in unsure]
        return [
            api.Prediction(
                {
                    **self.labels.answer(row),
                    **more,
                    **self.class_columns(self.card.classes, row, "p_", "probability"),
                },
            )
            for row, more in zip(self._probabilities(logits), told, strict=True)
        ]

    def _probabilities(self, logits: Tensor) -> np.ndarray:
        """Return calibrated probabilities (B, Q), where there is a calibration."""
        calibration = self.calibrated
        return self.labels.probabilities(calibration.scaled(logits) if calibration else logits).cpu().numpy()

    def export(self, module: api.nets.Classifier) -> ClassifyOutputs:
        calibration = self.calibrated
        return ClassifyOutputs(module, calibration.temperature if calibration else 1.0, self.labels.probabilities)

    def draw(self, module: api.nets.Classifier, batch: api.Batch) -> list[api.Drawing]:
        probabilities = self._probabilities(outputs_of(module, batch))
        wrong = self.labels.wrong(probabilities, batch["label"].cpu().numpy()) if "label" in batch else None
        drawn = self.preprocess.draw(self.preprocess.to_pixels(batch["image"]), batch.tensors.get("valid"))
        captions = [self.labels.caption(row) for row in probabilities]
        png = api.draw.contact_sheet(drawn, captions, wrong, batch.keys)
        caption = self.preprocess.modality.keyed(self.labels.drawn, self.card)
        return [api.Drawing(name="predictions", caption=caption, png=png)]

    def reliability(self) -> Sequence[str]:
        calibration = self.calibrated
        unit = self.preprocess.modality.unit
        return calibration.sentences(self.unsure_share, unit) if calibration is not None else []

    def describe(self) -> Sequence[str]:
        trees = [self.trees.describe()] if self.trees is not None else []
        return [*([self.labels.note] if self.labels.note else []), *trees, *self.reliability()]


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Classify]
