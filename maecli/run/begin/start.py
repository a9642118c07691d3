"""Where a run starts: in which directory it may, and from which checkpoint it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maecli.errors import MaeError, SpecError
from maecli.registry import Registry
from maecli.run.begin.place import changes
from maecli.run.data.paths import EXTEND, INIT, place_of
from maecli.run.directory import RunDirectory
from maecli.run.open import make_dataset
from maecli.schema import RunSpec
from maecli.training.checkpoint import UNCHECKED, Checkpoint
from maecli.weights.files import split_choice


def paths_needed(spec: RunSpec, registry: Registry) -> dict[str, Path]:
    """Return what a run reads, by the flag that names it: nothing of it may be removed to make room for the run."""
    needed = {"--root": make_dataset(spec.dataset, registry, spec.paths).root}
    if spec.init is not None:
        needed["--init"], _ = split_choice(place_of(INIT, spec.init, spec.paths) or spec.init)
    if spec.extend is not None:
        needed["--extend"] = place_of(EXTEND, spec.extend, spec.paths) or spec.extend
    return needed


def check_trackers(run: RunDirectory, spec: RunSpec, registry: Registry) -> None:
    """Raise SpecError where a tracker would write to a file that is there and was not written by the run before."""
    for name in spec.trackers:
        for path in run.foreign_files(registry.tracker(name).files):
            raise SpecError(
                f"{run.path / path} was not written by mae and has the name of what tracker {name} writes, so it "
                "stays; use another --out"
            )


def find_start(
    run: RunDirectory, stored: Mapping[str, Any], registry: Registry, say: Callable[[str], None]
) -> Checkpoint | None:
    """Return the last checkpoint of a run that is what was saved, None when nothing was saved yet.

    `stored` is the spec that the run is to go on with. Raises SpecError when the run was begun with another one, as its
    checkpoint tells, or its `spec.yaml` before there is one; MaeError when all checkpoints are damaged.
    """
    last, problems = run.checkpoints.newest_good()
    for problem in problems:
        say(problem)
    if last is None:
        if problems:
            raise MaeError(
                f"{run} has no checkpoint that is what was saved, so it cannot go on; begin anew with another --out"
            )
        _check_same_spec(run, run.read_spec(), stored, registry)
        return None
    recorded = last.metadata()
    if run.id and recorded.get("run", run.id) != run.id:
        raise SpecError(
            f"{last.path} is a checkpoint of another run, so {run} cannot go on from it; bring back its own"
        )
    _check_same_spec(run, recorded["spec"], stored, registry)
    if problems:
        say(f"the checkpoint before is taken: {last.path}")
        run.checkpoints.point("last", last)
    if not last.is_checked:
        say(UNCHECKED.format(last.path))
    return last


def _check_same_spec(
    run: RunDirectory, begun: Mapping[str, Any], stored: Mapping[str, Any], registry: Registry
) -> None:
    if begun.get("verb") != stored["verb"]:
        raise SpecError(f"{run} was begun by mae {begun.get('verb')}, so mae {stored['verb']} cannot resume it")
    changed = changes(begun, stored, registry)
    if changed:
        raise SpecError(f"{run} cannot be resumed with another spec: " + "; ".join(changed))
