from __future__ import annotations

import numpy as np
import pytest
from cards import card

from maecli.outputs.mask_totals import MaskTotals

CLASSES = {"mask_classes": ("background", "cat", "dog"), "mask_palette": ((0, 0, 0), (1, 1, 1), (2, 2, 2))}


@pytest.fixture
def masks():
    return MaskTotals(card(**CLASSES, background=0))


def test_shares_are_of_all_predicted_cells(masks):
    assert masks.add(np.array([[0, 0], [1, 1]], np.uint8)) == {}
    masks.add(np.array([[0, 0, 0, 2]], np.uint8))
    assert masks.shares == {"background": 5 / 8, "cat": 2 / 8, "dog": 1 / 8}
    assert masks.overlap is None
    assert masks.record() == {"samples": 2, "known": 0, "shares": masks.shares}


def test_overlap_is_that_of_all_samples_together_and_void_is_not_judged(masks):
    # background: 2 of 3 cells, 3 said; cat: 1 of 2, 1 said besides one void
    columns = masks.add(np.array([0, 0, 1, 0, 1], np.uint8), np.array([0, 0, 1, 1, 255], np.uint8))
    assert columns == {"iou": round((2 / 3 + 1 / 2) / 2, 6), "pixel_accuracy": 0.75}
    masks.add(np.array([1], np.uint8), np.array([0], np.uint8))
    assert masks.iou == {"background": 2 / 4, "cat": 1 / 3}, "no dog is there"
    assert masks.overlap.mean_iou == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert masks.overlap.accuracy == 3 / 5
    name, constant = masks.baseline
    assert (name, constant.mean_iou, constant.accuracy) == ("all background", (3 / 5 + 0) / 2, 3 / 5)


def test_a_mask_in_which_nothing_is_judged_says_nothing(masks):
    assert masks.add(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)) == {}
    assert (masks.num_known, masks.overlap) == (1, None)


def test_without_a_background_the_most_frequent_class_is_the_baseline():
    masks = MaskTotals(card(**CLASSES))
    masks.add(np.array([0, 0, 0], np.uint8), np.array([2, 2, 0], np.uint8))
    assert masks.baseline[0] == "all dog"
