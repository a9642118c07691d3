from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_grids
from maecli_plugins.models.windows import GRU, NLinear
from maecli_plugins.tasks.forecast.baselines import trivial_forecasts
from maecli_plugins.tasks.forecast.losses import pinball, squared_error
from maecli_plugins.tasks.forecast.task import Forecast
from parts import assert_parts_teach_the_whole
from pydantic import ValidationError
from torch import nn

from maecli import api
from maecli.data.batch import Batch
from maecli.loading import make_loader
from maecli.schema import AugmentSpec, DataSpec

FIELDS = ("image", "target")
SERIES = api.modalities.Series()


def made(dataset=None, encoder=None, **options):
    """Return a task, a module on an encoder, and a batch of the training windows of a data set."""
    dataset = dataset or toy_grids.forecasts()
    card = dataset.card(FIELDS)
    preprocess = api.Preprocess.of(card, card.size, modality=SERIES)
    task = Forecast(Forecast.Options(**options), card, preprocess)
    torch.manual_seed(0)
    module = task.build(encoder or vit(card.channels, card.size)).eval()
    loader = make_loader(dataset.split("train", FIELDS), preprocess, torch.device("cpu"), 0, DataSpec())
    return task, module, next(loader.eval_batches(64))


def vit(channels=3, size=(16,), per_channel=False):
    return api.nets.VisionTransformer(size, (4,), channels, 8, 1, 2, per_channel=per_channel)


def recurrent(plugin, channels=3, size=(16,), **options):
    return plugin(plugin.Options(**options)).build(channels, size)


def randomise(module):
    """Let the head, and the shortcut where there is one, say something."""
    for linear in (module.head[-1], module.shortcut):
        if linear is not None:
            nn.init.normal_(linear.weight)
            nn.init.normal_(linear.bias)


class Known(nn.Module):
    """Forecasts what it was told: (B, Q, H, R) standardised."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, x, valid=None):
        return self.made


@torch.no_grad()
def metrics(task, module, batch):
    evaluator = task.evaluator()
    evaluator.update(module, batch)
    return evaluator, {metric.name: metric for metric in evaluator.metrics()}


@pytest.mark.parametrize("norm", ["revin", "last", "none"])
@pytest.mark.parametrize("per_channel", [False, True])
@torch.no_grad()
def test_a_forecast_moves_with_the_level_of_its_window(norm, per_channel):
    _, module, batch = made(encoder=vit(per_channel=per_channel), norm=norm)
    nn.init.normal_(module.head[-1].weight)
    moved = module(batch["image"] + 3)
    assert moved.shape == (8, 2, 6, 1)
    same = torch.allclose(moved, module(batch["image"]) + 3, atol=1e-3)
    assert same == (norm != "none")


@pytest.mark.parametrize(("kind", "layers"), [("linear", 1), ("mlp", 2)])
def test_a_head_is_linear_or_has_a_hidden_layer(kind, layers):
    task, module, batch = made(head=kind, dropout=0.5)
    assert sum(isinstance(layer, nn.Linear) for layer in module.head) == layers
    task.loss(module.train(), batch).backward()
    assert module.head[-1].weight.grad.abs().max() > 0


@torch.no_grad()
def test_a_new_head_begins_with_the_level():
    _, module, batch = made(encoder=recurrent(NLinear))
    last = batch["image"][:, [0, 2], -1:].expand(-1, -1, 6)
    torch.testing.assert_close(module(batch["image"])[..., 0], last, atol=1e-2, rtol=0)


@torch.no_grad()
def test_a_shortcut_adds_what_a_linear_layer_makes_of_each_columns_own_steps():
    for per_channel in (False, True):
        _, module, batch = made(encoder=vit(per_channel=per_channel), norm="last", shortcut=True, quantiles=(0.1, 0.5))
        begun = module(batch["image"])
        randomise(module)
        nn.init.zeros_(module.head[-1].weight)
        nn.init.zeros_(module.head[-1].bias)
        past = batch["image"][:, [0, 2]]
        last = past[..., -1:]
        straight = module.shortcut(past - last).reshape(8, 2, 6, 2) + last[..., None]
        torch.testing.assert_close(module(batch["image"]), straight)
        torch.testing.assert_close(begun, last[..., None].expand_as(begun), atol=1e-2, rtol=0)


@torch.no_grad()
def test_a_column_that_is_read_by_itself_hears_of_no_other():
    for per_channel in (False, True):
        _, module, batch = made(encoder=vit(per_channel=per_channel))
        nn.init.normal_(module.head[-1].weight)
        changed = batch["image"].clone()
        changed[:, 1] = 0.3 * torch.randn(16)
        same = torch.allclose(module(changed), module(batch["image"]), atol=1e-6)
        assert same == per_channel


@torch.no_grad()
def test_missing_steps_have_no_say():
    task, module, batch = made(toy_grids.forecasts(gaps=True), encoder=vit(per_channel=True), shortcut=True)
    randomise(module)
    valid = batch["valid"]
    assert not valid.all()
    changed = torch.where(valid, batch["image"], 1e3)
    torch.testing.assert_close(module(changed, valid), module(batch["image"], valid))
    assert torch.isfinite(task.loss(module, batch))


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@torch.no_grad()
def test_features_computed_before_stand_for_the_window(per_channel, shortcut):
    task, module, batch = made(toy_grids.forecasts(gaps=True), vit(per_channel=per_channel), shortcut=shortcut)
    randomise(module)
    known = Batch({"features": task.frozen_features(module, batch), "target": batch["target"]}, batch.draws)
    torch.testing.assert_close(task.loss(module, known), task.loss(module, batch))
    _, of_features = metrics(task, module, known)
    _, of_windows = metrics(task, module, batch)
    assert of_features["mse"].value == pytest.approx(of_windows["mse"].value)
    assert of_windows["mse"].baselines
    assert not of_features["mse"].baselines


def test_what_is_not_known_of_the_truth_is_not_judged():
    truth = torch.tensor([[[1.0, float("nan")]]])
    guess = torch.tensor([[[[3.0], [9.0]]]], requires_grad=True)
    loss = squared_error(guess, truth)
    loss.backward()
    assert loss.item() == 4.0
    assert guess.grad.flatten().tolist() == [4.0, 0.0]


def test_trivial_forecasts_are_what_they_are_called():
    x = torch.arange(8.0).repeat(1, 2, 1)
    x[:, 1] += 10
    guesses = trivial_forecasts(x, None, [1], 5, 3)
    assert guesses["persistence"].flatten().tolist() == [17.0] * 5
    assert guesses["seasonal-naive (3)"].flatten().tolist() == [15.0, 16.0, 17.0, 15.0, 16.0]
    assert guesses["mean of training"].flatten().tolist() == [0.0] * 5
    assert set(trivial_forecasts(x, None, [1], 5, 9)) == {"persistence", "mean of training"}
    valid = torch.ones(1, 2, 8, dtype=torch.bool)
    valid[0, 1, 6:] = False
    guesses = trivial_forecasts(x, valid, [1], 3, 3)
    assert guesses["persistence"].flatten().tolist() == [15.0] * 3
    assert guesses["seasonal-naive (3)"].flatten().tolist() == [15.0] * 3


@pytest.mark.parametrize("gaps", [False, True])
def test_errors_are_standardised_and_in_units_by_column_and_step(gaps):
    task, _, batch = made(toy_grids.forecasts(gaps=gaps))
    truth = task.standardised(batch["target"]).nan_to_num()
    off = torch.zeros_like(truth)
    off[:, 0], off[:, 1, -1] = 1.0, 6.0
    evaluator, found = metrics(task, Known((truth + off)[..., None]), batch)
    num = 11 if gaps else 12  # of 2 columns and 6 steps
    ones = num - 6
    assert found["mse"].value == pytest.approx((ones + 36) / num)
    assert found["mae"].value == pytest.approx((ones + 6) / num)
    per_column, per_step = (table.rows for table in evaluator.tables())
    rows = {(row[0], row[1]): row[2:] for row in per_column}
    assert rows["soft", "this model"] == pytest.approx((1.0, 1.0, 0.25**2, 0.25))
    assert rows["high", "this model"] == pytest.approx((6.0, 1.0, 6 * 0.7**2, 0.7), rel=1e-4)
    assert rows["all", "this model"][:2] == pytest.approx((found["mse"].value, found["mae"].value))
    steps = {(row[0], row[1]): row[2:] for row in per_step}
    assert steps[6, "this model"] == pytest.approx((18.5, 3.5))
    assert steps[2, "this model"] == pytest.approx((0.5, 0.5))
    forecasters = ["this model", "persistence", "mean of training", "seasonal-naive (8)"]
    assert [row[1] for row in per_step][:4] == [row[1] for row in per_column][:4] == forecasters


def test_the_season_of_waves_repeats_them():
    _, found = metrics(*made())
    assert found["mse"].baselines["seasonal-naive (8)"] == pytest.approx(0.0, abs=1e-8)
    assert found["mse"].baselines["persistence"] > 0.1
    _, shorter = metrics(*made(season=4))
    assert "seasonal-naive (4)" in shorter["mse"].baselines


@pytest.mark.parametrize(("horizon", "words"), [(1, "the step ahead has 75%"), (24, "the 24 steps ahead have 75%")])
def test_what_was_found_counts_the_steps(horizon, words, monkeypatch):
    evaluator = made()[0].evaluator()
    monkeypatch.setattr(evaluator.task, "horizon", horizon)
    mse = api.Metric(name="mse", label="MSE", value=0.25, better="lower", baselines={"persistence": 1.0})
    monkeypatch.setattr(evaluator, "metrics", lambda: [mse])
    assert evaluator.finding().startswith(words)


def test_a_single_column_has_metrics_in_its_units():
    task, _, batch = made()
    card = task.card.model_copy(update={"targets": ("high",)})
    single = Forecast(Forecast.Options(), card, task.preprocess)
    assert single.columns == [2]
    batch.tensors["target"] = batch["target"][:, 1:]
    truth = single.standardised(batch["target"])
    _, found = metrics(single, Known((truth + 2)[..., None]), batch)
    assert found["mae"].value == pytest.approx(2.0)
    assert found["mae_units"].value == pytest.approx(1.4, rel=1e-4)
    assert found["mse_units"].label == "MSE in units of high"


def test_quantiles_have_a_pinball_loss_and_a_coverage():
    truth = torch.tensor([[[1.0]]])
    assert pinball(torch.tensor([[[[0.0, 0.0]]]]), truth, (0.1, 0.9)).item() == pytest.approx(0.5)
    task, module, batch = made(quantiles=(0.1, 0.5, 0.9))
    assert module(batch["image"]).shape == (8, 2, 6, 3)
    aim = task.standardised(batch["target"])
    _, found = metrics(task, Known(torch.stack([aim + 1, aim, aim - 1], -1)), batch)  # in the wrong order
    assert found["mse"].value == pytest.approx(0.0, abs=1e-9)
    assert found["coverage"].value == 1.0
    assert found["pinball"].value == pytest.approx((0.1 + 0 + 0.1) / 3, rel=1e-4)
    for wrong in ((0.1, 0.9), (0.9, 0.5), (0.0, 0.5)):
        with pytest.raises(ValidationError, match=r"must rise between 0 and 1, with 0\.5 among them"):
            Forecast.Options(quantiles=wrong)


@pytest.mark.parametrize("plugin", [NLinear, GRU])
def test_a_baseline_learns_waves_by_the_same_task(plugin):
    task, module, batch = made(encoder=recurrent(plugin))
    assert task.norm == "last"
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    first = float(task.loss(module, batch).detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss = task.loss(module.train(), batch)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1 * first


def test_predictions_are_in_the_units_of_the_data():
    task, _, batch = made()
    aim = task.standardised(batch["target"])
    rows = [prediction.row for prediction in task.predict(Known(aim[..., None]), batch)]
    assert list(rows[0]) == ["soft +1", "soft +6", "high +1", "high +6"]
    expected = batch["target"][:, [0, 0, 1, 1], [0, 5, 0, 5]].numpy()
    np.testing.assert_allclose([[*row.values()] for row in rows], expected, rtol=1e-5)


def test_what_does_not_suit_is_said_in_a_sentence():
    card = toy_grids.series().card()
    preprocess = api.Preprocess.of(card, card.size, modality=SERIES)
    with pytest.raises(api.DataError, match="grids says nothing of what follows its samples"):
        Forecast(Forecast.Options(), card, preprocess)
    card = toy_grids.forecasts().card(FIELDS)
    preprocess = api.Preprocess.of(card, (8,), modality=SERIES)
    with pytest.raises(api.SpecError, match=r"model.img_size \[8\] would cut windows of 16 steps"):
        Forecast(Forecast.Options(), card, preprocess)
    with pytest.raises(api.DataError, match="the target 'wind' is none of its channels"):
        made(toy_grids.forecasts(targets=("wind",)))


def test_other_columns_that_have_no_say_are_told():
    task, *_ = made(encoder=vit(per_channel=True))
    assert any("the 1 other column had no say" in note for note in task.describe())
    task, *_ = made()
    assert not any("had no say" in note for note in task.describe())


def test_training_batches_carry_what_follows():
    dataset = toy_grids.forecasts()
    card = dataset.card(FIELDS)
    preprocess = api.Preprocess.of(card, card.size, modality=SERIES)
    split = dataset.split("train", FIELDS)
    loader = make_loader(split, preprocess, torch.device("cpu"), 0, DataSpec())
    batch = next(loader.train_batches(AugmentSpec(), 4, 0, 1))
    for place, index in enumerate(batch.draws.ids.tolist()):
        np.testing.assert_array_equal(batch["target"][place].numpy(), split[index]["target"])


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.5, 0.9)])
def test_micro_batches_teach_the_same_where_some_of_the_truth_is_missing(quantiles):
    task, module, batch = made(quantiles=quantiles)
    batch = batch.narrow(0, 6)
    batch["target"][1:3, :, 1:] = torch.nan
    assert_parts_teach_the_whole(task, module, batch)
