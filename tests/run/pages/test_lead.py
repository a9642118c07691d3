"""A page of a run begins with what was found and what limits it."""

from __future__ import annotations

import pytest

from maecli.registry import registry
from maecli.results import Evaluation, Metric
from maecli.run.directory import RunDirectory
from maecli.run.pages.lead import found, lead
from maecli.run.pages.measured import Measured


def evaluation(value: float = 0.53, **changes: object) -> Evaluation:
    top1 = Metric(name="top1", label="top-1 accuracy", value=value, unit="share", interval=(0.36, 0.704))
    top1 = top1.model_copy(update={"baselines": {"chance": 0.4}})
    fields = {"split": "test", "num_samples": 30, "one": "picture", "many": "pictures", "metrics": (top1,)}
    return Evaluation.model_validate({**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"finding": "cat is found best"}, "Cat is found best; measured on 30 pictures: 36 to 70%."),
        ({}, "Top-1 accuracy is 53.00%; measured on 30 pictures: 36 to 70%."),
        ({"split": "val", "num_samples": 1}, "Top-1 accuracy is 53.00%; measured on 1 validation picture: 36 to 70%."),
    ],
)
def test_the_sentence_says_what_was_found_on_how_much_and_how_surely(changes, sentence):
    assert found(evaluation(**changes)) == sentence


def of(tmp_path, *evaluations: Evaluation) -> list[str]:
    run = RunDirectory(tmp_path / "run")
    run.start({"verb": "finetune"}, overwrite=False)
    for one in evaluations:
        run.write_evaluation(one)
    return lead(Measured(run, registry()))


def test_the_lead_speaks_of_test_where_there_is_one(tmp_path):
    finding = {"finding": "a is found best"}
    val = evaluation(split="val", finding="b is found best")
    assert of(tmp_path, val, evaluation(**finding))[0].startswith("A is found best; measured on 30 pictures")


def test_what_limits_it_most_comes_first(tmp_path):
    first, second = of(tmp_path, evaluation(0.4))
    assert first == "Top-1 accuracy of 40.00% does not beat chance (40.00%)."
    assert second == "Measured on 30 pictures: 36 to 70%.", "the number was just said"


def test_what_is_doubtful_is_said_last(tmp_path):
    assert of(tmp_path, evaluation())[-1].startswith("Not clearly better than chance (40.00%)")


def test_a_run_without_measurements_has_no_lead(tmp_path):
    assert of(tmp_path) == []
