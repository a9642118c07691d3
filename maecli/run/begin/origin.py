"""What a run goes on from: its own last checkpoint, or that of the run which it extends."""

from __future__ import annotations

from dataclasses import dataclass

from maecli.registry import Registry
from maecli.run.begin.extend import Parent, parent_of
from maecli.run.begin.launch import Place
from maecli.run.begin.start import check_trackers, find_start
from maecli.run.directory import RunDirectory, Say
from maecli.run.weights.initial import whole
from maecli.schema import RunSpec
from maecli.training.base import Base, CheckpointOnBase
from maecli.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Origin:
    """What a run goes on from."""

    run: RunDirectory
    """Whose samples it learns from: its own directory, or that of the run which it extends."""
    checkpoint: Checkpoint | None
    """None for a new run, and for one that was stopped before its first checkpoint."""
    parent: Parent | None
    """The run that it extends."""

    @property
    def base(self) -> Base | None:
        """The weights that its checkpoint leaves out."""
        return self.checkpoint.base if isinstance(self.checkpoint, CheckpointOnBase) else None

    @property
    def last(self) -> Checkpoint | None:
        """The run's own last checkpoint."""
        return self.checkpoint if self.parent is None else None


def find_origin(place: Place, spec: RunSpec, registry: Registry, say: Say) -> Origin:
    """Return what the run at a place goes on from. Raises SpecError where a new one is not free to begin there."""
    last = None
    if place.going_on:
        last = find_start(place.run, spec.model_dump(mode="json"), registry, say)
    else:
        place.check_free()
        check_trackers(place.run, spec, registry)
    parent = parent_of(spec, registry, say) if last is None else None
    run, checkpoint = (place.run, last) if parent is None else (parent.run, parent.checkpoint)
    return Origin(run, whole(checkpoint, spec.init, registry, say) if checkpoint is not None else None, parent)
