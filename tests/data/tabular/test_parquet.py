from __future__ import annotations

import builtins
import datetime

import pytest

from maecli.data.tabular import parquet
from maecli.data.tabular.read import read_table
from maecli.errors import BrokenSample


@pytest.fixture
def path(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "n": pa.array([1, None, 3], pa.int16()),
        "x": pa.array([0.1, float("nan"), None], pa.float32()),
        "t": pa.array(["a", None, " b"]),
        "k": pa.array(["u", "v", None]).dictionary_encode(),
        "b": pa.array([True, None, False]),
        "d": pa.array([datetime.date(2016, 7, 1), None, datetime.date(2016, 7, 3)]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_typed_columns_are_read_as_text(path):
    read = read_table(path)
    assert {column.name: list(column) for column in read.columns} == {
        "n": ["1", "", "3"],
        "x": ["0.1", "nan", ""],
        "t": ["a", "", "b"],
        "k": ["u", "v", ""],
        "b": ["true", "", "false"],
        "d": ["2016-07-01", "", "2016-07-03"],
    }
    assert read.lines.tolist() == [1, 2, 3]


def test_cells_are_filled_in_the_types_of_their_columns(path):
    import pyarrow.parquet as pq

    from maecli.data.tabular.parquet import filled_parquet

    before = pq.read_table(path)
    path.write_bytes(filled_parquet(path, {1: {0: "2", 4: "true", 5: "2016-07-02"}, 2: {1: "0.5", 3: "u"}}))
    after = pq.read_table(path)
    assert after.schema == before.schema
    assert after.column("n").to_pylist() == [1, 2, 3]
    assert after.column("x").to_pylist()[2] == 0.5
    assert after.column("t").equals(before.column("t"))
    assert after.column("k").to_pylist() == ["u", "v", "u"]
    assert after.column("b").to_pylist() == [True, True, False]
    assert after.column("d").to_pylist()[1] == datetime.date(2016, 7, 2)


def test_a_column_that_cannot_hold_the_text_is_named(path):
    from maecli.data.tabular.parquet import filled_parquet

    with pytest.raises(BrokenSample, match=r"column 'n' of int16 cannot be filled"):
        filled_parquet(path, {1: {0: "2.5"}})
    with pytest.raises(BrokenSample, match="has no row 4"):
        filled_parquet(path, {3: {0: "2"}})


def test_damaged_and_nested_files_are_refused_in_a_sentence(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"l": [[1], [2]]}), path)
    with pytest.raises(BrokenSample, match="column 'l' holds list<"):
        read_table(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(BrokenSample, match="is no Parquet file, or damaged"):
        read_table(path)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        BrokenSample, match=r"is Parquet, which needs the extra parquet: pip install 'maecli\[parquet\]'"
    ):
        read_table(tmp_path / "t.parquet")


def test_few_bytes_become_no_more_than_is_bearable(tmp_path, monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path, rows = tmp_path / "t.parquet", 20_000
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 2**18]))
    for schema in (True, False):
        pq.write_table(pa.table({"n": range(rows), "t": texts}), path, compression="zstd", store_schema=schema)
        assert path.stat().st_size < 10**6
        with pytest.raises(BrokenSample, match="column 't' holds more than 1,073,741,824 bytes of text; leave it out"):
            read_table(path)
    monkeypatch.setattr(parquet, "MAX_CELLS", 2 * rows - 1)
    with pytest.raises(BrokenSample, match="holds more than 39,999 cells; split the file"):
        read_table(path)
    monkeypatch.setattr(parquet, "MAX_CELLS", 2 * rows)
    monkeypatch.setattr(parquet, "MAX_BYTES", 1000)
    with pytest.raises(BrokenSample, match="holds more than 1,000 bytes when it is unpacked"):
        read_table(path)
    pq.write_table(pa.table({"b": pa.array([b"x" * 501] * 2, pa.binary(501))}), path)
    with pytest.raises(BrokenSample, match="column 'b' holds more than 1,000 bytes of text"):
        read_table(path)


def test_cells_of_a_text_that_is_not_there_are_damage(tmp_path):
    pa = pytest.importorskip("pyarrow")
    texts = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array([], pa.string()), safe=False)
    with pytest.raises(BrokenSample, match="is no Parquet file, or damaged: Index 0 out of bounds"):
        parquet._as_text(pa.chunked_array([texts]), tmp_path / "t.parquet", "t")
