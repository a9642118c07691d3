"""ETT: temperatures and loads of two electricity transformers, what forecasters compare on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from maecli import api

from .windows import WindowOptions, scale_of, windows

COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
FOLDERS = (".", "ETT-small", "ETDataset/ETT-small")
"""Where the file may lie below the root: alone, or as the repository has it."""
MONTHS: dict[api.SplitName, tuple[int, int]] = {"train": (0, 12), "val": (12, 16), "test": (16, 20)}
"""First month and the one after the last, of 30 days."""
START = "2016-07-01"
"""The first day of all four files."""
HOURS_OF_A_MONTH, HOURS_OF_A_DAY = 30 * 24, 24


class ETT(api.Dataset):
    """Electricity transformer temperature: six loads and the temperature of the oil, hourly or every 15 minutes.

    Source: Zhou et al. 2021, "Informer", arXiv:2012.07436; the folder ETT-small of the repository
        github.com/zhouhaoyi/ETDataset. Nothing is downloaded.
    Format: `ETTh1.csv`, `ETTh2.csv` (17,420 rows, hourly), `ETTm1.csv`, `ETTm2.csv` (69,680 rows, 15 minutes): a column
        `date`, then HUFL, HULL, MUFL, MULL, LUFL, LULL (loads) and OT (temperature of the oil).
    Splits: the official ones, 12, 4 and 4 months of 30 days; later rows are unused. Windows at every step. A window to
        forecast belongs to the split in which all that is to be forecast lies: of val and test it may look back over
        the border, never ahead. For pretraining, windows lie wholly in their split.
    Scale: mean and deviation of the training rows.
    Licence: CC BY-ND 4.0.
    """

    name = "ett"
    size_option = "dataset.lookback"
    published_splits = True

    class Options(WindowOptions):
        file: Literal["ETTh1", "ETTh2", "ETTm1", "ETTm2"] = Field(default="ETTh1", description="which of the four")

    options: Options

    @property
    def steps_an_hour(self) -> int:
        return 4 if self.options.file.startswith("ETTm") else 1

    def rows(self, name: api.SplitName) -> range:
        """Return the rows of a split."""
        first, end = (month * HOURS_OF_A_MONTH * self.steps_an_hour for month in MONTHS[name])
        return range(first, end)

    @cached_property
    def columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the columns that a model sees, and of those to forecast."""
        return self.options.columns_of(COLUMNS, self.options.file)

    @cached_property
    def values(self) -> np.ndarray:
        """The rows that are used, of the columns that a model sees: (C, T) float32."""
        num = self.rows("test").stop
        try:
            values = api.modalities.Series().read(self._path(), self._form)
        except api.BrokenSample as error:
            raise api.DataError(str(error)) from error
        if values.shape[1] < num:
            raise api.DataError(
                f"{self._path()} has {values.shape[1]:,} rows, and the official splits of {self.options.file} take "
                f"{num:,}; fetch the whole file again, or read your own series by another data set"
            )
        return np.ascontiguousarray(values[:, :num])

    def _path(self) -> Path:
        name = f"{self.options.file}.csv"
        for folder in FOLDERS:
            if (path := self.root / folder / name).is_file():
                return path
        raise api.DataError(
            f"{self.root} holds no {name}, also not in ETT-small/; put the file of github.com/zhouhaoyi/ETDataset "
            "there, or say by --root where it is"
        )

    @property
    def _form(self) -> api.DataCard:
        """What is known of the file before it is read."""
        return self._card(mean=(0.0,) * len(self.columns[0]), std=(1.0,) * len(self.columns[0]))

    def _card(self, **facts: object) -> api.DataCard:
        options, (inputs, target) = self.options, self.columns
        hours = "hour" if self.steps_an_hour == 1 else "15 minutes"
        reading = f"look-back {options.lookback}, horizon {options.horizon}, {len(inputs)} → {len(target)} columns"
        known = {
            "name": self.name,
            "title": f"{options.file}, loads and oil temperature of a transformer, every {hours}",
            "modality": "series",
            "fields": ("image", "target"),
            "channels": len(inputs),
            "size": (options.lookback,),
            "dtype": "float32",
            "channel_names": inputs,
            "targets": target,
            "season": HOURS_OF_A_DAY * self.steps_an_hour,
            "split_sizes": {},
            "split_origin": "official: 12, 4 and 4 months of 30 days; later rows are unused",
            "source": "github.com/zhouhaoyi/ETDataset (Zhou et al. 2021, arXiv:2012.07436)",
            "licence": "CC BY-ND 4.0",
            "reading": f"{options.file}: {self.rows('test').stop:,} rows, {reading}",
        }
        return api.DataCard.model_validate(known | facts)

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        sizes = {name: len(self.split(name, fields)) for name in api.SPLIT_NAMES}
        horizon = self.options.horizon if "target" in fields else None
        return self._card(split_sizes=sizes, horizon=horizon, **scale_of([self.values], [self.rows("train")]))

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        options, (inputs, target) = self.options, self.columns
        horizon = options.horizon if "target" in fields else 0
        ids = [inputs.index(column) for column in target]
        recording = api.modalities.Recording(
            name=options.file,
            path=self._path(),
            values=self.values,
            rows=self.rows(name),
            steps=api.modalities.Steps.even(START, timedelta(hours=1) / self.steps_an_hour, self.values.shape[1]),
            form=api.modalities.TimeFormat("%Y-%m-%d %H:%M:%S"),
        )
        return windows(recording, options.lookback, horizon, ids)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [ETT]
