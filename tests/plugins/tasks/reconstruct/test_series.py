"""Windows of series: each channel by itself, and less their level."""

from __future__ import annotations

import pytest
import torch
import toy_grids
from maecli_plugins.tasks.reconstruct.task import Reconstruct

from maecli import api
from maecli.loading import make_loader
from maecli.schema import DataSpec


def made(per_channel=True, gaps=False, **options):
    """Return a task, a module, and a batch of eight windows of three channels and 16 steps."""
    dataset = toy_grids.forecasts(gaps=gaps)
    card = dataset.card()
    preprocess = api.Preprocess.of(card, card.size, modality=api.modalities.Series())
    task = Reconstruct(Reconstruct.Options(mask_ratio=0.5, **options), card, preprocess)
    torch.manual_seed(0)
    encoder = api.nets.VisionTransformer((16,), (4,), 3, 12, 1, 2, decoder=(8, 1, 2), per_channel=per_channel)
    loader = make_loader(dataset.split("train"), preprocess, torch.device("cpu"), 0, DataSpec())
    batch = next(loader.eval_batches(64))
    task.fit_baselines([batch])
    return task, task.build(encoder).eval(), batch


def mse(task, module, batch):
    evaluator = task.evaluator()
    evaluator.update(module, batch)
    return evaluator.metrics()[0]


def test_each_channel_has_a_mask_of_its_own():
    task, _, batch = made()
    prepared = task.prepared(batch)
    assert prepared["image"].shape == (24, 1, 16)
    masks = task.masking(prepared).mask
    assert masks.shape == (24, 4)
    assert masks.sum(1).tolist() == [2.0] * 24
    assert len({tuple(mask) for mask in masks[:3].tolist()} | {tuple(mask) for mask in masks[3:6].tolist()}) > 1
    assert task.masking(task.prepared(next(batch.micro_batches(2)))).mask.equal(masks[:6])


@pytest.mark.parametrize("gaps", [False, True])
@torch.no_grad()
def test_channels_that_are_read_by_themselves_hear_of_no_other(gaps):
    task, module, batch = made(gaps=gaps)
    _, _, before = task.reconstruct(module, task.prepared(batch))
    batch.tensors["image"][:, 1] += 5
    _, _, after = task.reconstruct(module, task.prepared(batch))
    same = torch.isclose(before, after).flatten(1).all(1)
    assert same.tolist() == [True, False, True] * 8


@pytest.mark.parametrize("norm", ["none", "revin", "last"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
@torch.no_grad()
def test_truth_and_baselines_are_in_the_units_of_the_data(norm, per_channel, gaps):
    task, module, batch = made(per_channel, gaps, norm=norm)
    prepared = task.prepared(batch)
    _, truth, _ = task.reconstruct(module, prepared)
    pixels = task.together(api.nets.unpatchify(truth, (4,), (4,)))
    expected = task.preprocess.to_pixels(batch["image"])
    valid = batch.tensors.get("valid", torch.ones_like(pixels, dtype=torch.bool))
    torch.testing.assert_close(pixels[valid], expected[valid], atol=1e-5, rtol=1e-5)
    metric = mse(task, module, batch)
    names = {"mean patch", "mean window"} | ({"own level of each window"} if norm != "none" else set())
    assert set(metric.baselines) == names
    waves = task.masking(prepared).mask
    mean = task.preprocess.mean_pixels([batch])
    judged = api.nets.unpatchify(task.judged(prepared, task.masking(prepared)).expand_as(truth).float(), (4,), (4,))
    judged = task.together(judged)
    error = ((mean - expected).square() * judged).sum() / judged.sum()
    assert metric.baselines["mean window"] == pytest.approx(float(error), rel=1e-4)
    assert len(waves) == (24 if per_channel else 8)


@pytest.mark.parametrize(("per_channel", "masked"), [(False, "5 windows"), (True, "5 channels")])
@torch.no_grad()
def test_words_are_those_of_series(per_channel, masked):
    task, module, batch = made(per_channel)
    evaluator = task.evaluator()
    evaluator.update(module, batch)
    metrics, (drawing,) = evaluator.metrics(), evaluator.drawings()
    assert metrics[-1].label == "masked steps within 0.1"
    assert drawing.caption.startswith(f"The masks of {masked}, with ")
    told = [*task.describe(), drawing.caption, task.draw(module, batch)[0].caption, *metrics[0].baselines]
    assert not [text for text in told if "pixel" in text or "picture" in text]


@torch.no_grad()
def test_each_window_is_one_prediction_with_all_channels():
    task, module, batch = made(norm="revin")
    made_of = task.predict(module, batch)
    assert len(made_of) == 8
    assert made_of[0].values[""].shape == (3, 16)
    assert task.draw(module, batch)[0].png.startswith(b"\x89PNG")


def test_the_loss_is_that_of_windows_less_their_level():
    task, module, batch = made(norm="last")
    loss = task.loss(module, batch)
    moved = api.Batch({"image": batch["image"] + 4}, batch.draws, batch.keys)
    torch.testing.assert_close(task.loss(module, moved), loss, rtol=1e-3, atol=1e-4)


def test_pictures_have_no_level():
    card = api.DataCard(
        name="tiny",
        title="pictures",
        fields=("image",),
        channels=1,
        size=(8, 8),
        mean=(0.5,),
        std=(0.2,),
        split_sizes={"train": 8},
        split_origin="made up",
    )
    with pytest.raises(api.SpecError, match=r"task.norm revin is for windows of series, and pictures have 2 axes"):
        Reconstruct(Reconstruct.Options(norm="revin"), card, api.Preprocess.of(card, (8, 8)))
