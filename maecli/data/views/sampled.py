"""Some samples of a very large data set that stand for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.randomness import derive_seed
from maecli.data.sample import Split
from maecli.data.splits import places
from maecli.data.views.keys import take
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
        self._chosen = {name: self._choose(name, share) for name in SPLIT_NAMES}
        self._ids: dict[tuple[SplitName, tuple[str, ...]], list[int]] = {}

    def _choose(self, name: SplitName, share: float) -> frozenset[str]:
        """Return the keys of a split that are looked at."""
        keys = self.dataset.split(name).keys
        line = places(keys, SEED)[:, 0]
        num = min(len(keys), max(LEAST, round(share * len(keys))))
        return frozenset(take(keys, np.argsort(line, kind="stable")[:num]))

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        card = self.dataset.card(fields)
        num = sum(len(self.split(name)) for name in SPLIT_NAMES)
        note = f"{num:,} of {self.num_samples:,} were looked at, chosen by the fixed seed"
        return card.model_copy(update={"notes": (*card.notes, note)})

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        split, asked = self.dataset.split(name, fields), (name, tuple(fields))
        if asked not in self._ids:
            self._ids[asked] = [i for i, key in enumerate(split.keys) if key in self._chosen[name]]
        return split.view(self._ids[asked])

    def all_faults(self) -> Iterator[Fault]:
        """Yield what is known, since the rest shows only when all samples are read."""
        yield from self.faults()
