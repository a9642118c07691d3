"""Regression: a number of each sample.

Shapes: B batch, D embed_dim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from maecli import api

from ..pooled.boosted_trees import ALL, BoostedTrees
from ..pooled.head import HeadOptions, features_of, outputs_of
from .errors import NumberErrors
from .exported import RegressOutputs

FIELD = "target"


class Regress(api.Task[api.nets.Classifier]):
    """Squared error of a number, standardised by what is learnt from; RMSE, MAE and R² beside mean and median.

    Where samples are rows of a table, gradient-boosted trees that learnt from the same ones stand beside it.
    """

    name = "regress"
    hub_tasks: ClassVar[Mapping[str, str]] = {"tables": "tabular-regression"}
    fields = ("image", FIELD)
    monitor = "rmse"
    head_options = ("pool",)

    class Options(HeadOptions):
        loss: Literal["squared", "huber"] = Field(
            default="squared",
            description="squared error, or Huber's, which grows evenly beyond one standard deviation, so that a few "
            "far numbers count less",
        )

    options: Options

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        if card.horizon is not None:
            raise api.DataError(f"{card.name} has numbers that follow a series; use --task forecast")
        if len(card.targets) != 1:
            raise api.DataError(
                f"{card.name} has {len(card.targets) or 'no'} numbers to predict, and regress learns one"
            )
        self.name_of_target = card.targets[0]
        self.mean, self.median = (*card.target_mean, 0.0)[0], (*card.target_median, 0.0)[0]
        self.deviation = (*card.target_std, 1.0)[0]
        self.trees = BoostedTrees.of(card, preprocess, "numbers")
        self.baseline_samples = ALL if self.trees is not None else 0

    def build(self, encoder: api.Encoder) -> api.nets.Classifier:
        head = api.nets.ClassifierHead(encoder.embed_dim, 1, self.options.head, self.options.norm_on(encoder))
        return api.nets.Classifier(encoder, head, self.options.pool)

    def frozen_features(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor | None:
        return features_of(module, batch)

    def loss(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor:
        truth = (batch[FIELD].flatten(1)[:, 0] - self.mean) / self.deviation
        known = ~truth.isnan()
        made, truth = outputs_of(module, batch)[:, 0], truth.where(known, 0.0)
        measure = F.mse_loss if self.options.loss == "squared" else F.huber_loss
        losses = measure(made.where(known, 0.0), truth, reduction="none")
        return losses.sum() / known.sum().clamp(min=1)

    def loss_weight(self, batch: api.Batch) -> Tensor:
        return (~batch[FIELD].flatten(1)[:, 0].isnan()).sum()

    def numbers(self, module: api.nets.Classifier, batch: api.Batch) -> Tensor:
        """Return predicted numbers (B,) float32, in their unit."""
        return outputs_of(module, batch)[:, 0] * self.deviation + self.mean

    def fit_baselines(self, batches: Iterable[api.Batch]) -> None:
        if self.trees is not None:
            self.trees.fit(batches, FIELD)

    def evaluator(self, thorough: bool = True) -> NumberErrors:
        return NumberErrors(self, thorough)

    def predict(self, module: api.nets.Classifier, batch: api.Batch) -> list[api.Prediction]:
        return [api.Prediction({"prediction": number}) for number in self._written(module, batch)]

    def _written(self, module: api.nets.Classifier, batch: api.Batch) -> list[float]:
        """Return predicted numbers to six digits: float32 is not exact enough for more."""
        return [float(f"{number:.6g}") for number in self.numbers(module, batch).tolist()]

    def export(self, module: api.nets.Classifier) -> RegressOutputs:
        return RegressOutputs(module, self.mean, self.deviation, self.name_of_target)

    def draw(self, module: api.nets.Classifier, batch: api.Batch) -> list[api.Drawing]:
        drawn = self.preprocess.draw(self.preprocess.to_pixels(batch["image"]), batch.tensors.get("valid"))
        made = self._written(module, batch)
        captions = [f"{number:,.6g}" for number in made]
        if FIELD in batch:
            truths = batch[FIELD].flatten(1)[:, 0].tolist()
            captions = [f"{number:,.6g} (true: {truth:,.6g})" for number, truth in zip(made, truths, strict=True)]
        png = api.draw.contact_sheet(drawn, captions, keys=batch.keys)
        caption = self.preprocess.modality.keyed(f"Predicted {self.name_of_target}.", self.card)
        return [api.Drawing(name="predictions", caption=caption, png=png)]

    def describe(self) -> Sequence[str]:
        unit = f"Errors are in units of {self.name_of_target}"
        notes = [f"{unit}; intervals are 1.96 standard errors either way, by the delta method."]
        if self.trees is not None:
            notes.append(self.trees.describe())
        return notes


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Regress]
