"""What a confusion matrix says, in words.

Shapes: Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.integer[Any]]


def finding(matrix: Counts, classes: Sequence[str]) -> str:
    """Return how many are named right, the classes found best and worst, and the two that are mixed up.

    `matrix` (Q, Q) has a row for each true class and a column for each predicted one.
    """
    truth, hits = matrix.sum(1), matrix.diagonal()
    present, named = np.flatnonzero(truth), np.flatnonzero(matrix.sum(0))
    if not len(present):
        return ""
    if hits.sum() == truth.sum():
        return f"all {truth.sum():,} are named right"
    if len(named) == 1 and len(present) > 1:
        return f"all {truth.sum():,} are taken for {classes[named[0]]}"
    shares = hits[present] / truth[present]
    best, worst = present[shares.argmax()], present[shares.argmin()]
    text = f"{hits.sum():,} of {truth.sum():,} are named right"
    if shares.max() > shares.min():
        found = [f"{classes[i]} {how} ({hits[i]:,} of {truth[i]:,})" for i, how in ((best, "best"), (worst, "worst"))]
        text += f", {' and '.join(found)}"
    return f"{text}; {_mixed_up(matrix, classes)}" if len(classes) > 2 else text


def _mixed_up(matrix: Counts, classes: Sequence[str]) -> str:
    """Return which two classes are taken for each other most often, or one of them for the other."""
    errors = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    both = errors + errors.T
    one, other = map(int, np.unravel_index(both.argmax(), both.shape))
    if errors[one, other] < errors[other, one]:
        one, other = other, one
    often = f"{errors[one, other]:,} of {matrix[one].sum():,}"
    if errors[other, one]:
        return f"{classes[one]} and {classes[other]} are mixed up most"
    return f"{classes[one]} is most often taken for {classes[other]} ({often})"
