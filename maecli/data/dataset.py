"""The interface of a data set: a card, and splits."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from maecli import plugin_options
from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.sample import Split
from maecli.data.splits import check_shares
from maecli.errors import Fault


def default_data_dir() -> Path:
    """Return the folder that data sets are looked for in: `MAE_DATA`, else `./data`."""
    return Path(os.environ.get("MAE_DATA") or "data").expanduser()


class DatasetOptions(plugin_options.Options):
    """Options that every data set has.

    Where it has `val_share` and `test_share` besides, the shares of its samples that are cut from train, these must
    leave something for train.
    """

    root: Path | None = Field(default=None, description="folder that holds the data; default: MAE_DATA, else ./data")


class Dataset(ABC):
    """Base of a data-set plugin. The subclass's docstring is its data card in words.

    `card` and `split` are called with the fields that the task needs, so that a data set can leave out samples which
    lack one of them (an unlabelled picture when `label` is asked for), follow another official list, or read no more
    than is asked for (`boxes` need no picture).
    """

    name: ClassVar[str]
    recipe: ClassVar[str | None] = None
    """Name of the recipe that holds this data set's defaults, if it has one."""

    published_splits: ClassVar[bool] = False
    """Whether lists that were published say what each split holds, so that files which are added change none of them.

    Of all others a run records the members of its splits when it begins, and keeps them. Lists that depend on the
    fields asked for must say so here.
    """

    named_by_root: ClassVar[bool] = False
    """Whether it reads the folder of anyone, so that runs are named after that folder and not after the data set."""

    meant_by_root: ClassVar[bool] = False
    """Whether it is the data set that `--root` alone means, where no other one installed is."""

    meant_by_rows: ClassVar[bool] = False
    """Whether it is the one whose recipe and option `scaler` are for rows in memory, where no other one installed is.

    `maecli.MAEImputer` learns these as runs of this data set learn theirs.
    """

    size_option: ClassVar[str] = ""
    """The option that chooses the size of samples, such as dataset.lookback, if one does: named where a model refuses
    that size."""

    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    _teller: Callable[[str], None] | None = None

    def __init__(self, options: DatasetOptions) -> None:
        check_shares(getattr(options, "val_share", 0.0), getattr(options, "test_share", 0.0))
        self.options = options
        self.root = (options.root or default_data_dir()).expanduser()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind who tells: there is nobody to tell in another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_teller"}

    def told_by(self, teller: Callable[[str], None]) -> Self:
        """Let somebody tell what this data set says."""
        self._teller = teller
        return self

    @abstractmethod
    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        """Describe the samples that have all of `fields`.

        Raises `DataError` when the data are missing, naming the folder and two ways out.
        """

    def read_as(self, card: DataCard) -> None:
        """Read samples as those were read that `card` describes, of this data set or of other data in the same form.

        Called before all else when a run is evaluated or resumed, whose card this is. Override it where what files
        become depends on all of them, such as their channels.
        """
        return

    def begin_from(self, card: DataCard) -> None:
        """Let numbers of a sample mean what they meant to the run of `--init`, whose card this is.

        Called before all else where a run begins from the weights of another. Override it where their meaning depends
        on the data, as that of the categories in a table's column.
        """
        return

    def glance(self, most: int) -> None:
        """Go by so many files where there are more, as far as these can tell what the others are like.

        Called before all else where nothing is learnt from the samples, as by `mae plan`: how many there are and what
        they are like is enough then. Override it where opening the data takes long for many files.
        """
        return

    @abstractmethod
    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        """Return one split, holding those samples that have all of `fields`. May be empty."""

    def given_splits(self) -> Collection[SplitName]:
        """Return the splits that are given, by lists or folders: all but those that this class cuts by chance.

        Cross-validation (`mae finetune --folds`) deals the samples of train, val, and of a test split that is not given
        anew; a test split that is given stays as it is. Override it where splits are cut.
        """
        return SPLIT_NAMES

    def groups(self) -> Mapping[str, str]:
        """Return the group of samples, by key, that must stay together, such as a patient's, when they are dealt anew.

        Override it where samples belong together; who is not named stands alone.
        """
        return {}

    def say(self, line: str) -> None:
        """Tell a person, where there is one, how far work has come that takes longer than some seconds."""
        if self._teller is not None:
            self._teller(line)

    def faults(self) -> Collection[Fault]:
        """Return the faults that are known so far: files that `card` and `split` leave out."""
        return ()

    def all_faults(self) -> Iterator[Fault]:
        """Yield the fault of every file that breaks a rule: what only reading everything shows, for `mae eda`.

        Samples that cannot be decoded need not be named here: they are found when they are read.
        """
        yield from self.faults()
