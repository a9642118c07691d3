from __future__ import annotations

import pytest
import torch
from maecli_plugins.tasks.segment import likely
from maecli_plugins.tasks.segment.likely import most_likely
from torch import nn


@pytest.mark.parametrize("size", [(37, 53), (5, 53), (5, 6), (37, 6)])
def test_bands_give_what_interpolating_everything_at_once_gives(size, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(likely, "BAND_VALUES", 4 * 53 * 3)
    probabilities = torch.rand(4, 10, 11)
    smaller = nn.functional.interpolate(
        probabilities[None], (min(size[0], 10), min(size[1], 11)), mode="bilinear", antialias=True
    )
    at_once = nn.functional.interpolate(smaller, size, mode="bilinear")[0].argmax(0)
    assert torch.equal(most_likely([probabilities[None]], probabilities.shape[1:], size)[0].long(), at_once)


@pytest.mark.parametrize("size", [(37,), (5,), (9, 21, 6), (3, 5, 20)])
def test_bands_of_series_and_volumes_give_that_too(size, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(likely, "BAND_VALUES", 4 * 21 * 6 * 3)
    given, mode = ((10,), "linear") if len(size) == 1 else ((4, 11, 8), "trilinear")
    probabilities = torch.rand(4, *given)
    smaller = nn.functional.interpolate(
        probabilities[None], [min(pair) for pair in zip(size, given, strict=True)], mode=mode
    )
    at_once = nn.functional.interpolate(smaller, size, mode=mode)[0].argmax(0)
    assert torch.equal(most_likely([probabilities[None]], probabilities.shape[1:], size)[0].long(), at_once)


def test_classes_are_bytes_unless_there_are_more_than_255():
    for num, dtype in ((255, torch.uint8), (256, torch.int32)):
        probabilities = torch.eye(num)[[num - 1, 0]].T.reshape(num, 2, 1)
        for size in ((2, 1), (4, 2)):
            classes = most_likely([probabilities[None]], probabilities.shape[1:], size)[0]
            assert classes.dtype == dtype
            assert set(classes.flatten().tolist()) >= {0, num - 1}


@pytest.mark.parametrize("height", [1, 3, 10])
@pytest.mark.parametrize("size", [(37,), (10,), (4,), (23, 9, 6), (6, 20, 8), (10, 11, 8), (1, 1, 1), (1, 30, 8)])
def test_probabilities_in_bands_give_the_classes_of_all_at_once(size, height, monkeypatch):
    monkeypatch.setattr(likely, "BAND_VALUES", 1000)
    torch.manual_seed(0)
    probabilities = torch.rand(2, 4, *(10, 11, 8)[: len(size)])
    given = probabilities.shape[2:]
    taken = most_likely(torch.split(probabilities, height, dim=2), given, size)
    assert torch.equal(taken, most_likely([probabilities], given, size))
    at_once = nn.functional.interpolate(probabilities, size, mode="linear" if len(size) == 1 else "trilinear")
    assert torch.equal(taken.long(), at_once.argmax(1))


def test_pictures_in_bands_are_antialiased_where_they_become_smaller():
    torch.manual_seed(0)
    probabilities = torch.rand(1, 4, 12, 10)
    smaller = nn.functional.interpolate(probabilities, (5, 10), mode="bilinear", antialias=True)
    expected = nn.functional.interpolate(smaller, (5, 20), mode="bilinear").argmax(1)
    assert torch.equal(most_likely(torch.split(probabilities, 5, dim=2), (12, 10), (5, 20)).long(), expected)
