"""Cross-validation: a data set whose samples are dealt anew into folds, each of which is the test part of one run.

The samples of train and val, and of a test split that is not given, are dealt by their keys, labels, masks and groups
alone, so that two runs agree on what each fold holds, whatever their tasks ask for. Samples without a label and a mask,
in a set that has some, are never tested on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from maecli.data.card import SPLIT_NAMES, SplitName
from maecli.data.classes.in_masks import classes_in_masks
from maecli.data.dataset import Dataset
from maecli.data.labels import classes_of, labels_by_key
from maecli.data.splits import place
from maecli.data.stratify import Unit, bring_home, deal, fill_empty, make_units
from maecli.data.views.members import KeptSplits, Members
from maecli.errors import DataError
from maecli.storage.tables import cell_text
from maecli.text import number_of, some

STRATA = ("label", "mask")
"""Fields whose classes are spread over the folds."""
NUM_NAMED = 3


@dataclass(frozen=True)
class _Stratum:
    """A class of a label or of a mask, by which samples are dealt."""

    field: str
    number: int


class Folds:
    """The folds of a data set. Raises DataError where its samples cannot be dealt into so many."""

    def __init__(self, dataset: Dataset, num: int) -> None:
        self.dataset, self.num = dataset, num
        self.card = dataset.card()
        self.fields = tuple(field for field in STRATA if field in self.card.fields)

    @cached_property
    def _pooled(self) -> tuple[SplitName, ...]:
        """The splits that are dealt anew."""
        return tuple(name for name in SPLIT_NAMES if name != "test" or "test" not in self.dataset.given_splits())

    @cached_property
    def test(self) -> list[str]:
        """The samples of a test split that is given, which are in no fold."""
        if "test" in self._pooled:
            return []
        ways = [("image",), *((field,) for field in self.fields)]
        return list(dict.fromkeys(key for fields in ways for key in self.dataset.split("test", fields).keys))

    @cached_property
    def _strata(self) -> dict[str, frozenset[Hashable]]:
        """What each sample that may be tested on is dealt by, in the order of the splits."""
        strata: dict[str, frozenset[Hashable]] = {}
        known: dict[frozenset[Hashable], frozenset[Hashable]] = {}  # each once: one of its own would take 300 bytes
        apart = {*self.test}
        for name in self._pooled:
            for field in self.fields:
                for key, numbers in self._classes(field, name).items():
                    if key not in apart:
                        shown = frozenset({field, *(_Stratum(field, each) for each in numbers)})
                        shown |= strata.get(key, frozenset())
                        strata[key] = known.setdefault(shown, shown)
            if not self.fields:
                strata |= {key: frozenset() for key in self.dataset.split(name).keys}
        return strata

    def _classes(self, field: str, name: SplitName) -> dict[str, list[int]]:
        """Return the classes of each sample of a split that has the field; of a mask, none where that is not known."""
        split = self.dataset.split(name, (field,))
        if field == "label":
            labels = labels_by_key(self.dataset, name, split)
            return {key: classes_of(label) for key, label in labels.items()}
        shown = classes_in_masks(split, self.card.void, repr(self.dataset.options), self.dataset.say)
        return {key: sorted(shown.get(key, ())) for key in split.keys}

    @cached_property
    def _units(self) -> list[Unit]:
        """What is dealt; members are positions in `_keys`, unlabelled samples of a labelled one's group included."""
        groups = self.dataset.groups()
        return make_units(
            self._keys,
            [self._strata.get(key, ()) for key in self._keys],
            [groups.get(key) for key in self._keys],
            place,
        )

    @cached_property
    def _keys(self) -> list[str]:
        """All samples but those of a given test split. Raises DataError where two have one name."""
        keys = [key for name in self._pooled for key in self.dataset.split(name).keys]
        if len({*keys}) < len(keys) or not self._strata.keys() <= {*keys}:
            raise DataError(
                f"{self.card.title} cannot be dealt into folds: its samples have no names of their own over all splits"
            )
        apart = {*self.test}
        return [key for key in keys if key not in apart]

    @cached_property
    def _parts(self) -> list[list[Unit]]:
        served = [unit for unit in self._units if self._serves(unit)]
        self._check(served)
        return deal(served, [1 / self.num] * self.num)

    def _serves(self, unit: Unit) -> bool:
        return any(self._keys[i] in self._strata for i in unit.members)

    def _check(self, units: Sequence[Unit]) -> None:
        """Raise DataError where there is too little to deal, or where a fold would lack a label."""
        if len(units) < self.num:
            raise DataError(
                f"{number_of(self.num, 'fold')} need as many {self.unit} to be tested on, and there are {len(units)}"
            )
        if self.card.multi_label:
            return
        rare = {one: num for one, num in _held(units).items() if num < self.num and one.field == "label"}
        if rare:
            rarest = min(rare, key=lambda one: (rare[one], one.number))
            raise DataError(_too_few(self.card.classes[rarest.number], rare[rarest], self.unit, self.num))

    @property
    def unit(self) -> str:
        """What is dealt, in words."""
        return "groups" if self.dataset.groups() else self.card.modality

    def remarks(self) -> list[str]:
        """Return what a person should know: classes that are not in every fold, and a test split that stays apart."""
        said = []
        rare = [one for one, num in _held(unit for part in self._parts for unit in part).items() if num < self.num]
        if rare:
            shown = self.dataset.card(("image", "mask")).mask_classes if "mask" in self.fields else ()
            names = {"label": self.card.classes, "mask": shown}
            named = sorted({names[one.field][one.number] for one in rare})
            said.append(
                f"fewer than {self.num} {self.unit} show {some(named, NUM_NAMED)}: not every fold is tested on "
                f"{'it' if len(named) == 1 else 'them'}"
            )
        if self.test:
            said.append(
                f"the {len(self.test):,} {self.card.modality} of the test split that is given are in no fold: mae eval "
                "measures on them"
            )
        return said

    def assignment(self) -> dict[str, int]:
        """Return the number of the fold, from 1, of each sample that is tested on."""
        return {
            self._keys[i]: number
            for number, units in enumerate(self._parts, 1)
            for unit in units
            for i in unit.members
            if self._keys[i] in self._strata
        }

    def members(self, fold: int | None) -> Members:
        """Return the samples of each split of the run that leaves out one fold, or none: then test is what is given.

        Val has the share of the rest that it has in the data set, stratified as the folds are.
        """
        left = {unit for number, units in enumerate(self._parts, 1) if number != fold for unit in units}
        rest = [unit for unit in self._units if unit in left or not self._serves(unit)]
        share = self._val_share
        train, val = deal([unit for unit in rest if unit in left], (1 - share, share))
        if share:
            bring_home([train, val])
            fill_empty([train, val], (1 - share, share))
        chosen = {i for unit in val for i in unit.members}
        test = {i for unit in self._parts[fold - 1] for i in unit.members} if fold is not None else set[int]()
        parts: dict[SplitName, list[str]] = {"train": [], "val": [], "test": [] if fold is not None else self.test}
        for i, key in enumerate(self._keys):
            name: SplitName = "test" if i in test else "val" if i in chosen else "train"
            parts[name].append(key)
        return {name: [cell_text(key) for key in keys] for name, keys in parts.items()}

    def view(self, fold: int | None) -> Dataset:
        """Return the data set with the splits of the run that leaves out one fold, or none."""
        return KeptSplits(self.dataset, self.members(fold))

    @cached_property
    def _val_share(self) -> float:
        """The share of val in what is not test, of samples that may be tested on."""
        num = {name: sum(key in self._strata for key in self.dataset.split(name).keys) for name in ("train", "val")}
        return num["val"] / max(1, sum(num.values()))


def _held(units: Iterable[Unit]) -> Counter[_Stratum]:
    """Return by how many units each class is shown."""
    return Counter(one for unit in units for one in unit.counts if isinstance(one, _Stratum))


def _too_few(name: str, num: int, what: str, folds: int) -> str:
    if num < 2:
        return (
            f"class {name!r} is in one of the {what} alone, so a run that is tested on it has never seen it; add "
            f"{what} of it, or take it out"
        )
    return f"class {name!r} is in {num} {what}, too few for {folds} folds; give --folds {num}, or add {what} of it"
