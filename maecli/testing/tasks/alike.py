"""When a value that was made in two ways is the same."""

from __future__ import annotations

import math


def close(a: object, b: object) -> bool:
    """Whether two values are equal, floats up to what the order of sums changes."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-4)
    return a == b
