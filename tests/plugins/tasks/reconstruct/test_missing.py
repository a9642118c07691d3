"""What is missing is neither learnt from nor judged, whatever it holds."""

from __future__ import annotations

import cards
import pytest
import torch
from maecli_plugins.tasks.reconstruct.task import Reconstruct
from parts import assert_parts_teach_the_whole

from maecli import api

SIZES = {
    "table": ((1, 12), (1, 1)),
    "series": ((16,), (2,)),
    "picture": ((8, 8), (2, 2)),
    "volume": ((4,) * 3, (2,) * 3),
}
MEAN, STD = (0.3, 0.6), (0.2, 0.5)


def job_of(kind, **options):
    size, patch_size = SIZES[kind]
    card = cards.card(channels=2, size=size, mean=MEAN, std=STD, split_sizes={"train": 8})
    job = Reconstruct(Reconstruct.Options(mask_ratio=0.5, **options), card, api.Preprocess.of(card, size))
    torch.manual_seed(0)
    return job, job.build(api.nets.VisionTransformer(size, patch_size, 2, 12, 1, 2, decoder=(8, 1, 2))).eval()


def batches(job, kind):
    """Return a batch whose samples lack nothing, something and everything, and the same with other missing values."""
    size, _ = SIZES[kind]
    generator = torch.Generator().manual_seed(0)
    pixels, draw = (torch.rand(4, 2, *size, generator=generator) for _ in range(2))
    valid = draw < torch.tensor([1.0, 0.8, 0.3, 0.0]).reshape(-1, 1, *[1] * len(size))
    image, draws = job.preprocess.normalize(pixels), api.Draws(0, -1, torch.arange(4))
    spoilt = torch.where(valid, image, torch.tensor(torch.nan))
    return [api.Batch({"image": each, "valid": valid}, draws, ["a", "b", "c", "d"]) for each in (image, spoilt)]


def measured(job, module, batch):
    job.fit_baselines([batch])
    evaluator = job.evaluator()
    evaluator.update(module, batch)
    return evaluator.metrics()


every_kind = pytest.mark.parametrize("kind", SIZES)


@every_kind
@pytest.mark.parametrize("mask", ["random", "grid"])
@torch.no_grad()
def test_the_value_of_a_missing_cell_changes_no_loss_no_metric_and_no_baseline(kind, mask):
    job, module = job_of(kind, mask=mask)
    one, other = batches(job, kind)
    assert job.loss(module, one).equal(job.loss(module, other))
    assert job.loss(module, one) > 0
    assert measured(job, module, one) == measured(job, module, other)


@pytest.mark.parametrize("kind", ["series", "picture", "volume"])
@torch.no_grad()
def test_nor_does_it_where_patches_are_normalised(kind):
    job, module = job_of(kind, norm_pix_loss=True)
    one, other = batches(job, kind)
    assert job.loss(module, one).equal(job.loss(module, other))
    assert measured(job, module, one) == measured(job, module, other)


@every_kind
@torch.no_grad()
def test_errors_and_baselines_are_means_over_cells_that_are_hidden_and_there(kind):
    job, module = job_of(kind)
    batch, _ = batches(job, kind)
    found = {metric.name: metric for metric in measured(job, module, batch)}
    masking, truth, pred = job.reconstruct(module, batch)
    judged = api.nets.patchify(batch["valid"], job.patch_size) & (masking.mask.unsqueeze(-1) > 0)
    assert found["mse"].value == pytest.approx(float((pred - truth)[judged].square().mean()), rel=1e-5)
    column = job.preprocess.to_pixels(batch["image"]) * batch["valid"]
    mean = column.sum(0) / batch["valid"].sum(0)
    assert bool(batch["valid"].any(0).all())
    baseline = (api.nets.patchify(mean[None], job.patch_size) - truth)[judged].square().mean()
    assert found["mse"].baselines[f"mean {job.preprocess.modality.one}"] == pytest.approx(float(baseline), rel=1e-5)


@torch.no_grad()
def test_metrics_of_data_that_lack_nothing_are_those_of_data_that_cannot():
    job, module = job_of("picture")
    batch, _ = batches(job, "picture")
    whole = api.Batch({"image": batch["image"], "valid": torch.ones_like(batch["valid"])}, batch.draws)
    for one, other in zip(
        measured(job, module, whole),
        measured(job, module, api.Batch({"image": batch["image"]}, batch.draws)),
        strict=True,
    ):
        assert one.value == pytest.approx(other.value, rel=1e-5)
        assert one.baselines == pytest.approx(other.baselines, rel=1e-5)


@torch.no_grad()
def test_a_prediction_names_the_error_where_something_was_there_to_be_predicted():
    job, module = job_of("picture")
    one, other = (job.predict(module, batch) for batch in batches(job, "picture"))
    assert [each.row for each in one] == [each.row for each in other]
    assert [each.row["masked_mse"] > 0 for each in one] == [True, True, True, False]


def test_patches_of_a_single_value_cannot_be_normalised():
    card = cards.card(size=(1, 12), mean=(0.5,), std=(0.2,), split_sizes={"train": 8})
    job = Reconstruct(Reconstruct.Options(norm_pix_loss=True), card, api.Preprocess.of(card, (1, 12)))
    with pytest.raises(api.SpecError, match=r"patches of one value have none; give --set task.norm_pix_loss=false"):
        job.build(api.nets.VisionTransformer((1, 12), (1, 1), 1, 12, 1, 2, decoder=(8, 1, 2)))


@pytest.mark.parametrize("norm", [True, False])
def test_micro_batches_teach_the_same_where_some_is_missing(norm):
    job, module = job_of("picture", norm_pix_loss=norm)
    for batch in batches(job, "picture"):
        assert_parts_teach_the_whole(job, module, batch)
