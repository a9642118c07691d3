"""Windows of a series, one at every step: what a model sees, and what comes after it.

Shapes: C columns, T steps, Q columns to forecast, L steps of look-back, H of the horizon, N windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator

from maecli import api

Positive = Annotated[int, Field(ge=1)]
MOST_BYTES = 1 << 30
"""Of windows in memory; they overlap, so a series takes as many times its size as a window has steps."""


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

    def columns_of(self, names: Sequence[str], data: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of the columns that a model sees, and of those to forecast, of a data set's columns.

        Raises SpecError for a target that is none of them.
        """
        for name in self.target:
            if name not in names:
                raise api.SpecError(f"dataset.target {name!r} is no column of {data}, which has {', '.join(names)}")
        target = tuple(name for name in names if name in self.target) or tuple(names)
        return target if self.inputs == "target" else tuple(names), target


class WindowsInMemory(api.TensorSplit, api.modalities.Recorded):
    """Windows of series that are in memory, with the series."""

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        keys: Sequence[str],
        recordings: Sequence[api.modalities.Recording],
    ) -> None:
        super().__init__(tensors, keys)
        self.recordings = recordings


def windows(
    recording: api.modalities.Recording, lookback: int, horizon: int = 0, target: Sequence[int] = ()
) -> WindowsInMemory:
    """Return the windows of a series (C, T) that belong to its rows: one at every step, as views.

    `image` is (N, C, L). With a horizon, `target` (N, Q, H) is what follows in the columns `target`, and a window is of
    the rows in which that lies: it may look back before them, never ahead of them. Without, a window lies in the rows.
    Keys are `name#first row`.
    """
    values, rows = recording.values, recording.rows
    first = max(0, rows.start - lookback) if horizon else rows.start
    num = max(0, rows.stop - horizon - lookback - first + 1)
    steps = torch.from_numpy(values[:, first : first + num + lookback + horizon - 1] if num else values[:, :0])
    tensors = {"image": _unfolded(steps, 0, num, lookback)}
    if horizon:
        tensors["target"] = _unfolded(steps[list(target)], lookback, num, horizon)
    keys = [f"{recording.name}#{start}" for start in range(first, first + num)]
    return WindowsInMemory(tensors, keys, (recording,))


def _unfolded(steps: torch.Tensor, first: int, num: int, length: int) -> torch.Tensor:
    """Return `num` windows (N, C, length) of steps (C, T), the first one beginning at step `first`."""
    if not num:
        return steps.new_empty(0, len(steps), length)
    return steps[:, first : first + num + length - 1].unfold(1, length, 1).transpose(0, 1)


class ManyWindows(api.Split, api.modalities.Recorded):
    """Windows of series that would take too much memory at once: each is made when it is asked for."""

    def __init__(self, parts: Sequence[WindowsInMemory], places: np.ndarray) -> None:
        """Take the windows of each series, and which are meant: (N, 2), the series and the number of its window."""
        self.parts, self.places = parts, places
        self.recordings = [recording for part in parts for recording in part.recordings]
        self._keys = [parts[part].keys[number] for part, number in places.tolist()]

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> api.Sample:
        part, number = self.places[index].tolist()
        return self.parts[part][number]

    def size(self, index: int) -> tuple[int, ...]:
        return tuple(self.parts[0].tensors["image"].shape[2:])

    def files(self, index: int) -> Sequence[Path]:
        return [self.recordings[self.places[index, 0]].path]


def known_windows(
    recordings: Sequence[api.modalities.Recording], lookback: int, horizon: int = 0, target: Sequence[int] = ()
) -> api.Split:
    """Return the windows of several series, see `windows`, without those in which nothing is known, or nothing after.

    They are in memory up to MOST_BYTES.
    """
    splits = [windows(recording, lookback, horizon, target) for recording in recordings]
    kept = [_known(split, lookback, horizon, target) for split in splits]
    places = np.concatenate([np.stack([np.full_like(ids, i), ids], 1) for i, ids in enumerate(kept)])
    bytes_of_one = sum(tensor[:1].nbytes for tensor in splits[0].tensors.values()) or 1
    if len(splits) == 1 and len(kept[0]) == len(splits[0]) and len(places) * bytes_of_one <= MOST_BYTES:
        return splits[0]
    many = ManyWindows(splits, places)
    if len(places) * bytes_of_one > MOST_BYTES:
        return many
    names = splits[0].tensors
    chosen = [torch.from_numpy(ids) for ids in kept]
    tensors = {
        name: torch.cat([split.tensors[name][ids] for split, ids in zip(splits, chosen, strict=True)]) for name in names
    }
    return WindowsInMemory(tensors, many.keys, recordings)


def _known(split: WindowsInMemory, lookback: int, horizon: int, target: Sequence[int]) -> NDArray[np.int64]:
    """Return the numbers of the windows in which something is known, and something of what follows."""
    [recording] = split.recordings
    first = int(split.keys[0].rpartition("#")[2]) if len(split) else 0
    starts = np.arange(first, first + len(split))
    known = _num_known(recording.values, starts, lookback) > 0
    if horizon:
        known &= _num_known(recording.values[list(target)], starts + lookback, horizon) > 0
    return np.flatnonzero(known)


def _num_known(values: np.ndarray, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return at how many steps of each window some column is known."""
    counts = np.cumsum(np.append(0, (~np.isnan(values)).any(0)))
    return counts[starts + length] - counts[starts]


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
