from __future__ import annotations

import numpy as np
import pytest
import torch
from maecli_plugins.tasks.reconstruct.ssim import ssim_map
from scipy.ndimage import gaussian_filter


def picture(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_picture_is_wholly_similar_to_itself():
    x = picture(0, 2, 3, 12, 16)
    similarity = ssim_map(x, x)
    assert similarity.shape == x.shape
    assert torch.allclose(similarity, torch.ones_like(x), atol=1e-6)


def test_two_flat_pictures_differ_by_their_brightness_alone():
    similarity = ssim_map(torch.full((1, 1, 8, 8), 0.2), torch.full((1, 1, 8, 8), 0.6))
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert torch.allclose(similarity, torch.full_like(similarity, expected), atol=1e-3)


def test_similarity_is_the_formula_on_gaussian_windows():
    x, y = picture(1, 1, 1, 14, 11), picture(2, 1, 1, 14, 11)

    def blur(values):
        return gaussian_filter(values, 1.5, mode="mirror", truncate=3.5)

    a, b = x[0, 0].double().numpy(), y[0, 0].double().numpy()
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    assert np.abs(ssim_map(x, y)[0, 0].numpy() - expected).max() < 1e-4


def test_similarity_is_symmetric_and_at_most_one():
    x, y = picture(1, 2, 1, 10, 10), picture(2, 2, 1, 10, 10)
    assert torch.allclose(ssim_map(x, y), ssim_map(y, x), atol=1e-6)
    assert ssim_map(x, y).max() <= 1 + 1e-6
    assert ssim_map(x, 1 - x).mean() < 0


def test_each_channel_and_sample_is_measured_alone():
    x, y = picture(1, 2, 2, 10, 10), picture(2, 2, 2, 10, 10)
    assert torch.allclose(ssim_map(x, y)[1:, 1:], ssim_map(x[1:, 1:], y[1:, 1:]), atol=1e-6)


@pytest.mark.parametrize("size", [(5, 9), (9, 4)])
def test_a_picture_that_the_window_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=rf"SSIM needs pictures of more than 5 pixels a side, not \({size[0]}, "):
        ssim_map(torch.zeros(1, 1, *size), torch.zeros(1, 1, *size))


def test_ssim_is_the_same_under_autocast():
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.01 + 0.9
    y = x.mean((2, 3), keepdim=True).expand_as(x).contiguous()
    plain = ssim_map(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ssim_map(x, y), plain)
