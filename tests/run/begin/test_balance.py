"""Runs that make rare classes count: what they take, tell and keep."""

from __future__ import annotations

import pytest
import yaml
from write_data import write_class_folders, write_mask_folder, write_pictures

from maecli.run.checkpoint import find_checkpoint


@pytest.fixture
def uneven(tmp_path):
    """Return a folder with 20 cats and 5 rare dogs."""
    write_class_folders(tmp_path / "data", ("cat",), 20)
    write_pictures(tmp_path / "data/dog", 5)
    return tmp_path / "data"


@pytest.fixture
def finetune(uneven, toy_finetune, tmp_path, mae):
    """Return a function that fine-tunes for an epoch on the uneven folder."""
    data = ("--dataset", "folder", "--root", uneven, "--out", tmp_path / "run", "--batch-size", 4, "--epochs", 1)
    return lambda *more: mae(*toy_finetune, *data, *more)


def test_balanced_weights_follow_from_what_is_learnt_from_and_stay(finetune, tmp_path, mae):
    outcome = finetune("--labels", "50%", "--set", "task.class_weights=balanced")
    assert outcome.exit_code == 0, outcome.stderr
    card = find_checkpoint(tmp_path / "run").metadata()["card"]
    cats, dogs = card["class_counts"]
    told = f"weights cat {(cats + dogs) / 2 / cats:.3g}, dog {(cats + dogs) / 2 / dogs:.3g}; in the loss only"
    assert told in outcome.stderr
    (tmp_path / "run/summary.json").unlink()  # as if it had been stopped after its last step
    again = mae("finetune", "--resume", "--out", tmp_path / "run")
    assert (again.exit_code, told in again.stderr) == (0, True)
    assert mae("eval", tmp_path / "run", "--json").exit_code == 0


def test_weights_by_name_lie_over_others_and_come_back_from_the_spec(finetune, tmp_path, mae):
    assert finetune("--set", "task.class_weights={dog: 4}").exit_code == 0
    spec = yaml.safe_load((tmp_path / "run/spec.yaml").read_text())
    assert spec["task"]["class_weights"] == {"dog": 4.0}
    repeat = ("finetune", "--config", tmp_path / "run/spec.yaml", "--out", tmp_path / "next", "--dry-run", "--json")
    assert mae(*repeat).json["spec"]["task"]["class_weights"] == {"dog": 4.0}
    other = mae(*repeat, "--set", "task.class_weights=balanced").json["spec"]["task"]["class_weights"]
    assert other == "balanced"
    wrong = mae(*repeat, "--set", "task.class_weights={dig: 4}")
    assert wrong.exit_code == 2
    assert "task.class_weights: 'dig' is no class of the data; did you mean 'dog'?" in wrong.stderr


def test_drawn_samples_are_told_with_their_weights(finetune):
    outcome = finetune("--set", "task.class_weights=effective", "--set", "data.sampling=sqrt")
    assert "draws   sqrt: classes are drawn by the square root of their counts; rare " in outcome.stderr
    assert "so together they do it twice over" in " ".join(outcome.stderr.split())


def test_pretraining_has_no_classes_to_draw_by(toy_pretrain, uneven, mae):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", uneven, "--set", "data.sampling=balanced")
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(
        "mae: data.sampling balanced draws samples by their classes, and reconstruct learns without them; leave it "
        "out\n"
    )


def test_a_segmenter_counts_its_masks_and_draws_by_the_rarest_class(toy_finetune, tmp_path, mae):
    write_mask_folder(tmp_path / "data")
    run = ("--task", "segment", "--dataset", "folder", "--root", tmp_path / "data", "--out", tmp_path / "run")
    balance = ("--set", "task.class_weights=balanced", "--set", "data.sampling=balanced", "--epochs", 1)
    outcome = mae(*toy_finetune, *run, *balance, "--batch-size", 4)
    assert outcome.exit_code == 0, outcome.stderr
    assert "counting the cells of each class in" in outcome.stderr
    assert "looking which classes" in outcome.stderr
    card = find_checkpoint(tmp_path / "run").metadata()["card"]
    assert len(card["mask_counts"]) == 3
    assert min(card["mask_counts"]) > 0
    assert "counting" not in mae("finetune", "--resume", "--out", tmp_path / "run").stderr, "the numbers are recorded"
