from __future__ import annotations

import json
import tracemalloc

import pytest
from written import csv_rows

from maecli.errors import MaeError
from maecli.outputs.rows import RowWriter


def written(folder, *batches):
    with RowWriter(folder / "rows.jsonl", folder / "rows.csv") as rows:
        for batch in batches:
            rows.add(batch)
    assert rows.num == sum(map(len, batches))
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], csv_rows(folder / "rows.csv")


def test_columns_are_all_that_any_row_has(tmp_path):
    rows = [{"path": "a", "x": 0.25}], [{"path": "b", "file.png": "files/b.png", "y": 2}, {"path": "c", "y": 1e-06}]
    exact, table = written(tmp_path, *rows)
    assert exact == [*rows[0], *rows[1]]
    assert table == [
        {"path": "a", "x": "0.25", "file.png": "", "y": ""},
        {"path": "b", "x": "", "file.png": "files/b.png", "y": "2"},
        {"path": "c", "x": "", "file.png": "", "y": "1e-06"},
    ]


def test_without_rows_there_is_a_header(tmp_path):
    assert written(tmp_path) == ([], [])
    assert (tmp_path / "rows.csv").read_text() == "path\n"


NAMES = [
    "a\nb.png",
    "caf\udce9.png",
    r"caf\udce9.png",
    "x\u2028y\x85z.png",
    "\x1b[31m.png",
    "=1+1.png",
    "-é.png",
    "[/b].png",
]


def test_any_name_comes_back_exactly_and_takes_one_line(tmp_path):
    exact, table = written(tmp_path, [{"path": name} for name in NAMES])
    assert [row["path"] for row in exact] == NAMES
    assert len(table) == len(NAMES)
    assert table[5]["path"] == "'=1+1.png"


def test_a_disk_that_is_full_is_told(tmp_path):
    (tmp_path / "rows.jsonl").symlink_to("/dev/full")
    with pytest.raises(MaeError, match=r"rows\.jsonl: the disk is full"):
        written(tmp_path, [{"path": "a"}])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    def peak(num):
        tracemalloc.start()
        with RowWriter(tmp_path / f"{num}.jsonl", tmp_path / f"{num}.csv") as rows:
            for i in range(num):
                rows.add([{"path": f"{i:05d}.png"} | {f"p_{q}": 0.5 for q in range(500)}])
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(10), peak(300)
    assert many < few + 100_000, "a row takes 50 KB"


def test_a_column_that_a_later_row_brings_stands_where_it_does_there(tmp_path):
    written(tmp_path, [{"path": "a", "class": "x", "p": 1}, {"path": "b", "class": "x", "truth": "y", "p": 1, "q": 2}])
    assert (tmp_path / "rows.csv").read_text().splitlines() == ["path,class,truth,p,q", "a,x,,1,", "b,x,y,1,2"]
