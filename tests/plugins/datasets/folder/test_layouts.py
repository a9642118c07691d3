"""Folders as people lay them out, from the files to the card and to predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.folder.dataset import Folder
from write_data import noise, write_class_folders, write_mask_folder, write_palette, write_picture, write_pictures

from maecli import api

LABELLED = ("image", "label")
MASKED = ("image", "mask")


def folder(root: Path, **options) -> Folder:
    return Folder(Folder.Options(root=root, **options))


def write_marked(root: Path, num: int = 6) -> None:
    """Write 000.png, 000_mask.png, …, with the names of two classes."""
    for name in write_pictures(root, num, (8, 10)):
        write_palette(root / name.replace(".", "_mask."), np.ones((8, 10), np.uint8))
    (root / "classes.txt").write_text("background\ncat\n")


def test_the_seeded_cut_of_class_folders_is_what_it_was(tmp_path):
    write_class_folders(tmp_path, num=20)
    data = folder(tmp_path)
    assert list(data.split("val").keys) == ["cat/014.png", "cat/017.png", "dog/008.png", "dog/015.png"]
    assert list(data.split("test").keys) == ["cat/000.png", "cat/012.png", "dog/002.png", "dog/013.png"]


def test_folders_of_colour_and_of_grey_whose_files_have_the_same_names_are_refused(tmp_path):
    for name, channels in (("a", 3), ("b", 1)):
        for i in range(3):
            write_picture(tmp_path / name / f"{i}.png", noise(i, 8, 10, 3) if channels == 3 else noise(i, 8, 10))
    with pytest.raises(api.DataError, match="a/, b/ hold files of the same names, without colours in b/ and in colour"):
        folder(tmp_path).card()
    assert folder(tmp_path, layout="classes").card().classes == ("a", "b")
    assert folder(tmp_path, layout="masks").card().reading == "3 pictures; masks in b/"


def test_a_folder_that_is_a_split_by_option_alone(tmp_path):
    for name in ("lernen", "pruefen"):
        write_class_folders(tmp_path / name, num=4)
    splits = {"lernen": "train", "pruefen": "test"}
    card = folder(tmp_path, split_folders=splits, val_share=0).card(LABELLED)
    assert card.split_sizes == {"train": 8, "val": 0, "test": 8}
    assert card.classes == ("cat", "dog")
    with pytest.raises(api.DataError, match=r"split_folders names gone, but .* has no folder of this name where"):
        folder(tmp_path, split_folders=splits | {"gone": "val"}).card()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param(
            "train.csv", "id,breed\n000,pug\n001,pug\n", "; train.csv names pictures in its column 'id': ", id="id"
        ),
        pytest.param(
            "meta.tsv", "n\tfile\n1\tx/000.png\n", "; meta.tsv names pictures in its column 'file': ", id="path"
        ),
        pytest.param("notes.csv", "a,b\n1,2\n", "file and label", id="other"),
        pytest.param("list.txt", "000.png\n001.png\n", "file and label", id="one-column"),
    ],
)
def test_without_labels_a_table_that_may_say_them_is_named(tmp_path, name, text, words):
    write_pictures(tmp_path, 4)
    (tmp_path / name).write_text(text)
    with pytest.raises(api.DataError) as caught:
        folder(tmp_path).card(LABELLED)
    message = str(caught.value)
    if words.startswith(";"):
        assert message.endswith(
            f"{words}if it says their classes, copy it to labels.csv, and call its columns file and label"
        )
    else:
        assert message.endswith(words)


def test_masks_beside_their_pictures_serve_segmentation(tmp_path):
    write_marked(tmp_path)
    data = folder(tmp_path, val_share=0, test_share=0)
    card, split = data.card(MASKED), data.split("train", MASKED)
    assert card.reading == "6 pictures; masks by _mask in their names"
    assert card.mask_classes == ("background", "cat")
    assert split.keys == [f"00{i}.png" for i in range(6)]
    assert (split[0]["mask"] == 1).all()


def test_masks_in_each_split_and_class_names_in_a_folder_around_everything(tmp_path):
    for name, num in (("train", 5), ("val", 2)):
        write_mask_folder(tmp_path / "set" / name, num)
    (tmp_path / "set/train/classes.txt").rename(tmp_path / "set/classes.txt")
    (tmp_path / "set/val/classes.txt").unlink()
    card = folder(tmp_path, test_share=0).card(MASKED)
    assert card.split_sizes == {"train": 5, "val": 2, "test": 0}
    assert card.reading == ("7 pictures, split by folders train/, val/; masks in set/train/masks/, set/val/masks/")
    assert card.left_out == {}


def test_a_table_in_a_folder_around_everything_names_files_from_there(tmp_path):
    names = write_pictures(tmp_path / "set/in", 10)
    rows = [f"in/{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
    (tmp_path / "set/labels.csv").write_text("\n".join(["file,label", *rows]))
    card = folder(tmp_path).card(LABELLED)
    assert card.classes == ("a", "b")
    assert card.reading == "10 pictures in 2 classes (a, b) by labels.csv (columns file, label)"


def test_what_lacks_a_label_is_counted_by_its_place_and_its_class(tmp_path):
    write_class_folders(tmp_path / "train", num=5)
    write_class_folders(tmp_path / "test", ("cat", "fox", "gnu"), num=2)
    write_pictures(tmp_path / "val", 3)
    write_pictures(tmp_path / "unlabeled", 4)
    card = folder(tmp_path).card(LABELLED)
    assert card.left_out == {
        "in test under classes that train has not: fox, gnu": 4,
        "without a label, in unlabeled/": 4,
        "without a label, in val/": 3,
    }
    assert card.split_sizes == {"train": 10, "val": 0, "test": 2}
    assert card.reading == (
        "23 pictures in 2 classes (cat, dog), split by folders train/, val/, test/; unlabeled/ without labels"
    )
    assert folder(tmp_path).card().left_out == {}


def test_masks_of_no_picture_are_counted_where_no_mask_is_asked_for(tmp_path):
    names = write_mask_folder(tmp_path, 5)
    (tmp_path / "images" / names[0]).unlink()
    assert folder(tmp_path).card().left_out == {"in the place of masks, but of no picture": 1}
    data = folder(tmp_path)
    assert data.card(MASKED).left_out == {}
    assert [fault.path for fault in data.faults()] == [f"masks/{names[0]}"]


def test_a_table_with_labels_and_splits_leaves_no_doubt(tmp_path):
    for name in ("train", "holiday"):
        write_pictures(tmp_path / name, 4)
    with pytest.raises(api.DataError, match=r"train/ stands beside holiday/.*dataset\.layout=splits.*=classes"):
        folder(tmp_path).card()
    rows = [
        f"{name}/00{i}.png,{'ab'[i % 2]},{split}"
        for name, split in (("train", "train"), ("holiday", "val"))
        for i in range(4)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    assert folder(tmp_path, test_share=0).card(LABELLED).split_sizes == {"train": 4, "val": 4, "test": 0}


def test_a_table_that_labels_a_mask_is_refused_with_the_way_out(tmp_path):
    names = write_mask_folder(tmp_path, 3)
    rows = [*(f"images/{name},cat" for name in names[:2]), f"masks/{names[1]},cat"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    with pytest.raises(api.DataError) as caught:
        folder(tmp_path).card()
    assert str(caught.value) == (
        f"{tmp_path / 'labels.csv'}, line 4: 'masks/001.png' is read as a mask, a drawing or a copy; leave it out of "
        "the table, or choose another reading of the folders with --set dataset.layout=flat"
    )


def test_splits_without_train_name_the_reading_as_classes(tmp_path):
    write_class_folders(tmp_path, ("val", "test"), num=4)
    with pytest.raises(api.DataError, match=r"none for train; .* give --set dataset.layout=classes"):
        folder(tmp_path).card()
    assert folder(tmp_path, layout="classes").card().classes == ("test", "val")


def test_inference_takes_no_masks_for_pictures(tmp_path):
    from maecli.modalities.pictures.modality import Pictures

    card = folder(_written(tmp_path)).card()
    root, split = Pictures().open(tmp_path, card, (8, 8))
    assert root == tmp_path
    assert split.keys == ["a/images/000.png", "a/images/001.png", "b/000.png", "b/001.png"]
    assert Pictures().open(tmp_path / "b/000_mask.png", card, (8, 8))[1].keys == ["000_mask.png"]


def _written(root: Path) -> Path:
    write_mask_folder(root / "a", 2)
    write_marked(root / "b", 2)
    return root


def test_inference_refuses_nothing_and_leaves_nothing_out_where_names_leave_a_doubt(tmp_path):
    from maecli.modalities.pictures.modality import Pictures

    for name in ("faces", "masks"):
        write_picture(tmp_path / name / "1.png", noise(0, 8, 8, 3))
    card = folder(tmp_path, layout="classes").card()
    assert Pictures().open(tmp_path, card, (8, 8))[1].keys == ["faces/1.png", "masks/1.png"]
