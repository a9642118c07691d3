from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from reference_models import difference

from maecli.weights.adapt import change_channels, kernel_of_linear, linear_of_kernel, resize_kernel, side_of


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("patch_size", [(4, 3), (2,), (2, 3, 4)])
def test_a_linear_layer_over_patches_is_the_kernel_in_another_order(patch_size):
    kernel = random(6, 5, *patch_size)
    linear = linear_of_kernel(kernel)
    assert linear[0, 1] == kernel[0, 1].flatten()[0]  # channels run fastest
    assert kernel_of_linear(linear, patch_size).equal(kernel)


@pytest.mark.parametrize(("old", "new"), [((4, 4), (8, 8)), ((4, 4), (5, 7)), ((2, 3), (6, 3)), ((3,), (5,))])
def test_patches_that_grow_keep_their_tokens(old, new):
    """FlexiViT, section 3.4: a resized patch gives a resized kernel what the original gave the original one."""
    kernel, patch = random(6, 3, *old), random(1, 3, *old)
    mode = "bilinear" if len(old) == 2 else "linear"
    grown = F.interpolate(patch, new, mode=mode, align_corners=False)
    resized = resize_kernel(kernel, new)
    assert resized.shape == (6, 3, *new)
    assert difference((resized * grown).flatten(1).sum(1), (kernel * patch).flatten(1).sum(1)) <= 1e-5


@pytest.mark.parametrize(("old", "new"), [((4, 4), (2, 2)), ((6, 4), (4, 3)), ((4, 4), (6, 3))])
def test_patches_that_shrink_keep_their_tokens_as_well_as_can_be(old, new):
    """The least-squares solution of Bᵀ w' = w, with B from resizing every picture of one bright pixel."""
    kernel = random(6, 1, *old)
    basis = torch.eye(math.prod(old), dtype=torch.float64).reshape(-1, 1, *old)
    transposed = F.interpolate(basis, new, mode="bilinear", antialias=True).flatten(1)  # (old pixels, new pixels)
    best = torch.linalg.lstsq(transposed, kernel.double().flatten(1).T).solution  # (new pixels, 6)
    assert difference(resize_kernel(kernel, new), best.T.float().reshape(6, 1, *new)) <= 1e-5


def test_the_same_size_changes_nothing():
    kernel = random(6, 3, 4, 4)
    assert resize_kernel(kernel, (4, 4)).equal(kernel)


@pytest.mark.parametrize(("old", "new"), [(3, 1), (1, 3), (3, 4), (5, 2)])
def test_a_picture_whose_channels_are_alike_keeps_its_tokens(old, new):
    kernel, grey = random(6, old, 4, 4), random(1, 1, 4, 4)
    changed = change_channels(kernel, new)
    assert changed.shape == (6, new, 4, 4)
    before, after = (
        (each * grey.expand(1, num, 4, 4)).flatten(1).sum(1) for each, num in ((kernel, old), (changed, new))
    )
    assert difference(before, after) <= 1e-5


def test_three_channels_become_one_by_their_sum_and_one_is_shared_out():
    kernel = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    assert change_channels(kernel, 1).tolist() == [[[[7.0]]]]
    assert change_channels(torch.full((1, 1, 1, 1), 6.0), 3).flatten().tolist() == [2.0, 2.0, 2.0]


def test_the_side_of_a_square_grid():
    assert [side_of(cells) for cells in (0, 1, 15, 16, 196)] == [None, 1, None, 4, 14]
