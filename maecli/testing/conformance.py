"""The promises as tests: derive a class whose name begins with Test, and pytest runs one test per promise.

Nothing here needs pytest until a test fails or is skipped, so that no other user of pytest pays for it: the classes
are imported by the tests that want them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from maecli.data.dataset import Dataset
from maecli.models.plugin import Model
from maecli.testing import datasets, models, tasks, trackers
from maecli.testing.finding import Checks
from maecli.testing.synthetic import Synthetic
from maecli.training.task import Task
from maecli.training.tracker import Tracker


def _judge(checks: Checks[Any], name: str, subject: Any) -> None:
    """Pass, fail or skip the running test by what a check finds."""
    __tracebackhide__ = True  # the sentence says all
    finding = checks.find(name, subject)
    if finding.problem is None and not finding.note:
        return
    import pytest

    if finding.problem is not None:
        pytest.fail(finding.problem, pytrace=False)
    pytest.skip(finding.note)


class DatasetConformance:
    """Tests of a data set."""

    fields: ClassVar[Sequence[Sequence[str]] | None] = None
    """Sets of fields to ask for; by default pictures alone, and pictures with each field that the card names."""
    equal_pictures: ClassVar[int] = 0
    """How many pictures of val and test are known to be in another split too."""

    def dataset(self, tmp_path: Path) -> Dataset:
        """Return the data set to look at; `tmp_path` is an empty folder for its files."""
        raise NotImplementedError(f"{type(self).__name__}: write dataset(self, tmp_path), which returns the data set")

    def _find(self, name: str, tmp_path: Path) -> None:
        __tracebackhide__ = True
        subject = datasets.DatasetSubject(self.dataset(tmp_path), self.fields, self.equal_pictures)
        _judge(datasets.CHECKS, name, subject)

    def test_options(self, tmp_path: Path) -> None:
        self._find("options", tmp_path)

    def test_spec(self, tmp_path: Path) -> None:
        self._find("spec", tmp_path)

    def test_card(self, tmp_path: Path) -> None:
        self._find("card", tmp_path)

    def test_splits(self, tmp_path: Path) -> None:
        self._find("splits", tmp_path)

    def test_leaks(self, tmp_path: Path) -> None:
        self._find("leaks", tmp_path)

    def test_samples(self, tmp_path: Path) -> None:
        self._find("samples", tmp_path)

    def test_repeatable(self, tmp_path: Path) -> None:
        self._find("repeatable", tmp_path)

    def test_values(self, tmp_path: Path) -> None:
        self._find("values", tmp_path)

    def test_labels(self, tmp_path: Path) -> None:
        self._find("labels", tmp_path)

    def test_masks(self, tmp_path: Path) -> None:
        self._find("masks", tmp_path)

    def test_boxes(self, tmp_path: Path) -> None:
        self._find("boxes", tmp_path)

    def test_files(self, tmp_path: Path) -> None:
        self._find("files", tmp_path)

    def test_workers(self, tmp_path: Path) -> None:
        self._find("workers", tmp_path)

    def test_training(self, tmp_path: Path) -> None:
        self._find("training", tmp_path)

    def test_imports(self, tmp_path: Path) -> None:
        self._find("imports", tmp_path)


class TaskConformance:
    """Tests of a task."""

    task: ClassVar[type[Task[Any]]]
    options: ClassVar[Mapping[str, Any]] = {}

    def dataset(self, tmp_path: Path) -> Dataset:
        """Return the data to try the task on; `tmp_path` is an empty folder for their files."""
        return Synthetic()

    def _find(self, name: str, tmp_path: Path) -> None:
        __tracebackhide__ = True
        _judge(tasks.CHECKS, name, tasks.TaskSubject(self.task, self.dataset(tmp_path), self.options))

    def test_options(self, tmp_path: Path) -> None:
        self._find("options", tmp_path)

    def test_spec(self, tmp_path: Path) -> None:
        self._find("spec", tmp_path)

    def test_build(self, tmp_path: Path) -> None:
        self._find("build", tmp_path)

    def test_training(self, tmp_path: Path) -> None:
        self._find("training", tmp_path)

    def test_repeatable(self, tmp_path: Path) -> None:
        self._find("repeatable", tmp_path)

    def test_frozen(self, tmp_path: Path) -> None:
        self._find("frozen", tmp_path)

    def test_evaluation(self, tmp_path: Path) -> None:
        self._find("evaluation", tmp_path)

    def test_prediction(self, tmp_path: Path) -> None:
        self._find("prediction", tmp_path)

    def test_alone(self, tmp_path: Path) -> None:
        self._find("alone", tmp_path)

    def test_saving(self, tmp_path: Path) -> None:
        self._find("saving", tmp_path)

    def test_drawing(self, tmp_path: Path) -> None:
        self._find("drawing", tmp_path)

    def test_imports(self, tmp_path: Path) -> None:
        self._find("imports", tmp_path)


class ModelConformance:
    """Tests of a model."""

    model: ClassVar[type[Model]]
    options: ClassVar[Mapping[str, Any] | None] = None
    """By default the model is made small where its options have the usual names."""
    img_size: ClassVar[tuple[int, ...]] = (32, 32)

    def _find(self, name: str) -> None:
        __tracebackhide__ = True
        _judge(models.CHECKS, name, models.ModelSubject(self.model, self.options, self.img_size))

    def test_options(self) -> None:
        self._find("options")

    def test_spec(self) -> None:
        self._find("spec")

    def test_build(self) -> None:
        self._find("build")

    def test_repeatable(self) -> None:
        self._find("repeatable")

    def test_tokens(self) -> None:
        self._find("tokens")

    def test_features(self) -> None:
        self._find("features")

    def test_layers(self) -> None:
        self._find("layers")

    def test_training(self) -> None:
        self._find("training")

    def test_freezing(self) -> None:
        self._find("freezing")

    def test_saving(self) -> None:
        self._find("saving")

    def test_imports(self) -> None:
        self._find("imports")


class TrackerConformance:
    """Tests of a tracker."""

    tracker: ClassVar[type[Tracker]]

    def _find(self, name: str) -> None:
        __tracebackhide__ = True
        _judge(trackers.CHECKS, name, trackers.TrackerSubject(self.tracker))

    def test_options(self) -> None:
        self._find("options")

    def test_logging(self) -> None:
        self._find("logging")

    def test_history(self) -> None:
        self._find("history")

    def test_resuming(self) -> None:
        self._find("resuming")

    def test_imports(self) -> None:
        self._find("imports")
