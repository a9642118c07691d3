"""Frames of pandas, which people bring: mae does not need it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from quick_imputer import quick

from maecli import MAEImputer


@pytest.fixture(scope="module")
def whole():
    """Return a column (200,) of each kind, all of which follow one number."""
    z = np.random.default_rng(0).normal(size=200)
    columns = {
        "number": z,
        "float32": (2 * z).astype(np.float32),
        "whole": np.round(10 * z),
        "Int64": pd.array(np.round(5 * z).astype(int), dtype="Int64"),
        "boolean": pd.array(z > 0, dtype="boolean"),
        "category": pd.Categorical(np.where(z > 0, "up", "down"), categories=["none", "up", "down"]),
        "codes": pd.Categorical(np.where(z > 0, 7, 3), categories=[3, 5, 7]),
        "text": pd.Series(np.where(z > 0, "NA", "low")).astype(object),
        "ints": pd.Series(np.round(4 * z).astype(int)).astype(object),
        "truths": pd.Series(z > 0).astype(object),
        "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(10 * z), unit="D"),
        "zone": pd.Timestamp("2020-01-01 10:00:01", tz="Europe/Berlin") + pd.to_timedelta(np.round(99 * z), unit="s"),
    }
    return pd.DataFrame(columns).set_index(pd.Index(range(7, 207)))


@pytest.fixture(scope="module")
def holed(whole):
    hidden = np.random.default_rng(1).random(whole.shape) < 0.2
    return whole.mask(hidden).astype(whole.dtypes)


@pytest.fixture(scope="module")
def imputer(holed):
    return quick(epochs=25).fit(holed)


def test_a_frame_comes_back_as_one_of_the_same_dtypes_with_nothing_missing(imputer, whole, holed):
    filled = imputer.transform(holed)
    assert (filled.dtypes == whole.dtypes).all()
    assert filled.index.equals(whole.index)
    assert filled.notna().all().all()
    for name in whole:
        there = holed[name].notna()
        assert (filled[name][there] == whole[name][there]).all()
    told = (filled == whole)[holed.isna()].stack().groupby(level=1).mean()
    assert told[["boolean", "category", "codes", "text", "truths"]].min() > 0.8
    assert set(filled["text"]) == {"NA", "low"}
    assert (filled["day"].dt.normalize() == filled["day"]).all()
    assert all(isinstance(value, int) for value in filled["ints"])
    assert list(imputer.get_feature_names_out()) == list(whole)


def test_rows_of_nothing_and_unknown_categories_are_taken(imputer, whole):
    empty = pd.DataFrame({name: [None, None] for name in whole})
    filled = imputer.transform(empty)
    assert filled.notna().all().all()
    assert isinstance(filled["day"][0], pd.Timestamp)
    odd = whole.iloc[:1].astype({"text": object})
    odd["text"] = "never seen"
    assert imputer.transform(odd)["text"].tolist() == ["never seen"]


def test_set_output_makes_frames_of_arrays_and_keeps_those_of_frames(holed):
    numbers = holed[["number", "whole"]]
    made = quick().set_output(transform="pandas").fit(numbers.to_numpy()).transform(numbers.to_numpy())
    assert list(made.columns) == ["x0", "x1"]
    made = quick().set_output(transform="pandas").fit_transform(numbers)
    assert list(made.columns) == ["number", "whole"]
    assert made.index.equals(numbers.index)


def test_columns_are_held_to_what_they_were_in_fit(imputer, whole):
    with pytest.raises(ValueError, match="feature names"):
        imputer.transform(whole.rename(columns={"day": "date"}))
    with pytest.raises(ValueError, match="column 'number' held numbers in fit, and holds text now"):
        imputer.transform(whole.assign(number="much"))


def test_whole_columns_take_what_is_not_whole_as_objects():
    numbers = pd.DataFrame({"a": [0.5, 1.25, 2.75] * 9, "b": [1, 2, 3] * 9})
    filled = quick().fit(numbers).transform(pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1, 2]}))
    assert filled["a"][0] == 1
    assert 0.5 <= filled["a"][1] <= 2.75


def test_free_text_stays_and_is_told():
    frame = pd.DataFrame({"a": [1.0, 2.0, None] * 20, "b": [f"text {i}" for i in range(60)], "c": [1, 2, 3] * 20})
    with pytest.warns(UserWarning, match="'b' holds 60 different texts and stays as it is"):
        filled = quick().fit_transform(frame)
    assert filled["b"].equals(frame["b"])
    assert filled["a"].notna().all()
    with pytest.raises(ValueError, match="0 sample"):
        quick().fit(frame.iloc[:0])
    with pytest.raises(ValueError, match="infinity"):
        quick().fit(frame.assign(a=np.inf))


def test_what_was_saved_knows_the_columns_that_were_learnt(imputer, holed, tmp_path):
    imputer.save(tmp_path / "saved")
    again = MAEImputer.from_run(tmp_path / "saved")
    assert again.transform(holed).equals(imputer.transform(holed))
