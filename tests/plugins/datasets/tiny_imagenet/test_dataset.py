from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.tiny_imagenet.dataset import TinyImageNet
from maecli_plugins.datasets.tiny_imagenet.layout import class_names
from write_data import TINY_WNIDS, noise, write_picture, write_tiny_imagenet

from maecli import api

NOT_A_PICTURE = "not a JPEG, PNG, GIF, WebP, AVIF, HEIC, JPEG 2000, Netpbm, BMP, TIFF or .npy file"


def of(root: Path) -> TinyImageNet:
    return TinyImageNet(TinyImageNet.Options(root=root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tiny_imagenet(tmp_path / "tiny-imagenet-200")


def test_the_official_validation_set_is_test_and_val_is_cut_from_train(root):
    dataset = of(root)
    keys = {name: dataset.split(name).keys for name in api.SPLIT_NAMES}
    assert {name: len(part) for name, part in keys.items()} == {"train": 27, "val": 3, "test": 6}
    assert all(key.startswith("val/images/") for key in keys["test"])
    assert not set(keys["train"]) & set(keys["val"])
    assert {key.split("/")[1] for key in keys["val"]} == set(TINY_WNIDS), "one of ten of each class"
    card = dataset.card()
    assert card.split_sizes == {"train": 27, "val": 3, "test": 6}
    assert card.class_counts == (9, 9, 9)
    assert card.size == (64, 64)
    assert card.split_origin.startswith("test: the official validation set; val: one in ten")


def test_labels_follow_the_order_of_wnids(root):
    dataset = of(root)
    train = dataset.split("train", ("image", "label"))
    for i, key in enumerate(train.keys):
        assert TINY_WNIDS[int(train[i]["label"])] == key.split("/")[1]
    test = dataset.split("test", ("image", "label"))
    assert [int(test[i]["label"]) for i in range(6)] == [0, 1, 2, 0, 1, 2]
    assert "label" not in dataset.split("test")[0]


def test_classes_are_named_by_their_first_word(root):
    assert of(root).card().classes == ("crane (n03)", "goldfish", "crane (n02)")
    (root / "words.txt").unlink()
    assert of(root).card().classes == TINY_WNIDS
    assert class_names(["n01", "n05"], {"n01": "goldfish"}) == ("goldfish", "n05")


def test_grey_pictures_get_three_equal_channels(root):
    dataset = of(root)
    for name in ("train", "val"):
        split = dataset.split(name)
        for i, key in enumerate(split.keys):
            image = split[i]["image"]
            assert image.shape == (3, 64, 64)
            assert image.dtype == np.uint8
            assert (image[0] == image[1]).all() == key.endswith("_0.JPEG")


def test_the_folder_above_serves_as_root(root):
    assert of(root.parent).split("train").keys == of(root).split("train").keys


def test_pictures_of_several_sizes_have_no_common_one(root):
    write_picture(root / "val/images/val_0.JPEG", noise(1, 20, 30, 3))
    dataset = of(root)
    assert dataset.card().size is None
    assert dataset.split("test").size(0) == (20, 30)


def test_a_sound_set_has_no_faults(root):
    dataset = of(root)
    assert list(dataset.all_faults()) == []
    card = dataset.card()
    assert card.reading == (
        "36 pictures in 3 classes of wnids.txt, by folders train/ and val/; classes of val/ from "
        "val/val_annotations.txt"
    )
    assert (card.converted, card.left_out) == ({"grey, given three equal channels": 3}, {})
    assert card.notes == ("mean and std were measured on 27 train pictures chosen by the fixed seed",)


def test_every_fault_is_named_and_left_out(root):
    sound = {name: set(of(root).split(name).keys) for name in api.SPLIT_NAMES}
    with (root / "wnids.txt").open("a") as file:
        file.write("n04\n")
    write_picture(root / "train/n77/images/n77_0.JPEG", noise(1, 64, 64, 3))
    with (root / "val/val_annotations.txt").open("a") as file:
        file.write("val_7.JPEG\tn01\t0\t0\t1\t1\nval_8.JPEG\tn55\t0\t0\t1\t1\nno class\n\nval_1.JPEG\tn02\n")
    write_picture(root / "val/images/val_8.JPEG", noise(8, 64, 64, 3))
    write_picture(root / "val/images/val_9.JPEG", noise(9, 64, 64, 3))
    first = min(key for key in sound["train"])
    (root / first).write_bytes(b"no picture")
    dataset = of(root)
    assert {fault.path: fault.reason for fault in dataset.all_faults()} == {
        first: NOT_A_PICTURE,
        "train/n04/images": "holds no picture of the class n04, which wnids.txt names",
        "train/n77": "is a class that wnids.txt lacks; its pictures are left out",
        "val/images/val_1.JPEG": "has two classes in val/val_annotations.txt: n01 and n02",
        "val/images/val_7.JPEG": "is not there, though val/val_annotations.txt names it",
        "val/images/val_8.JPEG": "has the class n55 in val/val_annotations.txt, which wnids.txt lacks",
        "val/images/val_9.JPEG": "has no class in val/val_annotations.txt",
        "val/val_annotations.txt:9": "is not a file, a tab and the identifier of a class",
    }
    assert dataset.faults() == [api.Fault(first, NOT_A_PICTURE)]
    left = {name: set(dataset.split(name).keys) for name in api.SPLIT_NAMES}
    assert left == sound | {"train": sound["train"] - {first}, "test": sound["test"] - {"val/images/val_1.JPEG"}}
    assert dataset.card().left_out == {
        "in train/ under a class that wnids.txt lacks: n77": 1,
        "in val/ without one class of wnids.txt in val/val_annotations.txt": 3,
    }
    assert dataset.card().notes[1:] == (
        "7 faults of the layout; mae eda names each",
        "1 file is broken and left out",
    )


def test_a_damaged_body_shows_when_it_is_read(root):
    dataset = of(root)
    split = dataset.split("test")
    path = root / split.keys[2]
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(api.BrokenSample, match=r"val/images/val_2\.JPEG: truncated file"):
        split[2]
    assert dataset.faults() == [api.Fault("val/images/val_2.JPEG", "truncated file")]


def test_another_folder_is_refused_with_two_ways_out(tmp_path):
    with pytest.raises(api.DataError) as caught:
        of(tmp_path).card()
    assert str(caught.value) == (
        f"no wnids.txt in {tmp_path} or in {tmp_path / 'tiny-imagenet-200'}; unpack tiny-imagenet-200.zip there, or "
        "point --root or MAE_DATA at the folder that holds wnids.txt"
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("n01\nn02\nn01\n", "names n01 twice; keep one line for each class"),
        ("\n", "names no class; write one identifier per line"),
        ("n01\xff", "is not a text in UTF-8; restore it from the archive"),
    ],
)
def test_a_list_of_classes_that_cannot_be_is_refused(root, text, rule):
    (root / "wnids.txt").write_text(text, encoding="latin-1")
    with pytest.raises(api.DataError) as caught:
        of(root).split("train")
    assert str(caught.value) == f"{root / 'wnids.txt'} {rule}"


def test_a_set_without_train_pictures_is_refused(root):
    (root / "wnids.txt").write_text("n42\n")
    with pytest.raises(
        api.DataError, match=r"no picture in .*train; those of the class n42 belong into train/n42/images"
    ):
        of(root).split("train")


def test_a_set_without_annotations_is_refused(root):
    (root / "val/val_annotations.txt").unlink()
    with pytest.raises(
        api.DataError, match=r"val_annotations\.txt cannot be read \(no such file or directory\); unpack"
    ):
        of(root).split("test")
