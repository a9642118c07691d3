from __future__ import annotations

import sys

import pytest

from maecli import testing
from maecli.testing import (
    DatasetConformance,
    Synthetic,
    datasets,
    imports,
    models,
    recipes,
    tasks,
    trackers,
)
from maecli.testing.finding import find_all, names

pytest_plugins = ["pytester"]
ALL = [each.STAGES for each in (datasets, tasks, models, trackers, recipes)]
MINE = """
from test_conformance import OfCats
from maecli.testing import DatasetConformance

class TestCats(DatasetConformance):
    def dataset(self, tmp_path):
        return OfCats()

    def test_one_more(self):
        pass
"""


class OfCats(Synthetic):
    """Squares that are called cats."""

    def card(self, fields=("image",)):
        return super().card(fields).model_copy(update={"name": "cats"})


@pytest.mark.parametrize("stages", ALL)
def test_each_promise_has_a_name_of_its_own_and_a_sentence(stages):
    assert len(names(stages)) == len({*names(stages)})
    for promise in (promise for stage in stages for promise in stage):
        assert promise.__doc__.splitlines()[0].endswith(".")


def test_what_stands_on_a_broken_promise_is_not_looked_at():
    def kept(subject): ...

    def broken(subject):
        """Division works."""
        return 1 / subject

    def other(subject): ...

    findings = find_all(((kept, broken), (other,)), 0)
    assert [(finding.check, finding.status) for finding in findings] == [
        ("kept", "ok"),
        ("broken", "broken"),
        ("other", "skipped"),
    ]
    assert findings[1].problem.startswith("Division works; this fails: ZeroDivisionError: division by zero (test_")
    assert findings[2].note == "not looked at: broken comes first"
    assert [finding.status for finding in find_all(((kept, broken), (other,)), 1)] == ["ok"] * 3


def test_each_promise_is_a_test_that_passes_fails_by_its_sentence_or_is_skipped(pytester, monkeypatch):
    monkeypatch.setattr(
        imports, "import_costs", lambda modules, base: {each: imports.ImportCost(0, ("jax",)) for each in modules}
    )
    monkeypatch.setitem(sys.modules, "test_conformance", sys.modules[__name__])
    pytester.makepyfile(test_mine=MINE)
    result = pytester.runpytest_inprocess("-v", "-rs", "-p", "no:cacheprovider", "-W", "default")
    result.assert_outcomes(passed=4, failed=1, skipped=11, warnings=1)
    result.stdout.fnmatch_lines(["*::TestCats::test_promise[[]options] PASSED*", "*::test_promise[[]card] FAILED*"])
    result.stdout.fnmatch_lines(["card(('image',)) is named 'cats'; give it the data set's name 'synthetic'"])
    result.stdout.fnmatch_lines(
        ["*UserWarning: importing *test_conformance loads jax; import it in the function that*"]
    )
    result.stdout.fnmatch_lines(["*SKIPPED*not looked at: card comes first"])
    result.stdout.no_fnmatch_line("*Error*")


def test_a_test_without_a_data_set_says_what_to_write(tmp_path):
    class Empty(DatasetConformance):
        pass

    with pytest.raises(
        NotImplementedError, match=r"Empty: write dataset\(self, tmp_path\), which returns the data set"
    ):
        Empty().test_promise("card", tmp_path)


def test_everything_that_is_offered_is_explained():
    for name in testing.__all__:
        assert name in testing.__doc__ or name in ("DatasetConformance", "Synthetic")
