"""How far two runs lie apart, measured on the same samples: each sample is a pair.

Shapes: n samples, R resamples.
"""

from __future__ import annotations

import math

import numpy as np

from maecli.measures import wilson_interval
from maecli.results import Difference


def paired_shares(hits: np.ndarray, others: np.ndarray) -> Difference:
    """Return how much larger the share of hits (n,) of one run is than that of another run; n is above 0.

    The test is McNemar's, exact: of the samples that one run alone hits, each run has half by chance. The interval is
    Newcombe's: the Wilson intervals of both shares, joined by how much the hits go together.
    Source: Newcombe 1998, Statistics in Medicine 17, p. 2635, method 10.
    """
    from scipy.stats import binomtest  # type: ignore[import-untyped]  # slow to import, and only needed here

    one, other = hits.astype(bool), others.astype(bool)
    num = len(one)
    both, mine, theirs = (int(cells.sum()) for cells in (one & other, one & ~other, ~one & other))
    shares = (both + mine) / num, (both + theirs) / num
    (low, high), (low_other, high_other) = wilson_interval(both + mine, num), wilson_interval(both + theirs, num)
    value, phi = shares[0] - shares[1], _togetherness(both, mine, theirs, num)
    below, above = (shares[0] - low, high_other - shares[1]), (high - shares[0], shares[1] - low_other)
    return Difference(
        value=value,
        interval=(value - _joined(*below, phi), value + _joined(*above, phi)),
        p_value=float(binomtest(mine, mine + theirs).pvalue) if mine + theirs else 1.0,
        test="exact McNemar test",
        num_samples=num,
    )


def _togetherness(both: int, mine: int, theirs: int, num: int) -> float:
    """Return the correlation of the hits of two runs, one above 0 corrected for continuity."""
    neither = num - both - mine - theirs
    marginals = (both + mine) * (theirs + neither) * (both + theirs) * (mine + neither)
    product = float(both * neither - mine * theirs)
    if product > 0:
        product = max(product - num / 2, 0.0)
    return product / math.sqrt(marginals) if marginals else 0.0


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def paired_bootstrap(value: float, resampled: np.ndarray, num: int) -> Difference:
    """Return a difference of two runs with its interval, from its values (R,) in resamples of the `num` samples.

    Each resample draws the same samples for both runs. The interval is so many standard errors either way as Student's
    t takes at num - 1 degrees of freedom, and the errors are as much larger as resamples of few samples are too alike.
    The test is the same t's, and never surer than a sign test of so many samples may be.
    Source: Hesterberg 2014, arXiv:1411.5279, on the narrowness of intervals of small samples.
    """
    from scipy.stats import t as student

    degrees = max(1, num - 1)
    error = float(resampled.std()) * math.sqrt(num / degrees)
    reach = float(student.ppf(0.975, degrees)) * error
    p_value = 2 * float(student.sf(abs(value) / error, degrees)) if error > 0 else float(value == 0)
    return Difference(
        value=value,
        interval=(value - reach, value + reach),
        p_value=min(1.0, max(p_value, 2 * 0.5**num)),
        test="paired bootstrap",
        num_samples=num,
    )
