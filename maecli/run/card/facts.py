"""What a model card tells of: a checkpoint, and what was measured of its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from maecli.data.card import DataCard
from maecli.errors import DamagedFile, MaeError
from maecli.modalities.modality import Modality
from maecli.registry import Registry
from maecli.results import Evaluation
from maecli.run.directory import RunDirectory, Summary, data_called
from maecli.run.open import make_modality
from maecli.run.pages.measured import Measured
from maecli.run.restore import card_of
from maecli.storage.shareable import without_folders
from maecli.training.checkpoint import Checkpoint
from maecli.training.task import Task

NAMED_PATHS = ("init", "out", "extend")


@dataclass(frozen=True)
class Use:
    """For which library the weights are that a card lies beside, and how they are used."""

    library: str
    """As the hub names it."""
    tags: Sequence[str] = ()
    about: str = ""
    """A sentence about the format."""
    code: str = ""
    language: str = "python"
    rows: Mapping[str, str] = field(default_factory=dict)
    """What is otherwise than of the run itself, or more, such as what goes in."""
    cost: str = ""
    """Sentences on how good it is, where that differs from the run, whose figures the head leaves out then."""


@dataclass(frozen=True)
class CardFacts:
    """A run, one of its checkpoints, and for what its weights are handed on."""

    run: RunDirectory
    checkpoint: Checkpoint
    registry: Registry
    use: Use
    name: str

    @cached_property
    def measured(self) -> Measured:
        return Measured(self.run, self.registry)

    @cached_property
    def spec(self) -> dict[str, Any]:
        return dict(self.checkpoint.metadata()["spec"])

    @cached_property
    def data(self) -> DataCard:
        return card_of(self.checkpoint)

    @cached_property
    def modality(self) -> Modality:
        return make_modality(self.data, self.registry)

    @cached_property
    def task(self) -> type[Task[Any]] | None:
        """None where it is not installed any more."""
        try:
            return self.registry.task(self.spec["task"]["name"])
        except MaeError:
            return None

    @cached_property
    def summary(self) -> Summary | None:
        try:
            return self.run.summary()
        except DamagedFile:
            return None

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        return self.run.environment(lambda _: None)

    @cached_property
    def data_name(self) -> str:
        return data_called(self.spec, self.registry)

    @property
    def own(self) -> Sequence[Evaluation]:
        """What the run's own task found on its own data."""
        return [one for one in self.measured.evaluations if not one.probe and one.data is None]

    def told(self, value: Any) -> Any:
        """Return texts, or plain values that hold texts, without the folders of a person's machine."""
        return without_folders(value, self._paths)

    @cached_property
    def _paths(self) -> Sequence[str]:
        """The paths of the run, which may have blanks in them."""
        try:
            spec = self.run.read_spec()
        except MaeError:
            spec = self.spec
        recorded = [path.get("resolved") for path in spec.get("paths") or () if isinstance(path, dict)]
        named = [spec["dataset"].get("root"), *(spec.get(name) for name in NAMED_PATHS)]
        places = [*recorded, *named, self.run.path.resolve(), Path.cwd()]
        return [str(place) for place in places if place and Path(str(place)).is_absolute()]
