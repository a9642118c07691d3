from __future__ import annotations

import numpy as np
import pytest

from maecli.data.tabular.columns import Column, as_cells, as_image, moments, num_channels, read_cells
from maecli.data.tabular.fit import fit_column
from maecli.data.tabular.kinds import Kindred
from maecli.data.tabular.read import read_table
from maecli.data.tabular.table import TextColumn
from maecli.errors import BrokenSample

AGE = Column(name="age", kind="integer", knots=(0.0, 50.0), decimals=0)
KIND = Column(name="kind", kind="category", categories=("cat", "dog", "eel"))
SEX = Column(name="sex", kind="boolean", categories=("f", "m"))
COLUMNS = (AGE, KIND, SEX)


def test_an_image_has_a_place_or_one_category_for_each_cell_and_gives_them_back():
    cells = np.array([0.5, 2, np.nan], np.float32)
    image = as_image(cells, COLUMNS)
    assert num_channels(COLUMNS) == 4
    nan = np.nan
    np.testing.assert_array_equal(image, [[0.5, nan, nan], [nan, 0, nan], [nan, 0, nan], [nan, 1, nan]])
    np.testing.assert_array_equal(as_cells(image, COLUMNS), cells)


def test_the_likeliest_category_is_taken_and_no_other_columns():
    image = np.array([[0.1, 9, 9], [9, 0.2, 0.6], [9, 0.7, 0.4], [9, 0.1, 5]], np.float32)
    np.testing.assert_array_equal(as_cells(image, COLUMNS), np.array([0.1, 1, 0], np.float32))


def test_columns_of_a_new_file_are_found_by_name_whatever_their_order(tmp_path):
    (tmp_path / "t.csv").write_text("sex;other;kind;age\nm;x;eel;25\n;y;fox;NA\n")
    cells = read_cells(read_table(tmp_path / "t.csv"), COLUMNS)
    np.testing.assert_array_equal(cells, [[0.5, 2, 1], [np.nan, np.nan, np.nan]])


def test_a_cell_that_is_no_number_is_named_with_its_line(tmp_path):
    (tmp_path / "t.csv").write_text("sex,kind,age\nm,eel,25\nf,dog,old\n")
    with pytest.raises(BrokenSample, match="line 3, column 'age': 'old' is not a number; leave the cell empty"):
        read_cells(read_table(tmp_path / "t.csv"), COLUMNS)


def test_dates_keep_their_seconds_over_centuries():
    days = TextColumn("day")
    days.extend(["1900-01-01 00:00:00", "2024-02-29 12:34:56"])
    values = np.array([-2208988800.0, 1709210096.0])
    column = fit_column(Kindred(days, "date", values=values), np.arange(2))
    assert column is not None
    assert column.text(float(column.places(values)[1])) == "2024-02-29 12:34:56"


def test_quantiles_of_equal_values_are_in_the_middle_of_theirs():
    cells = TextColumn("x")
    values = np.array([0.0] * 50 + [1.0] * 50)
    column = fit_column(Kindred(cells, "number", values=values), np.arange(100), "quantile")
    assert column is not None
    places = column.places(np.array([0.0, 1.0, np.nan, -5.0]))
    np.testing.assert_allclose(places[:2], [0.25, 0.75], atol=0.02)
    assert np.isnan(places[2])
    np.testing.assert_array_equal(column.values(np.array([0.1, 0.9])), [0, 1])


def test_a_column_of_one_value_or_of_nothing():
    cells = TextColumn("x")
    one = fit_column(Kindred(cells, "number", values=np.array([7.0, 7.0])), np.arange(2))
    assert one is not None
    assert one.values(one.places(np.array([7.0]))).tolist() == [7.0]
    assert fit_column(Kindred(cells, "number", values=np.array([np.nan])), np.arange(1)) is None


def test_moments_are_those_of_numbers_that_are_there_in_units_of_a_card():
    numbers = Column(name="n", kind="number", knots=(0.0, 1.0))
    categories = Column(name="c", kind="category", categories=("a", "b"))
    cells = np.array([[0.0, 1], [1.0, 0], [np.nan, 1]], np.float32)  # places -0.5 and 1.5 are 0 and 1 of the card
    assert moments(cells, (numbers, categories)) == ((0.5, 0.25), (0.25, 0.5))
    assert moments(cells[:1], (numbers,))[1] == (0.5,)


def test_numbers_between_0_and_1_keep_their_ranges_to_each_other_and_have_a_mean_variance_of_1():
    numbers = tuple(Column(name=name, kind="number", knots=(0.0, 1.0)) for name in "abc")
    categories = Column(name="d", kind="category", categories=("a", "b"))
    cells = np.array([[0.0, 0.5, 0.3, 1], [1.0, 0.6, 0.3, 0]], np.float32)  # deviations .5, .05 and none
    mean, std = moments(cells, (*numbers, categories), "minmax")
    np.testing.assert_allclose(mean, [0.5, 0.525, 0.4, 0.25], rtol=1e-6)
    assert std[0] == std[1]
    assert std[2:] == (0.5, 0.5)  # 1 in the samples' own numbers
    z = cells[:, :2].std(0) / (2 * std[0])
    np.testing.assert_allclose((z**2).mean(), 1, rtol=1e-6)
