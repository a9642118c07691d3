from __future__ import annotations

import math

import pytest
import torch

from maecli.data.augment import _affine_maps, augment, random_boxes
from maecli.data.randomness import Draws
from maecli.specs import AugmentSpec


class Pinned(Draws):
    """Draws of one sample that the test chooses, by purpose; a half elsewhere."""

    def __init__(self, **values):
        super().__init__(0, 0, torch.tensor([0]))
        self.values = values

    def uniform(self, purpose, num):
        return torch.tensor([self.values.get(purpose, [0.5] * num)])


def picture(height, width, batch=1, channels=2):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, channels, height, width, generator=generator)


def same(a, b, tolerance=1e-4):
    return a.shape == b.shape and bool((a - b).abs().max() < tolerance)


def test_without_a_change_the_input_is_returned_untouched():
    pixels = picture(6, 9)
    assert augment(pixels, Pinned(), AugmentSpec(), (6, 9)) is pixels
    assert augment(pixels, Pinned(), AugmentSpec(crop="random-resized"), (6, 9), crop=False) is pixels


def test_flipping_mirrors_left_to_right_exactly_for_about_half_of_the_samples():
    pixels, draws = picture(5, 8, batch=200), Draws(0, 0, torch.arange(200))
    out = augment(pixels, draws, AugmentSpec(flip=True), (5, 8))
    flipped = draws.uniform("flip", 1)[:, 0] < 0.5
    assert same(out[flipped], pixels[flipped].flip(-1), 1e-5)
    assert same(out[~flipped], pixels[~flipped], 1e-5)
    assert 70 < int(flipped.sum()) < 130


@pytest.mark.parametrize(("u", "shift"), [((0.0, 0.999), (-2, 2)), ((0.5, 0.2), (0, -1)), ((0.79, 0.81), (1, 2))])
def test_a_padded_crop_moves_by_whole_pixels_and_fills_up_with_zero(u, shift):
    pixels = picture(6, 9)
    out = augment(pixels, Pinned(crop=u), AugmentSpec(crop="pad", crop_padding=2), (6, 9))
    right, down = shift  # of the window over the padded picture
    padded = torch.nn.functional.pad(pixels, [2] * 4)
    assert same(out, padded[:, :, 2 + down : 8 + down, 2 + right : 11 + right], 1e-5)


def test_padded_crops_take_every_shift_equally_often():
    mark = torch.zeros(5000, 1, 5, 5)
    mark[:, :, 2, 2] = 1
    spec = AugmentSpec(crop="pad", crop_padding=1)
    out = augment(mark, Draws(0, 0, torch.arange(5000)), spec, (5, 5)).mean(0)[0]
    assert (out[1:4, 1:4] - 1 / 9).abs().max() < 5 * (8 / 81 / 5000) ** 0.5
    assert float(out.sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("share", "quarters"), [(0.75, 1), (0.25, -1), (0.0, 2)])
def test_a_quarter_turn_is_exact(share, quarters):
    pixels = picture(7, 7)
    out = augment(pixels, Pinned(affine=[share, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180), (7, 7))
    assert same(out, torch.rot90(pixels, quarters, (2, 3)))


def test_pixels_stay_square_when_a_wide_picture_is_turned():
    pixels = torch.zeros(1, 1, 8, 16)
    pixels[..., 1:7, 7:9] = 1  # an upright bar, 6 by 2 pixels, in the middle
    out = augment(pixels, Pinned(affine=[0.75, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180), (8, 16))
    lying = torch.zeros(1, 1, 8, 16)
    lying[..., 3:5, 5:11] = 1
    assert same(out, lying)


def test_turning_by_any_angle_keeps_a_round_spot_round():
    y, x = torch.meshgrid(torch.arange(16) - 7.5, torch.arange(32) - 15.5, indexing="ij")
    spot = torch.exp(-(y**2 + x**2) / 18).reshape(1, 1, 16, 32)
    out = augment(spot, Pinned(affine=[0.6, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180), (16, 32))  # by 36 degrees
    assert same(out[..., 8:24], spot[..., 8:24], 0.05)


@pytest.mark.parametrize(("u", "rows", "columns"), [((1.0, 0.5), 0, 2), ((0.0, 0.5), 0, -2), ((0.5, 0.75), 1, 0)])
def test_a_shift_is_in_pixels_on_both_axes(u, rows, columns):
    pixels = picture(6, 12)
    out = augment(pixels, Pinned(affine=[0.5, 0.5, *u]), AugmentSpec(translate=2), (6, 12))
    padded = torch.nn.functional.pad(pixels, [2] * 4)
    assert same(out, padded[:, :, 2 + rows : 8 + rows, 2 + columns : 14 + columns], 1e-5)


def test_zooming_in_magnifies_the_centre_and_zooming_out_leaves_a_border_of_zero():
    pixels = torch.zeros(1, 1, 8, 16)
    pixels[..., 2:6, 4:12] = 1  # the central half of each axis
    near = augment(pixels, Pinned(affine=[0.5, 1.0, 0.5, 0.5]), AugmentSpec(zoom=(0.5, 2.0)), (8, 16))
    assert same(near[..., 1:7, 1:15], torch.ones(1, 1, 6, 14))
    far = augment(torch.ones(1, 1, 8, 16), Pinned(affine=[0.5, 0.0, 0.5, 0.5]), AugmentSpec(zoom=(0.5, 2.0)), (8, 16))
    assert same(far, pixels)


def test_a_box_fills_the_output():
    pixels = picture(8, 8)
    quarter = AugmentSpec(crop="random-resized", crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0))
    for top, left in [(0, 0), (0, 4), (4, 0), (4, 4), (2, 1)]:
        draws = Pinned(crop=[0.5, 0.5, top / 4, left / 4])
        assert same(augment(pixels, draws, quarter, (4, 4)), pixels[..., top : top + 4, left : left + 4])


def test_the_whole_picture_as_a_box_changes_nothing():
    pixels = picture(6, 6)
    spec = AugmentSpec(crop="random-resized", crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))
    assert same(augment(pixels, Pinned(), spec, (6, 6)), pixels, 1e-5)


def test_what_the_box_cuts_out_is_then_mirrored():
    pixels = picture(8, 8)
    spec = AugmentSpec(crop="random-resized", crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0), flip=True)
    out = augment(pixels, Pinned(crop=[0.5, 0.5, 0.0, 0.0], flip=[0.0]), spec, (4, 4))
    assert same(out, pixels[..., :4, :4].flip(-1))


def test_what_the_box_cuts_out_is_turned_and_shifted_in_pixels_of_the_output():
    pixels = picture(8, 16)
    spec = AugmentSpec(crop="random-resized", crop_scale=(0.125, 0.125), crop_ratio=(1.0, 1.0), rotate=180, translate=1)
    box = [0.5, 0.5, 0.5, 0.25]  # 4 by 4 pixels, from row 2 and column 3
    turned = augment(pixels, Pinned(crop=box, affine=[0.75, 0.5, 0.5, 0.5]), spec, (4, 4))
    assert same(turned, torch.rot90(pixels[..., 2:6, 3:7], 1, (2, 3)))
    shifted = augment(pixels, Pinned(crop=box, affine=[0.5, 0.5, 1.0, 0.5]), spec, (4, 4))
    assert same(shifted, pixels[..., 2:6, 4:8])


SIZES = [(32, 32), (20, 60), (60, 20)]


@pytest.mark.parametrize("size", SIZES)
def test_random_boxes_lie_inside_the_picture_with_the_asked_areas_and_proportions(size):
    spec = AugmentSpec(crop_scale=(0.08, 0.3), crop_ratio=(0.75, 4 / 3))
    H, W = size
    top, left, height, width = random_boxes(Draws(0, 0, torch.arange(2000)), size, spec).unbind(1)
    assert min(map(float, (top.min(), left.min()))) >= 0
    assert max(map(float, ((top + height).max(), (left + width).max()))) <= 1 + 1e-6
    uncut = (height < 1) & (width < 1)
    area, ratio = (height * width)[uncut], (width * W / (height * H))[uncut]
    assert 0.08 - 1e-4 <= float(area.min()) < 0.1
    assert 0.28 < float(area.max()) <= 0.3 + 1e-4
    assert 0.75 - 1e-3 <= float(ratio.min()) < 0.78
    assert 1.28 < float(ratio.max()) <= 4 / 3 + 1e-3
    assert float(ratio.log().mean()) == pytest.approx(0, abs=0.03)


def test_boxes_reach_every_border():
    spec = AugmentSpec(crop_scale=(0.1, 0.5))
    top, left, height, width = random_boxes(Draws(0, 0, torch.arange(3000)), (32, 32), spec).unbind(1)
    for gap in (top, left, 1 - top - height, 1 - left - width):
        assert float(gap.min()) < 0.01


def test_a_sample_is_changed_alike_alone_and_in_any_batch():
    pixels = picture(8, 8, batch=6)
    spec = AugmentSpec(crop="random-resized", flip=True, rotate=20, translate=1, zoom=(0.9, 1.1))
    together = augment(pixels, Draws(0, 3, torch.arange(6)), spec, (8, 8))
    order = torch.tensor([4, 1])
    part = augment(pixels[order], Draws(0, 3, order), spec, (8, 8))
    assert same(part, together[order], 1e-6)
    assert not same(together, augment(pixels, Draws(0, 4, torch.arange(6)), spec, (8, 8)))


def test_angles_and_zooms_stay_in_their_ranges():
    spec = AugmentSpec(rotate=30, zoom=(0.8, 1.25))
    maps = _affine_maps(Draws(0, 0, torch.arange(2000)), (16, 16), spec)
    angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0])
    zoom = 1 / torch.hypot(maps[:, 1, 0], maps[:, 0, 0])
    assert math.radians(29) < float(angle.max()) <= math.radians(30) + 1e-5
    assert -math.radians(30) - 1e-5 <= float(angle.min()) < -math.radians(29)
    assert 0.8 - 1e-5 <= float(zoom.min()) < 0.82
    assert 1.23 < float(zoom.max()) <= 1.25 + 1e-5
