from __future__ import annotations

import numpy as np
import pytest

from maecli.data.tabular.missing import Missing
from maecli.data.tabular.numbers import (
    NotANumber,
    NumberFormat,
    as_spelled,
    find_format,
    number_formats,
    read_numbers,
)
from maecli.data.tabular.table import TextColumn, TextTable

NOTHING = Missing()


def column(*cells: str, name: str = "a") -> TextColumn:
    made = TextColumn(name)
    made.extend(cells)
    return made


def read(*cells: str, commas: bool = False) -> list[float]:
    made = column(*cells)
    form = find_format(made, NOTHING, commas)
    assert form is not None
    return read_numbers(made, form, NOTHING).tolist()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("1", "-2.5", "+3e2", ".5", "4."), [1, -2.5, 300, 0.5, 4]),
        (("1,5", "-2", "0,125"), [1.5, -2, 0.125]),
        (("1.234,5", "12"), [1234.5, 12]),
        (("1 234,5", "12"), [1234.5, 12]),
        (("1\u00a0234,5", "12"), [1234.5, 12]),
        (("1,234.5", "12"), [1234.5, 12]),
        (("1,234,567", "12"), [1234567, 12]),
        (("1'234.5", "12"), [1234.5, 12]),
    ],
)
def test_numbers_are_read_as_people_write_them(cells, values):
    assert read(*cells) == values


def test_a_comma_before_three_digits_counts_thousands_unless_semicolons_separate_or_another_cell_says_otherwise():
    assert read("1,234") == [1234]
    assert read("1,234", commas=True) == [1.234]
    assert read("1,234", "0,5") == [1.234, 0.5]


def test_points_count_thousands_where_another_column_has_decimal_commas(tmp_path):
    columns = [column("1.234", "56", name="a"), column("2,5", "3", name="b"), column("1.25", "2", name="c")]
    formats = number_formats(TextTable(tmp_path, columns, np.arange(2)), NOTHING)
    assert read_numbers(columns[0], formats["a"], NOTHING).tolist() == [1234, 56]
    assert read_numbers(columns[2], formats["c"], NOTHING).tolist() == [1.25, 2]
    alone = number_formats(TextTable(tmp_path, columns[:1], np.arange(2)), NOTHING)
    assert read_numbers(columns[0], alone["a"], NOTHING).tolist() == [1.234, 56]


@pytest.mark.parametrize("cells", [("a",), ("1", "x"), ("1_000",), ("1,2,3",), ("12,34.5",), ("", "NA"), ()])
def test_other_columns_are_none_of_numbers(cells):
    assert find_format(column(*cells), NOTHING) is None


def test_cells_that_hold_nothing_are_nan():
    np.testing.assert_array_equal(read("1", "NA", "", "nan", "2"), [1, np.nan, np.nan, np.nan, 2])
    np.testing.assert_array_equal(read("1,5", "NA", "2"), [1.5, np.nan, 2])
    known = Missing(["-999"])
    np.testing.assert_array_equal(read_numbers(column("-999", "1"), NumberFormat(), known), [np.nan, 1])


def test_the_first_cell_that_holds_something_else_is_named():
    with pytest.raises(NotANumber) as caught:
        read_numbers(column("1", "NA", "x", "y"), NumberFormat(), NOTHING)
    assert (caught.value.row, caught.value.cell) == (2, "x")


@pytest.mark.parametrize(
    ("cells", "value", "text"),
    [
        (("1", "2"), 2.6, "3"),
        (("1.0", "2.0"), 3.0, "3.0"),
        (("1.5", "2.25"), -0.001, "0.00"),
        (("1,5", "2,25"), 1234.567, "1234,57"),
        (("1.234,5", "2"), 1234.567, "1.234,6"),
        (("1,234", "2"), -1234567.4, "-1,234,567"),
        (("1e3", "2"), 1234.5, "1234.5"),
        (("1e3", "2"), 1e22, "1e+22"),
    ],
)
def test_a_number_is_written_as_its_column_writes_others(cells, value, text):
    form = find_format(column(*cells), NOTHING)
    assert form is not None
    assert as_spelled(form, cells).text(value) == text
