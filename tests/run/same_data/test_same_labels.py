"""Labels, masks and classes count where the task learns from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from resumed_data import edit, one_of, refusal, samples_of
from write_data import VOC_SHOWN, write_palette, write_voc


@pytest.fixture
def labelled(tmp_path, pictures, toy_finetune, mae) -> tuple[Path, Path]:
    """Return a copy of the pictures, with their labels in a table, and a classifier of them."""
    data, run = shutil.copytree(pictures, tmp_path / "data"), tmp_path / "run"
    rows = [f"{kind}/{i:03d}.png,{kind},{'val' if i < 2 else 'train'}" for kind in ("cat", "dog") for i in range(20)]
    (data / "labels.csv").write_text("\n".join(["file,label,split", *rows]) + "\n")
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", data, "--out", run, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr
    return data, run


@pytest.mark.parametrize("loading", ["auto", "resident"])
def test_a_label_that_was_edited_is_another_set(labelled, resume, loading):
    data, run = labelled
    name = one_of(run, "train")
    kind = name[:3]
    with (data / "labels.csv").open("a") as file:
        file.write("\n")  # which says nothing else
    assert resume(run, "--set", f"data.loading={loading}", verb="finetune")[0] == 0
    edit(data / "labels.csv", f"{name},{kind}", f"{name},{'dog' if kind == 'cat' else 'cat'}")
    refused = refusal(run, "the label of some samples (train) is not what it was when the run began")
    assert resume(run, "--set", f"data.loading={loading}", verb="finetune") == refused


@pytest.mark.slow
def test_a_class_that_has_another_name_is_another_class(labelled, resume):
    data, run = labelled
    edit(data / "labels.csv", ",dog,", ",dogs,")
    complaint = "its data have other classes now ('dogs' is new, 'dog' is gone) than when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


@pytest.mark.slow
def test_more_classes_are_other_data(labelled, resume):
    data, run = labelled
    edit(data / "labels.csv", "cat/000.png,cat", "cat/000.png,bat")
    complaint = "its data have other classes now ('bat' is new) than when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


def test_pretraining_does_not_look_at_labels(copied, resume):
    data, run = copied
    rows = [f"{kind}/{i:03d}.png,{i}" for kind in ("cat", "dog") for i in range(20)]
    before = samples_of(run)
    (data / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    assert "labels" not in before["train"]["facts"]
    assert "label" not in resume(run, "--root", data)[1]


@pytest.fixture
def masked(tmp_path, segmented, mae) -> tuple[Path, Path]:
    """Return a folder with masks and a segmentation run on it."""
    data, run = shutil.copytree(segmented.parent / "data", tmp_path / "data"), tmp_path / "run"
    outcome = mae("finetune", "--config", segmented / "spec.yaml", "--root", data, "--out", run, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr
    return data, run


@pytest.mark.slow
def test_a_mask_that_was_replaced_is_named(masked, resume):
    data, run = masked
    assert resume(run, verb="finetune")[0] == 0
    name = next(name for name in samples_of(run)["train"]["hashes"] if name.startswith("masks/"))
    other = np.zeros((8, 10), np.uint8)
    other[0, 0] = 1
    write_palette(data / name, other)
    assert resume(run, verb="finetune") == refusal(run, f"{name} (train) has other content than when the run began")


@pytest.mark.slow
def test_classes_of_masks_that_were_swapped_are_others(masked, resume):
    data, run = masked
    (data / "classes.txt").write_text("background\ndog\ncat\n")
    complaint = "its data have their classes in another order now (background, dog, cat) than when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


@pytest.mark.slow
@pytest.mark.parametrize("lists", [True, False])
def test_labels_of_lists_and_of_annotations_count(tmp_path, mae, toy_finetune, resume, lists):
    year, run = write_voc(tmp_path), tmp_path / "run"
    if not lists:
        for path in year.glob("ImageSets/Main/*_*.txt"):
            path.unlink()
    data = ("--dataset", "voc", "--root", tmp_path, "--out", run, "--epochs", 1, "--batch-size", 2)
    assert mae(*toy_finetune, *data).exit_code == 0
    code, said = resume(run, "--root", year, verb="finetune")
    assert (code, said.split()[0]) == (0, str(run)), "the same data, by another way"
    key = next(
        key
        for key in (f"2012_{i:06d}" for i in range(12))
        if f"VOC2012/JPEGImages/{key}.jpg" in samples_of(run)["train"]["hashes"]
    )
    shown = VOC_SHOWN[int(key[5:]) % 3]
    if lists:
        edit(year / f"ImageSets/Main/{shown}_train.txt", f"{key}  1", f"{key} -1")
    else:
        edit(year / f"Annotations/{key}.xml", f"<name>{shown}</name>", "<name>bird</name>")
    complaint = "the label of some samples (train) is not what it was when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)
