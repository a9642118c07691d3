from __future__ import annotations

import math

import pytest
import torch
from maecli_plugins.tasks.segment import tiling
from maecli_plugins.tasks.segment.tiling import predict_classes, working_size
from maecli_plugins.tasks.segment.windows import Windows
from torch import nn


class Brightness(nn.Module):
    """Class 1 where the picture is above 0, class 0 below; remembers what it was shown."""

    def __init__(self, patch_size=(4, 4)):
        super().__init__()
        self.encoder, self.shown = type("Encoder", (), {"patch_size": patch_size}), []

    def forward(self, x, valid=None):
        self.shown.append(x)
        return torch.cat([-x, x], dim=1) * 10


class Leftmost(Brightness):
    """Class 1 in the left half of whatever it is shown."""

    def forward(self, x, valid=None):
        super().forward(x)
        logits = torch.zeros(len(x), 2, *x.shape[2:])
        logits[:, 1, :, : x.shape[3] // 2] = 1
        logits[:, 0, :, x.shape[3] // 2 :] = 2
        return logits


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), (8, 8)),
        ((16, 24), (8, 12)),
        ((4, 3), (11, 8)),
        ((1, 1), (8, 8)),
        ((64, 8), (64, 8)),
        ((20_000, 10), (64, 1)),
        ((10, 20_000), (1, 64)),
    ],
)
def test_pictures_cover_the_models_size_unless_they_are_very_long(size, expected):
    assert working_size(size, (8, 8)) == expected


def test_a_model_that_is_not_square_is_covered_too():
    assert working_size((64, 84), (64, 84)) == (64, 84)
    assert working_size((100, 100), (64, 84)) == (84, 84)


@pytest.mark.parametrize("inference", ["whole", "slide"])
def test_pictures_of_the_models_size_go_through_untouched_as_one_batch(inference):
    module, x = Brightness(), torch.randn(3, 1, 8, 8)
    assert torch.equal(predict_classes(module, x, (8, 8), inference), (x[:, 0] > 0).to(torch.uint8))
    assert len(module.shown) == 1
    assert torch.equal(module.shown[0], x)


def test_classes_can_be_had_at_a_size_that_is_not_the_samples_own():
    x = torch.linspace(-1, 1, 8).reshape(1, 1, 8, 1, 1).expand(1, 1, 8, 6, 4)  # becomes positive in the middle
    classes = predict_classes(Brightness((4, 4, 4)), x, (8, 8, 8), out_size=(20, 3, 4))
    assert classes.shape == (1, 20, 3, 4)
    assert classes[0, :, 0, 0].tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize("inference", ["whole", "slide"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (31, 17), (9, 100), (400, 3)])
def test_classes_have_the_pictures_own_size_and_the_patch_divides_what_the_model_sees(inference, size):
    module = Brightness()
    classes = predict_classes(module, torch.ones(1, 1, *size), (8, 8), inference)
    assert classes.shape == (1, *size)
    assert classes.dtype == torch.uint8
    assert classes.all()
    for shown in module.shown:
        assert shown.shape[2] % 4 == shown.shape[3] % 4 == 0
        assert shown.shape[2] * shown.shape[3] <= tiling.MAX_WHOLE * 8 * 8


def test_the_whole_picture_is_shown_at_once_and_padded_with_zeros():
    module = Brightness()
    predict_classes(module, torch.ones(1, 1, 16, 22), (8, 8))
    (shown,) = module.shown
    assert shown.shape == (1, 1, 8, 12)
    assert torch.allclose(shown[..., :11], torch.ones(()))
    assert shown[..., 11:].abs().max() == 0


def test_a_very_long_picture_is_read_in_windows():
    module = Brightness()
    predict_classes(module, torch.ones(1, 1, 8, 48), (8, 8))
    assert {tuple(shown.shape[2:]) for shown in module.shown} == {(8, 8)}


def test_windows_lie_a_stride_apart_and_the_last_one_ends_with_the_picture():
    module = Brightness()
    x = torch.arange(20.0).repeat(8, 1)[None, None]
    predict_classes(module, x, (8, 8), "slide", stride=0.75)
    starts = [int(window[0, 0, 0]) for shown in module.shown for window in shown]
    assert starts == [0, 6, 12]


def test_where_windows_overlap_probabilities_are_averaged():
    classes = predict_classes(Leftmost(), torch.zeros(1, 1, 8, 12), (8, 8), "slide", stride=0.5)
    # class 1 by sigmoid(1) = .731 on the left of a window, .119 on its right: the mean of both is .425
    assert classes[0, 0].tolist() == [1] * 4 + [0] * 4 + [0] * 4


@pytest.mark.parametrize("mirror", [None, -1])
def test_one_window_is_the_whole(mirror):
    torch.manual_seed(0)
    x = torch.randn(2, 1, 16, 16)
    whole, slide = (predict_classes(Leftmost(), x, (8, 8), way, mirror=mirror) for way in ("whole", "slide"))
    assert torch.equal(whole, slide)


def test_averaging_with_the_mirror_image_makes_the_prediction_symmetric():
    x = torch.zeros(1, 1, 8, 8)
    plain, symmetric = (predict_classes(Leftmost(), x, (8, 8), mirror=mirror) for mirror in (None, -1))
    assert not torch.equal(plain, plain.flip(2))
    assert torch.equal(symmetric, symmetric.flip(2))
    picture = torch.randn(1, 1, 10, 14)
    there, back = (predict_classes(Brightness(), each, (8, 8), mirror=-1) for each in (picture, picture.flip(3)))
    assert torch.equal(there, back.flip(2))


@pytest.mark.parametrize("size", [(8,), (12, 8, 9)])
@torch.no_grad()
def test_series_and_volumes_are_read_in_windows(size):
    img_size = (8,) * len(size)
    module, x = Brightness((4,) * len(size)), torch.randn(2, 1, *size)
    classes = predict_classes(module, x, img_size, "slide", stride=0.5)
    assert torch.equal(classes, (x[:, 0] > 0).to(torch.uint8))
    assert {shown.shape[2:] for shown in module.shown} == {img_size}
    assert torch.equal(classes, predict_classes(module, x, img_size, "whole"))


@pytest.mark.parametrize("size", [(20,), (16, 12, 20)])
@torch.no_grad()
def test_missing_cells_of_series_and_volumes_are_missing_at_the_models_size(size):
    img_size, shown = (8,) * len(size), []

    class Listens(Brightness):
        def forward(self, x, valid=None):
            shown.append(valid)
            return super().forward(x, valid)

    valid = torch.ones(1, 1, *size, dtype=torch.bool)
    valid[:, :, size[0] // 2 :] = False
    x = torch.where(valid, 1.0, torch.nan)
    classes = predict_classes(Listens((4,) * len(size)), x, img_size, valid=valid)
    assert classes[0, 0].min() == 1, "what is there is seen as it is"
    assert shown[0][0, 0, 0].flatten()[0]
    assert not shown[0][:, :, -1].any()


class Seen(Brightness):
    """Class 1 where a cell is said to exist."""

    def forward(self, x, valid=None):
        return super().forward(valid[:, :1].float() - 0.5)


@pytest.mark.parametrize("inference", ["whole", "slide"])
@pytest.mark.parametrize("mirror", [None, -1])
@pytest.mark.parametrize("size", [(8, 8), (16, 22), (6, 30)])
def test_missing_cells_stay_at_their_places_however_a_picture_is_read(inference, mirror, size):
    H, W = size
    valid = (torch.arange(W) >= W // 2).expand(2, 1, H, W)
    classes = predict_classes(Seen(), torch.ones(2, 1, H, W), (8, 8), inference, 0.5, mirror, valid)
    off = classes != valid[:, 0]
    assert not off[:, :, : W // 2 - 2].any()
    assert not off[:, :, W // 2 + 2 :].any()


@pytest.mark.parametrize("size", [(5,), (20, 3), (19, 12, 9), (8, 8, 8)])
@pytest.mark.parametrize("weights", ["even", "gaussian"])
@torch.no_grad()
def test_samples_that_keep_their_resolution_are_shown_as_they_are(size, weights):
    img_size = (8,) * len(size)
    module, x = Brightness((4,) * len(size)), torch.randn(2, 1, *size)
    classes = predict_classes(module, x, img_size, "slide", resize=False, weights=weights)
    assert torch.equal(classes, (x[:, 0] > 0).to(torch.uint8)), "of a model that sees each cell by itself"
    assert {shown.shape[2:] for shown in module.shown} == {img_size}
    assert {float(value) for shown in module.shown for value in shown.unique()} <= {0.0, *x.unique().tolist()}


class Noise(Brightness):
    """Says something else of a cell in each window."""

    def forward(self, x, valid=None):
        generator = torch.Generator().manual_seed(len(self.shown))
        super().forward(x)
        return torch.randn(len(x), 5, *x.shape[2:], generator=generator)


def windows_at_once(module, x, img_size, stride, weights):
    """Return probabilities (B, Q, *S) as they are defined, with sums of the whole sample."""
    windows = Windows(x.shape[2:], img_size, stride, weights)
    total, count = torch.zeros(len(x), 5, *x.shape[2:]), torch.zeros(x.shape[2:])
    for place, part in tiling._read_windows(module, x, None, windows.places(), img_size, None):
        total[:, :, *place] += part * windows.weight
        count[place] += windows.weight
    return total, count


@pytest.mark.parametrize("weights", ["even", "gaussian"])
@pytest.mark.parametrize("stride", [0.3, 2 / 3, 1.0])
@pytest.mark.parametrize("size", [(29,), (29, 6), (21, 9, 12), (5, 9, 4)])
def test_bands_of_a_sample_equal_sums_over_all_of_it(size, stride, weights, monkeypatch):
    monkeypatch.setattr(tiling, "BAND_VALUES", 200)
    img_size, x = (8,) * len(size), torch.zeros(2, 1, *size)
    total, count = windows_at_once(Noise((4,) * len(size)), x, img_size, stride, weights)
    windows = Windows(size, img_size, stride, weights)
    assert torch.allclose(windows.total(slice(None)), count, rtol=1e-5)
    bands = list(tiling._slide(Noise((4,) * len(size)), x, None, windows, img_size, None))
    assert len(bands) > 1
    assert torch.equal(torch.cat(bands, 2), total / windows.total(slice(None)))
    classes = predict_classes(Noise((4,) * len(size)), x, img_size, "slide", stride, resize=False, weights=weights)
    assert torch.equal(classes.long(), torch.cat(bands, 2).argmax(1))


@pytest.mark.parametrize("length", [8, 30])
def test_a_band_is_no_higher_than_a_window_and_none_is_kept(length):
    x = torch.zeros(1, 1, length, 8)
    bands = tiling._slide(Noise(), x, None, Windows((length, 8), (8, 8), 0.5), (8, 8), None)
    heights = [band.shape[2] for band in bands]
    assert max(heights) <= 8
    assert sum(heights) == length


def test_gaussian_weights_let_the_window_decide_whose_centre_is_nearest():
    classes = predict_classes(
        Leftmost(), torch.zeros(1, 1, 8, 12), (8, 8), "slide", stride=0.5, resize=False, weights="gaussian"
    )
    # cells 4 and 5 lie right in the first window and left in the second, nearer to the centre of the first
    assert classes[0, 0].tolist() == [1] * 4 + [0] * 2 + [1] * 2 + [0] * 4


def test_gaussian_weights_have_a_deviation_of_an_eighth_and_are_symmetric():
    (profile,) = Windows((33,), (33,), 1.0, "gaussian").profiles
    assert profile[16] == 1
    assert torch.equal(profile, profile.flip(0))
    assert float(profile[16 + 4]) == pytest.approx(math.exp(-0.5 * (4 / (33 / 8)) ** 2))


def test_what_is_missing_stays_missing_where_samples_keep_their_resolution():
    valid = (torch.arange(20) >= 9).expand(1, 1, 5, 20)
    classes = predict_classes(Seen(), torch.ones(1, 1, 5, 20), (8, 8), "slide", valid=valid, resize=False)
    assert torch.equal(classes, valid[:, 0].to(torch.uint8))


def test_few_windows_are_read_at_once_and_fewer_large_ones(monkeypatch):
    module, x = Brightness(), torch.zeros(1, 1, 8, 80)
    predict_classes(module, x, (8, 8), "slide", stride=1.0, resize=False)
    monkeypatch.setattr(tiling, "CELLS_AT_ONCE", 3 * 8 * 8)
    predict_classes(module, x, (8, 8), "slide", stride=1.0, resize=False)
    assert [len(shown) for shown in module.shown] == [8, 2, 3, 3, 3, 1]
