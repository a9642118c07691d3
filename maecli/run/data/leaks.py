"""Whether what a run will be tested on was trained on before, by the run that it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maecli.data.dataset import Dataset
from maecli.data.folds import Folds
from maecli.data.views.keys import Keys
from maecli.data.views.members import read_members
from maecli.errors import MaeError
from maecli.registry import Registry
from maecli.run.checkpoint import run_of
from maecli.run.data.paths import INIT, place_of
from maecli.run.directory import SPLITS, RunDirectory
from maecli.run.open import make_dataset
from maecli.schema import RunSpec
from maecli.spec.validate import validate
from maecli.storage.tables import cell_text


@dataclass(frozen=True)
class Leak:
    """What the run of `--init` was trained on of the samples that a run is tested on."""

    init: Path
    num: int
    num_tested: int
    with_labels: bool

    def __str__(self) -> str:
        how = "with their labels" if self.with_labels else "without their labels"
        return (
            f"{self.num:,} of {self.num_tested:,} test samples were among those that {self.init} was trained on, {how}"
            ": what is measured on test may be better than on new data"
        )


def leak_of(spec: RunSpec, dataset: Dataset, tested: Sequence[str], registry: Registry) -> Leak | None:
    """Return what of the samples `tested` on the run of `--init` was trained on; None where it tells of none.

    Samples are the same where both runs have them at one place: of one folder, or of a folder and one within it.
    """
    init = place_of(INIT, spec.init, spec.paths)
    run = run_of(init.expanduser()) if init is not None else None
    if run is None or init is None:
        return None
    try:
        first = spec_of(run, registry)
        source = make_dataset(first.dataset, registry, first.paths)
        if first.dataset.name != spec.dataset.name:
            return None
        here, there = (root.resolve(strict=True) for root in (dataset.root, source.root))
        before = read_members(run.path / SPLITS)
        learnt = before["train"] if before is not None else _learnt(source, first, registry)
        asked = {f"{here}/{cell_text(key)}" for key in tested}
        trained_on = {path for key in learnt if (path := f"{there}/{key}") in asked}
    except (MaeError, OSError, ValueError):  # what cannot be compared is no leak
        return None
    num = sum(f"{here}/{cell_text(key)}" in trained_on for key in tested)
    return Leak(init, num, len(tested), first.verb != "pretrain") if num else None


def _learnt(dataset: Dataset, spec: RunSpec, registry: Registry) -> Sequence[str]:
    """Return what a run learns from whose members nothing can change, so that they were not recorded."""
    if spec.data.folds is not None:
        dataset = Folds(dataset, spec.data.folds).view(spec.data.fold)
    return Keys.of(map(cell_text, dataset.split("train", registry.task(spec.task.name).fields).keys))


def spec_of(run: RunDirectory, registry: Registry) -> RunSpec:
    """Return the spec of a run. Raises MaeError where it cannot be read."""
    tree = run.read_spec()
    return validate(tree, tree["verb"], registry)
