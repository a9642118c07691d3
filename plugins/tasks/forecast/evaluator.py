"""Errors of forecasts, by column and step, beside those of trivial ones.

Shapes: B batch, Q columns to forecast, H steps of the horizon, R quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from maecli import api

from .baselines import trivial_forecasts
from .losses import known_truth, pinball
from .module import Forecaster

if TYPE_CHECKING:
    from .task import Forecast

MODEL = "this model"
MOST_STEPS = 12
"""Of a horizon, steps that the table shows; the drawing has all."""


class ForecastErrors(api.Evaluator[Forecaster]):
    """Sums of squared and absolute errors (Q, H), of the model and of each trivial forecast."""

    def __init__(self, task: Forecast) -> None:
        self.task = task

    def update(self, module: Forecaster, batch: api.Batch) -> None:
        task = self.task
        truth, known = known_truth(task.standardised(batch["target"]))
        made = task.forecasts(module, batch)
        guesses = {MODEL: task.point(made)}
        if "image" in batch:  # features computed before say nothing of the window's values
            image, valid = batch["image"], batch.tensors.get("valid")
            guesses |= trivial_forecasts(image, valid, task.columns, task.horizon, task.season)
        sums = {"known": known.sum(0, dtype=torch.float64)}
        for name, guess in guesses.items():
            error = (guess - truth) * known
            sums[f"squares {name}"] = error.square().sum(0, dtype=torch.float64)
            sums[f"sizes {name}"] = error.abs().sum(0, dtype=torch.float64)
        if task.options.quantiles:
            inside = (made[..., 0] <= truth) & (truth <= made[..., -1])
            sums["inside"] = (inside & known).sum(0, dtype=torch.float64)
            sums["pinball"] = (pinball(made, truth, task.options.quantiles) * known).sum(0, dtype=torch.float64)
        self.add(sums)

    def _sums(self, kind: str) -> dict[str, np.ndarray]:
        """Return sums (Q, H) by who made the forecast, the model first."""
        start = f"{kind} "
        state = self.state()
        return {name.removeprefix(start): state[name].cpu().numpy() for name in state if name.startswith(start)}

    @property
    def _known(self) -> np.ndarray:
        known = self.total("known")
        return np.zeros((len(self.task.columns), self.task.horizon)) if known is None else known.numpy()

    def metrics(self) -> Sequence[api.Metric]:
        known = max(self._known.sum(), 1.0)
        means = {
            kind: {name: float(sums.sum() / known) for name, sums in self._sums(kind).items()}
            for kind in ("squares", "sizes")
        }
        metrics = [_metric("mse", "MSE", means["squares"]), _metric("mae", "MAE", means["sizes"])]
        if len(self.task.columns) == 1:
            scale, name = self.task.deviations[0], self.task.card.targets[0]
            squares = {by: value * scale**2 for by, value in means["squares"].items()}
            sizes = {by: value * scale for by, value in means["sizes"].items()}
            metrics.append(_metric("mse_units", f"MSE in units of {name}", squares))
            metrics.append(_metric("mae_units", f"MAE in units of {name}", sizes))
        if quantiles := self.task.options.quantiles:
            total, inside = self.total("pinball"), self.total("inside")
            if total is not None:
                metrics.append(_metric("pinball", "pinball loss", {MODEL: float(total.sum()) / known}))
            if inside is not None and len(quantiles) > 1:
                metrics.append(_coverage(float(inside.sum()) / known, quantiles[-1] - quantiles[0]))
        return metrics

    def finding(self) -> str:
        """Return how far the error lies below that of the best trivial forecast."""
        saved = self.metrics()[0].error_saved
        if saved is None:
            return ""
        share, name = saved
        steps = self.task.horizon
        ahead = "the step ahead has" if steps == 1 else f"the {steps} steps ahead have"
        return f"{ahead} {share:.0%} less squared error than by {name}"

    def tables(self) -> Sequence[api.Table]:
        return [self._by_column(), self._by_step()]

    def _by_column(self) -> api.Table:
        squares, sizes, known, task = self._sums("squares"), self._sums("sizes"), self._known, self.task
        rows: list[tuple[str | float, ...]] = []
        groups = [(name, slice(number, number + 1)) for number, name in enumerate(task.card.targets)]
        for name, part in [("all", slice(None)), *groups] if len(groups) > 1 else groups:
            num = max(known[part].sum(), 1.0)
            scale = task.deviations[part][0] if name != "all" else None
            for by in squares:
                mse, mae = float(squares[by][part].sum() / num), float(sizes[by][part].sum() / num)
                units = ("n/a", "n/a") if scale is None else (mse * scale**2, mae * scale)
                rows.append((name, by, mse, mae, *units))
        columns = ("column", "forecast", "MSE", "MAE", "MSE in units", "MAE in units")
        return api.Table(title="Per column", columns=columns, rows=tuple(rows))

    def _by_step(self) -> api.Table:
        steps, curves = self._steps(), {kind: self._curves(kind) for kind in ("squares", "sizes")}
        rows = tuple(
            (step + 1, by, float(curves["squares"][by][step]), float(curves["sizes"][by][step]))
            for step in steps
            for by in curves["squares"]
        )
        return api.Table(title="Per step ahead", columns=("step", "forecast", "MSE", "MAE"), rows=rows)

    def _steps(self) -> list[int]:
        """Return the steps that the table shows: all, or the first, the last and evenly spaced ones between."""
        horizon = self.task.horizon
        if horizon <= MOST_STEPS:
            return list(range(horizon))
        return np.linspace(0, horizon - 1, MOST_STEPS).round().astype(int).tolist()

    def _curves(self, kind: str) -> dict[str, np.ndarray]:
        """Return the mean error at each step (H,), over columns, by who made the forecast."""
        known = np.maximum(self._known.sum(0), 1.0)
        return {by: sums.sum(0) / known for by, sums in self._sums(kind).items()}

    def drawings(self) -> Sequence[api.Drawing]:
        curves = self._curves("squares")
        if not curves or self.task.horizon == 1:
            return []
        points = {by: [*enumerate(map(float, curve), start=1)] for by, curve in curves.items()}
        png = api.draw.curves(points, "step ahead", "MSE")
        return [api.Drawing(name="error-by-step", caption="Mean squared error at each step ahead.", png=png)]


def _metric(name: str, label: str, values: dict[str, float]) -> api.Metric:
    values = {MODEL: 0.0} | values
    baselines = {by: value for by, value in values.items() if by != MODEL}
    return api.Metric(name=name, label=label, value=values[MODEL], better="lower", baselines=baselines)


def _coverage(share: float, nominal: float) -> api.Metric:
    note = f"of the truth between the lowest and the highest quantile; {nominal:.0%} are meant"
    return api.Metric(name="coverage", label="coverage", value=share, unit="share", note=note)
