"""Sums of products of two series, one of them some steps later.

Shapes: T steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def later(first: Values, second: Values, most: int) -> Values:
    """Return the sums of first[t] * second[t + lag] of series (T,), for the lags 0 to `most`."""
    from scipy import fft  # type: ignore[import-untyped]  # heavy

    size = fft.next_fast_len(len(first) + most + 1, real=True)
    product = np.conj(fft.rfft(first, size)) * fft.rfft(second, size)
    sums: Values = fft.irfft(product, size)[: most + 1]
    return sums


def earlier_and_later(first: Values, second: Values, most: int) -> Values:
    """Return the same sums for the lags -`most` to `most`."""
    return np.concatenate([later(second, first, most)[:0:-1], later(first, second, most)])
