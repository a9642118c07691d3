"""Drawing samples so that rare classes are seen more often."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.data.sampling import chances, drawn
from maecli.data.views.by_key import NONE

LABELS = np.repeat([0, 1, 2], [80, 15, 5])
CLASSES = [[0], [1], [2]]


def visited(chances: np.ndarray, seed: int = 0) -> np.ndarray:
    return drawn(np.random.default_rng(seed), chances)


@pytest.mark.parametrize(
    ("sampling", "shares"), [("balanced", np.ones(3) / 3), ("sqrt", np.sqrt([80, 15, 5]) / np.sqrt([80, 15, 5]).sum())]
)
def test_an_epoch_has_its_share_of_each_class_and_its_length(sampling, shares):
    visits = visited(chances(LABELS, CLASSES, sampling))
    assert len(visits) == 100
    found = np.bincount(LABELS[visits % 100]) / 100
    assert found == pytest.approx(shares, abs=0.02)


def test_samples_of_a_class_are_drawn_as_often_as_each_other():
    times = np.bincount(visited(chances(LABELS, CLASSES, "balanced")) % 100, minlength=100)
    assert set(times[95:].tolist()) <= {6, 7}  # a third of 100 draws among 5
    assert set(times[:80].tolist()) <= {0, 1}


def test_no_visit_comes_twice_in_an_epoch():
    visits = visited(chances(LABELS, CLASSES, "balanced"))
    assert len(set(visits.tolist())) == 100
    of_one = sorted((visits[visits % 100 == 97] // 100).tolist())
    assert of_one == list(range(len(of_one)))


def test_epochs_differ_and_one_generator_gives_one_order():
    even = chances(LABELS, CLASSES, "balanced")
    assert visited(even, 1).tolist() == visited(even, 1).tolist() != visited(even, 2).tolist()


def test_the_rarest_class_of_a_sample_decides():
    codes = np.array([0, 1, 2, NONE, 0])
    classes = [[0, 1], [0, 2], [0]]  # class 0 is in four samples, as background
    assert chances(codes, classes, "balanced") == pytest.approx(np.array([1 / 2, 1, 1 / 4, 1 / 5, 1 / 2]) / 2.45)


def test_an_epoch_is_the_same_as_by_a_matrix_of_samples_and_classes():
    present = np.random.default_rng(0).random((50, 4)) < 0.3
    different, codes = np.unique(present, axis=0, return_inverse=True)
    weights = np.where(present, np.maximum(present.sum(0), 1) ** -0.5, 50**-0.5 * ~present.any(1, keepdims=True)).max(1)
    found = chances(codes.reshape(-1), [np.flatnonzero(row).tolist() for row in different], "sqrt")
    assert np.array_equal(found, weights / weights.sum())
