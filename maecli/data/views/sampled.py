"""Some samples of a very large data set that stand for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.randomness import derive_seed
from maecli.data.sample import Split
from maecli.data.splits import places
from maecli.data.views.wrapped import WrappedDataset
from maecli.errors import Fault

SEED = derive_seed(0, "sampled")
"""Not that of cuts: the first in their line are those that a cut took last, and of some classes more than of others."""
LEAST = 50
"""Samples of a split that are looked at in any case, as far as there are so many."""


class SampledSplits(WrappedDataset):
    """A data set of which about `num` samples are looked at: of each split the same share, chosen by their keys.

    A sample is among them whatever fields are asked for. The card is that of all.
    """

    def __init__(self, dataset: Dataset, num: int) -> None:
        super().__init__(dataset)
        self.num_samples = sum(dataset.card().split_sizes.values())
        share = min(1.0, num / max(1, self.num_samples))
        self.is_part = share < 1
        self._ends = {name: self._end(name, share) for name in SPLIT_NAMES}

    def _end(self, name: SplitName, share: float) -> int:
        """Return the place in line of the last sample of a split that is looked at."""
        first = np.sort(places(self.dataset.split(name).keys, SEED)[:, 0])
        num = min(len(first), max(LEAST, round(share * len(first))))
        return int(first[num - 1]) if num else 0

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        card = self.dataset.card(fields)
        num = sum(len(self.split(name)) for name in SPLIT_NAMES)
        note = f"{num:,} of {self.num_samples:,} were looked at, chosen by the fixed seed"
        return card.model_copy(update={"notes": (*card.notes, note)})

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        split = self.dataset.split(name, fields)
        first = places(split.keys, SEED)[:, 0]
        return split.view(np.flatnonzero(first <= np.uint64(self._ends[name])).tolist())

    def all_faults(self) -> Iterator[Fault]:
        """Yield what is known, since the rest shows only when all samples are read."""
        yield from self.faults()
