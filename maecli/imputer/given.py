"""People's rows, as arrays or frames: their columns as values, and the same rows with missing values filled in.

A frame is known by what it does, as pandas has it: nothing here imports pandas.

Shapes: N rows, F columns, M missing values of a column.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.imputer.features import Values

Made = Sequence[Any] | NDArray[Any]


class Rows(ABC):
    """Rows that were given, which stay as they are."""

    columns: Sequence[Values]

    @abstractmethod
    def filled(self, made: Mapping[int, Made], kept: Sequence[int]) -> Any:
        """Return the rows in the form that they came in, with the columns `kept`.

        `made` holds for some columns what is to stand in their missing places (M,), in their order.
        """


class ArrayRows(Rows):
    """An array (N, F) of numbers."""

    def __init__(self, array: NDArray[Any], names: Sequence[str]) -> None:
        self.array = array
        self.columns = [
            Values(name, "number", array[:, place].astype(np.float64), np.isnan(array[:, place]))
            for place, name in enumerate(names)
        ]

    def filled(self, made: Mapping[int, Made], kept: Sequence[int]) -> NDArray[Any]:
        array = self.array.copy()
        for place, values in made.items():
            missing = self.columns[place].missing
            if missing.any():
                array[missing, place] = _as_numbers(values, self.columns[place].name)
        return array if len(kept) == array.shape[1] else array[:, list(kept)]


def _as_numbers(values: Made, name: str) -> NDArray[np.float64]:
    try:
        return np.array(values, np.float64)
    except ValueError:
        raise ValueError(f"column {name!r} is filled with text, which an array of numbers cannot hold") from None


class FrameRows(Rows):
    """A frame, whose columns keep their dtypes."""

    def __init__(self, frame: Any, names: Sequence[str]) -> None:
        self.frame = frame
        self.columns = [_column(frame.iloc[:, place], name) for place, name in enumerate(names)]

    def filled(self, made: Mapping[int, Made], kept: Sequence[int]) -> Any:
        frame = self.frame.copy()
        for place, values in made.items():
            column = self.columns[place]
            if column.missing.any():
                frame.isetitem(place, _filled(frame.iloc[:, place], column, values))
        return frame if len(kept) == len(self.columns) else frame.iloc[:, list(kept)]


def is_frame(rows: Any) -> bool:
    """Whether rows are a frame as pandas has it."""
    return hasattr(rows, "iloc") and hasattr(rows, "isetitem")


def _column(series: Any, name: str) -> Values:
    """Return the values of a frame's column."""
    kind, missing = getattr(series.dtype, "kind", "O"), series.isna().to_numpy(bool)
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r}")
    if kind in "iuf":
        return Values(name, "number", series.to_numpy(dtype=np.float64, na_value=np.nan), missing)
    if kind == "M":
        ticks = series.to_numpy(dtype="datetime64[us]").astype(np.int64)
        return Values(name, "date", np.where(missing, np.nan, ticks / 1e6), missing)
    objects = series.astype(object).to_numpy()
    of_categories = hasattr(series.dtype, "categories")  # which may be numbers
    if not of_categories and not missing.all() and all(map(_is_number, objects[~missing].tolist())):
        return Values(name, "number", np.where(missing, np.nan, objects).astype(np.float64), missing)
    return Values(name, "object", objects, missing)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _filled(series: Any, column: Values, made: Made) -> Any:
    """Return a frame's column with values in its missing places, and of its dtype where that can hold them."""
    frame_column, kind = type(series), getattr(series.dtype, "kind", "O")
    if isinstance(made, np.ndarray) and made.dtype.kind == "M":
        times = frame_column(made).dt.tz_localize("UTC") if getattr(series.dtype, "tz", None) else frame_column(made)
        if kind == "M":
            return _put(series, column.missing, times.astype(series.dtype).array)
        made = list(times)
    elif isinstance(made, np.ndarray):
        made = made.tolist()
    if series.dtype == object or (kind in "iuf" and not all(_suits(value, kind) for value in made)):
        return _put(series.astype(object), column.missing, made)
    return _put(series, column.missing, frame_column(list(made), dtype=series.dtype).array)


def _suits(value: Any, kind: str) -> bool:
    """Whether a column of numbers of this kind can hold a value."""
    return _is_number(value) and (kind == "f" or float(value).is_integer())


def _put(series: Any, missing: NDArray[np.bool_], made: Any) -> Any:
    whole = series.copy()
    whole.array[missing] = made
    return whole
