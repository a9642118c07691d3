from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import toy_grids
from maecli_plugins.datasets.table.dataset import Table
from maecli_plugins.models.rows import RowMLP
from maecli_plugins.tasks.impute.cells import Cells
from maecli_plugins.tasks.impute.evaluator import HIDDEN, MISSING, SEEN
from maecli_plugins.tasks.impute.task import Impute
from parts import assert_parts_teach_the_whole
from torch import nn
from write_data import write_table

from maecli import api
from maecli.loading import make_loader
from maecli.schema import DataSpec
from maecli.testing.synthetic import Synthetic

TABLES = api.modalities.Tables()


@pytest.fixture
def houses(tmp_path):
    """Return a table of numbers, whole numbers, truths, categories and dates, of which some are missing."""
    return Table(Table.Options(root=write_table(tmp_path)))


def made(dataset, img_size=None, **options):
    """Return a task, a module on a small transformer, and a batch of the training rows of a data set."""
    card = dataset.card()
    img_size = img_size or card.size
    preprocess = api.Preprocess.of(card, img_size, modality=TABLES)
    task = Impute(Impute.Options(**options), card, preprocess)
    torch.manual_seed(0)
    encoder = api.nets.VisionTransformer(img_size, (1,), card.channels, 8, 1, 2, decoder=(8, 1, 2))
    loader = make_loader(dataset.split("train"), preprocess, torch.device("cpu"), 0, DataSpec())
    return task, task.build(encoder).eval(), next(loader.eval_batches(64))


class Known(nn.Module):
    """Says what it was told (B, C, F), whatever it is shown."""

    def __init__(self, pred):
        super().__init__()
        self.pred = pred

    def forward(self, x, valid):
        return self.pred


@torch.no_grad()
def measured(task, module, batch):
    evaluator = task.evaluator()
    evaluator.update(module, batch)
    return evaluator, {metric.name: metric for metric in evaluator.metrics()}


def test_numbers_have_squared_errors_and_categories_cross_entropy():
    cells = Cells([0, 2, 3], 4)
    x = torch.tensor([[[1.0, 9, 9], [9, 0, 0], [9, 1, 0], [9, 9, 1]]])  # 9: nothing
    pred = torch.zeros(1, 4, 3)
    pred[0, 0, 0] = 3
    weight = torch.tensor([[1.0, 0, 0]])
    assert cells.loss(pred, x, weight).item() == pytest.approx(4)
    assert cells.loss(pred, x, weight.roll(1)).item() == pytest.approx(math.log(2))  # of two, though there are 3
    assert cells.loss(pred, x, weight.roll(2)).item() == pytest.approx(math.log(3))
    assert cells.loss(pred, x, torch.tensor([[1.0, 0, 3]])).item() == pytest.approx((4 + 3 * math.log(3)) / 4)
    assert cells.joined(x).tolist() == [[1, 1, 2]]


def test_a_hidden_cell_has_no_say_and_is_as_a_missing_one(houses):
    task, module, batch = made(houses)
    valid, hidden = task.valid(batch), task.hidden(batch, 0.5)
    seen = valid & ~hidden.unsqueeze(1)
    pred = module(batch["image"], seen)
    noise = torch.where(seen, batch["image"], torch.nan)
    torch.testing.assert_close(module(noise, seen), pred)
    assert not torch.allclose(module(torch.where(seen, batch["image"] + 1, 0.0), seen), pred)


@torch.no_grad()
def test_each_cell_has_a_head_of_its_own(houses):
    _, module, batch = made(houses)
    before = module(torch.nan_to_num(batch["image"]), torch.isfinite(batch["image"]))
    module.decoder.pred.bias[1] += 1
    change = module(torch.nan_to_num(batch["image"]), torch.isfinite(batch["image"])) - before
    torch.testing.assert_close(change.abs().amax((0, 1)), torch.eye(change.shape[2])[1])


@torch.no_grad()
def test_the_loss_is_of_hidden_cells_and_of_visible_ones_but_never_of_missing_ones(houses):
    task, _, batch = made(houses, visible_weight=0.0)
    hidden = task.hidden(batch, 0.5).unsqueeze(1)
    x = torch.where(task.valid(batch), batch["image"], 0.0)
    right = torch.where(torch.arange(x.shape[1])[:, None] > 0, 99 * x, x)  # scores of the right categories are high
    wrong = right + 5 * ~hidden * (torch.arange(x.shape[1])[:, None] == 0)
    assert task.loss(Known(right), batch).item() == pytest.approx(0, abs=1e-5)
    assert task.loss(Known(wrong), batch).item() == pytest.approx(0, abs=1e-5)
    everything, _, _ = made(houses)
    assert everything.loss(Known(wrong), batch).item() > 1
    gone = right + 1e3 * ~task.there(batch).unsqueeze(1)
    assert everything.loss(Known(gone), batch).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("scaler", ["standard", "quantile"])
def test_a_column_that_is_constant_in_training_is_filled_in_with_that(tmp_path, scaler):
    lines = [f"{x},{'1e17' if x % 5 else ''},{x % 7}" for x in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["x,same,y", *lines]))
    task, _, batch = made(Table(Table.Options(root=tmp_path / "t.csv", scaler=scaler)))
    pred = torch.linspace(0.1, 2, 3).expand(len(batch), 1, 3)
    image = task.filled(Known(pred), batch, torch.zeros_like(task.there(batch)))
    rows = task.in_units(task.cells.joined(image).double().numpy())
    assert set(rows[:, 1].tolist()) == {1e17}


def test_a_cell_is_hidden_by_its_own_draw(houses):
    task, _, batch = made(houses)
    hidden, there = task.hidden(batch, 0.3), task.there(batch)
    assert not (hidden & ~there).any()
    assert 0.2 < hidden.sum() / there.sum() < 0.4
    part = api.Batch(
        {name: tensor[5:9] for name, tensor in batch.tensors.items()}, batch.draws.narrow(5, 9), batch.keys
    )
    assert torch.equal(task.hidden(part, 0.3), hidden[5:9])


def test_rows_are_hidden_as_others_lack_cells_where_that_hides_any(houses):
    task, _, batch = made(houses, copy_share=1.0, mask_ratio=0.5)
    there, hidden = task.there(batch), task.hidden_in_training(batch)
    assert not (hidden & ~there).any()
    by_chance = task.hidden(batch, 0.5)
    copied = (hidden != by_chance).any(1)
    assert 0 < copied.sum() < len(batch)
    patterns = {tuple(row) for row in (~there).tolist()}
    for row, lacks in zip(hidden[copied].tolist(), (~there)[copied].tolist(), strict=True):
        assert any(
            all(h == (p and not gone) for h, p, gone in zip(row, other, lacks, strict=True)) for other in patterns
        )
    assert (there & ~hidden)[copied].any(1).all()
    never, _, _ = made(houses)
    assert torch.equal(never.hidden_in_training(batch), never.hidden(batch, 0.5))


def test_who_knows_all_has_no_error_and_who_knows_the_mean_has_that_of_the_mean(houses):
    task, _, batch = made(houses)
    task.fit_baselines([batch])
    x = torch.where(task.valid(batch), batch["image"], 0.0)
    evaluator, metrics = measured(task, Known(x), batch)
    assert list(metrics) == ["rmse", "mae", "accuracy", "wasserstein"]
    assert metrics["rmse"].value == pytest.approx(0, abs=1e-5)
    assert metrics["accuracy"].value == 1
    assert metrics["wasserstein"].value == pytest.approx(0, abs=1e-5)
    assert set(metrics["rmse"].baselines) == {"mean or most frequent", "10 nearest rows", "iterative regression"}
    assert evaluator.finding().startswith("what is hidden is filled in with 100% less error than by the ")
    _, metrics = measured(task, Known(torch.zeros_like(x)), batch)  # normalised: 0 is the mean
    assert metrics["rmse"].value == pytest.approx(metrics["rmse"].baselines["mean or most frequent"], rel=1e-4)


@torch.no_grad()
def test_errors_have_intervals_where_all_is_measured_and_runs_are_told_apart_by_the_same_rows(houses):
    task, module, batch = made(houses)
    task.fit_baselines([batch])
    evaluator, metrics = measured(task, module, batch)
    for name in ("rmse", "mae", "accuracy"):
        low, high = metrics[name].interval
        assert low <= metrics[name].value <= high
    assert metrics["wasserstein"].interval is None
    quick = task.evaluator(thorough=False)
    quick.update(module, batch)
    assert all(metric.interval is None for metric in quick.metrics())
    _, of_one = measured(task, module, next(batch.micro_batches(1)))
    assert all(metric.interval is None for metric in of_one.values())
    other, worse = measured(task, Known(torch.full_like(batch["image"], 3.0)), batch)
    fresh = [made(houses)[0].evaluator() for _ in range(2)]  # of who has seen no training rows
    for each, counted in zip(fresh, (other, evaluator), strict=True):
        each.load_state(counted.state())
    difference = fresh[0].difference(fresh[1])
    assert difference.value == pytest.approx(worse["rmse"].value - metrics["rmse"].value)
    assert difference.is_told
    assert fresh[0].difference(made(houses)[0].evaluator()) is None
    assert evaluator.difference(evaluator).value == 0


def test_random_forests_stand_beside_where_they_are_asked_for(houses):
    for asked, names in ((False, set()), (True, {"iterative random forests"})):
        task, _, _ = made(houses, forests=asked)
        assert set(task.evaluator().slow) == {"10 nearest rows", "iterative regression"} | names
        assert ("random forests have 100 trees" in " ".join(task.describe())) == asked
        assert not task.evaluator(thorough=False).slow


def test_a_table_tells_of_each_column_in_units(houses):
    task, _, batch = made(houses)
    task.fit_baselines([batch])
    x = torch.where(task.valid(batch), batch["image"], 0.0)
    evaluator, _ = measured(task, Known(x + 1), batch)
    by_column, by_imputer, by_scaler = evaluator.tables()
    assert [row[:2] for row in by_scaler.rows] == [
        (scaler, of) for scaler in ("standard", "minmax") for of in ("MSE", "Wasserstein distance")
    ]
    assert by_scaler.rows[0][2] == pytest.approx(evaluator._scores["this model"].rmse([0, 1, 4]) ** 2, rel=1e-3)
    assert by_scaler.rows[2][2] < by_scaler.rows[0][2]  # of at most 1 instead of a deviation of 1
    rows = {row[0]: row for row in by_column.rows}
    assert set(rows) == {"size", "rooms", "garden", "street", "built"}
    deviation = np.nanstd(task.train_rows[:, 1])
    assert rows["rooms"][5] <= deviation * 1.001  # no farther than the greatest of the training rows
    assert rows["size"][1] == int((evaluator._told.state[:, 0] == HIDDEN).sum())
    assert rows["street"][2:7] == ("", "", "", "", "")
    assert {row[1] for row in by_imputer.rows} == {"RMSE, z-scored", "accuracy"}


@torch.no_grad()
def test_what_is_missing_is_filled_in_and_all_else_is_as_it_was(houses):
    task, module, batch = made(houses)
    made_of_rows = task.predict(module, batch)
    images = [prediction.filled for prediction in made_of_rows]
    columns = houses.card().columns
    before = np.stack([houses.split("train")[i]["image"] for i in range(len(images))])
    there = ~np.isnan(before)
    np.testing.assert_allclose(np.stack(images)[there], before[there], atol=1e-6)
    assert [prediction.row["missing"] for prediction in made_of_rows] == (~there.any(1)).sum(1).tolist()
    cells = np.stack([api.tables.as_cells(image, columns) for image in images])
    assert not np.isnan(cells).any()


def test_predicted_numbers_lie_between_the_least_and_the_greatest_of_training(houses):
    task, _, batch = made(houses)
    far = torch.full_like(batch["image"], 1e3)
    places, _ = task.rows(Known(far), batch, task.there(batch))
    assert places[:, 0].unique().tolist() == [1]
    assert places[:, 3].unique().tolist() == [0]  # the number of a category is none


@torch.no_grad()
def test_cells_that_only_the_model_has_are_not_missing(houses):
    rows = []
    for img_size in (None, (8,)):
        task, module, batch = made(houses, img_size)
        rows.append([prediction.row for prediction in task.predict(module, batch)])
    assert rows[0] == rows[1]


@torch.no_grad()
def test_a_model_of_whole_rows_is_told_which_cells_are_there(houses):
    task, _, batch = made(houses)
    encoder = RowMLP(RowMLP.Options(embed_dim=8)).build(4, (5,))
    module = task.build(encoder)
    valid, hidden = task.valid(batch), task.hidden(batch, 0.5)
    seen = valid & ~hidden.unsqueeze(1)
    pred = module(batch["image"], seen)
    assert pred.shape == batch["image"].shape
    torch.testing.assert_close(module(torch.where(seen, batch["image"], torch.nan), seen), pred)
    _, metrics = measured(task, module, batch)
    assert "accuracy" in metrics
    encoder.patch_size = (1,)
    with pytest.raises(api.SpecError, match="which this model cannot leave out; give a vision transformer"):
        task.build(encoder)


@torch.no_grad()
def test_plain_numbers_of_a_single_channel_are_filled_in_too():
    task, module, batch = made(toy_grids.tables())
    task.fit_baselines([batch])
    _, metrics = measured(task, module, batch)
    assert list(metrics) == ["rmse", "mae", "wasserstein"]
    assert task.predict(module, batch)[0].row == {"missing": 1}


def test_states_say_what_a_cell_was_to_the_module(houses):
    task, module, batch = made(houses)
    evaluator, _ = measured(task, module, batch)
    assert np.array_equal(evaluator._told.state == MISSING, ~task.there(batch).numpy())
    assert set(np.unique(evaluator._told.state)) == {MISSING, SEEN, HIDDEN}


def test_neither_loss_nor_counting_reads_a_number(houses):
    task, module, batch = made(houses, copy_share=0.5)
    meta = torch.device("meta")
    batch = batch.to(meta)
    task.loss(module.to(meta), batch).backward()
    with torch.no_grad():
        task.evaluator(thorough=False).update(module, batch)


@pytest.mark.parametrize(
    ("dataset", "encoder", "reason"),
    [
        (Synthetic(), None, "impute fills in cells of rows, and synthetic has pictures; give --dataset table"),
        (toy_grids.series(), None, "and grids has windows"),
        (
            toy_grids.tables(),
            {"per_channel": True},
            "impute reads all channels of a cell together, and this model each by itself",
        ),
    ],
)
def test_what_holds_no_rows_or_reads_none_is_refused(dataset, encoder, reason):
    card = dataset.card()
    modality = {"pictures": api.modalities.Pictures, "series": api.modalities.Series, "tables": api.modalities.Tables}
    preprocess = api.Preprocess.of(card, card.size, modality=modality[card.modality]())
    with pytest.raises(api.SpecError, match=reason):
        Impute(Impute.Options(), card, preprocess).build(
            api.nets.VisionTransformer(card.size, (1,), card.channels, 8, 1, 2, **encoder or {})
        )


@pytest.fixture
def with_hidden(tmp_path):
    """Return the same table, of which a third of the cells is hidden by the data set."""
    path = write_table(tmp_path)
    return Table(Table.Options(root=path, hide="mcar", hide_share=0.3, scaler="quantile")), Table(
        Table.Options(root=path)
    )


@torch.no_grad()
def test_cells_that_the_data_set_withholds_are_measured_on_and_no_others(with_hidden):
    data, whole = with_hidden
    task, _, batch = made(data)
    task.fit_baselines([batch])
    told = batch["withheld"]
    assert torch.equal(task.measured(batch, 0.5), ~told.isnan())
    assert not (task.there(batch) & ~told.isnan()).any()
    evaluator, metrics = measured(task, Known(torch.zeros_like(batch["image"])), batch)
    assert np.array_equal(evaluator._told.state == HIDDEN, ~told.isnan().numpy())
    assert metrics["rmse"].note == "MCAR, 30%"
    assert "withheld from every row before anything was learnt (MCAR, 30%)" in " ".join(task.describe())
    other, _, same = made(whole)
    other.fit_baselines([same])
    np.testing.assert_allclose(task.whole_rows, other.train_rows, rtol=1e-5)
    truth = np.where(evaluator._told.state == MISSING, np.nan, evaluator._told.truth)
    assert np.isnan(task.train_rows).sum() == np.isnan(other.train_rows).sum() + (evaluator._told.state == HIDDEN).sum()
    np.testing.assert_allclose(truth, other.train_rows, rtol=1e-5)


@torch.no_grad()
def test_errors_have_the_unit_of_whole_rows_and_drawings_show_what_was_withheld(with_hidden):
    data, _ = with_hidden
    task, module, batch = made(data)
    task.fit_baselines([batch])
    evaluator, names = measured(task, module, batch)
    np.testing.assert_allclose(evaluator._scale[1][0], np.nanstd(task.whole_rows[:, 0]))
    pixels, valid = task._whole(batch)
    assert torch.equal(valid.any(1), task.there(batch) | ~batch["withheld"].isnan())
    assert not pixels[valid].isnan().any()
    assert set(names) == {"rmse", "mae", "accuracy", "wasserstein"}
    assert task.draw(module, batch)[0].caption.startswith("Rows with cells hidden (MCAR, 30%), and filled in. Cells in")


def test_the_loss_has_nothing_of_what_was_withheld(with_hidden):
    data, _ = with_hidden
    task, module, batch = made(data)
    before = task.loss(module, batch)
    batch.tensors["withheld"] = torch.full_like(batch["withheld"], 1e6)
    assert torch.equal(task.loss(module, batch), before)


@torch.no_grad()
def test_a_metric_is_of_something_unless_runs_are_chosen_by_it(with_hidden):
    data, _ = with_hidden
    task, module, batch = made(data)
    batch.tensors["withheld"][:, [2, 3]] = torch.nan  # garden and street, the categories
    assert set(measured(task, module, batch)[1]) == {"rmse", "mae", "wasserstein"}
    batch.tensors["withheld"][:] = torch.nan
    assert set(measured(task, module, batch)[1]) == {"rmse"}


def test_micro_batches_teach_the_same_where_cells_are_missing(houses):
    task, module, batch = made(houses, copy_share=0.5, visible_weight=0.3)
    assert not task.there(batch).all()
    assert_parts_teach_the_whole(task, module, batch.narrow(0, 10))
