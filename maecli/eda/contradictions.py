"""Equal samples whose labels disagree: no model can be right on all of them.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maecli.eda.findings import Contradiction, Where

Row = NDArray[np.int8]
"""(Q,): 1 present, 0 absent, -1 not to be judged."""


def find_contradictions(
    groups: Iterable[Sequence[Where]], labels: Mapping[Where, Row], classes: Sequence[str]
) -> Iterator[Contradiction]:
    """Yield the groups of samples, equal in every value, in which a class is present in one and absent in another."""
    for group in groups:
        labelled = [(where, labels[where]) for where in group if where in labels]
        if not labelled:
            continue
        rows = np.array([row for _, row in labelled])  # (N, Q)
        if not ((rows == 1).any(0) & (rows == 0).any(0)).any():
            continue
        first: dict[str, Where] = {}
        for where, row in labelled:
            first.setdefault(", ".join(classes[q] for q in np.flatnonzero(row == 1).tolist()), where)
        yield Contradiction(num=len(labelled), labels=tuple(first), pictures=tuple(first.values()))
