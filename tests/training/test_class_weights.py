"""Weights of classes: what they are computed from, and which words are refused."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from maecli.errors import DataError, SpecError
from maecli.training.class_weights import ClassWeights, class_weights

NAMES = ("cat", "dog", "St. Bernard")
KNOWN = "classes are cat, dog, St. Bernard"


class Options(BaseModel):
    model_config = ConfigDict(frozen=True)
    class_weights: ClassWeights = "none"


def test_balanced_classes_count_the_same_together():
    counts = (90, 9, 1)
    weights = class_weights("balanced", NAMES, counts)
    assert weights == pytest.approx([100 / (3 * count) for count in counts])  # as scikit-learn has it
    assert len({round(weight * count, 6) for weight, count in zip(weights, counts, strict=True)}) == 1


def test_the_effective_number_saturates():
    many, few = class_weights("effective", NAMES[:2], (1_000_000, 1000))
    # 1000 effective samples of the first, 1000 (1 - 1/e) of the second
    assert few / many == pytest.approx(1 / (1 - 0.999**1000))
    assert many * 1_000_000 + few * 1000 == pytest.approx(1_001_000)
    assert class_weights("effective", NAMES[:2], (20, 2)) == pytest.approx(
        class_weights("balanced", NAMES[:2], (20, 2)), rel=0.02
    )


def test_pixels_are_counted_in_pictures():
    pixels, pictures = (
        class_weights("effective", NAMES[:2], (9e6, 1e6), 1e4),
        class_weights("effective", NAMES[:2], (900, 100)),
    )
    assert pixels == pytest.approx(pictures)


def test_a_class_that_does_not_occur_weighs_one_and_changes_nothing():
    assert class_weights("balanced", NAMES, (3, 1, 0)) == pytest.approx((4 / 6, 2.0, 1.0))


def test_classes_that_are_not_named_weigh_one():
    assert class_weights({"dog": 3}, NAMES, ()) == (1.0, 3.0, 1.0)
    assert class_weights("none", NAMES, ()) is None


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            {"dgo": 2},
            f"task.class_weights: 'dgo' is no class of the data; did you mean 'dog'?; the {KNOWN}",
        ),
        ({"cat": 0, "dog": 0, "St. Bernard": 0}, "task.class_weights is 0 for every class, so nothing would be learnt"),
        (
            (1, 2),
            f"task.class_weights [1, 2] must be one number for each class, none below 0 and not all 0; the 3 {KNOWN}",
        ),
    ],
)
def test_what_fits_no_class_is_refused(option, said):
    with pytest.raises(SpecError) as caught:
        class_weights(option, NAMES, ())
    assert str(caught.value) == said


def test_nothing_follows_from_no_counts():
    with pytest.raises(DataError, match=r"^task\.class_weights balanced follows from how often each class occurs"):
        class_weights("balanced", NAMES, ())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, "none"),
        ("effective", "effective"),
        ([1, 2.5], (1.0, 2.5)),
        ({"St": {" Bernard": 2}, "cat": 1}, {"St. Bernard": 2.0, "cat": 1.0}),
    ],
)
def test_forms_that_a_spec_may_have(given, kept):
    assert Options(class_weights=given).class_weights == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("balance", "task.class_weights 'balance' is none of none, balanced, effective; did you mean 'balanced'?"),
        ({"cat": -1}, "task.class_weights: the weight of cat is -1, and must be a number from 0 on"),
        ({"cat": "much"}, "task.class_weights: the weight of cat is 'much', and must be a number from 0 on"),
    ],
)
def test_other_words_are_refused(given, said):
    with pytest.raises(ValidationError) as caught:
        Options(class_weights=given)
    assert said in str(caught.value)
