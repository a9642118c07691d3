"""A data set as it is seen through another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.sample import Split
from maecli.errors import Fault


class WrappedDataset(Dataset):
    """A data set whose answers are those of `dataset`, but for what a subclass changes."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.name, self.options, self.root = dataset.name, dataset.options, dataset.root  # type: ignore[misc]

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        return self.dataset.card(fields)

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        return self.dataset.split(name, fields)

    def given_splits(self) -> Collection[SplitName]:
        return self.dataset.given_splits()

    def groups(self) -> Mapping[str, str]:
        return self.dataset.groups()

    def say(self, line: str) -> None:
        self.dataset.say(line)

    def faults(self) -> Collection[Fault]:
        return self.dataset.faults()

    def all_faults(self) -> Iterator[Fault]:
        yield from self.dataset.all_faults()
