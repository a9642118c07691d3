"""What a run recorded of its data when it began, so that it keeps them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.members import Members, keep_members, read_members
from maecli.errors import DataError
from maecli.registry import Registry
from maecli.run.directory import CHECKPOINTS, SPLITS, RunDirectory
from maecli.schema import RunSpec
from maecli.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Begun:
    """The data of a run as they were when it began."""

    members: Members
    fields: Sequence[str]
    """With which they were asked for."""
    told: Collection[SplitName] = SPLIT_NAMES
    """Splits of which it is told what is gone."""

    def kept(self, dataset: Dataset, say: Callable[[str], None]) -> Dataset:
        """Return the data set with the splits that the run has; `say` is told what is gone and what came later."""
        return keep_members(dataset, self.members, self.fields, say, self.told)


def check_form(now: DataCard, recorded: DataCard) -> None:
    """Raise DataError where samples are of another form than the run's, as one picture that was added may make them."""
    forms = [f"{card.channels} channel{'s' * (card.channels > 1)} of {card.dtype}" for card in (now, recorded)]
    if forms[0] != forms[1]:
        raise DataError(
            f"{now.title} are read as {forms[0]}, and those that the run began with as {forms[1]}; take out what was "
            "added since, or give --root a folder of samples of that form"
        )


def begun_in(
    run: RunDirectory, spec: RunSpec, registry: Registry, told: Collection[SplitName] = SPLIT_NAMES
) -> Begun | None:
    """Return what a run recorded; None for runs of before there was this memory, and where nothing has to be kept."""
    members = read_members(run.path / SPLITS)
    return Begun(members, registry.task(spec.task.name).fields, told) if members is not None else None


def begun_with(checkpoint: Checkpoint, spec: RunSpec, registry: Registry) -> Begun | None:
    """Return what the run of a checkpoint recorded; None for a checkpoint without its run directory."""
    if checkpoint.path.parent.name != CHECKPOINTS:
        return None
    return begun_in(RunDirectory(checkpoint.path.parent.parent), spec, registry)
