from __future__ import annotations

import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quick_imputer import quick
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from maecli import MAEImputer
from maecli.errors import SpecError
from maecli.imputer.learning import usual_epochs
from maecli.training.loop.trainer import Trainer


def all_checks():
    """Return all checks of scikit-learn but those that need what is not installed."""
    return [check for _, check in estimator_checks_generator(quick()) if check.func.__name__ != "check_array_api_input"]


@pytest.fixture
def line():
    """Return columns (200, 4) that follow one number, and which values of them to hide."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    rows = np.stack([z, 3 - z + 0.1 * rng.normal(size=200), np.round(5 * z), z > 0], 1)
    return rows, rng.random(rows.shape) < 0.2


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.func.__name__)
def test_it_is_as_scikit_learn_wants_it(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks do what a person is warned of
        check(quick())


def test_the_package_itself_needs_neither_torch_nor_scikit_learn():
    code = "import sys, maecli; print([name for name in ('torch', 'sklearn') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_it_learns_how_columns_depend_on_each_other(line):
    rows, hidden = line
    holed = np.where(hidden, np.nan, rows)
    holed[0] = np.nan
    filled = quick(epochs=30).fit_transform(holed)
    hidden[0] = True
    assert np.array_equal(filled[~hidden], rows[~hidden])
    error, of_mean = (np.abs(made - rows)[hidden].mean() for made in (filled, np.nanmean(holed, 0)))
    assert error < of_mean / 2
    assert set(filled[:, 3]) == {0.0, 1.0}  # truths stay truths,
    assert np.array_equal(filled[:, 2], np.round(filled[:, 2]))  # and whole numbers whole
    assert (np.nanmin(holed, 0) <= filled.min(0)).all()
    assert (filled.max(0) <= np.nanmax(holed, 0)).all()


def test_what_is_filled_in_depends_on_the_row_and_on_the_random_state_alone(line):
    rows, hidden = line
    holed = np.where(hidden, np.nan, rows)
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    imputer = quick().fit(holed)
    assert torch.rand(1) == before, "random numbers of others are not touched"
    filled = imputer.transform(holed)
    assert np.array_equal(quick().fit_transform(holed), filled)
    assert not np.array_equal(quick(random_state=1).fit_transform(holed), filled)
    np.testing.assert_allclose(imputer.transform(holed[7:8]), filled[7:8], rtol=1e-5)
    np.testing.assert_allclose(imputer.transform(holed[::-1])[::-1], filled, rtol=1e-5)


def test_it_is_part_of_pipelines_and_searches(line):
    rows, hidden = line
    holed = np.where(hidden, np.nan, rows)
    columns = ColumnTransformer([("fill", quick(), [0, 1, 2])], remainder="drop")
    pipeline = make_pipeline(columns, Ridge())
    grid = {"columntransformer__fill__mask_ratio": [0.3, 0.6]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(holed, rows[:, 0])
    assert np.isfinite(search.predict(holed)).all()
    assert list(search.best_estimator_[0].get_feature_names_out()) == ["fill__x0", "fill__x1", "fill__x2"]


def test_a_pickle_and_a_clone_are_what_they_should_be(line):
    rows, hidden = line
    holed = np.where(hidden, np.nan, rows)
    imputer = quick(mask_ratio=0.3).fit(holed)
    copy = pickle.loads(pickle.dumps(imputer))
    assert np.array_equal(copy.transform(holed), imputer.transform(holed))
    assert clone(imputer).get_params() == imputer.get_params()


def test_a_column_of_nothing_stays_or_is_left_out(line):
    rows, _ = line
    rows[:, 1] = np.nan
    with pytest.warns(UserWarning, match="1 column cannot be learnt: 'x1' holds nothing and stays as it is"):
        imputer = quick().fit(rows)
    assert np.isnan(imputer.transform(rows)[:, 1]).all()
    with pytest.warns(UserWarning, match="'x1' holds nothing and is left out"):
        imputer = quick(keep_empty_features=False).fit(rows)
    assert imputer.transform(rows).shape == (200, 3)
    assert list(imputer.get_feature_names_out()) == ["x0", "x2", "x3"]


def test_a_constant_is_filled_in_as_it_is():
    assert quick().fit_transform([[5.5, 1], [5.5, 2], [np.nan, 3]])[2, 0] == 5.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 1, "time": "1m"}, "both say how long fit takes"),
        ({"epochs": 0}, "train.epochs is 0"),
        ({"scaler": "none"}, "dataset.scaler is 'none'"),
        ({"mask_ratio": 1.0}, "task.mask_ratio is 1.0"),
        ({"settings": {"model.depht": 2}}, "did you mean 'depth'?"),
        ({"settings": {"task.name": "reconstruct"}}, "task reconstruct fills nothing in"),
        ({"device": "gpu"}, "device 'gpu' is none of"),
        ({"epochs": None, "time": "soon"}, "write 90s, 10m"),
        ({"epochs": None, "time": 0}, "must be 5 seconds or more"),
    ],
)
def test_settings_that_do_not_fit_are_value_errors(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        quick(**options).fit([[1.0, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[np.nan], [np.nan]], "X holds nothing to learn from"),
        ([[np.inf, 1.0]], "contains infinity"),
        ([[1e308, 1.0], [-1e308, 2.0]], "column 'x0' reaches from -1e+308 to 1e+308"),
    ],
)
def test_rows_that_cannot_be_learnt_are_value_errors(rows, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        quick().fit(rows)


def test_the_steps_follow_from_the_rows_or_from_the_time(line, monkeypatch):
    rows, _ = line
    trained = []

    def fit(trainer: Trainer) -> None:
        trained.append(trainer.schedule.total_steps)

    monkeypatch.setattr(Trainer, "fit", fit)
    for options in ({"epochs": None}, {"epochs": 3}, {"epochs": None, "time": 5}):
        quick(**options).fit(rows)
    assert trained[0] == 20 * 13  # batches of 16
    assert trained[1] == 3 * 13
    assert trained[2] >= 100


def test_few_rows_are_seen_more_often_and_many_less():
    assert [usual_epochs(num) for num in (1, 30, 150, 20_000, 100_000, 10**6)] == [3000, 100, 20, 20, 4, 1]


def test_what_was_saved_is_a_run_that_fills_in_alike(line, tmp_path, mae):
    rows, hidden = line
    holed = np.where(hidden, np.nan, rows)
    imputer = quick().fit(holed)
    imputer.save(tmp_path / "saved")
    again = MAEImputer.from_run(tmp_path / "saved")
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        filled = again.transform(holed)
    assert list(again.get_feature_names_out()) == ["x0", "x1", "x2", "x3"]
    assert np.array_equal(filled, imputer.transform(holed))

    lines = [",".join("" if np.isnan(cell) else f"{cell:.17g}" for cell in row) for row in holed.tolist()]
    (tmp_path / "data.csv").write_text("\n".join(["x0,x1,x2,x3", *lines]) + "\n")
    command = ("infer", tmp_path / "data.csv", "--run", tmp_path / "saved", "--out", tmp_path / "out")
    outcome = mae(*command, "--device", "cpu", "--precision", "float32")
    assert outcome.exit_code == 0, outcome.stderr
    handed_back = np.genfromtxt(tmp_path / "out/files/data.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(handed_back, filled, rtol=1e-5)


def test_a_run_that_fills_in_no_columns_is_refused(monkeypatch):
    run = SimpleNamespace(task=SimpleNamespace(name="reconstruct", fills=False), card=SimpleNamespace(columns=()))
    monkeypatch.setattr("maecli.imputer.imputer.restore", lambda *_: run)
    with pytest.raises(SpecError, match="was trained for task reconstruct, which fills in no columns"):
        MAEImputer.from_run("runs/pretrain-pictures")


def test_the_readme_s_lines_run(line, tmp_path, monkeypatch):
    rows, hidden = line
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n(from maecli import MAEImputer\n.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"train": np.where(hidden, np.nan, rows), "new": np.where(hidden, np.nan, rows)[:5]}
    exec(lines.replace("random_state=0", "random_state=0, epochs=1"), names)
    assert np.isfinite(names["filled"]).all()
