from __future__ import annotations

from types import SimpleNamespace

import cards
import numpy as np
import pytest
import torch
from maecli_plugins.tasks.regress import intervals
from maecli_plugins.tasks.regress.errors import TREES, NumberErrors
from maecli_plugins.tasks.regress.task import Regress
from parts import assert_parts_teach_the_whole

from maecli import api

SIZE = (8, 8)


def made(**options):
    """Return a task of which the mean is 50, the deviation 10 and the median 40, and a module of it."""
    scale = {"target_mean": (50.0,), "target_std": (10.0,), "target_median": (40.0,)}
    card = cards.card(fields=("image", "target"), size=SIZE, targets=("age",), **scale)
    task = Regress(Regress.Options(**options), card, api.Preprocess.of(card, SIZE))
    torch.manual_seed(0)
    return task, task.build(api.nets.VisionTransformer(SIZE, (4, 4), 1, 8, 1, 2)).eval()


def batch(targets, first=0):
    ids = torch.arange(first, first + len(targets))
    tensors = {"image": torch.randn(len(targets), 1, *SIZE), "target": torch.tensor(targets).float()[:, None]}
    return api.Batch(tensors, api.Draws(0, 0, ids), [str(i) for i in ids.tolist()])


class Told:
    """What an evaluator asks of a task, whose module predicts what it is told."""

    name_of_target, mean, median = "age", 50.0, 40.0
    preprocess = SimpleNamespace(modality=SimpleNamespace(one="row", unit="rows"))

    def __init__(self, numbers, of_trees=None):
        self.made = torch.tensor(numbers).float()
        guess = None if of_trees is None else torch.tensor(of_trees).float()
        self.trees = SimpleNamespace(predict=lambda _: guess)

    def numbers(self, module, batch):
        return self.made


def measured(numbers, truth, of_trees=None):
    evaluator = NumberErrors(Told(numbers, of_trees))
    evaluator.update(None, batch(truth))
    return evaluator, {metric.name: metric for metric in evaluator.metrics()}


@torch.no_grad()
def test_a_new_head_predicts_the_mean_of_training():
    task, module = made()
    torch.testing.assert_close(task.numbers(module, batch([1.0, 2.0])), torch.full((2,), 50.0), atol=0.01, rtol=0)


@torch.no_grad()
def test_the_loss_is_of_standardised_numbers_and_of_known_ones_alone():
    task, module = made()
    assert float(task.loss(module, batch([60.0, 40.0, float("nan")]))) == pytest.approx(1.0, abs=0.01)
    far, huber = batch([150.0]), made(loss="huber")
    assert float(task.loss(module, far)) == pytest.approx(100, rel=0.01)
    assert float(huber[0].loss(huber[1], far)) == pytest.approx(9.5, rel=0.01)


def test_errors_are_those_of_the_samples_whose_number_is_known():
    _, metrics = measured([50.0, 60.0, 75.0, 0.0], [52.0, 60.0, 70.0, float("nan")])
    assert metrics["rmse"].value == pytest.approx(np.sqrt(29 / 3))
    assert metrics["mae"].value == pytest.approx(7 / 3)
    assert metrics["rmse"].baselines["mean of training"] == pytest.approx(np.sqrt((4 + 100 + 400) / 3))
    assert metrics["mae"].baselines["median of training"] == pytest.approx((12 + 20 + 30) / 3)
    assert metrics["r2"].value == pytest.approx(
        1 - 29 / ((52 - 182 / 3) ** 2 + (60 - 182 / 3) ** 2 + (70 - 182 / 3) ** 2)
    )
    assert metrics["r2"].better == "higher"
    assert set(metrics["rmse"].baselines) == {"mean of training", "median of training"}
    for metric in metrics.values():
        low, high = metric.interval
        assert low <= metric.value <= high


def test_of_a_single_sample_there_is_no_interval():
    _, metrics = measured([50.0], [52.0])
    assert {name: metric.interval for name, metric in metrics.items()} == {"rmse": None, "mae": None}
    assert metrics["rmse"].value == 2


def test_where_trees_are_better_the_finding_says_so():
    truth = [40.0, 50.0, 60.0]
    evaluator, metrics = measured([45.0, 50.0, 55.0], truth, [41.0, 50.0, 60.0])
    assert metrics["rmse"].baselines[TREES] == pytest.approx(np.sqrt(1 / 3))
    assert not metrics["rmse"].beats_baselines
    assert evaluator.finding() == (
        "age is predicted with an RMSE of 4.082, 50% less than by its mean; gradient-boosted trees on the same rows "
        "are better (0.5774)"
    )
    evaluator, metrics = measured([41.0, 50.0, 60.0], truth, [45.0, 50.0, 55.0])
    assert metrics["rmse"].beats_baselines
    assert "do not do better (4.082)" in evaluator.finding()


def test_two_models_are_compared_on_the_same_samples():
    truth = np.linspace(0, 100, 40).tolist()
    (good, mine), (bad, theirs) = measured([x + 1 for x in truth], truth), measured([x - 5 for x in truth], truth)
    difference = good.difference(bad)
    assert difference.value == pytest.approx(mine["rmse"].value - theirs["rmse"].value)
    assert difference.is_told
    assert difference.num_samples == 40


def test_intervals_hold_what_they_say():
    random, hits = np.random.default_rng(0), {"rmse": 0, "mae": 0, "r2": 0}
    for _ in range(200):
        truth, error = random.normal(0, 2, 150), random.normal(0, 1, 150)
        found = {
            "rmse": (intervals.of_rmse(error**2), 1.0),
            "mae": (intervals.of_mean(np.abs(error)), np.sqrt(2 / np.pi)),
            "r2": (intervals.of_r2(error**2, truth), 0.75),
        }
        for name, ((low, high), value) in found.items():
            hits[name] += low <= value <= high
    assert all(0.88 < num / 200 < 0.99 for num in hits.values()), hits


def test_what_has_no_single_number_is_refused():
    card = cards.card(fields=("image",), size=SIZE)
    with pytest.raises(api.DataError, match="tiny has no numbers to predict, and regress learns one"):
        Regress(Regress.Options(), card, api.Preprocess.of(card, SIZE))


@torch.no_grad()
def test_rows_of_inference_are_in_units_of_the_target():
    task, module = made()
    rows = [prediction.row for prediction in task.predict(module, batch([1.0, 2.0]))]
    assert [row["prediction"] for row in rows] == pytest.approx([50, 50], abs=0.1)
    tables = measured([50.0] * 7, list(range(7)))[0].tables()
    assert [row[2] for row in tables[0].rows] == [2, 2, 1, 1, 1]


def test_micro_batches_teach_the_same_where_some_numbers_are_missing():
    task, module = made()
    assert_parts_teach_the_whole(task, module, batch([40.0, torch.nan, 55.0, 61.0, torch.nan, torch.nan, 20.0]))
