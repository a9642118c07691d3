from __future__ import annotations

import warnings

import numpy as np
import pytest
from maecli_plugins.tasks.impute import baselines
from maecli_plugins.tasks.impute.baselines import CHAINED, FORESTS, NEIGHBOURS, SIMPLE, Baselines
from maecli_plugins.tasks.impute.chained import Chain
from maecli_plugins.tasks.impute.wide import narrow, wide

NAN = np.nan


@pytest.fixture
def line():
    """Rows of x, 2x, and whether x is above 0."""
    x = np.linspace(-1, 1, 60)
    return np.stack([x, 2 * x, (x > 0).astype(float)], 1)


def test_the_simple_guess_is_the_mean_and_the_most_frequent_category():
    known = np.array([[1.0, 2.0], [3.0, 2.0], [NAN, 0.0], [NAN, NAN]])
    assert Baselines(known, [0, 3]).simple().tolist() == [2.0, 2.0]
    assert Baselines(np.full((3, 2), NAN), [0, 3]).simple().tolist() == [0.0, 0.0]


def test_columns_count_alike_whatever_their_units():
    known, units = np.random.default_rng(0).normal(size=(40, 3)), np.array([1e6, 1e-3, 1.0])
    rows = known[:4].copy()
    rows[:2, 1], rows[2:, 0] = NAN, NAN
    scaled = Baselines(known * units, [0, 0, 0]).filled(rows * units)
    for name, made in Baselines(known, [0, 0, 0]).filled(rows).items():
        np.testing.assert_allclose(scaled[name] / units, made, atol=1e-6)


def test_neighbours_and_regression_fill_in_what_the_other_cells_tell(line):
    rows = line[[5, 50]].copy()
    truth = rows.copy()
    rows[0, 1], rows[1, 2] = NAN, NAN
    made = Baselines(line, [0, 0, 2]).filled(rows)
    assert set(made) == {SIMPLE, NEIGHBOURS, CHAINED}
    for name in (NEIGHBOURS, CHAINED):
        np.testing.assert_allclose(made[name], truth, atol=0.2)
        assert made[name][1, 2] == 1


def test_what_would_take_long_is_left_out(line, monkeypatch):
    assert set(Baselines(line, [0, 0, 2]).filled(line, slow=())) == {SIMPLE}
    assert set(Baselines(line[:5], [0, 0, 2]).filled(line)) == {SIMPLE}
    assert set(Baselines(line, [0, 0, 200]).filled(line)) == {SIMPLE, NEIGHBOURS}
    monkeypatch.setattr(baselines, "MOST_ROWS", 4)
    made = Baselines(line, [0, 0, 2]).filled(line)[NEIGHBOURS]
    assert (~np.isnan(made)).all(1).nonzero()[0].tolist() == [0, 20, 39, 59]


def test_forests_tell_numbers_and_categories_from_other_columns_though_training_rows_lack_some(monkeypatch):
    monkeypatch.setattr(baselines, "NUM_TREES", 8)
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, 240)
    rows = np.stack([x, x**2, np.digitize(x, [-0.4, 0.4]).astype(float)], 1)
    holes = rows.copy()
    holes[random.random(rows.shape) < 0.2] = NAN
    lacking = holes[200:][np.isnan(holes[200:]).sum(1) == 1]
    truth = rows[200:][np.isnan(holes[200:]).sum(1) == 1]
    made = Baselines(holes[:200], [0, 0, 3]).filled(lacking, {FORESTS})
    assert set(made) == {SIMPLE, FORESTS}
    off = {name: abs(each - truth)[np.isnan(lacking)].mean() for name, each in made.items()}
    assert off[FORESTS] < off[SIMPLE] / 2
    np.testing.assert_allclose(made[FORESTS][~np.isnan(lacking)], lacking[~np.isnan(lacking)])


def test_what_was_filled_once_is_not_filled_again(line, monkeypatch):
    first = Baselines(line, [0, 0, 2]).filled(line, {NEIGHBOURS})
    monkeypatch.setattr(Baselines, "_by_nearest", None)
    again = Baselines(line, [0, 0, 2]).filled(line, {NEIGHBOURS})
    np.testing.assert_array_equal(again[NEIGHBOURS], first[NEIGHBOURS])
    with pytest.raises(TypeError):
        Baselines(line + 1, [0, 0, 2]).filled(line, {NEIGHBOURS})


def test_a_chain_of_numbers_is_that_of_scikit_learn():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.linear_model import BayesianRidge

    random = np.random.default_rng(0)
    rows = random.normal(size=(120, 2)) @ random.normal(size=(2, 4)) + 0.1 * random.normal(size=(120, 4))
    rows[random.random(rows.shape) < 0.2] = NAN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = IterativeImputer(max_iter=4, random_state=0).fit(rows[:80]).transform(rows[80:])
    np.testing.assert_allclose(Chain(rows[:80], [0] * 4, BayesianRidge(), 4).filled(rows[80:]), theirs)


def test_a_category_is_a_column_for_each_value_and_back():
    rows = np.array([[1.5, 2.0], [NAN, NAN], [0.0, 0.0]])
    spread = wide(rows, [0, 3])
    np.testing.assert_array_equal(spread, [[1.5, 0, 0, 1], [NAN, NAN, NAN, NAN], [0, 1, 0, 0]])
    np.testing.assert_array_equal(narrow(spread[[0, 2]], [0, 3]), rows[[0, 2]])
