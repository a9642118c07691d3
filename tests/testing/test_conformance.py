from __future__ import annotations

import inspect

import pytest

from maecli import testing
from maecli.testing import DatasetConformance, Synthetic, datasets, models, tasks, trackers
from maecli.testing.conformance import ModelConformance, TaskConformance, TrackerConformance

KINDS = [
    (DatasetConformance, datasets.CHECKS),
    (TaskConformance, tasks.CHECKS),
    (ModelConformance, models.CHECKS),
    (TrackerConformance, trackers.CHECKS),
]


@pytest.mark.parametrize(("conformance", "checks"), KINDS)
def test_there_is_one_test_for_each_check(conformance, checks):
    methods = [name.removeprefix("test_") for name in vars(conformance) if name.startswith("test_")]
    assert methods == [each.name for each in checks]
    for each in checks:
        assert each.promise.endswith(".")
        assert f'_find("{each.name}"' in inspect.getsource(getattr(conformance, f"test_{each.name}"))
        assert {other.name for other in checks} >= set(each.after)


class OfCats(Synthetic):
    """Squares that are called cats."""

    def card(self, fields=("image",)):
        return super().card(fields).model_copy(update={"name": "cats"})


class OfSquares(DatasetConformance):
    def dataset(self, tmp_path):
        return OfCats()


def test_a_broken_promise_fails_its_test_with_the_sentence_alone(tmp_path):
    with pytest.raises(pytest.fail.Exception) as caught:
        OfSquares().test_card(tmp_path)
    assert caught.value.msg == "card(('image',)) is named 'cats'; give it the data set's name 'synthetic'"
    assert caught.value.pytrace is False


def test_what_cannot_be_looked_at_is_skipped_with_the_reason(tmp_path):
    with pytest.raises(pytest.skip.Exception, match="not looked at: card comes first"):
        OfSquares().test_splits(tmp_path)
    OfSquares().test_options(tmp_path)


def test_a_test_without_a_data_set_says_what_to_write(tmp_path):
    class Empty(DatasetConformance):
        pass

    with pytest.raises(
        NotImplementedError, match=r"Empty: write dataset\(self, tmp_path\), which returns the data set"
    ):
        Empty().test_card(tmp_path)


def test_everything_that_is_offered_is_explained():
    for name in testing.__all__:
        assert name in testing.__doc__ or name in ("DatasetConformance", "Synthetic")
