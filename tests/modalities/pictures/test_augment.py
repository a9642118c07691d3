from __future__ import annotations

import math

import pytest
import torch

from maecli.data.randomness import Draws
from maecli.modalities.pictures.augment import _affine_maps
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


def augment(pixels, draws, spec):
    return augment_batch({"image": pixels}, draws, spec)["image"]


def augment_mask(mask, draws, spec):
    tensors = {"image": torch.rand(len(mask), 1, *mask.shape[1:]), "mask": mask}
    return augment_batch(tensors, draws, spec)["mask"]


def same(a, b, tolerance=1e-4):
    return a.shape == b.shape and bool((a - b).abs().max() < tolerance)


def test_without_a_change_the_input_is_returned_untouched():
    pixels = picture(6, 9)
    assert augment(pixels, Pinned(), AugmentSpec()) is pixels
    assert augment(pixels, Pinned(), AugmentSpec(crop="random-resized")) is pixels  # it was cut before


def test_flipping_mirrors_left_to_right_exactly_for_about_half_of_the_samples():
    pixels, draws = picture(5, 8, batch=200), Draws(0, 0, torch.arange(200))
    out = augment(pixels, draws, AugmentSpec(flip=True))
    flipped = draws.uniform("flip", 1)[:, 0] < 0.5
    assert same(out[flipped], pixels[flipped].flip(-1), 1e-5)
    assert same(out[~flipped], pixels[~flipped], 1e-5)
    assert 70 < int(flipped.sum()) < 130


@pytest.mark.parametrize(("u", "shift"), [((0.0, 0.999), (-2, 2)), ((0.5, 0.2), (0, -1)), ((0.79, 0.81), (1, 2))])
def test_a_padded_crop_moves_by_whole_pixels_and_fills_up_with_zero(u, shift):
    pixels = picture(6, 9)
    out = augment(pixels, Pinned(crop=u), AugmentSpec(crop="pad", crop_padding=2))
    right, down = shift  # of the window over the padded picture
    padded = torch.nn.functional.pad(pixels, [2] * 4)
    assert same(out, padded[:, :, 2 + down : 8 + down, 2 + right : 11 + right], 1e-5)


def test_padded_crops_take_every_shift_equally_often():
    mark = torch.zeros(5000, 1, 5, 5)
    mark[:, :, 2, 2] = 1
    spec = AugmentSpec(crop="pad", crop_padding=1)
    out = augment(mark, Draws(0, 0, torch.arange(5000)), spec).mean(0)[0]
    assert (out[1:4, 1:4] - 1 / 9).abs().max() < 5 * (8 / 81 / 5000) ** 0.5
    assert float(out.sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("share", "quarters"), [(0.75, 1), (0.25, -1), (0.0, 2)])
def test_a_quarter_turn_is_exact(share, quarters):
    pixels = picture(7, 7)
    out = augment(pixels, Pinned(affine=[share, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180))
    assert same(out, torch.rot90(pixels, quarters, (2, 3)))


def test_pixels_stay_square_when_a_wide_picture_is_turned():
    pixels = torch.zeros(1, 1, 8, 16)
    pixels[..., 1:7, 7:9] = 1  # an upright bar, 6 by 2 pixels, in the middle
    out = augment(pixels, Pinned(affine=[0.75, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180))
    lying = torch.zeros(1, 1, 8, 16)
    lying[..., 3:5, 5:11] = 1
    assert same(out, lying)


def test_turning_by_any_angle_keeps_a_round_spot_round():
    y, x = torch.meshgrid(torch.arange(16) - 7.5, torch.arange(32) - 15.5, indexing="ij")
    spot = torch.exp(-(y**2 + x**2) / 18).reshape(1, 1, 16, 32)
    out = augment(spot, Pinned(affine=[0.6, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180))  # by 36 degrees
    assert same(out[..., 8:24], spot[..., 8:24], 0.05)


@pytest.mark.parametrize(("u", "rows", "columns"), [((1.0, 0.5), 0, 2), ((0.0, 0.5), 0, -2), ((0.5, 0.75), 1, 0)])
def test_a_shift_is_in_pixels_on_both_axes(u, rows, columns):
    pixels = picture(6, 12)
    out = augment(pixels, Pinned(affine=[0.5, 0.5, *u]), AugmentSpec(translate=2))
    padded = torch.nn.functional.pad(pixels, [2] * 4)
    assert same(out, padded[:, :, 2 + rows : 8 + rows, 2 + columns : 14 + columns], 1e-5)


def test_zooming_in_magnifies_the_centre_and_zooming_out_leaves_a_border_of_zero():
    pixels = torch.zeros(1, 1, 8, 16)
    pixels[..., 2:6, 4:12] = 1  # the central half of each axis
    near = augment(pixels, Pinned(affine=[0.5, 1.0, 0.5, 0.5]), AugmentSpec(zoom=(0.5, 2.0)))
    assert same(near[..., 1:7, 1:15], torch.ones(1, 1, 6, 14))
    far = augment(torch.ones(1, 1, 8, 16), Pinned(affine=[0.5, 0.0, 0.5, 0.5]), AugmentSpec(zoom=(0.5, 2.0)))
    assert same(far, pixels)


def test_a_sample_is_changed_alike_alone_and_in_any_batch():
    pixels = picture(8, 8, batch=6)
    spec = AugmentSpec(crop="random-resized", flip=True, rotate=20, translate=1, zoom=(0.9, 1.1))
    together = augment(pixels, Draws(0, 3, torch.arange(6)), spec)
    order = torch.tensor([4, 1])
    part = augment(pixels[order], Draws(0, 3, order), spec)
    assert same(part, together[order], 1e-6)
    assert not same(together, augment(pixels, Draws(0, 4, torch.arange(6)), spec))


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


def test_a_mask_and_what_is_valid_move_as_their_picture_does():
    pixels = torch.stack([numbers(8, 8), numbers(8, 8)], 1).float() / 255
    valid = torch.ones(1, 2, 8, 8, dtype=torch.bool)
    for flip in (0.0, 0.9):
        draws = Pinned(affine=[0.5, 0.5, 1.0, 0.5], flip=[flip])
        tensors = {"image": pixels, "mask": numbers(8, 8), "valid": valid}
        out = augment_batch(tensors, draws, AugmentSpec(translate=1, flip=True))
        assert same(out["image"][:, 0, :, :7] * 255, out["mask"][:, :, :7].float(), 1e-2)
        assert (out["mask"][:, :, 7] == 255).all()
        assert out["valid"][0, 0].eq(out["mask"][0] != 255).all()


@pytest.mark.parametrize(("dtype", "void"), [(torch.int32, -1), (torch.int32, 65_535), (torch.uint8, 255)])
def test_masks_of_any_numbers_are_moved(dtype, void):
    mask = torch.tensor([[[0, 1, 2, 300 if dtype == torch.int32 else 3]]], dtype=dtype)
    tensors = {"image": torch.rand(1, 1, 1, 4), "mask": mask}
    out = augment_batch(tensors, Pinned(affine=[0.5, 0.5, 1.0, 0.5]), AugmentSpec(translate=1), void)["mask"]
    assert out.dtype == dtype
    assert out.tolist() == [[[*mask[0, 0, 1:].tolist(), void]]]


def test_a_turned_mask_takes_whole_numbers_and_is_void_outside():
    mask = torch.full((1, 9, 9), 7, dtype=torch.uint8)
    out = augment_mask(mask, Pinned(affine=[0.625, 0.5, 0.5, 0.5]), AugmentSpec(rotate=180))  # by 45 degrees
    assert out.unique().tolist() == [7, 255]
    assert out[0, 4, 4] == 7
    assert out[0, 0, 0] == 255


def test_void_and_class_0_stay_what_they_are_when_a_mask_is_moved():
    mask = torch.zeros(1, 4, 6, dtype=torch.uint8)
    mask[..., 3:] = 255
    out = augment_mask(mask, Pinned(affine=[0.5, 0.5, 1.0, 0.5]), AugmentSpec(translate=1))
    assert out[0, 0].tolist() == [0, 0, 255, 255, 255, 255]


def test_colours_change_by_the_drawn_factors():
    pixels = torch.full((1, 3, 2, 2), 0.4)
    brighter = augment(pixels, Pinned(color=[1.0, 0.5, 0.5]), AugmentSpec(color=0.5))
    assert same(brighter, pixels * 1.5)
    halves = torch.tensor([0.2, 0.6]).reshape(1, 1, 1, 2)
    flatter = augment(halves, Pinned(color=[0.5, 0.0, 0.5]), AugmentSpec(color=0.5))
    assert same(flatter, torch.tensor([0.3, 0.5]).reshape(1, 1, 1, 2))
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    paler = augment(red, Pinned(color=[0.5, 0.5, 0.0]), AugmentSpec(color=0.5))
    assert same(paler.flatten(), 0.299 + (red.flatten() - 0.299) * 0.5)


def test_changed_colours_stay_within_range():
    out = augment(picture(6, 6, 50, 3), Draws(0, 0, torch.arange(50)), AugmentSpec(color=0.9))
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1
