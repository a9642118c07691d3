"""One pass over the samples of a split: sizes, values, what cannot be read, and fingerprints to find copies by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from maecli.data.card import DataCard
from maecli.data.sample import Split
from maecli.eda.findings import Samples, Sizes, Statistics
from maecli.eda.parallel import Room, Scan
from maecli.modalities.modality import Modality
from maecli.modalities.survey import Look, Values

MAX_COMMON_SIZES = 500


@dataclass
class SampleScan(Scan):
    """What a pass over a split gathered: a look at each readable sample, in the order of the split."""

    split: Split
    looks: list[Look] = field(default_factory=list)
    values: Values | None = None

    def summary(self) -> Samples:
        return Samples(
            num=len(self.split),
            num_broken=len(self.faults),
            sizes=_sizes([look.size for look in self.looks]),
            num_flat=sum(look.flat for look in self.looks),
            num_grey=sum(look.grey for look in self.looks),
            num_empty=sum(look.missing == 1 for look in self.looks),
        )

    def statistics(self, names: Sequence[str], kind: str) -> tuple[Statistics, ...]:
        """Return what there is to say of each channel or cell, as its kind is called."""
        return () if self.values is None else statistics_of(self.values, names, kind)


def scan_samples(split: Split, card: DataCard, modality: Modality, tick: Callable[[], None]) -> SampleScan:
    """Look at every sample of a split once, calling `tick` after each."""
    scan, room = SampleScan(split), Room()

    def look(index: int) -> Look:
        size = split.size(index)
        with room.taken(size):
            return modality.survey(split, index, size, card)

    for seen in scan.read(look, len(split), tick):
        if seen.values is not None:
            scan.values = seen.values if scan.values is None else scan.values + seen.values
        scan.looks.append(replace(seen, values=None))  # a large set has room for the sums alone
    return scan


def statistics_of(values: Values, names: Sequence[str], kind: str) -> tuple[Statistics, ...]:
    """Return sums as plain values, under these names; those without one are numbered from 1."""
    found = []
    for k, num in enumerate(values.num.tolist()):
        missing, some = int(values.missing[k]), num > 0
        found.append(
            Statistics(
                name=names[k] if k < len(names) else f"{kind} {k + 1}",
                num=num,
                missing=missing / max(1, num + missing),
                outside=int(values.outside[k]) / max(1, num),
                min=float(values.low[k]) if some else None,
                mean=float(values.mean[k]) if some else None,
                max=float(values.high[k]) if some else None,
                std=float(np.sqrt(values.squares[k] / num)) if some else None,
            )
        )
    return tuple(found)


def _sizes(sizes: Sequence[tuple[int, ...]]) -> Sizes | None:
    if not sizes:
        return None
    array = np.array(sizes)
    common = Counter(sizes).most_common(MAX_COMMON_SIZES)
    return Sizes(
        smallest=tuple(array.min(0).tolist()),
        median=tuple(np.median(array, axis=0).tolist()),
        largest=tuple(array.max(0).tolist()),
        num_distinct=len(set(sizes)),
        common=tuple(common),
    )
