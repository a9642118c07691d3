from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from mae_denoise import Denoise, Denoiser, blur
from PIL import Image
from pydantic import ValidationError

from maecli import api
from maecli.testing import TaskConformance

torch.set_num_threads(1)


class TestConformance(TaskConformance):
    task = Denoise


def make_task(channels: int = 3, size: tuple[int, ...] = (8, 8), **options: Any) -> Denoise:
    card = api.DataCard(
        name="toy",
        title="toy",
        fields=("image",),
        channels=channels,
        size=size,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        split_sizes={"train": 4, "val": 0, "test": 0},
        split_origin="none",
    )
    return Denoise(Denoise.Options(**options), card, api.Preprocess.of(card, size))


def encoder(task: Denoise, patch: int = 4) -> api.Encoder:
    size = task.preprocess.img_size
    torch.manual_seed(0)
    return api.nets.VisionTransformer(
        size, (patch,) * len(size), task.preprocess.in_chans, embed_dim=24, depth=1, num_heads=2
    )


def make_batch(task: Denoise, num: int = 4, epoch: int = -1) -> api.Batch:
    """Return a batch whose pixels are 0.5 throughout."""
    image = torch.zeros(num, task.preprocess.in_chans, *task.preprocess.img_size)
    return api.Batch({"image": image}, api.Draws(0, epoch, torch.arange(num)))


def test_an_untrained_denoiser_gives_the_noisy_picture_back():
    task = make_task()
    module, batch = task.build(encoder(task)), make_batch(task)
    noisy = task.add_noise(batch)
    assert torch.allclose(task.denoise(module, noisy), noisy, atol=1e-6)
    assert task.loss(module, batch).item() == pytest.approx(0.1**2, rel=0.1)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_noise_has_the_given_deviation_in_pixel_units(sigma):
    task = make_task(size=(32, 32), sigma=sigma)
    noise = task.add_noise(make_batch(task, 8)) - 0.5
    assert float(noise.std()) == pytest.approx(sigma, rel=0.03)
    assert float(noise.mean()) == pytest.approx(0, abs=sigma / 30)


def test_each_sample_and_epoch_has_noise_of_its_own_whatever_the_batch():
    task = make_task()
    noisy = task.add_noise(make_batch(task))
    assert torch.equal(noisy, task.add_noise(make_batch(task)))
    parts = [task.add_noise(part) for part in make_batch(task).micro_batches(3)]
    assert torch.equal(noisy, torch.cat(parts))
    assert not torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy, task.add_noise(make_batch(task, epoch=0)))


def test_some_steps_beat_the_noisy_picture_and_every_weight_learns():
    task = make_task()
    module = task.build(encoder(task))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    before = {name: value.detach().clone() for name, value in module.named_parameters() if value.requires_grad}
    for epoch in range(30):
        optimizer.zero_grad()
        task.loss(module, make_batch(task, 8, epoch)).backward()
        optimizer.step()
    assert [name for name, value in before.items() if torch.equal(value, module.get_parameter(name))] == []
    psnr, mse = evaluate(task, module)
    assert psnr.value > psnr.baselines["noisy picture"] + 1
    assert mse.value < mse.baselines["noisy picture"]


def evaluate(task: Denoise, module: Denoiser) -> list[api.Metric]:
    task.fit_baselines([make_batch(task, 2), make_batch(task, 3)])
    evaluator = task.evaluator()
    with torch.no_grad():
        for batch in make_batch(task, 8).micro_batches(3):
            evaluator.update(module.eval(), batch)
    return list(evaluator.metrics())


def test_metrics_stand_beside_noisy_blurred_and_mean_pictures():
    task = make_task()
    psnr, mse = evaluate(task, task.build(encoder(task)))
    assert [psnr.name, mse.name] == [task.monitor, "mse"]
    assert list(psnr.baselines) == ["noisy picture", "mean of 3 pixels each way", "mean picture"]
    assert mse.value == pytest.approx(mse.baselines["noisy picture"])
    assert mse.value == pytest.approx(0.01, rel=0.1)
    assert psnr.value == pytest.approx(-10 * math.log10(mse.value))
    assert mse.baselines["mean picture"] == pytest.approx(0, abs=1e-12), "all pictures are alike"
    assert mse.baselines["mean of 3 pixels each way"] < mse.value / 3
    assert psnr.beats_baselines is False


@torch.no_grad()
def test_without_training_samples_there_is_no_mean_picture():
    task = make_task()
    task.fit_baselines([])
    evaluator = task.evaluator()
    evaluator.update(task.build(encoder(task)).eval(), make_batch(task))
    assert list(evaluator.metrics()[0].baselines) == ["noisy picture", "mean of 3 pixels each way"]


def test_a_blur_is_the_mean_of_the_neighbours_that_are_there():
    line = torch.tensor([[[0.0, 3.0, 6.0]]])
    assert blur(line).tolist() == [[[1.5, 3.0, 4.5]]]
    assert float(blur(torch.arange(9.0).reshape(1, 1, 3, 3))[0, 0, 1, 1]) == 4.0
    assert blur(torch.ones(1, 2, 3, 4, 5)).shape == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("channels", [1, 3])
@torch.no_grad()
def test_inference_denoises_a_picture_as_it_is(channels):
    task = make_task(channels)
    batch = make_batch(task, 2)
    batch.tensors["image"][1] = 2.0  # white
    grey, white = task.predict(task.build(encoder(task)), batch)
    assert grey.row == {"removed_rms": 0.0}
    assert list(grey.files) == [".denoised.png"]
    pictures = [np.asarray(Image.open(io.BytesIO(each.files[".denoised.png"]()))) for each in (grey, white)]
    assert pictures[0].shape == ((8, 8) if channels == 1 else (8, 8, 3))
    assert (pictures[0] == 128).all()
    assert (pictures[1] == 255).all()


@pytest.mark.parametrize(("channels", "size"), [(5, (8, 8)), (2, (16,)), (1, (4, 4, 4))])
@torch.no_grad()
def test_other_data_become_arrays(channels, size):
    task = make_task(channels, size)
    module = task.build(encoder(task))
    first = task.predict(module, make_batch(task, 1))[0]
    pixels = np.load(io.BytesIO(first.files[".denoised.npy"]()))
    assert pixels.shape == (channels, *size)
    assert np.allclose(pixels, 0.5, atol=1e-6)
    assert len(task.draw(module, make_batch(task))) == (len(size) == 2)


@torch.no_grad()
def test_drawings_show_clean_noisy_and_denoised():
    task = make_task()
    module = task.build(encoder(task))
    [picture] = task.draw(module, make_batch(task))
    assert picture.name == "denoised"
    assert picture.png.startswith(b"\x89PNG")
    assert "standard deviation 0.1 added" in picture.caption
    beside = task.side_by_side(module, make_batch(task, 9))
    assert beside is not None
    assert list(beside.given) == ["as given", "noise added"]
    assert [len(column) for column in (*beside.given.values(), beside.made)] == [6, 6, 6]
    assert np.allclose(beside.made[0], beside.given["noise added"][0], atol=1e-6)
    assert task.side_by_side(make_series()[1], make_batch(make_series()[0])) is None


def make_series() -> tuple[Denoise, Denoiser]:
    task = make_task(2, (16,))
    return task, task.build(encoder(task))


def test_the_report_says_how_metrics_were_taken():
    noise, taken = make_task(sigma=0.2).describe()
    assert noise == (
        "Gaussian noise of standard deviation 0.2 in pixel units of [0, 1], the same in every evaluation, is added to "
        "pictures of 8×8."
    )
    assert "clipped to [0, 1]" in taken


@pytest.mark.parametrize("sigma", [0, -0.1, 1.5])
def test_noise_must_be_of_the_size_of_pixels(sigma):
    with pytest.raises(ValidationError):
        Denoise.Options(sigma=sigma)


def test_a_model_whose_patches_do_not_cover_the_picture_is_refused():
    task = make_task()
    odd = encoder(task)
    odd.img_size = (9, 9)
    with pytest.raises(api.SpecError) as caught:
        task.build(odd)
    assert str(caught.value) == (
        "denoise predicts whole patches, and those of this model cover (8, 8) of model.img_size (9, 9); give an "
        "img_size that is a multiple of (4, 4)"
    )
