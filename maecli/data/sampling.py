"""Drawing the training samples of an epoch so that rare classes are seen more often.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maecli.data.views.by_key import NONE

Sampling = Literal["natural", "balanced", "sqrt"]
POWERS = {"balanced": 0.0, "sqrt": 0.5}
"""How the share of draws of a class grows with its count, as count^power; 1 would be natural.

Source: arXiv:1910.09217, equation 1.
"""


def chances(codes: NDArray[np.int32], classes: Sequence[Sequence[int]], sampling: Sampling) -> NDArray[np.float64]:
    """Return the chance (N,) of each sample to be the next one drawn.

    Of each sample `codes` (N,) has the position of its `classes`, `NONE` where it has none. Of several classes the
    rarest decides, as it does for the repeat factors of LVIS, arXiv:1908.03195. A sample without any is as likely as
    one whose class all samples have.
    """
    power = POWERS[sampling] - 1
    owner = np.repeat(np.arange(len(classes)), [*map(len, classes)])  # of each class in `shown`
    shown = np.fromiter(chain.from_iterable(classes), np.int64, len(owner))
    times = np.bincount(codes[codes != NONE], minlength=len(classes))
    counts = np.bincount(shown, times[owner])  # (Q,)
    weights = np.full(len(classes) + 1, float(len(codes)) ** power)  # the last one is that of `NONE`
    np.maximum.at(weights, owner, np.maximum(counts[shown], 1) ** power)
    each = weights[codes]
    return np.asarray(each / each.sum(), np.float64)


def drawn(generator: np.random.Generator, chances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return N visits (N,) of samples in random order, each sample as often as its chance of 1 / N says.

    A sample with the chance p is visited N p times, rounded up or down by chance (systematic resampling), so that an
    epoch hardly differs from what is expected. Visit v is of sample v % N, for the (v // N + 1)-th time in this epoch:
    random changes differ from visit to visit.
    """
    num = len(chances)
    line = generator.permutation(num)
    ends = np.cumsum(chances[line])
    at = (generator.random() + np.arange(num)) / num * ends[-1]
    ids = line[np.minimum(np.searchsorted(ends, at, side="right"), num - 1)]  # equal ones stand together
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    times = np.arange(num) - np.repeat(starts, np.diff(np.append(starts, num)))
    return generator.permutation(ids + num * times)
