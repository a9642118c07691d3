from __future__ import annotations

import io

import numpy as np
import pytest
from maecli_plugins.tasks.reconstruct.masks import mask_strip
from PIL import Image

VISIBLE, HIDDEN = (0, 114, 178), (213, 217, 222)


def opened(png):
    image = Image.open(io.BytesIO(png))
    assert image.mode == "RGB"
    return np.asarray(image)


def test_visible_patches_are_blue_hidden_ones_grey_and_the_mean_lies_between():
    masks = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]], np.float32)
    pixels = opened(mask_strip(masks, masks.mean(0), (8, 8)))
    mean = tuple(np.mean([VISIBLE, HIDDEN], axis=0).round().astype(int))
    areas = {colour: int((pixels == colour).all(-1).sum()) for colour in (VISIBLE, HIDDEN, mean)}
    patch = 74 * 74  # 75 pixels, of which one is the line between patches
    assert areas == {VISIBLE: 8 * patch, HIDDEN: 2 * patch, mean: 2 * patch}


@pytest.mark.parametrize(
    ("grid", "patch_size", "height", "width"),
    [((4, 4), (16, 16), 37, 37), ((2, 4), (8, 8), 37, 37), ((4, 4), (8, 16), 18, 37), ((1, 60), (3, 3), 2, 2)],
)
def test_patches_have_their_own_shape(grid, patch_size, height, width):
    pixels = opened(mask_strip(np.zeros((1, *grid)), np.ones(grid), patch_size))
    line = int(min(height, width) >= 6)
    for colour in (VISIBLE, HIDDEN):
        area = int((pixels == colour).all(-1).sum())
        assert area == (height - line) * (width - line) * grid[0] * grid[1]


def test_a_strip_fits_the_page():
    pixels = opened(mask_strip(np.zeros((5, 14, 14)), np.zeros((14, 14)), (16, 16)))
    assert pixels.shape[1] <= 1040
    many = opened(mask_strip(np.zeros((5, 300, 20)), np.zeros((300, 20)), (1, 1)))
    assert many.shape[0] < 300
