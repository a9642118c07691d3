"""A run is not resumed on more samples, or fewer, or on others than it began with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from resumed_data import one_of, record, refusal, samples_of
from write_data import noise, write_picture

ALL_TRAIN = ("--set", "dataset.val_share=0", "--set", "dataset.test_share=0", "--epochs", 1, "--dataset", "folder")


@pytest.fixture
def all_train(pictures, toy_pretrain, mae, tmp_path) -> tuple[Path, Path]:
    """Return a copy of the pictures and a run that has all of them as train."""
    data, run = shutil.copytree(pictures, tmp_path / "data"), tmp_path / "run"
    outcome = mae(*toy_pretrain, *ALL_TRAIN, "--root", data, "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    return data, run


@pytest.mark.slow
def test_new_and_missing_pictures_are_named(all_train, resume):
    data, run = all_train
    for i in range(5, 10):
        (data / f"dog/{i:03d}.png").unlink()
    complaint = (
        "its train split has other samples now (35 of them) than when the run began: dog/005.png, dog/006.png, "
        "dog/007.png and 2 more are gone"
    )
    code, said = resume(run)
    assert (code, said.splitlines()[-1]) == (3, refusal(run, complaint)[1].strip())
    (run / "splits.csv").unlink()  # as a run of before there was this table
    write_picture(data / "cat/999.png", noise(1, 8, 8, 3))
    complaint = complaint.replace("35 of", "36 of").replace("began:", "began: cat/999.png is new and")
    assert resume(run) == refusal(run, complaint)


def test_a_new_picture_among_very_many_is_counted(few_are_read, all_train, resume):
    data, run = all_train
    (run / "splits.csv").unlink()  # as a run of before there was this table
    write_picture(data / "dog/new.png", noise(1, 8, 8, 3))
    complaint = "its train split has other samples now (41 of them) than when the run began"
    assert resume(run) == refusal(run, complaint)


@pytest.mark.slow
def test_a_broken_picture_counts_since_another_stands_in_for_it(copied, mae, toy_pretrain, resume, tmp_path):
    data, run = copied[0], tmp_path / "without"
    broken = data / "dog/007.png"
    broken.write_bytes(broken.read_bytes()[:-30])
    resident = ("--set", "data.loading=resident")
    outcome = mae(*toy_pretrain, *ALL_TRAIN, *resident, "--root", data, "--out", run)
    assert "left out: dog/007.png: " in outcome.stderr
    assert (outcome.exit_code, samples_of(run)["train"]["num_parts"]) == (0, 40)
    broken.unlink()
    complaint = "its train split has other samples now (39 of them) than when the run began: dog/007.png is gone"
    assert resume(run) == refusal(run, complaint)
    assert resume(run, "--set", "data.loading=streamed") == refusal(run, complaint)


def test_samples_in_another_order_are_refused(copied, resume):
    data, run = copied

    def turn(metadata: dict[str, Any]) -> None:
        metadata["samples"]["val"]["names"] = "those in another order"

    record(run, turn)
    complaint = "its val split has its samples in another order than when the run began"
    assert resume(run, "--root", data) == refusal(run, complaint)


def test_a_picture_moved_to_another_class_is_another_sample(copied, resume, few_are_read):
    data, run = copied
    name = one_of(run, "train")
    (data / name).rename(data / ("dog" if name.startswith("cat") else "cat") / "999.png")
    complaint = f"its train split has other samples now (31 of them) than when the run began: {name} is gone"
    code, said = resume(run, "--root", data)
    assert (code, said.splitlines()[-1]) == (3, refusal(run, complaint)[1].strip())


def test_a_picture_that_cannot_be_read_any_more_is_another_set(copied, resume):
    data, run = copied
    name = one_of(run, "train")
    (data / name).unlink()
    (data / name).symlink_to("nowhere")
    code, said = resume(run, "--root", data)
    assert code == 3
    assert "its train split has other samples now (31 of them)" in said
