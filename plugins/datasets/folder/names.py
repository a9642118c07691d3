"""What groups say of the splits of their pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maecli.api import DataError, SplitName
from maecli.api.pictures import ByKey, LabelRows

NONE = -1


def check_groups(path: Path, splits: ByKey[SplitName], rows: LabelRows) -> None:
    """Raise `DataError` for a group whose pictures were given to two splits, which are known of the same keys."""
    ids = np.flatnonzero((rows.groups.codes != NONE) & (splits.codes != NONE))
    ids = ids[np.argsort(rows.lines[ids])]
    _, first, groups = np.unique(rows.groups.codes[ids], return_index=True, return_inverse=True)
    others = ids[first[groups]]  # the first picture of each one's group
    wrong = np.flatnonzero(splits.codes[ids] != splits.codes[others])
    if len(wrong):
        here, there = int(ids[wrong[0]]), int(others[wrong[0]])
        raise DataError(
            f"{path}, line {rows.lines[here]}: group {rows.groups.distinct[rows.groups.codes[here]]!r} is in "
            f"{splits.distinct[splits.codes[here]]} here and in {splits.distinct[splits.codes[there]]} in line "
            f"{rows.lines[there]}; a group must stay in one split"
        )
