from __future__ import annotations

import codecs

import numpy as np
import pytest
from cards import card

from maecli.data.tabular.columns import Column, as_image, num_channels
from maecli.modalities.tables.modality import Tables

COLUMNS = (
    Column(name="size", kind="number", knots=(0.0, 100.0), decimals=2),
    Column(name="rooms", kind="integer", knots=(0.0, 10.0), decimals=1),
    Column(name="street", kind="category", categories=("=park, inner", "quay")),
    Column(name="built", kind="date", knots=(0.0, 86400.0 * 1000), time="%Y-%m-%d"),
)
CARD = card(
    size=(4,),
    cells=tuple(column.name for column in COLUMNS),
    columns=COLUMNS,
    channels=num_channels(COLUMNS),
    value_range=(-0.5, 1.5),
    missing=True,
)
ROW = as_image(np.array([0.12345, 0.26, 0, 0.0101], np.float32), COLUMNS)
"""12.345, 2.6 rooms, the park, ten days after 1970 began."""


def handed_back(path, rows, of=CARD):
    """Return the file that is handed back once each of some rows was filled in alike, and what takes them."""
    back = Tables().hand_back(path, of)
    for row in rows:
        back.add(str(row), ROW if of is CARD else np.array([[0.5, 7]], np.float32))
    return b"".join(back.contents()), back


def write(tmp_path, content: str | bytes, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_what_is_there_is_as_it_was_and_what_is_missing_is_written_as_its_column_is(tmp_path):
    path = write(tmp_path, "built,note, size,rooms,street\n1970-01-05,  x ,NA, 3.0,\n,,1.5,?,quay\n")
    made, _ = handed_back(path, [1, 2])
    assert made.decode().splitlines() == [
        "built,note, size,rooms,street",
        '1970-01-05,  x ,12.3, 3.0,"=park, inner"',
        "1970-01-11,,1.5,3.0,quay",
    ]


def test_a_file_is_filled_in_in_its_own_spelling_whatever_that_of_training(tmp_path):
    text = 'street;rooms;built;size\r\n"";4;05.01.1970;1.234,5\r\n"quay";;;\r\n'
    path = write(tmp_path, codecs.BOM_UTF8 + text.encode())
    made, _ = handed_back(path, [1, 2])
    assert made == codecs.BOM_UTF8 + b'street;rooms;built;size\r\n"=park, inner";4;05.01.1970;1.234,5\r\n' + (
        b'"quay";3;11.01.1970;12,3\r\n'
    )


def test_a_category_that_the_model_does_not_know_stays(tmp_path):
    path = write(tmp_path, "size,rooms,street,built\n1.0,1,alley,1970-01-02\n")
    made, back = handed_back(path, [1])
    assert made == path.read_bytes()
    assert back.notes() == ["0 missing cells of t.csv filled in"]


def test_a_row_that_never_came_stays(tmp_path):
    path = write(tmp_path, "size,rooms,street,built\n,1,quay,1970-01-02\n,1,quay,1970-01-02\n")
    made, _ = handed_back(path, [2])
    assert made.decode().splitlines()[1:] == [",1,quay,1970-01-02", "12.35,1,quay,1970-01-02"]


def test_columns_that_hold_nothing_or_are_unknown_are_kept_and_told(tmp_path):
    path = write(tmp_path, "size,rooms,empty,street,note,built\n,1,,quay,,1970-01-02\n,,,quay,x,1970-01-02\n")
    made, back = handed_back(path, [1, 2])
    assert made.decode().splitlines()[1:] == ["12.35,1,,quay,,1970-01-02", "12.35,3,,quay,x,1970-01-02"]
    assert back.notes() == [
        "3 missing cells of t.csv filled in: size 2, rooms 1",
        "the column 'size' holds nothing there; what is filled in is as in the rows learnt from",
        "the column 'empty' holds nothing, and is kept as it is",
        "the column 'note' is kept as it is, with 1 missing cell: the model did not learn it",
    ]


def test_another_file_says_which_cells_were_filled_in(tmp_path):
    path = write(tmp_path, "size,rooms,=note,street,built\n,1,,quay,1970-01-02\n2,,x,,1970-01-02\n")
    _, back = handed_back(path, [1, 2])
    suffix, pieces = back.mark()
    assert suffix == ".mark.csv"
    assert b"".join(pieces) == b"size,rooms,=note,street,built\n1,0,0,0,0\n0,1,0,1,0\n"


def test_a_sentinel_that_the_card_names_is_missing(tmp_path):
    columns = tuple(column.model_copy(update={"missing": ("-999",)}) for column in COLUMNS)
    made, _ = handed_back(
        write(tmp_path, "size,rooms,street,built\n-999,1,quay,1970-01-02\n"),
        [],
        CARD.model_copy(update={"columns": columns}),
    )
    assert made.decode().splitlines()[1] == "-999,1,quay,1970-01-02"
    back = Tables().hand_back(tmp_path / "t.csv", CARD.model_copy(update={"columns": columns}))
    back.add("1", ROW)
    assert b"".join(back.contents()).decode().splitlines()[1] == "12.35,1,quay,1970-01-02"


def test_plain_numbers_are_handed_back_too(tmp_path):
    plain = card(size=(2,), cells=("x", "y"), missing=True)
    made, _ = handed_back(write(tmp_path, "y,x\n1.25,\n,3\n"), [1, 2], plain)
    assert made == b"y,x\n1.25,0\n7.00,3\n"  # x is written without decimals here
    np.save(tmp_path / "t.npy", np.array([[np.nan, 1], [2, np.nan]]))
    made, back = handed_back(tmp_path / "t.npy", [1, 2], plain)
    (tmp_path / "made.npy").write_bytes(made)
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), [[0.5, 1], [2, 7]])
    assert back.notes() == ["2 missing cells of t.npy filled in"]
    suffix, pieces = back.mark()
    (tmp_path / "mark.npy").write_bytes(b"".join(pieces))
    assert suffix == ".mark.npy"
    np.testing.assert_array_equal(np.load(tmp_path / "mark.npy"), [[True, False], [False, True]])


def test_parquet_is_handed_back_in_its_own_types(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = [("built", pa.date32()), ("size", pa.float64()), ("rooms", pa.int16()), ("street", pa.string())]
    table = pa.table(
        {"built": ["1970-01-02", None], "size": ["1.5", None], "rooms": [None, "4"], "street": [None, "quay"]},
        schema=pa.schema([(name, pa.string()) for name, _ in types]),
    ).cast(pa.schema(types))
    pq.write_table(table, tmp_path / "t.parquet")
    made, _ = handed_back(tmp_path / "t.parquet", [1, 2])
    (tmp_path / "made.parquet").write_bytes(made)
    read = pq.read_table(tmp_path / "made.parquet")
    assert read.schema.types == table.schema.types
    assert read.column("rooms").to_pylist() == [3, 4]
    assert read.column("street").to_pylist() == ["=park, inner", "quay"]
    assert read.column("size").to_pylist() == pytest.approx([1.5, 12.3])
    assert str(read.column("built").to_pylist()[1]) == "1970-01-11"
