"""Equal pictures contradict each other where one says that a class is there and another that it is not."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.eda.contradictions import find_contradictions
from maecli.eda.findings import Where

PLACES = [Where(split="train", key=name) for name in "abcd"]


def found(*rows):
    labels = {place: np.array(row, np.int8) for place, row in zip(PLACES, rows, strict=False)}
    return list(find_contradictions([PLACES], labels, ("cat", "dog")))


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([(1, 0), (0, 1)], ("cat", "dog")),
        ([(1, 0), (1, 0), (1, 1)], ("cat", "cat, dog")),
        ([(0, 0), (1, 0)], ("", "cat")),
    ],
)
def test_each_label_is_told_once_with_its_first_picture(rows, labels):
    (group,) = found(*rows)
    assert (group.num, group.labels) == (len(rows), labels)
    assert group.pictures == (PLACES[0], PLACES[len(rows) - 1])


@pytest.mark.parametrize("rows", [[], [(1, 0)], [(1, 0), (1, 0)], [(1, -1), (1, 0)], [(-1, 0), (1, 0)]])
def test_what_is_not_judged_or_not_labelled_contradicts_nothing(rows):
    assert found(*rows) == []
