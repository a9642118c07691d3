from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.ade20k import layout
from maecli_plugins.datasets.ade20k.classes import CLASSES
from maecli_plugins.datasets.ade20k.dataset import ADE20K
from write_ade20k import SHOWN, write_ade20k, write_object_info
from write_data import write_picture

from maecli import api

MASKED = ("image", "mask")


def opened(root: Path, **options) -> ADE20K:
    return ADE20K(ADE20K.Options(root=root, **{"download": False} | options))


@pytest.mark.parametrize("below", ["", "ADEChallengeData2016"])
def test_the_card_tells_classes_and_where_the_splits_come_from(tmp_path, below):
    write_ade20k(tmp_path)
    card = opened(tmp_path / below).card(MASKED)
    assert (len(card.mask_classes), card.mask_classes[0], card.mask_classes[149]) == (150, "wall", "flag")
    assert (card.background, card.void, card.fields) == (None, 255, MASKED)
    assert len({*card.mask_palette, (0, 0, 0), api.pictures.VOID_COLOUR}) == 152
    assert card.split_sizes == {"train": 11, "val": 1, "test": 5}
    assert card.split_origin.startswith("test: the official validation")
    assert card.reading.endswith("masks of 150 classes in annotations/, 0 is not judged")


def test_masks_count_from_0_and_what_files_call_0_is_not_judged(tmp_path):
    folder = write_ade20k(tmp_path)
    data = opened(tmp_path)
    split = data.split("test", MASKED)
    for i in range(len(split)):
        sample = split[i]
        assert sample["mask"].dtype == np.uint8
        assert sample["mask"].shape == sample["image"].shape[1:] == split.size(i)
        assert {*np.unique(sample["mask"]).tolist()} == {0, SHOWN[i % 3] - 1, 255}
        assert (sample["mask"][-5:] == 255).all()
    assert split.files(0) == [
        folder / "images/validation/ADE_val_00000001.jpg",
        folder / "annotations/validation/ADE_val_00000001.png",
    ]


def test_what_is_predicted_has_the_numbers_of_the_files(tmp_path):
    write_ade20k(tmp_path)
    card, split = opened(tmp_path).card(MASKED), opened(tmp_path).split("test", MASKED)
    png = api.pictures.mask_png(split[2]["mask"], card.mask_palette, card.files.mask_first)
    (tmp_path / "mask.png").write_bytes(png)
    again = api.pictures.read_mask(tmp_path / "mask.png", 151, api.pictures.class_palette(151))
    assert {*np.unique(again).tolist()} == {1, 150, 255}


def test_the_official_validation_is_never_trained_on(tmp_path):
    write_ade20k(tmp_path)
    for fields in (("image",), MASKED):
        parts = {name: opened(tmp_path, val_share=0.3).split(name, fields).keys for name in api.SPLIT_NAMES}
        assert all("/validation/" in key for key in parts["test"])
        assert not any("/validation/" in key for key in (*parts["train"], *parts["val"]))
        assert (len(parts["train"]), len(parts["val"])) == (8, 4)


@pytest.mark.parametrize(("file", "tab"), [("objectInfo150.txt", "\t"), ("objectInfo150.csv", ",")])
def test_names_come_from_the_table_where_it_lies(tmp_path, file, tab):
    folder = write_ade20k(tmp_path)
    (folder / "objectInfo150.txt").unlink()
    assert opened(tmp_path).card(MASKED).mask_classes == CLASSES
    write_object_info(folder / file, [f"kind {i}" for i in range(150)], tab)
    assert opened(tmp_path).card(MASKED).mask_classes[:2] == ("kind 0", "kind 1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no columns Idx and Name"),
        ("Idx\tName\n2\twall\n", "line 2: '2' 'wall' is not class 1 with its name"),
        ("Idx\tName\n1\twall\n2\twall, other\n", "line 3: 'wall' is class 1 already"),
        ("Idx\tName\n1\twall\n", "names 1 classes"),
    ],
)
def test_a_bad_table_of_names_is_told_with_its_line(tmp_path, text, words):
    path = write_ade20k(tmp_path) / "objectInfo150.txt"
    path.write_text(text)
    with pytest.raises(api.DataError) as caught:
        opened(tmp_path).card(MASKED)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_broken_files_are_left_out_alone_and_told(tmp_path):
    folder = write_ade20k(tmp_path)
    (folder / "annotations/training/ADE_train_00000001.png").unlink()
    (folder / "images/training/ADE_train_00000002.jpg").write_bytes(b"text")
    write_picture(folder / "annotations/training/ADE_train_00000003.png", np.full((22, 30), 151, np.uint8))
    write_picture(folder / "annotations/training/ADE_train_00000004.png", np.ones((9, 9), np.uint8))
    write_picture(folder / "annotations/validation/other.png", np.ones((9, 9), np.uint8))
    data = opened(tmp_path, val_share=0)
    assert data.card(MASKED).split_sizes == {"train": 10, "val": 0, "test": 5}
    assert data.card().split_sizes["train"] == 11
    found = {Path(fault.path).name: fault.reason for fault in opened(tmp_path, val_share=0).all_faults()}
    assert set(found) == {
        *(f"ADE_train_{i:08d}.{ending}" for i, ending in ((1, "jpg"), (2, "jpg"), (3, "png"), (4, "png"))),
        "other.png",
    }
    assert found["ADE_train_00000001.jpg"].startswith("has no mask")
    assert found["ADE_train_00000003.png"].startswith("mask has the number 151; classes are 1 to 150")
    assert found["ADE_train_00000004.png"].startswith("mask is 9×9")
    assert found["other.png"].startswith("is the mask of no picture")


def test_pictures_alone_serve_without_annotations(tmp_path):
    folder = write_ade20k(tmp_path)
    shutil.rmtree(folder / "annotations")
    assert opened(tmp_path).card().fields == ("image",)
    with pytest.raises(api.DataError, match="has no masks; restore annotations/"):
        opened(tmp_path).card(MASKED)
    shutil.rmtree(folder / "images/validation")
    with pytest.raises(api.DataError, match=r"validation holds no \.jpg"):
        opened(tmp_path).card()


def test_what_is_not_there_is_named_with_the_ways_out(tmp_path):
    with pytest.raises(api.DataError) as caught:
        opened(tmp_path).card()
    message = str(caught.value)
    assert message.startswith(f"ADE20K was not found in {tmp_path} and download is off; put the folder")
    assert all(word in message for word in ("ADEChallengeData2016", "--root", "MAE_DATA"))
    [fault] = opened(tmp_path).all_faults()
    assert fault.reason == message


def test_it_is_downloaded_once(tmp_path, served, monkeypatch, capsys):
    folder, address = served
    made = write_ade20k(tmp_path / "made")
    archive = Path(shutil.make_archive(str(folder / "ADE"), "zip", made.parent))
    monkeypatch.setattr(layout, "ARCHIVE", f"{address}/{archive.name}")
    with pytest.raises(api.DataError, match=r"the download failed: .*File not found or corrupted"):
        opened(tmp_path / "data", download=True).card()
    monkeypatch.setattr(layout, "MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert opened(tmp_path / "data", download=True).card(MASKED).split_sizes["test"] == 5
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["ADEChallengeData2016"]
    assert capsys.readouterr().out == ""
    archive.unlink()
    assert opened(tmp_path / "data", download=True).card(MASKED).split_sizes["test"] == 5
