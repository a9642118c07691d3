from __future__ import annotations

from pathlib import Path

import pytest
from write_data import write_voc


def read_list(path: Path) -> set[str]:
    return set(path.read_text().split())


def test_masks_follow_the_segmentation_lists(tmp_path, voc, ids):
    lists = write_voc(tmp_path) / "ImageSets/Segmentation"
    data = voc(tmp_path)
    train, val = ids(data, "train", "image", "mask"), ids(data, "val", "image", "mask")
    assert ids(data, "test", "image", "mask") == read_list(lists / "val.txt")
    assert train | val == read_list(lists / "train.txt")
    assert not train & val
    assert len(val) == 1
    assert ids(voc(tmp_path), "val", "image", "mask") == val


@pytest.mark.parametrize("fields", [("image", "label"), ("boxes", "box_label", "difficult", "truncated")])
def test_labels_and_boxes_follow_the_main_lists(tmp_path, voc, ids, fields):
    lists = write_voc(tmp_path) / "ImageSets/Main"
    data = voc(tmp_path, val_share=0.25)
    assert ids(data, "test", *fields) == read_list(lists / "val.txt")
    assert ids(data, "train", *fields) | ids(data, "val", *fields) == read_list(lists / "train.txt")
    assert len(ids(data, "val", *fields)) == round(17 * 0.25)


def test_pretraining_reads_every_train_picture_that_no_task_is_tested_or_chosen_on(tmp_path, voc, ids):
    folder = write_voc(tmp_path) / "ImageSets"
    data = voc(tmp_path, val_share=0.2)
    both = [read_list(folder / family / "train.txt") for family in ("Main", "Segmentation")]
    tests = read_list(folder / "Main/val.txt") | read_list(folder / "Segmentation/val.txt")
    assert both[0] & tests  # a picture of Main/train is in Segmentation/val
    chosen_on = ids(data, "val", "image", "mask") | ids(data, "val", "image", "label")
    train = ids(data, "train", "image")
    assert train == (both[0] | both[1]) - tests - chosen_on
    assert ids(data, "val", "image") == chosen_on - tests
    assert ids(data, "test", "image") == tests
    assert "in test before val" in data.card().split_origin


def test_pictures_of_a_secret_test_list_are_not_pretrained_on(tmp_path, voc, ids):
    folder = write_voc(tmp_path)
    (folder / "ImageSets/Main/test.txt").write_text("2012_999999\n")  # of an archive that is not here
    (folder / "ImageSets/Segmentation/test.txt").write_text("2012_000018\n")  # one of Main/train
    data = voc(tmp_path, val_share=0)
    assert "2012_000018" not in ids(data, "train", "image")
    assert "2012_000019" in ids(data, "train", "image")


def test_2007_keeps_its_three_official_lists(tmp_path, voc, ids):
    lists = write_voc(tmp_path, year=2007, test=4) / "ImageSets/Segmentation"
    data = voc(tmp_path, year=2007)
    for name in ("train", "val", "test"):
        assert ids(data, name, "image", "mask") == read_list(lists / f"{name}.txt")
    assert data.card(("image", "mask")).split_origin.endswith("the official train, val and test lists")
    assert ids(data, "test", "image") == read_list(lists / "test.txt")


def test_2007_without_its_test_archive_says_where_the_test_list_comes_from(tmp_path, voc):
    write_voc(tmp_path, year=2007)
    card = voc(tmp_path, year=2007).card(("image", "mask"))
    assert card.split_sizes["test"] == 0
    assert any("comes with VOCtest_06-Nov-2007.tar" in note for note in card.notes)
