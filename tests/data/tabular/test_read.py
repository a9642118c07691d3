from __future__ import annotations

import codecs

import pytest

from maecli.data.tabular import table
from maecli.data.tabular.dialect import find_dialect
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.read import read_table
from maecli.errors import BrokenSample


def write(tmp_path, text: str, encoding: str = "utf-8", mark: bytes = b""):
    path = tmp_path / "t.csv"
    path.write_bytes(mark + text.encode(encoding))
    return path


def cells(read) -> dict[str, list[str]]:
    return {column.name: list(column) for column in read.columns}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_are_the_same_whatever_separates_and_ends_them(tmp_path, delimiter, end):
    text = 'a,"b, b",c\n1, x ,\n\n"2",y,z\n'.replace(",", delimiter).replace("\n", end)
    read = read_table(write(tmp_path, text))
    assert cells(read) == {"a": ["1", "2"], f"b{delimiter} b": ["x", "y"], "c": ["", "z"]}
    assert read.lines.tolist() == [2, 4]
    assert read.notes == []


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
    ],
)
def test_letters_are_right_in_every_encoding_and_a_mark_is_no_part_of_a_name(tmp_path, encoding, mark):
    read = read_table(write(tmp_path, "größe,b\nŁódź,2\n", encoding, mark))
    assert cells(read) == {"größe": ["Łódź"], "b": ["2"]}
    assert read.notes == []


def test_text_of_western_windows_is_read_and_told(tmp_path):
    read = read_table(write(tmp_path, "größe\n5 €\n", "cp1252"))
    assert cells(read) == {"größe": ["5 €"]}
    assert read.notes == ["is not UTF-8 and was read as Windows-1252; look whether its letters are right"]


def test_a_line_that_tells_the_delimiter_is_no_header(tmp_path):
    assert cells(read_table(write(tmp_path, "sep=;\na;b\n1;2,5\n"))) == {"a": ["1"], "b": ["2,5"]}


def test_quoted_cells_hold_delimiters_quotes_and_line_breaks(tmp_path):
    read = read_table(write(tmp_path, 'a,b\n"x, ""y""","1\n2"\n3,4\n'))
    assert cells(read) == {"a": ['x, "y"', "3"], "b": ["1\n2", "4"]}
    assert read.lines.tolist() == [3, 4]


def test_columns_without_a_name_of_their_own_get_one_and_it_is_told(tmp_path):
    read = read_table(write(tmp_path, "a,,a,a (2),\n1,2,3,4,5\n"))
    assert read.names == ["a", "column 2", "a (3)", "a (2)", "column 5"]
    assert read.notes == [
        "column 2 has no name; it is called 'column 2'",
        "column 3 has the name of column 1, 'a'; it is called 'a (3)'",
        "column 5 has no name; it is called 'column 5'",
    ]


def test_cells_are_found_in_every_block(tmp_path, monkeypatch):
    monkeypatch.setattr("maecli.data.tabular.read.BLOCK", 4)
    monkeypatch.setattr(table, "BLOCK", 4)
    read = read_table(write(tmp_path, "a,b\n" + "".join(f"{i},{'x' * i}\n" for i in range(10))))
    column = read.columns[1]
    assert [column[i] for i in range(10)] == list(column) == ["x" * i for i in range(10)]
    assert len(read) == len(column) == 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; its first line must name the columns"),
        (b"\n \n", "is empty; its first line must name the columns"),
        (codecs.BOM_UTF8, "is empty; its first line must name the columns"),
        (b"1,2\n3,4\n", "line 1: holds numbers; the first line must name the columns"),
        (b"a,b\n1,2\n3\n", "line 3: has 1 cell under 2 columns; quote cells that hold commas, and fill up rows"),
        (b"a;b\n1;2\n\n3;4;5\n", "line 4: has 3 cells under 2 columns; quote cells that hold semicolons"),
        (b'a,b\n"1\n2",2\n3,4,5\n', "line 4: has 3 cells under 2 columns"),
        (b"a,b\n1,\x00\n", "is no text: it holds zero bytes"),
        (b"a,b\n1,\x81\n", "is text neither in UTF-8 nor in Windows-1252"),
        (codecs.BOM_UTF16_LE + "a,b".encode("utf-16-le") + b"\n", "not all of it is text in UTF-16; save it as CSV"),
        (codecs.BOM_UTF8 + b"a,b\n1,\xff\n", "not all of it is text in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_the_line(tmp_path, content, reason):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(BrokenSample, match=reason):
        read_table(tmp_path / "t.csv")


def test_a_quote_that_is_never_closed_has_an_end(tmp_path):
    with pytest.raises(BrokenSample, match="line 1002: too long for a row of a table; close the quotes before it"):
        read_table(write(tmp_path, 'a,b\n"1,2\n' + "3,4\n" * 2000))


def test_a_file_that_is_not_there_cannot_be_read(tmp_path):
    with pytest.raises(BrokenSample, match="cannot be read"):
        read_table(tmp_path / "t.csv")


def test_labels_in_another_encoding_are_refused_as_ever(tmp_path):
    with pytest.raises(BrokenSample, match="not UTF-8 text; save it as CSV in UTF-8"):
        find_dialect(write(tmp_path, "ä,b\n", "latin-1"))


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "N.A.", "NaN", "None", "NULL", "?", "-", ".", "#N/A", "<NA>", "NaT"])
def test_nothing_has_many_spellings(cell):
    assert Missing()(cell)


def test_what_else_means_nothing_a_person_says():
    assert not Missing()("-999")
    assert Missing(["-999"])("-999")
    assert not Missing(["-999"])("-999.0")
    assert not Missing()("0")
