from __future__ import annotations

import json
from pathlib import Path

import pytest

from maecli import api
from maecli.testing import check_tracker, trackers
from maecli.testing.finding import names

pytestmark = pytest.mark.usefixtures("told_costs")


class Lines(api.Tracker):
    """A line of JSON for each call."""

    name = "lines"

    def __init__(self, run_dir, spec, start_step):
        super().__init__(run_dir, spec, start_step)
        self.records = [each for each in self.read(run_dir) if self.kept(each[0], start_step)]

    def kept(self, step, start_step):
        return step <= start_step

    def log(self, step, metrics):
        self.records.append((step, dict(metrics)))

    def close(self):
        (self.run_dir / "lines.json").write_text(json.dumps(self.records))

    @staticmethod
    def read(run_dir: Path):
        file = run_dir / "lines.json"
        return json.loads(file.read_text()) if file.exists() else []

    @classmethod
    def history(cls, run_dir):
        found: dict[str, list[tuple[int, float]]] = {}
        for step, metrics in cls.read(run_dir):
            for name, value in metrics.items():
                found.setdefault(name, []).append((step, value))
        return found


class Undocumented(Lines):
    __doc__ = None


class Homeless(Lines):
    """Lines."""

    def __init__(self, run_dir, spec, start_step):
        super().__init__(run_dir, spec, start_step)
        del self.run_dir

    def close(self):
        pass


class Fussy(Lines):
    """Lines."""

    def log(self, step, metrics):
        self.records.append((step, metrics["train/loss"]))


class Backwards(Lines):
    """Lines."""

    @classmethod
    def history(cls, run_dir):
        return {name: values[::-1] for name, values in super().history(run_dir).items()}


class Hoarding(Lines):
    """Lines."""

    def kept(self, step, start_step):
        return True


WRONG = [
    (Undocumented, "options", "Undocumented has no docstring; say in it what lines is"),
    (Homeless, "logging", "Homeless has no run_dir; call super().__init__(run_dir, spec, start_step)"),
    (
        Fussy,
        "logging",
        "It opens, takes metrics and closes, and knows its run directory; this fails: KeyError: 'train/loss' (test_",
    ),
    (Backwards, "history", "history() of Backwards is {'train/loss': [(3, 1.25), (2, 1.5), (1, 2.0)]"),
    (Hoarding, "resuming", "after a run that was cut off at step 2 went on from step 1, history() of Hoarding is"),
]


def test_each_check_has_a_tracker_that_fails_it():
    assert {check for _, check, _ in WRONG} == {*names(trackers.STAGES)} - {"imports"}


@pytest.mark.parametrize(("wrong", "check", "sentence"), WRONG)
def test_a_wrong_tracker_fails_that_check_alone_with_a_sentence(wrong, check, sentence):
    problems = {finding.check: finding.problem for finding in check_tracker(wrong) if finding.problem}
    assert list(problems) == [check]
    assert sentence in problems[check]


def test_a_right_one_passes():
    assert [finding for finding in check_tracker(Lines) if finding.problem or finding.note] == []
