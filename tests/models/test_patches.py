from __future__ import annotations

import pytest
import torch

from maecli.models.patches import grid_of, patchify, unpatchify

SIZES = [((12,), (3,)), ((8, 8), (4, 4)), ((6, 4), (3, 2)), ((4, 6, 10), (2, 3, 5))]


@pytest.mark.parametrize(("size", "patch_size"), SIZES)
def test_unpatchify_is_the_inverse_of_patchify(size, patch_size):
    x = torch.randn(2, 3, *size)
    patches = patchify(x, patch_size)
    assert unpatchify(patches, grid_of(size, patch_size), patch_size).equal(x)


@pytest.mark.parametrize(("size", "patch_size"), SIZES)
def test_patches_hold_every_value_once(size, patch_size):
    x = torch.arange(2.0 * torch.Size(size).numel()).reshape(1, 2, *size)
    patches = patchify(x, patch_size)
    assert patches.shape == (1, torch.Size(grid_of(size, patch_size)).numel(), torch.Size(patch_size).numel() * 2)
    assert patches.flatten().sort().values.equal(x.flatten())


def test_rows_of_patches_come_first_and_within_a_patch_the_channel_runs_fastest():
    x = torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]], [[-1, -2, -3, -4], [-5, -6, -7, -8]]]).unsqueeze(0)
    assert patchify(x, (2, 2))[0].tolist() == [[1, -1, 2, -2, 5, -5, 6, -6], [3, -3, 4, -4, 7, -7, 8, -8]]
    assert patchify(x, (1, 2))[0].tolist() == [[1, -1, 2, -2], [3, -3, 4, -4], [5, -5, 6, -6], [7, -7, 8, -8]]


def test_a_series_is_cut_into_stretches():
    x = torch.tensor([[[1, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]]])
    assert patchify(x, (3,))[0].tolist() == [[1, -1, 2, -2, 3, -3], [4, -4, 5, -5, 6, -6]]


def test_in_a_volume_the_last_axis_runs_fastest():
    x = torch.arange(8).reshape(1, 1, 2, 2, 2)
    assert patchify(x, (1, 1, 2))[0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert patchify(x, (2, 1, 1))[0].tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_the_grid_counts_patches_along_each_axis():
    assert grid_of((225, 100, 8), (15, 10, 8)) == (15, 10, 1)


@pytest.mark.parametrize(
    ("size", "patch_size", "text"),
    [
        ((32, 225), (16, 16), r"img_size \(225\) must be a multiple of patch_size \(16\)"),
        ((8, 8), (16, 16), r"img_size \(8\) must be a multiple of patch_size \(16\)"),
        ((8, 8), (0, 2), r"img_size \(8\) must be a multiple of patch_size \(0\)"),
        ((8, 8), (2,), r"img_size \(8, 8\) and patch_size \(2,\) differ in axes"),
    ],
)
def test_a_patch_size_that_does_not_fit_is_refused(size, patch_size, text):
    with pytest.raises(ValueError, match=text):
        grid_of(size, patch_size)
    with pytest.raises(ValueError, match=text):
        patchify(torch.zeros(1, 1, *size), patch_size)


def test_a_grid_of_another_number_of_patches_is_refused():
    with pytest.raises(ValueError, match=r"6 patches do not fill a grid of \(2, 2\)"):
        unpatchify(torch.zeros(1, 6, 4), (2, 2), (2, 2))
