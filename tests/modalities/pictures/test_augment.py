from __future__ import annotations

import math

import pytest
import torch

from maecli.data.randomness import Draws
from maecli.modalities.pictures.augment import _affine_maps, jitter_boxes, random_boxes
from maecli.modalities.pictures.augment import augment as augment_batch
from maecli.schema import AugmentSpec


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


def augment(pixels, draws, spec, size, cut=True):
    return augment_batch({"image": pixels}, draws, spec, size, cut)["image"]


def augment_mask(mask, draws, spec, size):
    tensors = {"image": torch.rand(len(mask), 1, *mask.shape[1:]), "mask": mask}
    return augment_batch(tensors, draws, spec, size)["mask"]


def same(a, b, tolerance=1e-4):
    return a.shape == b.shape and bool((a - b).abs().max() < tolerance)


def test_without_a_change_the_input_is_returned_untouched():
    pixels = picture(6, 9)
    assert augment(pixels, Pinned(), AugmentSpec(), (6, 9)) is pixels
    assert augment(pixels, Pinned(), AugmentSpec(crop="random-resized"), (6, 9), cut=False) is pixels


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


def numbers(height, width):
    return torch.arange(height * width, dtype=torch.uint8).reshape(1, height, width)


def test_a_mask_is_mirrored_and_cut_as_its_picture_is():
    pixels = torch.stack([numbers(8, 8), numbers(8, 8)], 1).float() / 255
    spec = AugmentSpec(crop="random-resized", crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0), flip=True)
    for flip in (0.0, 0.9):
        draws = Pinned(crop=[0.5, 0.5, 0.5, 0.25], flip=[flip])
        out = augment_batch({"image": pixels, "mask": numbers(8, 8)}, draws, spec, (4, 4))
        assert same(out["image"][:, 0] * 255, out["mask"].float(), 1e-2)


def test_a_turned_mask_takes_whole_numbers_and_is_void_outside():
    mask = torch.full((1, 9, 9), 7, dtype=torch.uint8)
    out = augment_mask(mask, Pinned(affine=[0.625, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180), (9, 9))  # by 45 degrees
    assert out.unique().tolist() == [7, 255]
    assert out[0, 4, 4] == 7
    assert out[0, 0, 0] == 255


def test_void_and_class_0_stay_what_they_are_when_a_mask_is_moved():
    mask = torch.zeros(1, 4, 6, dtype=torch.uint8)
    mask[..., 3:] = 255
    out = augment_mask(mask, Pinned(affine=[0.5, 0.5, 1.0, 0.5]), AugmentSpec(translate=1), (4, 6))
    assert out[0, 0].tolist() == [0, 0, 255, 255, 255, 255]


@pytest.mark.parametrize("size", SIZES)
def test_jittered_boxes_have_the_models_size_at_the_drawn_scale_and_show_as_much_as_they_can(size):
    spec = AugmentSpec(crop="scale-jitter", jitter_scale=(0.5, 2.0))
    H, W = size
    top, left, height, width = jitter_boxes(Draws(0, 0, torch.arange(2000)), size, (16, 16), spec).unbind(1)
    assert torch.allclose(height * H, width * W, rtol=1e-4)  # square pixels
    scale = min(H, W) / (height * H)
    assert 0.5 - 1e-3 <= float(scale.min()) < 0.52
    assert 1.95 < float(scale.max()) <= 2.0 + 1e-3
    for start, length in ((top, height), (left, width)):
        inside, over = length <= 1, length > 1
        assert float(start[inside].min()) >= -1e-6
        assert float((start + length)[inside].max()) <= 1 + 1e-6
        if over.any():  # the whole picture is in the box
            assert float(start[over].max()) <= 1e-6
            assert float((start + length)[over].min()) >= 1 - 1e-6


def test_a_picture_made_smaller_is_surrounded_by_black_and_its_mask_by_void():
    spec = AugmentSpec(crop="scale-jitter", jitter_scale=(0.5, 0.5))
    out = augment_batch(
        {"image": torch.ones(1, 1, 8, 8), "mask": torch.full((1, 8, 8), 3, dtype=torch.uint8)},
        Pinned(crop=[0.5, 0.5, 0.5]),
        spec,
        (8, 8),
    )
    assert int((out["mask"] == 3).sum()) == 16
    assert int((out["mask"] == 255).sum()) == 48
    assert float(out["image"].sum()) == pytest.approx(16, abs=1e-3)


def test_colours_change_by_the_drawn_factors():
    pixels = torch.full((1, 3, 2, 2), 0.4)
    brighter = augment(pixels, Pinned(color=[1.0, 0.5, 0.5]), AugmentSpec(color=0.5), (2, 2))
    assert same(brighter, pixels * 1.5)
    halves = torch.tensor([0.2, 0.6]).reshape(1, 1, 1, 2)
    flatter = augment(halves, Pinned(color=[0.5, 0.0, 0.5]), AugmentSpec(color=0.5), (1, 2))
    assert same(flatter, torch.tensor([0.3, 0.5]).reshape(1, 1, 1, 2))
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    paler = augment(red, Pinned(color=[0.5, 0.5, 0.0]), AugmentSpec(color=0.5), (1, 1))
    assert same(paler.flatten(), 0.299 + (red.flatten() - 0.299) * 0.5)


def test_changed_colours_stay_within_range():
    out = augment(picture(6, 6, 50, 3), Draws(0, 0, torch.arange(50)), AugmentSpec(color=0.9), (6, 6))
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1
