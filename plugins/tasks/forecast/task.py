"""Forecasting the steps that follow a window of a series.

Shapes: B batch, C channels, L steps of a window, Q columns to forecast, H steps of the horizon, R quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from maecli import api

from .evaluator import ForecastErrors
from .exported import ForecastOutputs
from .losses import pinball_loss, squared_error
from .module import Forecaster, forecast_of

MEDIAN = 0.5
NUM_DRAWN = 8
TITLES = ("what came", "forecast")


class Forecast(api.Task[Forecaster]):
    """Mean squared error of what follows a window; beside persistence, seasonal-naive and the mean.

    Errors are those of standardised columns, as the field has them, and in the data's units beside them. With
    `quantiles` the loss is the pinball loss, and the median is the forecast.
    """

    name = "forecast"
    hub_tasks: ClassVar[Mapping[str, str]] = {"series": "time-series-forecasting"}
    fields = ("image", "target")
    looks_ahead = True
    monitor = "mse"

    class Options(api.Options):
        head: Literal["linear", "mlp"] = Field(default="linear", description="what stands on the tokens of a window")
        dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the numbers before the last layer")
        shortcut: bool = Field(
            default=False,
            description="add a linear layer straight from the steps of a window, which the tokens then correct, "
            "arXiv:2304.08424",
        )
        norm: Literal["auto", "revin", "last", "none"] = Field(
            default="auto",
            description="what is taken from each channel of a window before and given back after: revin, its mean, "
            "and divided by its deviation; last, its last value; auto: what the model suits",
        )
        quantiles: tuple[float, ...] = Field(
            default=(), description="quantiles to forecast, 0.5 among them, as in [0.1, 0.5, 0.9]; default: the mean"
        )
        season: int | None = Field(
            default=None, ge=1, description="steps of a season, for the seasonal-naive forecast; default: the data's"
        )

        @field_validator("quantiles")
        @classmethod
        def _quantiles_rise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
            rising = list(value) == sorted(set(value)) and all(0 < each < 1 for each in value)
            if value and not (rising and MEDIAN in value):
                raise ValueError(f"task.quantiles {list(value)} must rise between 0 and 1, with 0.5 among them")
            return value

    options: Options

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        if card.horizon is None or not card.targets:
            raise api.DataError(
                f"{card.name} says nothing of what follows its samples; forecast needs windows of a series with a "
                "horizon, as of the data set ett"
            )
        unknown = [name for name in card.targets if name not in card.channel_names]
        if unknown:
            raise api.DataError(f"{card.name}: the target {unknown[0]!r} is none of its channels {card.channel_names}")
        if card.size is not None and tuple(preprocess.img_size) != tuple(card.size):
            raise api.SpecError(
                f"model.img_size {list(preprocess.img_size)} would cut windows of {card.size[0]} steps, and what "
                "follows would not follow; leave it out, and choose by --set dataset.lookback"
            )
        self.columns = [card.channel_names.index(name) for name in card.targets]
        self.horizon: int = card.horizon
        self.season = options.season or card.season
        self.scaled = self._scaled()
        self.per_channel = False
        self.norm: api.nets.WindowNorm = "revin"

    def _scaled(self) -> api.Preprocess:
        """Return how the columns to forecast are standardised: as the model sees them."""
        own = self.preprocess
        mean, std = ([values[column] for column in self.columns] for values in (own.mean, own.std))
        ends = [pair for pair in own.value_range if isinstance(pair, tuple)]
        ranges = tuple(ends[column] for column in self.columns) if ends else own.value_range
        return replace(own, in_chans=len(mean), mean=tuple(mean), std=tuple(std), value_range=ranges)

    def standardised(self, values: Tensor) -> Tensor:
        """Return values (B, Q, H) in the data's units as the model sees them."""
        return self.scaled.normalize(self.scaled.pixels(values))

    def in_units(self, values: Tensor) -> Tensor:
        """Return standardised values (B, Q, H) in the data's units."""
        return self.scaled.to_values(self.scaled.to_pixels(values))

    @cached_property
    def deviations(self) -> list[float]:
        """What is 1 in standardised values of each column to forecast, in the data's units."""
        ends = self.in_units(torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(1, len(self.columns), 1))
        return (ends[0, :, 1] - ends[0, :, 0]).tolist()

    def build(self, encoder: api.Encoder) -> Forecaster:
        options = self.options
        self.norm = encoder.window_norm if options.norm == "auto" else options.norm
        self.per_channel = encoder.per_channel
        num_quantiles = max(1, len(options.quantiles))
        head = (options.head, options.dropout, options.shortcut)
        return Forecaster(encoder, self.columns, self.horizon, num_quantiles, self.norm, *head)

    def frozen_features(self, module: Forecaster, batch: api.Batch) -> Tensor:
        return module.features_of(batch["image"], batch.tensors.get("valid"))

    def loss(self, module: Forecaster, batch: api.Batch) -> Tensor:
        made, truth = forecast_of(module, batch), self.standardised(batch["target"])
        if self.options.quantiles:
            return pinball_loss(made, truth, self.options.quantiles)
        return squared_error(made, truth)

    def loss_weight(self, batch: api.Batch) -> Tensor:
        return (~batch["target"].isnan()).sum()

    def forecasts(self, module: Forecaster, batch: api.Batch) -> Tensor:
        """Return standardised forecasts (B, Q, H, R), quantiles in rising order."""
        made = forecast_of(module, batch)
        return made.sort(-1).values if self.options.quantiles else made

    def point(self, made: Tensor) -> Tensor:
        """Return the forecast itself (B, Q, H) of (B, Q, H, R): the median of quantiles."""
        return made[..., self.options.quantiles.index(MEDIAN) if self.options.quantiles else 0]

    def evaluator(self, thorough: bool = True) -> ForecastErrors:
        return ForecastErrors(self)

    def predict(self, module: Forecaster, batch: api.Batch) -> list[api.Prediction]:
        made = self.forecasts(module, batch)
        values = {".forecast": self._values(self.point(made))}
        for number, quantile in enumerate(self.options.quantiles):
            if quantile != MEDIAN:
                values[f".forecast.q{quantile:g}"] = self._values(made[..., number])
        drawn = self._drawings(batch, self.point(made))
        return [
            api.Prediction(
                self._row(values[".forecast"][index]),
                {".forecast.png": partial(api.draw.picture_grid, [[picture]], TITLES[1:])},
                {name: arrays[index] for name, arrays in values.items()},
            )
            for index, picture in enumerate(drawn)
        ]

    def _values(self, made: Tensor) -> NDArray[np.float32]:
        """Return standardised forecasts (B, Q, H) in the data's units, on the CPU."""
        return self.in_units(made).cpu().numpy()

    def export(self, module: Forecaster) -> ForecastOutputs:
        ends = torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(1, len(self.columns), 1)
        offset, top = self.in_units(ends)[0].unbind(-1)
        quantiles = self.options.quantiles
        point = quantiles.index(MEDIAN) if quantiles else 0
        return ForecastOutputs(module, (top - offset).tolist(), offset.tolist(), point, quantiles, self.card.targets)

    def _row(self, values: NDArray[np.float32]) -> dict[str, str | int | float]:
        """Return the first and the last step of a forecast (Q, H), by column."""
        steps = (0, self.horizon - 1) if self.horizon > 1 else (0,)
        return {
            f"{name} +{step + 1}": float(column[step])
            for name, column in zip(self.card.targets, values, strict=True)
            for step in steps
        }

    def draw(self, module: Forecaster, batch: api.Batch) -> list[api.Drawing]:
        sides = self.side_by_side(module, batch)
        columns = [*(sides.given.values()), sides.made]
        titles = TITLES if len(columns) == len(TITLES) else TITLES[1:]
        keys = list(batch.keys)[:NUM_DRAWN] or None
        png = api.draw.picture_grid([list(row) for row in zip(*columns, strict=True)], titles, keys)
        caption = (
            f"Windows of {self.preprocess.img_size[0]} steps and the {self.horizon} that follow (grey), of "
            f"{', '.join(self.card.targets[:NUM_DRAWN])}, each between the least and the greatest value that is shown."
        )
        return [api.Drawing(name="forecasts", caption=caption, png=png)]

    def side_by_side(self, module: Forecaster, batch: api.Batch) -> api.SideBySide:
        batch = next(batch.micro_batches(NUM_DRAWN))
        made = self.point(self.forecasts(module, batch))
        came = {TITLES[0]: self._drawings(batch, made, came=True)} if "target" in batch else {}
        return api.SideBySide(came, self._drawings(batch, made))

    def _drawings(self, batch: api.Batch, made: Tensor, came: bool = False) -> list[NDArray[Any]]:
        """Return a drawing of each window with its forecast (B, Q, H) behind it, or with what `came`."""
        valid = batch.tensors.get("valid")
        past = batch["image"][:, self.columns].float()
        if valid is not None:
            past = past.masked_fill(~valid[:, self.columns], torch.nan)
        truth = self.standardised(batch["target"]) if "target" in batch else torch.full_like(made, torch.nan)
        whole = torch.cat([past, truth, made], -1).cpu().numpy()  # (B, Q, L + H + H)
        steps, ahead = past.shape[-1], self.horizon
        begin = steps if came else steps + ahead
        part, hidden = np.r_[:steps, begin : begin + ahead], np.arange(steps + ahead) >= steps
        return [self._drawn(window, part, hidden) for window in whole]

    def _drawn(self, window: NDArray[Any], part: NDArray[Any], hidden: NDArray[np.bool_]) -> NDArray[Any]:
        """Return a drawing of a part of the steps of a window (Q, …), each column between its own ends."""
        there = ~np.isnan(window)
        low = np.where(there, window, np.inf).min(1, keepdims=True)
        high = np.where(there, window, -np.inf).max(1, keepdims=True)
        span = np.where(high > low, high - low, 1.0)
        return self.preprocess.modality.draw(((window - low) / span)[:, part].astype(np.float32), hidden).clip(0, 1)

    def describe(self) -> Sequence[str]:
        errors = (
            f"Look-back {self.preprocess.img_size[0]}, horizon {self.horizon}. Errors are of columns standardised as "
            "training rows are, unless units are named; windows at every step overlap, so no interval is given."
        )
        notes = [errors]
        if self.norm != "none":
            taken = "mean and deviation" if self.norm == "revin" else "last value"
            notes.append(f"Of each channel of a window the {taken} is taken away before, and given back after.")
        others = len(self.card.channel_names) - len(self.columns)
        if self.per_channel and others:
            notes.append(
                f"The model reads one channel at a time, so the {others} other column{'s' * (others > 1)} had no say."
            )
        return notes


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Forecast]
