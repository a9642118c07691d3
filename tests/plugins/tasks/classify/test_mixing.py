from __future__ import annotations

import math

import pytest
import torch
from maecli_plugins.tasks.classify.mixing import box_masks, mix
from maecli_plugins.tasks.pairs import partners
from scipy import stats

from maecli import api


def numbered(num):
    """Return pictures whose every pixel is the sample's number."""
    return torch.arange(float(num)).reshape(-1, 1, 1, 1).expand(-1, 1, 16, 16).clone()


def draws(num, epoch=0):
    return api.Draws(0, epoch, torch.arange(num))


def test_an_odd_last_sample_has_no_partner():
    assert partners(torch.zeros(5)).tolist() == [1, 0, 3, 2, 4]
    image, *_ = mix(numbered(5), draws(5), 1.0, 0.0)
    assert image[4].eq(4).all()


def test_mixup_blends_the_samples_of_a_pair_by_shares_of_their_own():
    image, share, _ = mix(numbered(50), draws(50), 0.8, 0.0)
    number = torch.arange(50.0)
    expected = share * number + (1 - share) * number[partners(number)]
    assert torch.allclose(image, expected.reshape(-1, 1, 1, 1).expand_as(image), atol=1e-4)


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 2.0])
def test_shares_are_those_of_the_beta_distribution(alpha):
    _, share, _ = mix(torch.zeros(4000, 1, 1, 1), draws(4000), alpha, 0.0)
    assert stats.kstest(share.double().numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_cutmix_pastes_a_box_and_keeps_the_share_that_is_not_covered():
    image, share, _ = mix(numbered(50), draws(50), 0.0, 1.0)
    for number in range(50):
        own = image[number] == number
        pasted = image[number] == number ^ 1
        assert (own ^ pasted).all()
        assert float(share[number]) == pytest.approx(float(own.float().mean()), abs=1e-6)
        rows, columns = pasted[0].any(1).sum(), pasted[0].any(0).sum()
        assert pasted.sum() == rows * columns  # a box
    assert 0.2 < float(share.mean()) < 0.9


def test_a_coin_chooses_for_each_sample_when_both_kinds_are_asked_for():
    image, *_ = mix(numbered(400), draws(400), 1.0, 1.0)
    pasted = image.eq(image.round()).flatten(1).all(1)
    assert 150 < int(pasted.sum()) < 250


@pytest.mark.parametrize("alphas", [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_parts_that_begin_at_even_places_are_mixed_as_the_whole(alphas):
    image = torch.rand(7, 2, 6, 5)
    batch = api.Batch({"image": image, "valid": image > 0.3}, draws(7))
    whole = mix(image, batch.draws, *alphas, batch["valid"])
    parts = [mix(part["image"], part.draws, *alphas, part["valid"]) for part in batch.micro_batches(4)]
    for one, *others in zip(whole, *parts, strict=True):
        assert one.equal(torch.cat(others))


@pytest.mark.parametrize("size", [(32,), (32, 48), (16, 16, 16)])
def test_boxes_cover_their_area_or_less_where_the_border_cuts_them(size):
    centre = draws(300).uniform("centre", len(size))
    covered = box_masks(torch.full((300,), 0.25), centre, size).flatten(1).float().mean(1)
    side = 0.25 ** (1 / len(size))
    largest = math.prod((side * length + 1) / length for length in size)
    assert covered.max() <= largest
    assert covered.min() >= math.prod((side * length / 2 - 1) / length for length in size)
    assert box_masks(torch.zeros(3), centre[:3], size).sum() == 0
