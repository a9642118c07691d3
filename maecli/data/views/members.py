"""The members of the splits of a run: which samples each had when the run began, in their order.

A cut follows from all names that are there, so files that are added later would move others between the splits, and
what a run was trained on would end up in its test split.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.labels import class_counts, labels_by_key
from maecli.data.sample import Places, Split, TensorSplit, view_of
from maecli.data.views.by_key import NONE, Positions
from maecli.data.views.keys import GrowingKeys, Keys, are_equal, take
from maecli.data.views.wrapped import WrappedDataset
from maecli.errors import DamagedFile, DataError
from maecli.storage.tables import cell_text, csv_line

COLUMNS = ("file", "split")
NUM_NAMED = 3
LINES_AT_ONCE = 1 << 14
"""That are joined to one text."""

_Whereabouts = dict[SplitName, tuple[NDArray[np.int8], NDArray[np.int64]]]
"""Split → of its M samples that are there, which split each is in now (M,), and where it stands there (M,)."""

Members = Mapping[SplitName, Sequence[str]]
"""Split → its samples' keys, in order."""


def members_of(dataset: Dataset, fields: Sequence[str]) -> Members | None:
    """Return the samples of all splits that carry `fields`; None where nothing that is added can change them.

    That is so of published lists, and of samples in memory that are numbered or come from no file.
    """
    train = dataset.split("train", fields)
    of_no_file = isinstance(train, TensorSplit) and not (len(train) and train.files(0))
    if dataset.published_splits or of_no_file:
        return None
    try:
        members = {name: Keys.of(dataset.split(name, fields).keys) for name in SPLIT_NAMES}
    except DataError:  # of a split that this run does not need
        return None
    return None if all(key.isdecimal() for keys in members.values() for key in keys) else members


def members_csv(members: Members) -> Iterator[str]:
    """Yield the table of a run's samples in parts, in the order of the splits and of their samples."""
    rows = ((key, name) for name in SPLIT_NAMES for key in members.get(name, ()))
    lines = map(csv_line, itertools.chain([COLUMNS], rows))
    return iter(lambda: "".join(itertools.islice(lines, LINES_AT_ONCE)), "")


def read_members(path: Path) -> Members | None:
    """Return what `members_csv` wrote, names as the table has them; None where there is no table.

    Raises DamagedFile for what is none.
    """
    members: dict[SplitName, GrowingKeys] = {name: GrowingKeys() for name in SPLIT_NAMES}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) != COLUMNS:
                raise ValueError("no header")
            for key, name in rows:
                members[name].append(key)  # type: ignore[index]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, csv.Error, OSError) as error:
        raise DamagedFile(path, "is not the table of a run's samples, of the columns file and split") from error
    return {name: keys.keys() for name, keys in members.items()}


def _gone(gone: Mapping[SplitName, Sequence[str]]) -> str:
    """Return in words what is not there any more, by name."""
    parts = [
        f"{len(keys):,} of {name} ({', '.join(keys[:NUM_NAMED])}{', …' if len(keys) > NUM_NAMED else ''})"
        for name, keys in gone.items()
        if keys
    ]
    return f"samples of the run are gone or cannot be read, and are left out: {', '.join(parts)}"


def _added(num: int) -> str:
    """Return in words how many samples came later, and how they can be used."""
    came = "sample that was added since is" if num == 1 else "samples that were added since are"
    return (
        f"the run keeps the splits that it began with: {num:,} {came} in none of them; a new run learns from them, "
        "and --root with a folder of them alone measures on them"
    )


def keep_members(
    dataset: Dataset,
    members: Members,
    fields: Sequence[str],
    say: Callable[[str], None] = lambda _: None,
    told: Collection[SplitName] = SPLIT_NAMES,
) -> Dataset:
    """Return the data set with the splits that a run began with, asked for with `fields`.

    `say` is told what is gone, of the splits `told`, and what came later. Where not one of the members is there, it is
    another data set, whose own splits stay.
    """
    splits = {name: dataset.split(name, fields) for name in SPLIT_NAMES}
    if all(are_equal(splits[name].keys, members.get(name, ())) for name in SPLIT_NAMES):
        return dataset
    positions, num = Positions(_as_in_tables(splits.values())), sum(map(len, splits.values()))
    found = {name: positions.find(members.get(name, ())) for name in SPLIT_NAMES}
    num_kept = sum(int(np.count_nonzero(ids != NONE)) for ids in found.values())
    if not num_kept:
        return dataset
    gone = {name: take(members.get(name, ()), np.flatnonzero(found[name] == NONE)) for name in told}
    if any(map(len, gone.values())):
        say(_gone(gone))
    if num > num_kept:
        say(_added(num - num_kept))
    return KeptSplits(dataset, members)


class KeptSplits(WrappedDataset):
    """A data set whose splits have the members that they had when a run began, as far as these are there."""

    def __init__(self, dataset: Dataset, members: Members) -> None:
        super().__init__(dataset)
        self.members = members
        self._whereabouts: dict[tuple[str, ...], _Whereabouts] = {}

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        card = self.dataset.card(fields)
        changes: dict[str, object] = {"split_sizes": {name: len(self.split(name, fields)) for name in SPLIT_NAMES}}
        if card.class_counts:
            labels = labels_by_key(self, "train", self.split("train", fields))
            changes["class_counts"] = class_counts(labels.distinct, labels.codes, card.num_classes)
        return card.model_copy(update=changes)

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        asked = tuple(fields)
        if asked not in self._whereabouts:
            self._whereabouts[asked] = _whereabouts(
                [self.dataset.split(each, fields) for each in SPLIT_NAMES], self.members
            )
        split_of, ids = self._whereabouts[asked][name]
        used, numbers = np.unique(split_of, return_inverse=True)
        return view_of(Places([self.dataset.split(SPLIT_NAMES[i], fields) for i in used.tolist()], numbers, ids))


def _whereabouts(splits: Sequence[Split], members: Members) -> _Whereabouts:
    """Return in which of some splits those of the members are that are there, and at which positions."""
    ends, positions = np.cumsum([len(split) for split in splits]), Positions(_as_in_tables(splits))
    places: _Whereabouts = {}
    for name in SPLIT_NAMES:
        found = positions.find(members.get(name, ()))
        found = found[found != NONE]
        split_of = np.searchsorted(ends, found, "right")
        places[name] = split_of.astype(np.int8), found - np.append(0, ends)[split_of]
    return places


def _as_in_tables(splits: Iterable[Split]) -> Keys:
    """Return the keys of splits, behind each other, as a table has them."""
    keys = Keys.joined(split.keys for split in splits)
    return keys if all(cell_text(key) == key for key in keys) else Keys.of(map(cell_text, keys))
