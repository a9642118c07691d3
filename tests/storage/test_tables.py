"""Tables are CSV that a spreadsheet shows and does not run."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from maecli.storage.tables import csv_line


def read(line: str) -> list[str]:
    (cells,) = csv.reader(io.StringIO(line, newline=""))
    return cells


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\rx", "\nx", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")'),
        *(" =1+1", "\u00a0=1+1", "\u200b=1+1", "\ufeff=1+1", "\u3000@x", "\x01=1+1", "＝1+1", "＋1+1", "－1+1", "＠x"),
        *("-1 -x", "- 1", "+1e5x", "--1", "-1,5", "-٣"),
    ],
)
def test_text_that_begins_like_a_formula_is_marked_as_text(cell):
    assert read(csv_line([cell])) == [f"'{cell}"]


@pytest.mark.parametrize("cell", ["x;=1+1", "x\t=1+1", "x\n=1+1", "x\r=1+1", "x; =1+1"])
def test_a_formula_behind_what_other_spreadsheets_take_for_the_end_of_a_cell_is_marked_too(cell):
    assert read(csv_line([cell])) == [f"{cell[:2]}'{cell[2:]}"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        *((-0.5, "-0.5"), (-3, "-3"), (np.float32(-0.1), "-0.1"), (np.int64(-7), "-7"), (float("-inf"), "-inf")),
        *((True, "true"), (None, ""), (1e-30, "1e-30")),
    ],
)
def test_numbers_are_never_touched(cell, text):
    assert csv_line([cell]) == f"{text}\n"


@pytest.mark.parametrize("cell", ["-3", "+1e5", "-.5", "-inf", "-0.5 -0.25", "-", "+", "", "a=b", "-1;-2", "cat;dog"])
def test_text_that_is_a_number_or_a_lone_sign_stays(cell):
    assert csv_line([cell]) == f"{cell}\n"


@pytest.mark.parametrize("cell", ["a,b", 'a "b"', "a\nb", "a\rb", " a ", ""])
def test_other_text_comes_back_as_it_was(cell):
    assert read(csv_line(["x", cell, "y"])) == ["x", cell, "y"]


def test_what_text_files_cannot_hold_is_an_escape():
    assert csv_line(["a\0b", "caf\udce9"]) == "a\\x00b,caf\\udce9\n"
