"""Damaged files of each form of tables and series: each is read, or refused by one sentence of ours, at once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from maecli_plugins.datasets.series import OwnSeries
from maecli_plugins.datasets.table.dataset import Table

from fuzz.mutate import FEW, Reader
from maecli.api import SPLIT_NAMES
from maecli.errors import BrokenSample, MaeError
from maecli.modalities.series.modality import Series
from maecli.modalities.series.timed import forecast_csv
from maecli.modalities.tables.modality import Tables
from maecli.modalities.tables.read import read_rows

ROWS = [
    *("age,kind,member,since,weight,note", "31,cat,yes,2021-03-04,1.5,a", "?,dog,no,2021-03-05,,b"),
    *("45,cat,yes,NA,-3.25e1,c", '7,"d, ""e""",no,2021-03-07,0.001,d', "12,dog,,2021-03-08,9,e"),
]
NUMBERS = "\n".join(["x;y;z", *(f"1.{number:03d},5;{number},25;{-number}" for number in range(9))])
TABLES = [
    "\n".join(ROWS).encode(),
    "\r\n".join(["sep=;", *(row.replace(",", ";") for row in ROWS[:4])]).encode("utf-16"),
    NUMBERS.encode(),
    "größe\tart\n1\tä\n2\tö\n3\tä\n4\tä\n".encode("cp1252"),
]
TIMES = [
    "\n".join(["date,a,b", *(f"2024-01-{day:02d},{day / 7:.3f},{-day}" for day in range(1, 20))]).encode(),
    "\n".join(["t;v", *(f"{day:02d}.03.2023 07:30;{day},5" for day in range(1, 12))]).encode(),
    "\n".join(["when,v", *(f"2024-{month:02d},{month}" for month in range(1, 13))]).encode(),
    "\n".join(["time,v,w", *(f"2024-03-31T{hour:02d}:00:00+01:00,{hour},NA" for hour in range(24))]).encode(),
    "\n".join(["v", *map(str, range(30))]).encode(),
]


def parquet(compression: str | None = "snappy", **columns: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression=compression)
    return buffer.getvalue()


DAYS = pa.array(range(0, 20 * 86_400_000, 86_400_000), pa.timestamp("ms"))
PARQUETS = [
    parquet(age=[31, None, 45, 7, 12, 12], kind=["cat", "dog", "cat", "cat", None, "dog"], w=[1.5, 2, 3, 4, 5, 6.25]),
    parquet(None, k=pa.array(["a", "b", "a", "a"]).dictionary_encode(), ok=[True, False, None, True]),
    parquet("gzip", date=DAYS, a=np.arange(20.0), b=np.arange(20, dtype=np.int16)),
    parquet("zstd", date=DAYS.cast(pa.date32()), a=pa.array(range(20), pa.decimal128(9, 2))),
]


def own_table(path: Path) -> Table:
    dataset = Table(Table.Options(root=path))
    dataset.say = lambda _: None
    return dataset


def study_table(path: Path) -> None:
    """Look for what the rows of a table show together."""
    dataset = own_table(path)
    Tables().study(dataset.split, dataset.card())


def read_as_table(path: Path) -> None:
    """Read a table as a data set and as a person's own file, and hand it back with its cells filled in."""
    dataset = own_table(path)
    card = dataset.card()
    assert sum(len(dataset.split(name)) for name in SPLIT_NAMES) == sum(card.split_sizes.values())
    rows = read_rows(path, card)
    assert rows.shape == (sum(card.split_sizes.values()), len(card.columns))
    back = Tables().hand_back(path, card)
    for number in range(len(rows)):
        back.add(str(number + 1), np.zeros((card.channels, len(card.columns)), np.float32))
    assert sum(map(len, back.contents()))


def read_as_series(path: Path) -> None:
    """Read a series as a data set, study it, and write what follows it."""
    dataset = OwnSeries(OwnSeries.Options(root=path, lookback=2, horizon=1))
    dataset.say = lambda _: None
    card = dataset.card(("image", "target"))
    splits = {name: dataset.split(name) for name in SPLIT_NAMES}
    for split in splits.values():
        for index in range(min(3, len(split))):
            assert split[index]["image"].shape == (card.channels, 2)
    Series().study(lambda name, _: splits[name], card)
    assert forecast_csv(np.zeros((len(card.targets), 1), np.float32), card, path)
    if path.suffix == ".csv":
        with suppress(BrokenSample):  # it takes plain numbers alone
            assert len(Series().read(path, card)) == card.channels


ERRORS = (MaeError, BrokenSample)
READERS: Sequence[Reader] = [
    Reader("tables in CSV", "table.csv", read_as_table, TABLES, ERRORS),
    Reader("studies of tables", "table.csv", study_table, TABLES, ERRORS),
    Reader("series in CSV", "series.csv", read_as_series, TIMES, ERRORS),
    Reader("tables in Parquet", "table.parquet", read_as_table, PARQUETS[:2], ERRORS),
    Reader("series in Parquet", "series.parquet", read_as_series, PARQUETS[2:], ERRORS),
]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_table_is_read_or_refused_by_a_sentence(reader, tmp_path):
    came = reader.survives(tmp_path, FEW if reader.read is not study_table else FEW // 4)
    assert came.keys() <= {"read", "BrokenSample", "DataError", "SpecError"}
    assert came.total() - came["read"] > came.total() / 10
