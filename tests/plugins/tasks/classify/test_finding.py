"""A confusion matrix in words: how many are right, which classes are found, and which are mixed up."""

from __future__ import annotations

import numpy as np
import pytest
from maecli_plugins.tasks.classify.finding import finding

NAMES = ["cat", "dog", "elk"]


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (
            [[8, 1, 1], [2, 5, 3], [0, 5, 5]],
            "18 of 30 are named right, cat best (8 of 10) and dog worst (5 of 10); elk and dog are mixed up most",
        ),
        (
            [[9, 0, 1], [0, 10, 0], [4, 0, 6]],
            "25 of 30 are named right, dog best (10 of 10) and elk worst (6 of 10); elk and cat are mixed up most",
        ),
        (
            [[9, 1, 0], [0, 10, 0], [0, 4, 6]],
            (
                "25 of 30 are named right, dog best (10 of 10) and elk worst (6 of 10); "
                "elk is most often taken for dog (4 of 10)"
            ),
        ),
        ([[3, 0, 0], [0, 4, 0], [0, 0, 0]], "all 7 are named right"),
        ([[0, 3, 0], [0, 4, 0], [0, 2, 0]], "all 9 are taken for dog"),
        (np.zeros((3, 3), int).tolist(), ""),
    ],
)
def test_a_matrix_in_words(matrix, words):
    assert finding(np.array(matrix), NAMES) == words


def test_of_two_classes_it_need_not_be_said_which_are_mixed_up():
    matrix = np.array([[1200, 34], [0, 10]])
    assert (
        finding(matrix, NAMES[:2])
        == "1,210 of 1,244 are named right, dog best (10 of 10) and cat worst (1,200 of 1,234)"
    )
