from __future__ import annotations

import pytest

from maecli.outputs.summary import NUM_LEAST_CERTAIN, Summary, with_truth
from maecli.training.task import Answer

ONE = Answer("class", probability="probability", margin="margin")


def row(path, name, margin, **more):
    return {"path": path, "class": name, "probability": (1 + margin) / 2, "margin": margin, **more, "p_cat": 0.5}


def summed(rows, answer=ONE):
    summary = Summary(answer)
    for each in rows:
        summary.add(each)
    return summary


def test_answers_are_counted_by_class_the_most_frequent_first():
    summary = summed([row("a", "dog", 0.1), row("b", "cat", 0.2), row("c", "cat", 0.3)])
    assert summary.record()["classes"] == {"cat": 2, "dog": 1}
    assert list(summary.record()["classes"]) == ["cat", "dog"]
    assert summary.record()["accuracy"] is None


def test_of_several_answers_each_counts_and_none_counts_too():
    rows = [{"path": str(i), "classes": classes} for i, classes in enumerate(("cat;dog", "dog", ""))]
    summary = summed(rows, Answer("classes", several=True))
    assert summary.counts == {"dog": 2, "cat": 1, "": 1}
    assert summary.least_certain == []


def test_a_name_with_a_semicolon_is_one_class_where_there_is_one_answer():
    assert summed([row("a", "cat;dog", 0.5)]).counts == {"cat;dog": 1}


def test_the_smallest_margins_are_told_in_order_and_ties_in_that_of_the_files():
    margins = [(7 * i % 30) / 100 for i in range(30)] + [0.0]
    summary = summed([row(f"{i:02d}", "cat", margin) for i, margin in enumerate(margins)])
    told = summary.least_certain
    assert [each["margin"] for each in told] == [0.0, *(i / 100 for i in range(NUM_LEAST_CERTAIN - 1))]
    assert [each["path"] for each in told[:2]] == ["00", "30"]
    assert list(told[0]) == ["path", "class", "probability", "margin"]


def test_answers_are_right_where_they_are_the_truth_that_is_known():
    rows = [row("a", "cat", 0.1, truth="cat"), row("b", "cat", 0.2, truth="dog"), row("c", "cat", 0.3)]
    record = summed(rows).record()["accuracy"]
    assert (record["right"], record["known"], record["share"]) == (1, 2, 0.5)
    assert record["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-4)  # Wilson's of 1 in 2


def test_what_was_in_training_is_counted_apart():
    summary = Summary(ONE, {"a", "b"})
    for path, name in (("a", "cat"), ("b", "cat"), ("c", "dog"), ("d", "cat")):
        summary.add(row(path, name, 0.5, truth="cat"))
    record = summary.record()
    assert (record["in_training"], record["accuracy"]["share"], record["accuracy_of_new"]["share"]) == (2, 0.75, 0.5)
    assert record["majority"] == {"class": "cat", "share": 1.0}
    assert summed([row("a", "cat", 0.1, truth="cat")]).record()["accuracy_of_new"] is None


def test_a_task_without_answers_is_counted_and_nothing_else():
    summary = summed([{"path": "a", "rms": 0.5}], None)
    assert (summary.num, summary.record(), summary.columns) == (1, {"in_training": 0}, ["path"])


def test_the_truth_stands_behind_the_answer_and_only_where_it_is_known():
    plain = {"class": "cat", "probability": 0.9, "margin": 0.8, "p_cat": 0.9, "p_dog": 0.1}
    assert list(with_truth(plain, ONE, "dog")) == ["class", "probability", "margin", "truth", "p_cat", "p_dog"]
    assert with_truth(plain, ONE, None) == plain


UNSURE = Answer("class", probability="probability", margin="margin", unsure="unsure")


def test_unsure_ones_are_counted_and_what_is_right_without_them():
    told = [(True, "dog"), (False, "cat"), (False, "dog"), (True, "cat")]
    summary = summed(
        [row(str(i), "cat", 0.1, unsure=each, truth=truth) for i, (each, truth) in enumerate(told)], UNSURE
    )
    assert summary.unsure == 2
    assert (summary.right.num, summary.right.known) == (2, 4)
    assert (summary.right_sure.num, summary.right_sure.known) == (1, 2)
    record = summary.record()
    assert record["unsure"] == 2
    assert record["accuracy_without_unsure"]["share"] == 0.5
    assert list(record["least_certain"][0]) == ["path", "class", "probability", "margin", "unsure", "truth"]


def test_where_nothing_can_be_told_to_be_unsure_nothing_is_counted():
    summary = summed([row("a", "cat", 0.1, truth="cat")], UNSURE)
    assert summary.record()["unsure"] is summary.record()["accuracy_without_unsure"] is None


def test_the_truth_stands_behind_whether_a_sample_is_unsure():
    plain = {"class": "cat", "probability": 0.9, "margin": 0.8, "unsure": False, "p_cat": 0.9}
    assert list(with_truth(plain, UNSURE, "dog")) == ["class", "probability", "margin", "unsure", "truth", "p_cat"]
