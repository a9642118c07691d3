"""Mean, deviation and median of the numbers that are learnt, over what is learnt from.

Shapes: N samples, Q numbers of a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.sample import Split, TensorSplit
from maecli.errors import BrokenSample, DataError


def with_target_scale(card: DataCard, fields: Sequence[str], dataset: Dataset, split: Split) -> DataCard:
    """Return the card of training samples with the scale of their `target`, where they carry one and it lacks that.

    What follows a window of a series is scaled as the window is, and needs none.
    """
    if "target" not in fields or card.horizon is not None or card.target_mean:
        return card
    values = _targets(dataset, split)
    known = ~np.isnan(values)
    if not known.any(0).all():
        raise DataError(f"no training sample of {card.name} has the number to learn ({', '.join(card.targets)})")
    mean, std = np.nanmean(values, 0), np.nanstd(values, 0)
    std = np.where(std > 1e-9 * np.maximum(np.abs(mean), 1e-9), std, 1.0)
    scale = {"target_mean": mean, "target_std": std, "target_median": np.nanmedian(values, 0)}
    return card.model_copy(update={name: tuple(numbers.tolist()) for name, numbers in scale.items()})


def _targets(dataset: Dataset, split: Split) -> NDArray[np.float64]:
    """Return the targets (N, Q) of training samples, opening no picture if that can be.

    Samples that cannot be read are left out; they are told of when they are read for use.
    """
    if isinstance(split, TensorSplit):
        return split.tensors["target"].numpy().astype(np.float64)
    source, keys = dataset.split("train", ("target",)), frozenset(split.keys)
    rows = list[NDArray[np.float64]]()
    for index, key in enumerate(source.keys):
        if key in keys:
            with suppress(BrokenSample):
                rows.append(np.asarray(source[index]["target"], np.float64))
    return np.stack(rows) if rows else np.zeros((0, 1))
