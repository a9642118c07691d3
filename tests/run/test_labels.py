"""Runs that learn from a part of the labels."""

from __future__ import annotations

import json

import pytest
from write_data import write_voc

from maecli.run.checkpoint import find_checkpoint


@pytest.fixture
def few(toy_finetune, pictures, tmp_path):
    """Return the arguments of a run on the 32 training pictures, 16 of each class, and where it goes."""
    data = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run")
    return (*toy_finetune, *data, "--batch-size", 4, "--epochs", 1), tmp_path / "run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "num", "counts", "told"),
    [
        ("25%", 8, [4, 4], "8 of 32 training samples, chosen by seed 0, 4 of each class"),
        ("3", 6, [3, 3], "6 of 32 training samples, chosen by seed 0, 3 of each class"),
        ("100%", 32, [16, 16], "all 32 training samples"),
    ],
)
def test_a_run_learns_from_the_part_alone_and_says_so(few, mae, labels, num, counts, told):
    arguments, run = few
    outcome = mae(*arguments, "--labels", labels)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"labels  {told}\n" in outcome.stderr
    assert f": {num} train, 4 val\n" in outcome.stderr
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["train_samples"], summary["steps"]) == (num, -(-num // 4))
    card = find_checkpoint(run).metadata()["card"]
    assert (card["class_counts"], card["split_sizes"]) == (counts, {"train": num, "val": 4, "test": 4})
    measured = mae("eval", run, "--split", "train", "--json")
    assert measured.json["num_samples"] == num
    assert mae("eval", run, "--json").json["num_samples"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("loading", ["resident", "streamed"])
def test_both_ways_of_loading_learn_from_the_same_samples(few, mae, loading):
    arguments, run = few
    assert mae(*arguments, "--labels", "25%", "--set", f"data.loading={loading}").exit_code == 0
    samples = find_checkpoint(run).metadata()["samples"]
    assert mae(*arguments, "--labels", "25%", "--overwrite").exit_code == 0
    assert find_checkpoint(run).metadata()["samples"] == samples
    assert mae(*arguments, "--labels", "25%", "--overwrite", "--seed", 1).exit_code == 0
    assert find_checkpoint(run).metadata()["samples"] != samples


@pytest.mark.slow
def test_the_part_belongs_to_the_run(few, tmp_path, mae):
    arguments, run = few
    assert mae(*arguments, "--labels", "25%").exit_code == 0
    outcome = mae("finetune", "--resume", "--out", run, "--labels", "50%")
    assert outcome.exit_code == 2
    assert f"{run} cannot be resumed with another spec: data.labels: 25% -> 50%" in outcome.stderr
    assert mae("finetune", "--resume", "--out", run).exit_code == 0
    next_run = mae("finetune", "--task", "classify", "--init", run, "--dry-run", "--json", "--batch-size", 4)
    assert next_run.json["train_samples"] == 32, "how many labels a run took is not handed on"


@pytest.mark.slow
def test_several_labels_are_counted_too(tmp_path, mae, toy_finetune):
    write_voc(tmp_path)
    arguments = ("--dataset", "voc", "--root", tmp_path, "--out", tmp_path / "run", "--epochs", 1, "--batch-size", 2)
    outcome = mae(*toy_finetune, *arguments, "--labels", "20%")
    assert outcome.exit_code == 0, outcome.stderr
    card = find_checkpoint(tmp_path / "run").metadata()["card"]
    shown = [name for name, num in zip(card["classes"], card["class_counts"], strict=True) if num]
    assert shown == ["cat", "dog", "person"]


@pytest.mark.slow
def test_segmentation_takes_a_share_of_the_pictures(segmented, tmp_path, mae):
    again = ("finetune", "--config", segmented / "spec.yaml", "--out", tmp_path / "run")
    outcome = mae(*again, "--labels", "50%", "--batch-size", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert "training samples, chosen by seed 0\n" in outcome.stderr
    refused = mae(*again, "--labels", "4", "--overwrite")
    assert refused.exit_code == 2
    assert "data.labels (4) counts samples per class, and those of segment have no single class" in refused.stderr


def test_a_batch_larger_than_the_part_is_the_part(few, mae):
    arguments, _ = few
    outcome = mae(*arguments, "--labels", "1")
    assert outcome.exit_code == 0, outcome.stderr
    assert "run     1 step of 2, learning rate 7.81e-06 (base_lr 0.001 × 2 / 256)" in outcome.stderr
    assert "a batch of 4 is more than there are, so every step sees all" in outcome.stderr


@pytest.mark.parametrize("labels", ["0%", "101%", "0", "-3", "some", "10 % of them"])
def test_what_is_no_part_is_refused(few, mae, labels):
    arguments, _ = few
    outcome = mae(*arguments, "--labels", labels)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: data.labels {labels!r} must be a share above 0% and up to 100%, such as 10%, or a number of samples per "
        "class, such as 4\n"
    )


def test_a_number_in_a_file_is_a_number_per_class(few, mae):
    arguments, _ = few
    assert mae(*arguments, "--set", "data.labels=2", "--dry-run", "--json").json["train_samples"] == 4


def test_pretraining_has_no_labels_to_take_a_part_of(toy_pretrain, pictures, mae):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--set", "data.labels=10%")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        "mae: data.labels (10%) is a part of the labels, and reconstruct learns without them; leave it out\n"
    )
