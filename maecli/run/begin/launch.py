"""How a person has a run done, and the directory in which it then begins or goes on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import SpecError
from maecli.registry import Registry
from maecli.run.begin.place import run_directory
from maecli.run.begin.start import paths_needed
from maecli.run.directory import RunDirectory
from maecli.schema import RunSpec
from maecli.spec.layers import PLANNED
from maecli.storage.lock import locked

ENDING_S = 120.0
"""How long processes whose launcher was killed may take to notice, to save and to end, and a file server to see it."""


@dataclass(frozen=True)
class Launch:
    """What is asked of a run beside its spec."""

    resume: bool = False
    """Go on with the run that is there."""
    overwrite: bool = False
    """Replace the run that is there."""
    verify_data: bool = False
    """Compare the contents of the data too; see `same_data`."""
    time_s: float | None = None
    """What a person gave for the plan of the spec, in seconds; of a cross-validation for all its runs."""
    until: float = math.inf
    """When it is to have stopped and saved, by `time.monotonic()`."""
    patient: bool = False
    """Wait for who writes there to end: the processes of an attempt that a scheduler has just killed."""

    def hold(self, folder: Path, say: Callable[[str], None]) -> contextlib.AbstractContextManager[str]:
        """Return the lock of a folder that is written to, see `locked`."""
        return locked(folder, wait_s=ENDING_S, waiting=say) if self.patient else locked(folder)


ANEW = Launch()
"""A new run, where none is."""


@dataclass(frozen=True)
class Place:
    """The directory of a run, in which it may begin or go on."""

    run: RunDirectory
    launch: Launch
    going_on: bool
    """Whether a run is there that goes on."""
    needed: Mapping[str, Path]
    """The paths that a new run reads, by flag: nothing of them may be removed to make room for it."""

    def check_free(self) -> None:
        """Raise SpecError when no new run may begin here."""
        self.run.check_free(self.launch.overwrite, self.needed)

    def start(self, spec: RunSpec) -> None:
        """Make the directory for a new run and write its spec; see `RunDirectory.start`."""
        planned = [key for key, source in spec.sources.items() if source == PLANNED]
        launch = self.launch
        self.run.start(spec.model_dump(mode="json"), launch.overwrite, self.needed, planned, launch.time_s)


def find_place(spec: RunSpec, registry: Registry, launch: Launch) -> Place:
    """Return where a run goes. Raises SpecError where it can neither begin nor go on."""
    if launch.resume and launch.overwrite:
        raise SpecError(
            "--resume, like --resume-or-start, keeps the run that is there and --overwrite replaces it; give one of "
            "them"
        )
    run = run_directory(spec, registry, launch.overwrite, launch.time_s)
    going_on = launch.resume and run.is_run
    place = Place(run, launch, going_on, {} if going_on else paths_needed(spec, registry))
    if not going_on:
        place.check_free()
    return place
