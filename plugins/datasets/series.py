"""One's own series: CSV or Parquet files of a time column and columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from maecli import api

from .windows import WindowOptions, known_windows, scale_of

Share = Annotated[float, Field(ge=0, lt=1)]
SUFFIXES = (".csv", ".tsv", ".parquet")


class OwnSeries(api.Dataset):
    """One's own series, a file each: a time column in any common format, and columns of numbers.

    Format: `root` is a CSV or Parquet file, or a folder of such. All have the same columns. Times rise in even steps; a
        step without a row is missing, and so is an empty cell and what stands in a row between steps: it is told, and
        nothing is filled. Without a time column each row is a step.
    Splits: of each series the first steps train, the next `val_share` of all choose, and the last `test_share` test.
        Windows at every step. A window to forecast belongs to the split in which all that is to be forecast lies: of
        val and test it may look back over the border, never ahead. For pretraining, windows lie wholly in their split.
        Windows in which nothing is known are left out.
    Scale: mean and deviation of the training steps, of each column over all series.
    """

    name = "series"
    named_by_root = True
    size_option = "dataset.lookback"

    class Options(WindowOptions):
        time: str = Field(default="", description="name of the time column; default: the first that holds times")
        columns: tuple[str, ...] = Field(default=(), description="columns of numbers to read, by name; default: all")
        val_share: Share = Field(default=0.1, description="share of the steps of each series that chooses")
        test_share: Share = Field(
            default=0.2, description="share of the steps of each series, the last ones, that tests"
        )
        season: int | None = Field(
            default=None,
            ge=1,
            description="steps of a season; default: a day of hours, a week of days, a year of months",
        )

        @model_validator(mode="after")
        def _some_train(self) -> Any:
            if self.val_share + self.test_share >= 1:
                raise ValueError(
                    f"dataset.val_share ({self.val_share}) and dataset.test_share ({self.test_share}) leave nothing to "
                    "learn from"
                )
            return self

    options: Options

    @cached_property
    def paths(self) -> dict[str, Path]:
        """The files of the series, by their paths below the root."""
        if self.root.is_file():
            return {self.root.name: self.root}
        if not self.root.exists():
            raise api.DataError(
                f"{self.root} does not exist; give a CSV or Parquet file, or a folder of them, by --root"
            )
        found = api.pictures.find_files(self.root)
        paths = {key: self.root / key for key in found if key.lower().endswith(SUFFIXES)}
        if not paths:
            raise api.DataError(
                f"{self.root} holds no series ({', '.join(SUFFIXES)}), also not in its folders; give a file or a "
                "folder of them by --root"
            )
        if elsewhere := api.pictures.links_out(self.root, paths):
            self.say(elsewhere)
        return paths

    @cached_property
    def series(self) -> dict[str, api.modalities.TimedSeries]:
        """What the files hold, by their paths below the root: all of the same columns and steps."""
        options, read = self.options, dict[str, api.modalities.TimedSeries]()
        for key, path in self.paths.items():
            first = next(iter(read.values()), None)
            columns = options.columns if first is None else first.names
            try:
                read[key] = api.modalities.read_timed(path, options.time if first is None else first.time, columns)
            except api.BrokenSample as error:
                raise api.DataError(str(error)) from error
            self._check(key, read)
            for note in read[key].notes:
                self.say(f"{key}: {note}")
        return read

    def _check(self, key: str, read: dict[str, api.modalities.TimedSeries]) -> None:
        """Raise DataError where a series has other steps than the first, or a column without a single number."""
        (other, first), own = next(iter(read.items())), read[key]
        words = [series.steps.words if series.steps else "no times" for series in (own, first)]
        if words[0] != words[1]:
            raise api.DataError(
                f"{key} has steps of {words[0]} and {other} of {words[1]}; read series of equal steps together"
            )
        for name, values in zip(own.names, own.values, strict=True):
            if np.isnan(values).all():
                raise api.DataError(f"{key}: the column {name!r} holds nothing; leave it out by --set dataset.columns")

    def rows(self, name: api.SplitName, length: int) -> range:
        """Return the steps of a split, of a series of so many."""
        test = length - round(length * self.options.test_share)
        val = test - round(length * self.options.val_share)
        return {"train": range(val), "val": range(val, test), "test": range(test, length)}[name]

    @cached_property
    def columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the columns that a model sees, and of those to forecast."""
        return self.options.columns_of(next(iter(self.series.values())).names, str(self.root))

    def values(self, series: api.modalities.TimedSeries) -> np.ndarray:
        """Return the columns (C, T) of a series that a model sees."""
        return series.values[[series.names.index(name) for name in self.columns[0]]]

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        options, (inputs, target) = self.options, self.columns
        first = next(iter(self.series.values()))
        sizes: dict[str, int] = {name: len(self.split(name, fields)) for name in api.SPLIT_NAMES}
        forecast = "target" in fields
        if not sizes["train"]:
            wanted = options.lookback + (options.horizon if forecast else 0)
            longest = max(len(self.rows("train", series.length)) for series in self.series.values())
            raise api.DataError(
                f"{self.root} has {longest:,} steps to learn from, and a window takes {wanted:,}; choose by --set "
                f"dataset.lookback ({options.lookback}) and dataset.horizon ({options.horizon})"
            )
        training = [self.rows("train", series.length) for series in self.series.values()]
        val, test = options.val_share, options.test_share
        season = options.season or (first.steps.season if first.steps else None)
        return api.DataCard(
            name=self.name,
            title=f"series of {self.root}",
            modality="series",
            fields=("image", "target"),
            channels=len(inputs),
            size=(options.lookback,),
            dtype="float32",
            channel_names=inputs,
            targets=target,
            time=first.time,
            horizon=options.horizon if forecast else None,
            season=season,
            split_sizes=sizes,
            split_origin=f"by time: of each series the last {test:.0%} test, {val:.0%} before them choose",
            reading=self._reading(),
            notes=tuple(f"{key}: {note}" for key, series in self.series.items() for note in series.notes),
            **scale_of([self.values(series) for series in self.series.values()], training),
        )

    def _reading(self) -> str:
        options, first = self.options, next(iter(self.series.values()))
        total = sum(series.length for series in self.series.values())
        num = len(self.series)
        of = f"{total:,} steps of {first.steps.words}" if first.steps else f"{total:,} rows"
        inputs, target = self.columns
        return (
            f"{num:,} series, {of}, {len(inputs)} → {len(target)} columns, look-back {options.lookback}, "
            f"horizon {options.horizon}"
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        options, (inputs, target) = self.options, self.columns
        horizon = options.horizon if "target" in fields else 0
        ids = [inputs.index(column) for column in target]
        recordings = [
            api.modalities.Recording(
                name=key,
                path=self.paths[key],
                values=self.values(series),
                rows=self.rows(name, series.length),
                steps=series.steps,
                form=series.form,
            )
            for key, series in self.series.items()
        ]
        return known_windows(recordings, options.lookback, horizon, ids)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [OwnSeries]
