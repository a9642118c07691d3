"""The interface of a data set: a card, and splits."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from maecli import plugin_options
from maecli.data.card import DataCard, SplitName
from maecli.data.sample import Split
from maecli.errors import Fault


def default_data_dir() -> Path:
    """Return the folder that data sets are looked for in: `MAE_DATA`, else `./data`."""
    return Path(os.environ.get("MAE_DATA") or "data").expanduser()


class DatasetOptions(plugin_options.Options):
    """Options that every data set has."""

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

    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    def __init__(self, options: DatasetOptions) -> None:
        self.options = options
        self.root = (options.root or default_data_dir()).expanduser()

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

    @abstractmethod
    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        """Return one split, holding those samples that have all of `fields`. May be empty."""

    def faults(self) -> Collection[Fault]:
        """Return the faults that are known so far: files that `card` and `split` leave out."""
        return ()

    def all_faults(self) -> Iterator[Fault]:
        """Yield the fault of every file that breaks a rule: what only reading everything shows, for `mae eda`.

        Samples that cannot be decoded need not be named here: they are found when they are read.
        """
        yield from self.faults()
