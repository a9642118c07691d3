"""What a run recorded of its data when it began, so that it keeps them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.files.sample_files import UNREADABLE, content_hash
from maecli.data.fingerprint import Fingerprint
from maecli.data.views.members import Members, keep_members, read_members
from maecli.errors import DataError
from maecli.registry import Registry
from maecli.run.directory import CHECKPOINTS, SPLITS, RunDirectory
from maecli.schema import RunSpec
from maecli.text import some
from maecli.training.checkpoint import Checkpoint

NUM_COMPARED = 8


NUM_NAMED = 8


@dataclass(frozen=True)
class Begun:
    """The data of a run as they were when it began."""

    members: Members
    fields: Sequence[str]
    """With which they were asked for."""
    told: Collection[SplitName] = SPLIT_NAMES
    """Splits of which it is told what is gone."""
    hashes: Mapping[str, str] | None = None
    """File → the hash of its content, where the data may be others that have samples of the same names."""

    def kept(self, dataset: Dataset, say: Callable[[str], None]) -> Dataset:
        """Return the data set with the splits that the run has; `say` is told what is gone and what came later."""
        if self.hashes and not self._knows(dataset, self.hashes):
            return dataset
        return keep_members(dataset, self.members, self.fields, say, self.told)

    def _knows(self, dataset: Dataset, hashes: Mapping[str, str]) -> bool:
        """Whether a file of the data, of the first few that were recorded, holds what it held when the run began."""
        splits = (dataset.split(name, self.fields) for name in SPLIT_NAMES)
        places = ((split, i, key) for split in splits for i, key in enumerate(split.keys) if key in hashes)
        compared = [
            content_hash(str(files[0])).startswith(hashes[key])
            for split, i, key in itertools.islice(places, NUM_COMPARED)
            if (files := split.files(i)) and hashes[key] != UNREADABLE
        ]
        return not compared or any(compared)


def check_form(now: DataCard, recorded: DataCard) -> None:
    """Raise DataError where samples are of another form than the run's, as one picture that was added may make them.

    So it is where numbers in a row, of channels or of targets stand for something else.
    """
    forms = [f"{card.channels} channel{'s' * (card.channels > 1)} of {card.dtype}" for card in (now, recorded)]
    if forms[0] != forms[1]:
        raise DataError(
            f"{now.title} are read as {forms[0]}, and those that the run began with as {forms[1]}; take out what was "
            "added since, or give --root a folder of samples of that form"
        )
    if now.modality != recorded.modality:
        raise DataError(f"{now.title} are {now.modality}, and the run learnt {recorded.modality}; give --root others")
    for what, names, before in (
        ("cells", now.cells, recorded.cells),
        ("channels", now.channel_names, recorded.channel_names),
        ("targets", now.targets, recorded.targets),
    ):
        if before and names != before:
            raise DataError(
                f"{now.title} have the {what} {some(names, NUM_NAMED) or 'without names'}, and the run knows "
                f"{some(before, NUM_NAMED)}: their numbers would mean something else; give the same ones in that order"
            )


def begun_in(
    run: RunDirectory, spec: RunSpec, registry: Registry, told: Collection[SplitName] = SPLIT_NAMES
) -> Begun | None:
    """Return what a run recorded; None for runs of before there was this memory, and where nothing has to be kept."""
    members = read_members(run.path / SPLITS)
    return Begun(members, registry.task(spec.task.name).fields, told) if members is not None else None


def begun_with(checkpoint: Checkpoint, spec: RunSpec, registry: Registry, *, elsewhere: bool = False) -> Begun | None:
    """Return what the run of a checkpoint recorded; None for a checkpoint without its run directory.

    `elsewhere`: the data are in a folder that is given now, and keep their own splits unless they are the run's.
    """
    if checkpoint.path.parent.name != CHECKPOINTS:
        return None
    begun = begun_in(RunDirectory(checkpoint.path.parent.parent), spec, registry)
    if begun is None or not elsewhere:
        return begun
    samples = checkpoint.metadata().get("samples") or {}
    fingerprints = filter(None, map(Fingerprint.read, samples.values()))
    return replace(begun, hashes={name: digest for one in fingerprints for name, digest in one.hashes.items()})
