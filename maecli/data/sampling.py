"""Drawing the training samples of an epoch so that rare classes are seen more often.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Sampling = Literal["natural", "balanced", "sqrt"]
POWERS = {"balanced": 0.0, "sqrt": 0.5}
"""How the share of draws of a class grows with its count, as count^power; 1 would be natural.

Source: arXiv:1910.09217, equation 1.
"""


def chances(present: NDArray[np.bool_], sampling: Sampling) -> NDArray[np.float64]:
    """Return the chance (N,) of each sample, whose classes are `present` (N, Q), to be the next one drawn.

    Of several classes the rarest decides, as it does for the repeat factors of LVIS, arXiv:1908.03195. A sample without
    any is as likely as one whose class all samples have.
    """
    counts = present.sum(0).astype(np.float64)  # (Q,)
    power = POWERS[sampling] - 1
    weights = np.where(present, np.maximum(counts, 1) ** power, 0.0).max(1, initial=float(len(present)) ** power)
    return np.asarray(weights / weights.sum(), np.float64)


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
