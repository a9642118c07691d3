"""The promises as tests: derive a class whose name begins with Test, and pytest runs one test per promise.

Nothing here needs pytest before a test is skipped or fails, so that `mae plugins check` works without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from maecli.data.dataset import Dataset
from maecli.exporting.format import ExportFormat
from maecli.modalities.modality import Modality
from maecli.models.plugin import Model
from maecli.testing import datasets, exports, modalities, models, tasks, trackers
from maecli.testing.finding import Finding, Stages, names
from maecli.testing.synthetic import Synthetic
from maecli.training.task import Task
from maecli.training.tracker import Tracker

if TYPE_CHECKING:
    import pytest


class _Conformance:
    """`test_promise`, once for each promise of a kind. All are looked at in the first of these tests."""

    _stages: ClassVar[Stages]
    _findings: ClassVar[dict[str, Finding]]

    def __init_subclass__(cls) -> None:
        cls._findings = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "promise" in metafunc.fixturenames:
            metafunc.parametrize("promise", names(self._stages))

    def test_promise(self, promise: str, tmp_path: Path) -> None:
        __tracebackhide__ = True  # the sentence says all
        if not self._findings:
            self._findings.update((finding.check, finding) for finding in self._find_all(tmp_path))
        finding = self._findings[promise]
        if finding.advice:
            warnings.warn(finding.advice, stacklevel=1)
        if finding.status in ("broken", "skipped"):
            import pytest

            if finding.problem is not None:
                pytest.fail(finding.problem, pytrace=False)
            pytest.skip(finding.note)

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        raise NotImplementedError


class DatasetConformance(_Conformance):
    """Tests of a data set."""

    fields: ClassVar[Sequence[Sequence[str]] | None] = None
    """Sets of fields to ask for; by default pictures alone, and pictures with each field that the card names."""
    equal_pictures: ClassVar[int] = 0
    """How many pictures of val and test are known to be in another split too."""
    _stages = datasets.STAGES

    def dataset(self, tmp_path: Path) -> Dataset:
        """Return the data set to look at; `tmp_path` is an empty folder for its files."""
        raise NotImplementedError(f"{type(self).__name__}: write dataset(self, tmp_path), which returns the data set")

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        return datasets.check_dataset(self.dataset(tmp_path), self.fields, self.equal_pictures)


class TaskConformance(_Conformance):
    """Tests of a task."""

    task: ClassVar[type[Task[Any]]]
    options: ClassVar[Mapping[str, Any]] = {}
    _stages = tasks.STAGES

    def dataset(self, tmp_path: Path) -> Dataset:
        """Return the data to try the task on; `tmp_path` is an empty folder for their files."""
        return Synthetic()

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        return tasks.check_task(self.task, self.dataset(tmp_path), self.options)


class ModelConformance(_Conformance):
    """Tests of a model."""

    model: ClassVar[type[Model]]
    options: ClassVar[Mapping[str, Any] | None] = None
    """By default the model is made small where its options have the usual names."""
    img_size: ClassVar[tuple[int, ...] | None] = None
    """By default 32 along each of the model's `num_axes`."""
    _stages = models.STAGES

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        return models.check_model(self.model, self.options, self.img_size)


class ModalityConformance(_Conformance):
    """Tests of a modality."""

    modality: ClassVar[type[Modality]]
    _stages = modalities.STAGES

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        return modalities.check_modality(self.modality)


class TrackerConformance(_Conformance):
    """Tests of a tracker."""

    tracker: ClassVar[type[Tracker]]
    _stages = trackers.STAGES

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        return trackers.check_tracker(self.tracker)


class ExportConformance(_Conformance):
    """Tests of an export format."""

    export: ClassVar[type[ExportFormat]]
    _stages = exports.STAGES

    def _find_all(self, tmp_path: Path) -> list[Finding]:
        return exports.check_export(self.export)
