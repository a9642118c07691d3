from __future__ import annotations

import pytest

from maecli.data.classes.class_names import UNKNOWN, describe_change, describe_match, describe_unknown, match_classes
from maecli.errors import DataError

COMPOSED, DECOMPOSED = "b\u00e4r", "ba\u0308r"


@pytest.mark.parametrize(
    ("theirs", "ours", "numbers"),
    [
        pytest.param(("cat", "dog"), ("cat", "dog"), (0, 1), id="the same"),
        pytest.param(("dog", "cat"), ("cat", "dog"), (1, 0), id="another order"),
        pytest.param(("ant", "cat", "dog"), ("cat", "dog"), (UNKNOWN, 0, 1), id="one more in front"),
        pytest.param(("dog",), ("cat", "dog"), (1,), id="one fewer"),
        pytest.param(("Cat", "DOG"), ("cat", "dog"), (0, 1), id="case"),
        pytest.param((" cat", "big_dog"), ("cat", "big  dog"), (0, 1), id="blanks"),
        pytest.param((COMPOSED, "cat"), ("cat", DECOMPOSED), (1, 0), id="Unicode form"),
        pytest.param(("Cat", "cat"), ("cat", "dog"), (UNKNOWN, 0), id="an equal name before one that is alike"),
        pytest.param(("Cat", "CAT"), ("cat", "dog"), (UNKNOWN, UNKNOWN), id="two that are alike"),
        pytest.param(("CAT",), ("cat", "Cat"), (UNKNOWN,), id="alike to two"),
        pytest.param(("CAT", "cat"), ("cat", "Cat"), (1, 0), id="alike to the one that is left"),
        pytest.param(("1", "01"), ("01", "1"), (1, 0), id="numbers are names"),
        pytest.param(("1", "2"), ("00", "01", "02"), (1, 2), id="zeros before a number"),
        pytest.param(("a", "a"), ("a", "a"), (0, 1), id="equal lists, whatever they hold"),
        pytest.param((), ("cat",), (), id="no names"),
    ],
)
def test_classes_are_matched_by_name(theirs, ours, numbers):
    assert match_classes(theirs, ours).numbers == numbers


@pytest.mark.parametrize(
    ("theirs", "ours", "whose"),
    [(("a", "a"), ("a", "b"), "the data have"), (("a", "b"), ("a", "a"), "the run has")],
    ids=["of the data", "of the run"],
)
def test_a_name_of_two_classes_tells_neither(theirs, ours, whose):
    with pytest.raises(DataError) as error:
        match_classes(theirs, ours)
    assert str(error.value) == (
        f"{whose} more than one class called 'a', and classes are matched by their names; give each a name of its own"
    )


def test_what_is_unknown_is_named_with_what_it_may_be():
    match = match_classes(("cat", "dogs", "Cat", "fox"), ("cat", "dog"))
    assert (match.unknown, match.missing) == (["dogs", "Cat", "fox"], ["dog"])
    assert describe_unknown(match) == (
        "the data have 3 classes that the run does not know: 'dogs' (did you mean 'dog'?), 'Cat' (did you mean "
        "'cat'?), 'fox'; it knows 'cat', 'dog', of which the data lack 'dog'"
    )
    assert describe_unknown(match_classes(("cat", "fox"), ("cat",))) == (
        "the data have a class that the run does not know: 'fox'; it knows 'cat'"
    )


@pytest.mark.parametrize(
    ("theirs", "sentences"),
    [
        (("cat", "dog"), []),
        (("cat", "Dog"), ["The class 'Dog' of the data is taken for 'dog' of the run."]),
        (
            ("dog", "cat"),
            ["The data have their classes in another order than the run; they are matched by name."],
        ),
        (
            ("dog",),
            ["Of the run's 2 classes, 'cat' is not in the data: no sample says how well it is known."],
        ),
    ],
    ids=["the same", "alike", "order", "missing"],
)
def test_how_classes_were_matched_is_said(theirs, sentences):
    assert describe_match(match_classes(theirs, ("cat", "dog"))) == sentences


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (("dog", "cat"), "their classes in another order now (dog, cat)"),
        (("cat", "dog", "fox"), "other classes now ('fox' is new)"),
        (("cat",), "other classes now ('dog' is gone)"),
        (("a", "b", "Dog"), "other classes now ('a', 'b', 'Dog' are new, 'cat', 'dog' are gone)"),
        (("cat", "dog", "dog"), "other classes now (3 of them)"),
    ],
    ids=["order", "new", "gone", "both", "a name twice"],
)
def test_how_classes_have_changed_is_named(now, words):
    assert describe_change(now, ("cat", "dog")) == f"its data have {words}"
