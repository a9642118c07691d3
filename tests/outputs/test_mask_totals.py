from __future__ import annotations

import numpy as np
import pytest
import torch
from cards import card

from maecli.measures import confusion
from maecli.outputs.mask_totals import MaskTotals
from maecli.overlap import overlap_counts, overlap_intervals

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
    assert masks.overlap.iou == {"background": 2 / 4, "cat": 1 / 3}, "no dog is there"
    assert masks.overlap.scores["mean_iou"] == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert masks.overlap.scores["pixel_accuracy"] == 3 / 5
    assert masks.overlap.baseline == ("all background", {"mean_iou": (3 / 5 + 0) / 2, "pixel_accuracy": 3 / 5})


def test_intervals_are_those_of_an_evaluation_and_need_two_samples(masks):
    pairs = [([0, 0, 1, 1], [0, 1, 1, 1]), ([0, 2, 2, 0], [0, 2, 1, 0]), ([0, 0, 0, 0], [0, 0, 0, 2])]
    arrays = [[np.array(cells, np.uint8) for cells in pair] for pair in pairs]
    masks.add(*arrays[0])
    assert masks.overlap.intervals == {}
    for predicted, truth in arrays[1:]:
        masks.add(predicted, truth)
    counts = [overlap_counts(confusion(*(torch.from_numpy(each).long() for each in pair[::-1]), 3)) for pair in arrays]
    same = overlap_intervals(torch.stack(counts).numpy(), 0)
    assert masks.overlap.intervals == {"mean_iou": same["miou"], "pixel_accuracy": same["pixel_accuracy"]}
    assert masks.record()["intervals"]["mean_iou"] == list(same["miou"])


def test_a_mask_in_which_nothing_is_judged_says_nothing(masks):
    assert masks.add(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)) == {}
    assert (masks.num_known, masks.overlap) == (1, None)


def test_without_a_background_the_most_frequent_class_is_the_baseline():
    masks = MaskTotals(card(**CLASSES))
    masks.add(np.array([0, 0, 0], np.uint8), np.array([2, 2, 0], np.uint8))
    assert masks.overlap.baseline[0] == "all dog"
