"""What the values of training volumes are: Hounsfield units, or numbers of their own, and their mean and deviation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from maecli import api
from maecli.api import volumes

Intensity = Literal["auto", "window", "robust", "range"]
MOST_MEASURED = 16
"""Volumes that mean and deviation are taken of."""
MOST_TRIED = 3
"""Volumes that tell whether values are Hounsfield units."""


@dataclass(frozen=True)
class Measured:
    """Mean and deviation of each channel, in units of [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    num: int
    lacking: tuple[str, ...] = ()
    """Volumes with voxels that are no number."""


def chosen(keys: Sequence[str], most: int) -> list[str]:
    """Return at most so many of some keys, by the fixed seed."""
    return sorted(keys, key=api.place)[:most]


def choose_window(
    root: Path,
    cases: Sequence[volumes.Case],
    channels: int,
    intensity: Intensity,
    window: tuple[float, float] | None,
    is_ct: bool | None,
) -> tuple[tuple[float, float] | None, str]:
    """Return between which values volumes are told apart (None: robust z-scores), and why.

    Raises DataError where none of those that tell can be read.
    """
    if intensity == "robust":
        return None, ""
    if window is not None or intensity == "window":
        return window or volumes.SOFT_TISSUE, ""
    if intensity == "range":
        ends = [(float(np.nanmin(values)), float(np.nanmax(values))) for values in _values(root, cases, channels)]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        return (low, high if high > low else low + 1.0), ""
    if is_ct is None:
        ct = all(volumes.looks_like_hounsfield(values) for values in _values(root, cases[:MOST_TRIED], channels))
        why = "values look like Hounsfield units" if ct else "values do not look like Hounsfield units"
    else:
        ct, why = is_ct, f"the description says {'CT' if is_ct else 'that it is no CT'}"
    if ct:
        low, high = volumes.SOFT_TISSUE
        return (
            low,
            high,
        ), f"{why}: those outside of {low:g} to {high:g} are cut off; --set dataset.window chooses others"
    return None, f"{why}: each volume is set in relation to its own median and quartiles (robust z-scores)"


def _values(root: Path, cases: Sequence[volumes.Case], channels: int) -> Iterator[np.ndarray]:
    """Yield what volumes hold, without those that cannot be read. Raises DataError where none can."""
    first, num = None, 0
    for case in cases:
        try:
            yield volumes.read_channels([root / image for image in case.images], channels)[0]
            num += 1
        except api.BrokenSample as error:
            first = first or api.Fault(case.key, error.fault.reason)
    if not num:
        raise api.DataError(
            f"none of the training volumes tried in {root} can be read; {first}", [first] if first else []
        )


def measure(split: volumes.VolumeCases, root: Path, faults: set[api.Fault]) -> Measured:
    """Return mean and deviation of some volumes; those that cannot be read go to `faults`. Raises DataError."""
    read, lacking = list[str](), list[str]()

    def images() -> Iterator[np.ndarray]:
        for index in range(len(split)):
            try:
                image = split[index]["image"]
            except api.BrokenSample as error:
                faults.add(error.fault)
                continue
            read.append(split.keys[index])
            if np.isnan(image).any():
                lacking.append(split.keys[index])
            yield image

    try:
        mean, std = api.measure.channel_stats(images(), split.reading.value_range, axes=3)
    except ValueError as error:
        first = "".join(f"; {fault}" for fault in sorted(faults)[:1])
        raise api.DataError(
            f"none of the training volumes tried in {root} can be read{first}", sorted(faults)
        ) from error
    return Measured(mean, std, len(read), tuple(lacking))
