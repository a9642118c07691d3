from __future__ import annotations

import math

import pytest
import torch
from maecli_plugins.tasks.classify.mixing import box_masks, mix


def numbered(num):
    """Return pictures whose every pixel is the sample's number."""
    return torch.arange(float(num)).reshape(-1, 1, 1, 1).expand(-1, 1, 16, 16).clone()


def test_mixup_blends_each_sample_with_the_one_before_by_its_share():
    torch.manual_seed(0)
    image, share, _ = mix(numbered(50), 0.8, 0.0)
    assert share.min() < 0.2
    assert share.max() > 0.8
    number = torch.arange(50.0)
    expected = share * number + (1 - share) * number.roll(1)
    assert torch.allclose(image, expected.reshape(-1, 1, 1, 1).expand_as(image), atol=1e-4)


def test_cutmix_pastes_a_box_and_keeps_the_share_that_is_not_covered():
    torch.manual_seed(0)
    image, share, _ = mix(numbered(50), 0.0, 1.0)
    for number in range(50):
        own = image[number] == number
        pasted = image[number] == (number - 1) % 50
        assert (own ^ pasted).all()
        assert float(share[number]) == pytest.approx(float(own.float().mean()), abs=1e-6)
        rows, columns = pasted[0].any(1).sum(), pasted[0].any(0).sum()
        assert pasted.sum() == rows * columns  # a box
    assert 0.2 < float(share.mean()) < 0.9


def test_both_kinds_are_used_when_both_are_asked_for():
    torch.manual_seed(0)
    kinds = set()
    for _ in range(20):
        image, *_ = mix(numbered(8), 1.0, 1.0)
        kinds.add("cutmix" if image.eq(image.round()).all() else "mixup")
    assert kinds == {"mixup", "cutmix"}


@pytest.mark.parametrize("size", [(32,), (32, 48), (16, 16, 16)])
def test_boxes_cover_their_area_or_less_where_the_border_cuts_them(size):
    torch.manual_seed(0)
    covered = box_masks(torch.full((300,), 0.25), size).flatten(1).float().mean(1)
    side = 0.25 ** (1 / len(size))
    largest = math.prod((side * length + 1) / length for length in size)
    assert covered.max() <= largest
    assert covered.min() >= math.prod((side * length / 2 - 1) / length for length in size)
    assert box_masks(torch.zeros(3), size).sum() == 0
