from __future__ import annotations

import codecs

import pytest

from maecli.data.tabular.filled import filled
from maecli.data.tabular.read import read_table
from maecli.errors import BrokenSample


def write(tmp_path, content: bytes):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    return path


def test_nothing_to_fill_is_the_file_byte_by_byte(tmp_path):
    content = codecs.BOM_UTF8 + b'sep=;\r\n"a";b ;a\n\n 1;"x;""y""" ;\r\n   \n"";2;\n3;;4'
    path = write(tmp_path, content)
    assert b"".join(filled(path, {})) == content


@pytest.mark.parametrize(
    ("content", "cells", "made"),
    [
        (b"a,b\n1,\n,2\n", {0: {1: "5"}, 1: {0: "6"}}, b"a,b\n1,5\n6,2\n"),
        (b"a;b\r\n1;NA\r\n\r\nNA;2", {0: {1: "5,5"}, 1: {0: "6"}}, b"a;b\r\n1;5,5\r\n\r\n6;2"),
        (b'a,b\n"","x, ""y"""\n', {0: {0: "z"}}, b'a,b\n"z","x, ""y"""\n'),
        (b'a,b,c\n"x\n,",,\n', {0: {1: "1", 2: "p, q"}}, b'a,b,c\n"x\n,",1,"p, q"\n'),
        (b'a\n""\n1\n', {0: {0: "2"}}, b'a\n"2"\n1\n'),
        (codecs.BOM_UTF16_LE + "ä,b\n1,?\n".encode("utf-16-le"), {0: {1: "ö"}}, None),
    ],
)
def test_only_the_cells_that_are_filled_change(tmp_path, content, cells, made):
    path = write(tmp_path, content)
    wanted = content.replace("?".encode("utf-16-le"), "ö".encode("utf-16-le")) if made is None else made
    assert b"".join(filled(path, cells)) == wanted


def test_rows_are_counted_as_they_are_read(tmp_path):
    path = write(tmp_path, b"a,b\n\n1,\n  \n2,\n")
    table = read_table(path)
    path.write_bytes(b"".join(filled(path, {row: {1: f"{row}0"} for row in range(len(table))})))
    assert list(read_table(path).columns[1]) == ["00", "10"]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [({2: {0: "1"}}, "has no row 3; was it changed"), ({0: {4: "1"}}, "line 2: has no cell 5; was it changed")],
)
def test_a_file_that_has_no_such_cell_is_refused(tmp_path, cells, reason):
    with pytest.raises(BrokenSample, match=reason):
        b"".join(filled(write(tmp_path, b"a,b\n1,2\n3,4\n"), cells))


def test_text_that_the_encoding_has_no_letters_for_is_refused(tmp_path):
    with pytest.raises(BrokenSample, match="line 2: 'Ł' is no letter of cp1252"):
        b"".join(filled(write(tmp_path, "ä,b\n1,2\n".encode("cp1252")), {0: {1: "Ł"}}))
