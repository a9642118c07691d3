from __future__ import annotations

import numpy as np
import pytest
import torch

from maecli.api.measure import (
    class_iou,
    class_recall,
    confusion,
    constant_counts,
    overlap_counts,
    overlap_intervals,
    overlap_scores,
)

TRUTH = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1], [255, 255, 2, 2]], dtype=torch.uint8)
GUESS = torch.tensor([[0, 0, 1, 1], [0, 3, 1, 0], [1, 2, 2, 0]], dtype=torch.uint8)
# truth \ guess  0 1 2 3
#             0  3 1 0 1
#             1  1 2 0 0
#             2  1 0 1 0
#             3  0 0 0 0
COUNTS = overlap_counts(confusion(TRUTH, GUESS, 4)).numpy()


def test_counts_are_hits_truth_and_predictions():
    assert COUNTS.tolist() == [[3, 2, 1, 0], [5, 3, 2, 0], [5, 3, 1, 1]]


def test_iou_and_recall_by_hand():
    assert class_iou(COUNTS).tolist() == pytest.approx([3 / 7, 2 / 4, 1 / 2, 0])
    assert class_recall(COUNTS).tolist() == pytest.approx([3 / 5, 2 / 3, 1 / 2, 0])


def test_means_are_over_the_classes_that_occur():
    scores = overlap_scores(COUNTS, background=0)
    assert scores["miou"] == pytest.approx((3 / 7 + 1 / 2 + 1 / 2) / 3)
    assert scores["mean_class_accuracy"] == pytest.approx((3 / 5 + 2 / 3 + 1 / 2) / 3)
    assert scores["pixel_accuracy"] == pytest.approx(6 / 10)


def test_foreground_is_every_class_but_the_background_taken_as_one():
    # truly foreground: 5 pixels, predicted: 5, both: 3
    assert overlap_scores(COUNTS, background=0)["foreground_iou"] == pytest.approx(3 / 7)
    assert "foreground_iou" not in overlap_scores(COUNTS, background=None)


def test_a_constant_prediction_has_exactly_the_counts_of_its_masks():
    always = overlap_counts(confusion(TRUTH, torch.zeros_like(GUESS), 4)).numpy()
    assert constant_counts(COUNTS, 0).tolist() == always.tolist()
    scores = overlap_scores(always, 0)
    assert scores["miou"] == pytest.approx(5 / 10 / 3)
    assert scores["foreground_iou"] == 0


def test_no_judged_pixel_gives_zeros():
    scores = overlap_scores(np.zeros((3, 4), np.int64), 0)
    assert all(value == 0 for value in scores.values())


def test_pictures_that_are_alike_have_no_uncertainty():
    intervals = overlap_intervals(np.stack([COUNTS] * 5), 0)
    for name, value in overlap_scores(COUNTS, 0).items():
        assert intervals[name] == pytest.approx((value, value))


def test_the_interval_is_that_of_drawing_pictures_anew():
    good, bad = np.array([[10, 10], [10, 10], [10, 10]]), np.array([[0, 0], [10, 10], [10, 10]])
    half = overlap_intervals(np.stack([good, bad] * 50), None)["pixel_accuracy"]
    # a share of 100 draws of .5 has the deviation .05
    assert half == pytest.approx((0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05), abs=0.015)
    assert half == overlap_intervals(np.stack([good, bad] * 50), None)["pixel_accuracy"]


def test_an_interval_holds_its_value_where_classes_are_rare_and_missed():
    pictures = np.zeros((60, 3, 10), np.int64)
    pictures[:, :, 0] = 90  # a common class, always right
    for rare in range(1, 10):
        pictures[rare, 1, rare] = 10
    value = overlap_scores(pictures.sum(0), 0)["miou"]
    low, high = overlap_intervals(pictures, 0)["miou"]
    assert low <= value <= high


def test_one_picture_has_no_interval():
    assert overlap_intervals(COUNTS[None], 0) == {}
