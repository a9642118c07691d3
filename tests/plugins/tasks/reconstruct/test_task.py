from __future__ import annotations

import dataclasses
import math

import cards
import numpy as np
import pytest
import torch
from maecli_plugins.tasks.reconstruct.task import Reconstruct
from torch import nn

from maecli import api
from maecli.training.evaluator import add_states

KINDS = {1: api.modalities.Series(), 2: api.modalities.Pictures(), 3: api.modalities.Volumes()}
"""By the number of axes."""
SIZE, PATCH = (8, 8), (2, 2)
NUM_PATCHES = 16
MASKS = ["random", "grid", "block"]
MEAN, STD = (0.3, 0.6), (0.2, 0.5)


def card(size=SIZE):
    return cards.card(channels=2, size=size, mean=MEAN, std=STD, split_sizes={"train": 8})


def encoder(size=SIZE, patch_size=PATCH):
    torch.manual_seed(0)
    return api.nets.VisionTransformer(size, patch_size, 2, 12, 1, 2, decoder=(8, 1, 2))


def task(size=SIZE, patch_size=PATCH, **options):
    preprocess = api.Preprocess.of(card(size), size, modality=KINDS[len(size)])
    made = Reconstruct(Reconstruct.Options(**options), card(size), preprocess)
    made.build(encoder(size, patch_size))
    return made


def pictures(num, size=SIZE, seed=0):
    """Return pixels in [0, 1]."""
    return torch.rand(num, 2, *size, generator=torch.Generator().manual_seed(seed))


def batch(job, pixels, first=0, epoch=-1):
    ids = torch.arange(first, first + len(pixels))
    keys = [f"{i}.png" for i in ids.tolist()]
    return api.Batch({"image": job.preprocess.normalize(pixels)}, api.Draws(0, epoch, ids), keys)


class Oracle(nn.Module):
    """Predicts what a function makes of the true pictures, in the units that the task wants of a module."""

    def __init__(self, predict, patch_size=PATCH):
        super().__init__()
        self.predict, self.patch_size = predict, patch_size

    def reconstruct(self, x, ids_keep, ids_pred=None, valid=None):
        return self.predict(api.nets.patchify(x, self.patch_size))


def pixels_oracle(job, predict, patch_size=PATCH):
    """Predict in pixel units: `predict` takes and returns pictures in [0, 1]."""

    def patches(true_patches):
        grid = [size // patch for size, patch in zip(job.preprocess.img_size, patch_size, strict=True)]
        pixels = job.preprocess.to_pixels(api.nets.unpatchify(true_patches, grid, patch_size))
        return api.nets.patchify(job.preprocess.normalize(predict(pixels)), patch_size)

    return Oracle(patches, patch_size)


def metrics(job, module, *batches):
    evaluator = job.evaluator()
    for each in batches:
        evaluator.update(module, each)
    return {metric.name: metric for metric in evaluator.metrics()}


def test_a_perfect_prediction_has_no_error():
    job = task()
    found = metrics(job, pixels_oracle(job, lambda pixels: pixels), batch(job, pictures(3)))
    assert list(found) == ["mse", "psnr", "ssim", "atol"]  # the headline first
    assert found["mse"].value == pytest.approx(0, abs=1e-12)
    assert found["ssim"].value == pytest.approx(1, abs=1e-6)
    assert found["psnr"].value == pytest.approx(120)  # cut off there
    assert found["atol"].value == 1


def test_errors_are_in_pixel_units_and_on_hidden_patches_alone():
    job, pixels = task(mask_ratio=0.5), pictures(3)
    mask = api.nets.unpatchify(job.masking(batch(job, pixels)).mask.unsqueeze(-1).expand(-1, -1, 4), (4, 4), PATCH)

    def guess(pixels):
        return pixels + torch.where(mask > 0, 0.2, 50.0)

    found = metrics(job, pixels_oracle(job, guess), batch(job, pixels))
    assert found["mse"].value == pytest.approx(0.04, rel=1e-4)
    assert found["psnr"].value == pytest.approx(-10 * math.log10(0.04), rel=1e-4)
    assert found["atol"].value == 0


def test_pixels_within_a_tenth_are_counted():
    job = task()
    columns = torch.tensor([0.05, 0.5] * 4)  # of every two columns one is near
    found = metrics(job, pixels_oracle(job, lambda pixels: pixels + columns), batch(job, pictures(2)))
    assert found["atol"].value == pytest.approx(0.5)
    assert found["mse"].value == pytest.approx((0.05**2 + 0.5**2) / 2, rel=1e-4)


def test_batches_add_up():
    job, pixels = task(), pictures(5)
    module = pixels_oracle(job, lambda pixels: pixels * 0.5)
    whole = metrics(job, module, batch(job, pixels))
    parts = metrics(job, module, batch(job, pixels[:3]), batch(job, pixels[3:], first=3))
    for name, metric in whole.items():
        assert metric.value == pytest.approx(parts[name].value, rel=1e-5)


def test_states_add_up_and_masks_are_those_of_the_first_samples_in_any_order(monkeypatch):
    drawn = []
    strip = "maecli_plugins.tasks.reconstruct.evaluator.mask_strip"
    monkeypatch.setattr(strip, lambda *arguments: drawn.append(arguments) or b"png")
    job, pixels = task(), pictures(9)
    job.fit_baselines([batch(job, pictures(4, seed=1))])
    module = pixels_oracle(job, lambda pixels: pixels * 0.5)
    first, second, joined, whole = (job.evaluator() for _ in range(4))
    for start in (6, 0, 3):  # bucketed batches come in any order
        whole.update(module, batch(job, pixels[start : start + 3], first=start))
        (second if start else first).update(module, batch(job, pixels[start : start + 3], first=start))
    joined.load_state(add_states(first.state(), second.state()))
    for one, other in zip(whole.metrics(), joined.metrics(), strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-9)
        assert other.baselines == pytest.approx(one.baselines, rel=1e-9)
    assert whole.drawings()
    masks, mean, _ = drawn[0]
    every = job.masking(batch(job, pixels)).mask.reshape(9, 4, 4)
    assert (masks == every[:5].numpy()).all()
    assert mean == pytest.approx(every.mean(0).numpy())


def test_the_trivial_baselines_are_the_mean_picture_and_the_mean_patch_of_the_training_pictures():
    job, training, pixels = task(), pictures(7, seed=1), pictures(3)
    job.fit_baselines(iter([batch(job, training[:5]), batch(job, training[5:], first=5)]))
    mean = training.mean(0, keepdim=True)
    assert torch.allclose(job.mean_picture, mean[0], atol=1e-6)
    patch = api.nets.patchify(mean, PATCH).mean(1, keepdim=True).expand(-1, NUM_PATCHES, -1)
    for name, guess in {"mean picture": mean, "mean patch": api.nets.unpatchify(patch, (4, 4), PATCH)}.items():
        module = pixels_oracle(job, lambda pixels, guess=guess: guess.expand_as(pixels))
        for metric in metrics(job, module, batch(job, pixels)).values():
            assert metric.value == pytest.approx(metric.baselines[name], rel=1e-4), metric.name


def test_a_model_that_sees_nothing_does_not_beat_its_baselines():
    job = task()
    job.fit_baselines([batch(job, pictures(8, seed=1))])
    mean = job.mean_picture
    baseline = metrics(job, pixels_oracle(job, lambda pixels: mean.expand_as(pixels)), batch(job, pictures(3)))
    better = metrics(job, pixels_oracle(job, lambda pixels: (pixels + mean) / 2), batch(job, pictures(3)))
    assert not baseline["mse"].beats_baselines
    assert all(metric.beats_baselines for metric in better.values())


def test_without_training_pictures_there_are_no_baselines():
    job = task()
    job.fit_baselines(())
    found = metrics(job, pixels_oracle(job, lambda pixels: pixels), batch(job, pictures(2)))
    assert all(metric.baselines == {} for metric in found.values())


def test_normalised_predictions_are_brought_back_to_pixels_by_each_patchs_own_mean_and_deviation():
    job, pixels = task(norm_pix_loss=True), pictures(2)
    x = job.preprocess.normalize(pixels)
    mean = api.nets.patchify(x, PATCH).mean(-1, keepdim=True)
    deviation = api.nets.patchify(x, PATCH).std(-1, keepdim=True)  # unbiased
    _, truth, pred = job.reconstruct(Oracle(torch.ones_like), batch(job, pixels))
    assert torch.allclose(truth, api.nets.patchify(pixels, PATCH), atol=1e-6)
    expected = (mean + deviation).expand(-1, -1, 8) * torch.tensor(STD).repeat(4) + torch.tensor(MEAN).repeat(4)
    assert torch.allclose(pred, expected, atol=1e-5)


def test_perfect_normalised_predictions_have_no_error():
    job = task(norm_pix_loss=True)
    found = metrics(job, Oracle(api.nets.normalize_patches), batch(job, pictures(3)))
    assert found["mse"].value == pytest.approx(0, abs=1e-10)
    assert found["ssim"].value == pytest.approx(1, abs=1e-4)
    assert {metric.note for metric in found.values()} == {"patch means given"}


def test_the_baseline_of_normalised_predictions_knows_each_hidden_patchs_mean():
    """With one mean and deviation for both channels, predicting zero is predicting the patch's own mean."""
    one = card().model_copy(update={"mean": (0.5, 0.5), "std": (0.25, 0.25)})
    job = Reconstruct(Reconstruct.Options(norm_pix_loss=True), one, api.Preprocess.of(one, SIZE))
    job.build(encoder())
    found = metrics(job, Oracle(torch.zeros_like), batch(job, pictures(3)))
    for metric in found.values():
        assert list(metric.baselines) == ["own mean of each patch"]
        assert metric.value == pytest.approx(metric.baselines["own mean of each patch"], rel=1e-4)


@pytest.mark.parametrize("mask", MASKS)
def test_every_evaluation_hides_the_same_patches_however_samples_are_batched(mask):
    job, pixels = task(mask=mask), pictures(4)
    whole = job.masking(batch(job, pixels)).mask
    assert whole.equal(job.masking(batch(job, pixels)).mask)
    assert whole[2:].equal(job.masking(batch(job, pixels[2:], first=2)).mask)
    assert whole.sum(1).tolist() == [12] * 4
    assert len(whole.unique(dim=0)) > 1


@pytest.mark.parametrize("mask", MASKS)
def test_every_epoch_of_training_hides_others(mask):
    job, pixels = task(mask=mask), pictures(4)
    masks = [job.masking(batch(job, pixels, epoch=epoch)).mask for epoch in (-1, 0, 1)]
    assert not masks[0].equal(masks[1])
    assert not masks[1].equal(masks[2])


@pytest.mark.parametrize(("mask_ratio", "what"), [(0.03, "no patch"), (0.97, "every patch")])
def test_a_mask_ratio_that_hides_none_or_all_is_refused(mask_ratio, what):
    text = rf"task\.mask_ratio {mask_ratio} hides {what} of 16; it must hide at least one and leave at least one"
    with pytest.raises(api.SpecError, match=text):
        task(mask_ratio=mask_ratio)


def test_a_mask_ratio_that_rounding_saves_is_taken():
    assert task(mask_ratio=0.04).masking(batch(task(), pictures(1))).mask.sum() == 1


def test_patches_are_hidden_at_random_unless_another_mask_is_given():
    each = batch(task(), pictures(4))
    drawn = api.nets.random_masking(each.draws.uniform("mask", NUM_PATCHES), 0.75)
    assert task().masking(each).mask.equal(drawn.mask)
    assert not task(mask="block").masking(each).mask.equal(drawn.mask)


def test_a_grid_is_refused_where_its_ratio_cannot_be_had():
    assert task(mask="grid", mask_ratio=0.9375).masking(batch(task(), pictures(1))).mask.sum() == 15
    text = (
        r"^task\.mask_ratio 0\.6 cannot be had from a grid mask on 4×4 patches, which keeps or hides one patch of "
        r"every cell of equal size; take 0\.5, 0\.75 or another mask$"
    )
    with pytest.raises(api.SpecError, match=text):
        task(mask="grid", mask_ratio=0.6)
    with pytest.raises(api.SpecError, match=r"^task\.mask_ratio 0\.97 hides every patch of 16"):
        task(mask="grid", mask_ratio=0.97)


@torch.no_grad()
def test_the_loss_is_the_modules_on_the_drawn_masks():
    job, x = task(norm_pix_loss=True), pictures(3)
    module = job.build(encoder()).eval()
    assert module.norm_pix_loss
    each = batch(job, x, epoch=2)
    assert float(job.loss(module, each)) == float(module(each["image"], job.masking(each)))


def test_the_decoder_is_what_suits_the_model_unless_it_is_given():
    decoder = Reconstruct(Reconstruct.Options(), card(), api.Preprocess.of(card(), SIZE)).build(encoder()).decoder
    assert (decoder.embed.out_features, len(decoder.blocks), decoder.blocks[0].attn.num_heads) == (8, 1, 2)
    options = Reconstruct.Options(decoder_embed_dim=16, decoder_depth=3, decoder_num_heads=4, decoder_mlp_ratio=2.0)
    decoder = Reconstruct(options, card(), api.Preprocess.of(card(), SIZE)).build(encoder()).decoder
    assert (decoder.embed.out_features, len(decoder.blocks), decoder.blocks[0].attn.num_heads) == (16, 3, 4)
    assert decoder.blocks[0].mlp.fc1.out_features == 32


@torch.no_grad()
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("size", "patch_size"), [((12,), (3,)), ((8, 12), (4, 2)), ((4, 6, 4), (2, 3, 2))])
def test_series_pictures_and_volumes_are_measured(size, patch_size, mask):
    job = task(size, patch_size, mask_ratio=0.5, mask=mask)
    job.fit_baselines([batch(job, pictures(4, size, seed=1))])
    module = job.build(encoder(size, patch_size)).eval()
    found = metrics(job, module, batch(job, pictures(3, size)))
    assert ("ssim" in found) == (len(size) == 2)
    assert all(math.isfinite(metric.value) and len(metric.baselines) == 2 for metric in found.values())
    assert float(job.loss(module, batch(job, pictures(3, size)))) > 0
    assert len(job.draw(module, batch(job, pictures(3, size)))) == 1


def test_predictions_tell_each_samples_error_and_draw_it():
    job, pixels = task(), pictures(2)
    offsets = torch.tensor([0.1, 0.3]).reshape(2, 1, 1, 1)

    def guess(true_pixels):
        return true_pixels + offsets[: len(true_pixels)]

    predictions = job.predict(pixels_oracle(job, guess), batch(job, pixels))
    assert [each.row["masked_mse"] for each in predictions] == pytest.approx([0.01, 0.09], rel=1e-3)
    assert all(each.files[".png"]().startswith(b"\x89PNG") for each in predictions)


def recorded_drawings(monkeypatch, axes):
    """Return a list that takes what samples are drawn of: images and what is hidden."""
    drawn = []
    picture = np.zeros((3, 4, 4), np.float32)
    monkeypatch.setattr(type(KINDS[axes]), "draw", lambda _, *arguments: drawn.append(arguments) or picture)
    return drawn


@torch.no_grad()
def test_drawings_show_what_is_hidden_and_what_is_missing(monkeypatch):
    job, drawn = task((12,), (3,), mask_ratio=0.5), recorded_drawings(monkeypatch, 1)
    samples = batch(job, pixels := pictures(1, (12,)))
    samples.tensors["valid"] = torch.ones(1, 2, 12, dtype=torch.bool)
    samples.tensors["valid"][0, 1, 4] = False
    job.draw(pixels_oracle(job, lambda pixels: pixels + 0.5, (3,)), samples)
    truth, hidden = pixels[0].numpy().copy(), job.masking(samples).mask[0].repeat_interleave(3).numpy() > 0
    truth[1, 4] = np.nan
    original, masked, prediction, pasted = drawn
    for image, expected in (
        (original[0], truth),
        (masked[0], truth),
        (prediction[0], truth + 0.5),
        (pasted[0], truth + 0.5 * hidden),
    ):
        np.testing.assert_allclose(image, expected, atol=1e-5)
    assert (masked[1] == hidden).all()
    assert [each[1] for each in (original, prediction, pasted)] == [None] * 3


@torch.no_grad()
def test_predictions_of_what_is_no_picture_are_values_in_the_units_of_the_data():
    job = task((12,), (3,), mask_ratio=0.5)
    job.preprocess = dataclasses.replace(job.preprocess, value_range=(-10.0, 90.0))
    samples = batch(job, pixels := pictures(1, (12,)))
    hidden = job.masking(samples).mask[0].repeat_interleave(3).numpy() > 0
    valid = torch.ones(1, 2, 12, dtype=torch.bool)
    gap, guessed = int((~hidden).nonzero()[0][0]), int(hidden.nonzero()[0][0])
    valid[0, 1, [gap, guessed]] = False
    samples.tensors["valid"] = valid
    job.card = job.card.model_copy(update={"value_range": (-10.0, 90.0)})
    (found,) = job.predict(pixels_oracle(job, lambda pixels: torch.full_like(pixels, 0.25), (3,)), samples)
    expected = np.where(hidden, 15.0, 100 * pixels[0].numpy() - 10)
    expected[1, gap] = np.nan  # what was seen is not guessed, also where it has a gap
    np.testing.assert_allclose(found.values[""], expected, atol=1e-3)
    assert found.files == {}


@torch.no_grad()
def test_drawings_say_how_much_was_hidden_and_what_the_prediction_is():
    for norm_pix_loss, words in [
        (False, "Predictions are as the model makes them."),
        (True, "by each patch's true mean and variance."),
    ]:
        job = task(mask_ratio=0.75, norm_pix_loss=norm_pix_loss)
        (picture,) = job.draw(job.build(encoder()).eval(), batch(job, pictures(3)))
        assert picture.caption.startswith("Reconstructions with 75% of the patches hidden (random masks). ")
        assert picture.caption.endswith(words)


@pytest.mark.parametrize("mask", MASKS)
def test_the_masks_of_an_evaluation_are_drawn_with_their_mean(mask, monkeypatch):
    job, pixels, drawn = task((8, 12), (2, 3), mask=mask), pictures(7, (8, 12)), []
    strip = "maecli_plugins.tasks.reconstruct.evaluator.mask_strip"
    monkeypatch.setattr(strip, lambda *arguments: drawn.append(arguments) or b"png")
    evaluator = job.evaluator()
    batches = [batch(job, pixels[:4]), batch(job, pixels[4:], first=4)]
    for each in batches:
        evaluator.update(pixels_oracle(job, lambda pixels: pixels, (2, 3)), each)
    (picture,) = evaluator.drawings()
    masks = torch.cat([job.masking(each).mask for each in batches]).reshape(7, 4, 4)
    [(first, mean, patch_size)] = drawn
    assert (first == masks[:5].numpy()).all()
    assert mean == pytest.approx(masks.mean(0).numpy())
    assert patch_size == (2, 3)
    assert picture.caption == (
        f"The masks of 5 pictures, with 75% of the patches hidden ({mask} masks), and the mean over all 7: blue "
        "patches are seen by the encoder, grey ones are not."
    )


@torch.no_grad()
@pytest.mark.parametrize(("size", "patch_size"), [((12,), (3,)), ((4, 6, 4), (2, 3, 2))])
def test_masks_of_series_and_volumes_are_drawn_as_their_samples_are(size, patch_size, monkeypatch):
    job, samples, drawn = task(size, patch_size), pictures(3, size), recorded_drawings(monkeypatch, len(size))
    evaluator = job.evaluator()
    evaluator.update(job.build(encoder(size, patch_size)).eval(), batch(job, samples))
    (picture,) = evaluator.drawings()
    assert picture.png.startswith(b"\x89PNG")
    masks = job.masking(batch(job, samples)).mask.unsqueeze(-1).expand(-1, -1, math.prod(patch_size))
    cells = api.nets.unpatchify(masks, job.grid(batch(job, samples)), patch_size)[:, 0].numpy()
    assert [(hidden == cell).all() for (_, hidden), cell in zip(drawn, cells, strict=False)] == [True] * 3
    ((mean, none),) = drawn[3:]
    np.testing.assert_allclose(mean[0], cells.mean(0), rtol=1e-6)
    assert none is None


def test_notes_say_what_the_errors_are_and_tell_that_patch_means_are_given():
    (note,) = task(mask_ratio=0.6).describe()
    assert (
        "Errors are of pixels scaled to [0, 1], on hidden patches only (60%, by random masks, the same ones in every"
        in note
    )
    assert "by block masks" in task(mask="block").describe()[0]
    assert task(norm_pix_loss=True).describe()[1].startswith("Patch means given: ")


def test_validation_between_epochs_leaves_out_what_costs_much():
    job = task()
    module = pixels_oracle(job, lambda pixels: pixels)
    measured = {}
    for thorough in (True, False):
        evaluator = job.evaluator(thorough)
        evaluator.update(module, batch(job, pictures(2)))
        measured[thorough] = [metric.name for metric in evaluator.metrics()]
        assert len(evaluator.drawings()) == thorough
    assert measured == {True: ["mse", "psnr", "ssim", "atol"], False: ["mse", "psnr", "atol"]}
    assert job.monitor in measured[False]
