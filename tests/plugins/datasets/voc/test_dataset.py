from __future__ import annotations

import shutil

import numpy as np
import pytest
from maecli_plugins.datasets.voc.dataset import CLASSES, VOC
from write_data import VOC_CLASSES, write_voc


def test_the_classes_are_the_official_ones_in_order():
    assert CLASSES == VOC_CLASSES
    assert sorted(CLASSES) == [*CLASSES]


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_root_is_the_devkits_parent_the_devkit_or_the_year(tmp_path, voc, below):
    write_voc(tmp_path)
    data = voc(tmp_path / below)
    assert data.card(("image", "mask")).split_sizes == {"train": 11, "val": 1, "test": 6}
    assert data.split("test").keys[0] == "VOC2012/JPEGImages/2012_000012.jpg"


def test_the_default_root_is_mae_data(tmp_path, monkeypatch):
    write_voc(tmp_path)
    monkeypatch.setenv("MAE_DATA", str(tmp_path))
    assert VOC(VOC.Options()).card(("image", "mask")).split_sizes["test"] == 6


def test_folders_of_another_set_beside_the_devkit_are_not_taken_for_a_year(tmp_path, voc):
    write_voc(tmp_path)
    (tmp_path / "ImageSets").mkdir()
    assert voc(tmp_path).card().split_sizes["test"] == 6


def test_the_card_describes_the_train_split(tmp_path, voc):
    write_voc(tmp_path)
    data = voc(tmp_path)
    card = data.card(("image", "label"))
    labels = np.stack([data.split("train", ("label",))[i]["label"] for i in range(card.split_sizes["train"])])
    assert card.class_counts == tuple((labels == 1).sum(0))
    assert (card.multi_label, card.classes, card.size, card.channels) == (True, VOC_CLASSES, None, 3)
    assert card.mask_classes == ("background", *VOC_CLASSES)
    assert card.mask_palette[:3] == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert card.background == 0
    assert card.fields == ("image", "mask", "label", "boxes", "box_label", "difficult", "truncated")
    train = data.split("train", ("image", "label"))
    pictures = [train[i]["image"].reshape(3, -1) / 255 for i in range(len(train))]
    assert card.mean == pytest.approx(np.mean([picture.mean(1) for picture in pictures], 0))
    assert VOC.recipe == "voc"


def test_class_counts_are_given_with_labels_only(tmp_path, voc):
    write_voc(tmp_path)
    assert voc(tmp_path).card(("image", "mask")).class_counts == ()


def test_the_card_names_the_classes_that_a_split_lacks(tmp_path, voc):
    write_voc(tmp_path)
    [note] = [note for note in voc(tmp_path).card(("image", "mask")).notes if note.startswith("test shows no")]
    lacking = note.removeprefix("test shows no ").split(":")[0].split(", ")
    assert lacking == [name for name in VOC_CLASSES if name not in ("cat", "chair", "dog", "person")]
    [note] = [note for note in voc(tmp_path).card(("image", "label")).notes if note.startswith("test shows no")]
    assert "chair" in note  # difficult chairs only, which are not judged


def test_only_the_files_that_are_asked_for_must_be_there(tmp_path, voc):
    folder = write_voc(tmp_path)
    shutil.rmtree(folder / "SegmentationClass")
    data = voc(tmp_path)
    assert data.split("test", ("image", "label"))[0]["label"].shape == (20,)
    assert data.card().fields == ("image", "label", "boxes", "box_label", "difficult", "truncated")
    assert data.card().mask_classes == ()


def test_a_devkit_with_segmentation_lists_alone_can_be_pretrained_on(tmp_path, voc):
    folder = write_voc(tmp_path)
    shutil.rmtree(folder / "ImageSets/Main")
    data = voc(tmp_path)
    assert data.card().fields == ("image", "mask")
    assert data.card().split_sizes == {"train": 11, "val": 1, "test": 6}


@pytest.mark.slow
def test_a_pretraining_run_leaves_a_broken_picture_out_and_names_it(tmp_path, mae, toy_pretrain):
    folder = write_voc(tmp_path)
    (folder / "JPEGImages/2012_000001.jpg").write_bytes(b"")
    args = (*toy_pretrain, "--dataset", "voc", "--root", tmp_path, "--out", tmp_path / "run")
    outcome = mae(*args)
    assert outcome.exit_code == 0, outcome.stderr
    assert (tmp_path / "run/skipped.csv").read_text() == "path,reason\nVOC2012/JPEGImages/2012_000001.jpg,empty file\n"
    outcome = mae(*args, "--strict", "--overwrite")
    assert outcome.exit_code == 3
    assert "VOC2012/JPEGImages/2012_000001.jpg: empty file; mend or remove it" in outcome.stderr


def test_a_run_on_a_devkit_without_lists_ends_with_one_sentence(tmp_path, mae, toy_pretrain):
    folder = write_voc(tmp_path)
    shutil.rmtree(folder / "ImageSets")
    outcome = mae(*toy_pretrain, "--dataset", "voc", "--root", tmp_path)
    assert outcome.exit_code == 3
    assert outcome.stderr.strip() == (
        f"mae: {folder / 'ImageSets'}: is missing; VOC's lists of pictures stand there; "
        "restore what is missing, or correct the lists"
    )
