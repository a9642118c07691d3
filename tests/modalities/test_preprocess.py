from __future__ import annotations

import numpy as np
import pytest
import torch

from maecli.data.batch import Batch
from maecli.data.card import DataCard
from maecli.data.randomness import Draws
from maecli.errors import SpecError
from maecli.modalities.preprocess import Preprocess
from maecli.modalities.series.modality import Series
from maecli.modalities.tables.modality import Tables


def card(channels=1, **changes):
    settings = {
        "name": "tiny",
        "title": "a tiny set",
        "fields": ("image",),
        "channels": channels,
        "size": (4, 4),
        "mean": (0.5,) * channels,
        "std": (0.25,) * channels,
        "split_sizes": {"train": 8},
        "split_origin": "made up",
    }
    return DataCard.model_validate(settings | changes)


def test_what_is_not_given_comes_from_the_card():
    preprocess = Preprocess.of(card(3, mean=(0.1, 0.2, 0.3), value_range=(0.0, 1023.0)), (8, 6))
    assert preprocess == Preprocess((8, 6), 3, (0.0, 1023.0), (0.1, 0.2, 0.3), (0.25, 0.25, 0.25))


def test_one_mean_serves_every_channel():
    preprocess = Preprocess.of(card(3), (4, 4), mean=(0.4,), std=(0.2,))
    assert preprocess.mean == (0.4, 0.4, 0.4)
    assert preprocess.std == (0.2, 0.2, 0.2)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"channels": 1}, r"data\.channels \(1\) differs from the 3 channels of tiny; only single-channel data can be"),
        ({"mean": (0.5, 0.5)}, r"data\.mean has 2 values for 3 channels"),
        ({"std": (0.5, 0.5)}, r"data\.std has 2 values for 3 channels"),
        ({"std": (0.5, 0.0, 0.5)}, r"data\.std \(0\.5, 0\.0, 0\.5\) must be above 0"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(settings, text):
    with pytest.raises(SpecError, match=text):
        Preprocess.of(card(3), (4, 4), **settings)


def test_pixels_map_the_datas_range_to_zero_and_one():
    preprocess = Preprocess.of(card(value_range=(-1000.0, 3000.0)), (2, 2))
    raw = torch.tensor([-1000, 0, 1000, 3000], dtype=torch.int16).reshape(1, 1, 2, 2)
    pixels = preprocess.pixels(raw)
    assert pixels.dtype == torch.float32
    assert pixels.flatten().tolist() == [0, 0.25, 0.5, 1]


def test_to_pixels_is_the_inverse_of_normalize():
    preprocess = Preprocess.of(card(3, mean=(0.1, 0.2, 0.3), std=(0.2, 0.3, 0.4)), (5, 4))
    pixels = torch.rand(2, 3, 5, 4)
    x = preprocess.normalize(pixels)
    assert torch.allclose(x[:, 1], (pixels[:, 1] - 0.2) / 0.3)
    assert torch.allclose(preprocess.to_pixels(x), pixels, atol=1e-6)


@pytest.mark.parametrize("size", [(6,), (2, 3, 4)])
def test_series_and_volumes_are_normalised_per_channel_too(size):
    preprocess = Preprocess.of(card(2, mean=(0.0, 1.0), std=(1.0, 2.0), size=size), size)
    x = preprocess.normalize(torch.ones(1, 2, *size))
    assert x[:, 0].eq(1).all()
    assert x[:, 1].eq(0).all()


def test_a_grey_channel_is_copied_and_each_copy_normalised():
    preprocess = Preprocess.of(card(), (2, 2), channels=3, mean=(0.0, 0.5, 1.0), std=(1.0, 1.0, 0.5))
    x = preprocess.normalize(torch.full((1, 1, 2, 2), 0.5))
    assert preprocess.in_chans == 3
    assert x[0, :, 0, 0].tolist() == [0.5, 0, -1]


def batch(image, **tensors):
    return Batch({"image": image, **tensors}, Draws(0, 0, torch.arange(len(image))))


def test_mean_pixels_average_every_sample_of_all_batches_alike():
    preprocess = Preprocess.of(card(), (1, 2))
    pixels = [torch.tensor([[[[0.0, 0.5]]], [[[0.2, 0.5]]]]), torch.ones(2, 1, 1, 2)]
    batches = [batch(preprocess.normalize(part)) for part in pixels]
    assert torch.allclose(preprocess.mean_pixels(batches), torch.tensor([[[0.55, 0.75]]]))
    assert preprocess.mean_pixels([]) is None


def test_mean_pixels_are_of_cells_that_exist_and_else_of_the_channel():
    preprocess = Preprocess.of(card(mean=(0.4,)), (1, 3))
    pixels = torch.tensor([[[[0.0, 0.5, 7.0]]], [[[0.2, torch.nan, 7.0]]]])
    valid = torch.tensor([[[[True, True, False]]], [[[True, False, False]]]])
    batches = [batch(preprocess.normalize(pixels), valid=valid), batch(preprocess.normalize(pixels), valid=valid)]
    assert preprocess.mean_pixels(batches).flatten().tolist() == pytest.approx([0.1, 0.5, 0.4])


def test_missing_and_hidden_cells_are_drawn_as_such():
    preprocess = Preprocess.of(card(2, size=(12,)), (12,), modality=Series())
    pixels, valid, hidden = torch.full((2, 2, 12), 0.5), torch.ones(2, 2, 12, dtype=torch.bool), torch.zeros(2, 12) > 0
    valid[0, :, 3], hidden[1, :6] = False, True
    first, second = preprocess.draw(pixels, valid, hidden)
    image = np.full((2, 12), 0.5, np.float32)
    np.testing.assert_array_equal(second, Series().draw(image, hidden[1].numpy()))
    image[:, 3] = np.nan
    np.testing.assert_array_equal(first, Series().draw(image, hidden[0].numpy()))


def test_samples_for_files_are_in_units_and_channels_of_the_data_without_the_noise_of_float32():
    values = torch.tensor([[[-122.23, 0.1, 87.65, 35.0]]])
    preprocess = Preprocess.of(card(size=(4,), value_range=(-130.0, 90.0)), (4,), channels=3, modality=Series())
    pixels = preprocess.to_pixels(preprocess.normalize(preprocess.pixels(values)))
    found = preprocess.to_samples(pixels, card(size=(4,), value_range=(-130.0, 90.0)))
    assert found.dtype == np.float32
    assert found.tolist() == values.numpy().tolist()


def test_rows_of_files_reach_a_model_with_more_cells_than_they_have():
    ranges = ((0.0, 10.0), (-1.0, 1.0), (5.0, 9.0))
    table = card(size=(3,), cells=("a", "b", "c"), mean=(0.5,) * 3, std=(0.25,) * 3, value_range=ranges)
    preprocess = Preprocess.of(table, (4,), modality=Tables())
    values = torch.tensor([[[5.0, 0.5, 6.0, 0.0]]])
    for each in (preprocess, preprocess.for_files(table)):
        assert each.pixels(values).tolist() == [[[0.5, 0.75, 0.25, 0.0]]]
        assert each.to_values(each.pixels(values)).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("shape", "place"),
    [((4,), [0, 1, 2, 3]), ((2,), [0, 1]), ((7,), [np.nan, 0, 1, 2, 3, np.nan, np.nan])],
)
def test_a_prediction_has_the_place_of_the_part_that_the_model_saw(shape, place):
    preprocess = Preprocess.of(card(size=None), (4,), modality=Series(), fit="crop")
    np.testing.assert_array_equal(preprocess.in_place(np.arange(4.0)[None], shape), [place])


def test_a_prediction_of_a_resized_sample_stays_as_it_is():
    preprocess = Preprocess.of(card(size=None), (4,), modality=Series(), fit="resize")
    values = np.arange(4.0)[None]
    assert preprocess.in_place(values, (7,)) is values
