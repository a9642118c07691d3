from __future__ import annotations

import pytest
import torch
from classifying import CLASSES, SIZE, Says, batch, card, encoder, metrics
from maecli_plugins.tasks.classify.task import Classify

from maecli import api

NUM = 60


def task(multi_label=False):
    data = card(CLASSES, (10, 30, 60), multi_label)
    return Classify(Classify.Options(), data, api.Preprocess.of(data, SIZE))


def samples(num, seed=0):
    """Return pictures, and logits by which one in five of their labels is another than the likeliest."""
    torch.manual_seed(seed)
    labels = torch.randint(3, (num,))
    said = torch.where(torch.arange(num) % 5 == 0, (labels + 1) % 3, labels)
    logits = 4.0 * torch.nn.functional.one_hot(said, 3) + 0.5 * torch.randn(num, 3)
    return batch(labels.tolist(), torch.randn(num, 1, *SIZE)), logits


def calibrated(num=NUM):
    job = task()
    val, logits = samples(num)
    train, _ = samples(NUM, seed=1)
    job.calibration = job.calibrate(Says(logits), [train], [val])
    return job


def test_a_classifier_that_is_too_certain_becomes_less_so_and_its_answers_stay():
    job, (val, logits) = calibrated(), samples(NUM)
    raw, made = task().predict(Says(logits), val), job.predict(Says(logits), val)
    assert job.calibrated.temperature > 1.2
    assert [each.row["class"] for each in made] == [each.row["class"] for each in raw]
    assert all(one.row["probability"] < other.row["probability"] for one, other in zip(made, raw, strict=True))
    assert list(made[0].row) == ["class", "probability", "margin", "unsure", "p_cat", "p_dog", "p_emu"]
    assert sum(each.row["unsure"] for each in made) == 2, "of 60 validation samples, below the third from below of 61"


def test_what_is_like_no_class_is_marked_and_keeps_its_class():
    job = calibrated()
    strange, logits = samples(4, seed=2)
    strange.tensors["image"] = 50 * strange["image"]
    rows = [each.row for each in job.predict(Says(logits), strange)]
    assert [row["unsure"] for row in rows] == [True] * 4
    assert [row["class"] for row in rows] == [CLASSES[q] for q in logits.argmax(-1).tolist()]
    job.unsure_share = 0.0
    assert "unsure" not in job.predict(Says(logits), strange)[0].row


def test_too_few_validation_samples_mark_nothing_and_it_is_said():
    few, (val, logits) = calibrated(12), samples(12)
    assert "unsure" not in few.predict(Says(logits), val)[0].row
    (sentence,) = few.reliability()
    assert sentence.endswith("to mark what is like none of the classes, at a cost of 5%, they are too few.")
    assert sentence.startswith("Probabilities are calibrated on 12 validation pictures (temperature ")
    assert "are to be expected (95% interval: " in calibrated().reliability()[0]


def test_without_a_sample_with_finite_logits_there_is_no_calibration():
    val, logits = samples(4)
    assert task().calibrate(Says(torch.full_like(logits, torch.nan)), [val], [val]) == {}
    assert task().calibrate(Says(logits), [val], []) == {}
    kept = task().calibrate(Says(logits[:1]), [val], [next(val.micro_batches(1))])
    assert list(kept) == ["temperature", "samples"]


def test_samples_of_several_labels_are_not_calibrated():
    job = task(multi_label=True)
    assert job.calibrate(job.build(encoder()), [], []) == {}
    assert job.reliability() == []
    assert job.answer is not None
    assert not job.answer.unsure


def test_the_error_of_the_probabilities_and_what_marking_costs_are_measured():
    job, (val, logits) = calibrated(), samples(NUM, seed=3)
    evaluator = job.evaluator()
    evaluator.update(Says(logits), val)
    found = metrics(evaluator)
    assert found["calibration_error"].value < found["calibration_error"].baselines["not calibrated"]
    rows = [each.row for each in job.predict(Says(logits), val)]
    sure = [i for i, row in enumerate(rows) if not row["unsure"]]
    assert found["unsure"].value == pytest.approx(1 - len(sure) / NUM)
    right = (logits.argmax(-1) == val["label"])[sure]
    assert found["top1_sure"].value == pytest.approx(float(right.double().mean()))
    assert found["top1_sure"].baselines == {"top-1 of all": found["top1"].value}
    assert [table.title for table in evaluator.tables()] == ["Per class", "Probabilities"]
    assert sum(row[0] for row in evaluator.tables()[1].rows) == NUM


def test_between_epochs_and_without_a_calibration_these_are_not_measured():
    for evaluator in (calibrated().evaluator(thorough=False), task().evaluator(), calibrated().evaluator()):
        assert list(metrics(evaluator)) == ["top1", "macro_f1", "cross_entropy"]
