"""Windows of a series, one at every step: what a model sees, and what comes after it.

Shapes: C columns, T steps, Q columns to forecast, L steps of look-back, H of the horizon, N windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from maecli import api

Positive = Annotated[int, Field(ge=1)]


class WindowOptions(api.DatasetOptions):
    """Options of data sets of windows."""

    lookback: Positive = Field(default=336, description="steps of a window, which a model sees")
    horizon: Positive = Field(default=96, description="steps after it, which are to be forecast")
    target: tuple[str, ...] = Field(default=(), description="columns to forecast, by name; default: all")
    inputs: Literal["all", "target"] = Field(
        default="all", description="columns that a model sees: all, whose past is known, or target: those of `target`"
    )

    @field_validator("target", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def columns(self, names: Sequence[str], data: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of the columns that a model sees, and of those to forecast, of a data set's columns.

        Raises SpecError for a target that is none of them.
        """
        for name in self.target:
            if name not in names:
                raise api.SpecError(f"dataset.target {name!r} is no column of {data}, which has {', '.join(names)}")
        target = tuple(name for name in names if name in self.target) or tuple(names)
        return target if self.inputs == "target" else tuple(names), target


def windows(
    values: np.ndarray, name: str, rows: range, lookback: int, horizon: int = 0, target: Sequence[int] = ()
) -> api.TensorSplit:
    """Return the windows of a series (C, T) that belong to some of its rows: one at every step, as views.

    `image` is (N, C, L). With a horizon, `target` (N, Q, H) is what follows in the columns `target`, and a window is of
    the rows in which that lies: it may look back before them, never ahead of them. Without, a window lies in the rows.
    Keys are `name#first row`.
    """
    first = max(0, rows.start - lookback) if horizon else rows.start
    num = max(0, rows.stop - horizon - lookback - first + 1)
    steps = torch.from_numpy(values[:, first : first + num + lookback + horizon - 1] if num else values[:, :0])
    tensors = {"image": _unfolded(steps, 0, num, lookback)}
    if horizon:
        tensors["target"] = _unfolded(steps[list(target)], lookback, num, horizon)
    return api.TensorSplit(tensors, [f"{name}#{start}" for start in range(first, first + num)])


def _unfolded(steps: torch.Tensor, first: int, num: int, length: int) -> torch.Tensor:
    """Return `num` windows (N, C, length) of steps (C, T), the first one beginning at step `first`."""
    if not num:
        return steps.new_empty(0, len(steps), length)
    return steps[:, first : first + num + length - 1].unfold(1, length, 1).transpose(0, 1)


def scale_of(series: Sequence[np.ndarray], training: Sequence[range]) -> Mapping[str, Any]:
    """Return what a card says of the numbers in series (C, T): the range of all, mean and deviation of training rows.

    Nothing of later ones is in what standardises them. A column that never varies gets a range of 1.
    """
    lows = np.min([np.nanmin(values, 1) for values in series], 0).astype(float)
    highs = np.max([np.nanmax(values, 1) for values in series], 0).astype(float)
    ranges = tuple((low, high if high > low else low + 1.0) for low, high in zip(lows, highs, strict=True))
    parts = [values[:, rows.start : rows.stop] for values, rows in zip(series, training, strict=True)]
    mean, std = api.measure.channel_stats([np.concatenate(parts, 1)], ranges, axes=1)
    missing = any(bool(np.isnan(values).any()) for values in series)
    return {"value_range": ranges, "mean": mean, "std": std, "missing": missing}
