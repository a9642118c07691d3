from __future__ import annotations

import functools
import hashlib
import http.server
import pickle
import shutil
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.voc import CLASSES, VOC
from PIL import Image
from torchvision.datasets import voc as torchvision_voc
from twins import (
    VOC_CLASSES,
    noise,
    voc_annotation,
    voc_object,
    write_palette,
    write_picture,
    write_voc,
    write_voc_list,
)

from maecli import api

OBJECT_FIELDS = ("boxes", "box_label", "difficult", "truncated")
CAT, CHAIR, DOG, PERSON = (VOC_CLASSES.index(name) for name in ("cat", "chair", "dog", "person"))
BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<annotation>&b;</annotation>"
)


def voc(root: Path, **options: object) -> VOC:
    return VOC(VOC.Options(root=root, **{"download": False} | options))


def ids(data: VOC, name: api.SplitName, *fields: str) -> set[str]:
    """Return the pictures of a split by their numbers in the twin."""
    return {Path(key).stem for key in data.split(name, fields).keys}


def read_list(path: Path) -> set[str]:
    return set(path.read_text().split())


def test_the_classes_are_the_official_ones_in_order():
    assert CLASSES == VOC_CLASSES
    assert sorted(CLASSES) == [*CLASSES]


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_root_is_the_devkits_parent_the_devkit_or_the_year(tmp_path, below):
    write_voc(tmp_path)
    data = voc(tmp_path / below)
    assert data.card(("image", "mask")).split_sizes == {"train": 11, "val": 1, "test": 6}
    assert data.split("test").keys[0] == "VOC2012/JPEGImages/2012_000012.jpg"


def test_the_default_root_is_mae_data(tmp_path, monkeypatch):
    write_voc(tmp_path)
    monkeypatch.setenv("MAE_DATA", str(tmp_path))
    assert VOC(VOC.Options()).card(("image", "mask")).split_sizes["test"] == 6


def test_a_sample_carries_what_is_asked_for(tmp_path):
    write_voc(tmp_path)
    data = voc(tmp_path)
    split = data.split("test", ("image", "mask", "label", *OBJECT_FIELDS))
    sample = split[0]  # picture 12: a cat, and a difficult chair
    assert {name: (array.shape, str(array.dtype)) for name, array in sample.items()} == {
        "image": ((3, 20, 30), "uint8"),
        "mask": ((20, 30), "uint8"),
        "label": ((20,), "int8"),
        "boxes": ((2, 4), "float32"),
        "box_label": ((2,), "int64"),
        "difficult": ((2,), "bool"),
        "truncated": ((2,), "bool"),
    }
    assert np.unique(sample["mask"]).tolist() == [0, 1 + CAT, 1 + CHAIR, 255]
    assert sample["box_label"].tolist() == [CAT, CHAIR]
    assert sample["difficult"].tolist() == sample["truncated"].tolist() == [False, True]
    expected = np.zeros(20)
    expected[CAT], expected[CHAIR] = 1, -1
    assert sample["label"].tolist() == expected.tolist()
    assert set(data.split("test", ("image",))[0]) == {"image"}
    assert set(data.split("test", ("box_label",))[0]) == {"box_label"}


def test_boxes_count_from_0_and_end_before_their_right_and_bottom(tmp_path):
    write_voc(tmp_path)
    sample = voc(tmp_path).split("test", ("mask", "boxes"))[0]
    assert sample["boxes"].tolist() == [[3, 2, 15, 12], [19, 13, 28, 18]]
    left, top, right, bottom = sample["boxes"][1].astype(int)
    rows, columns = np.nonzero(sample["mask"] == 1 + CHAIR)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)


def test_the_card_describes_the_train_split(tmp_path):
    write_voc(tmp_path)
    data = voc(tmp_path)
    card = data.card(("image", "label"))
    labels = np.stack([data.split("train", ("label",))[i]["label"] for i in range(card.split_sizes["train"])])
    assert card.class_counts == tuple((labels == 1).sum(0))
    assert (card.multi_label, card.classes, card.size, card.channels) == (True, VOC_CLASSES, None, 3)
    assert card.mask_classes == ("background", *VOC_CLASSES)
    assert card.mask_palette[:3] == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert card.background == 0
    assert card.fields == ("image", "mask", "label", *OBJECT_FIELDS)
    train = data.split("train", ("image", "label"))
    pictures = [train[i]["image"].reshape(3, -1) / 255 for i in range(len(train))]
    assert card.mean == pytest.approx(np.mean([picture.mean(1) for picture in pictures], 0))
    assert VOC.recipe == "voc"


def test_class_counts_are_given_with_labels_only(tmp_path):
    write_voc(tmp_path)
    assert voc(tmp_path).card(("image", "mask")).class_counts == ()


def test_the_card_names_the_classes_that_a_split_lacks(tmp_path):
    write_voc(tmp_path)
    [note] = [note for note in voc(tmp_path).card(("image", "mask")).notes if note.startswith("test shows no")]
    lacking = note.removeprefix("test shows no ").split(":")[0].split(", ")
    assert lacking == [name for name in VOC_CLASSES if name not in ("cat", "chair", "dog", "person")]
    [note] = [note for note in voc(tmp_path).card(("image", "label")).notes if note.startswith("test shows no")]
    assert "chair" in note  # difficult chairs only, which are not judged


def test_masks_follow_the_segmentation_lists(tmp_path):
    lists = write_voc(tmp_path) / "ImageSets/Segmentation"
    data = voc(tmp_path)
    train, val = ids(data, "train", "image", "mask"), ids(data, "val", "image", "mask")
    assert ids(data, "test", "image", "mask") == read_list(lists / "val.txt")
    assert train | val == read_list(lists / "train.txt")
    assert not train & val
    assert len(val) == 1
    assert ids(voc(tmp_path), "val", "image", "mask") == val


@pytest.mark.parametrize("fields", [("image", "label"), OBJECT_FIELDS])
def test_labels_and_boxes_follow_the_main_lists(tmp_path, fields):
    lists = write_voc(tmp_path) / "ImageSets/Main"
    data = voc(tmp_path, val_share=0.25)
    assert ids(data, "test", *fields) == read_list(lists / "val.txt")
    assert ids(data, "train", *fields) | ids(data, "val", *fields) == read_list(lists / "train.txt")
    assert len(ids(data, "val", *fields)) == round(17 * 0.25)


def test_pretraining_reads_every_train_picture_that_no_task_is_tested_or_chosen_on(tmp_path):
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


def test_pictures_of_a_secret_test_list_are_not_pretrained_on(tmp_path):
    folder = write_voc(tmp_path)
    (folder / "ImageSets/Main/test.txt").write_text("2012_999999\n")  # of an archive that is not here
    (folder / "ImageSets/Segmentation/test.txt").write_text("2012_000018\n")  # one of Main/train
    data = voc(tmp_path, val_share=0)
    assert "2012_000018" not in ids(data, "train", "image")
    assert "2012_000019" in ids(data, "train", "image")


def test_2007_keeps_its_three_official_lists(tmp_path):
    lists = write_voc(tmp_path, year=2007, test=4) / "ImageSets/Segmentation"
    data = voc(tmp_path, year=2007)
    for name in ("train", "val", "test"):
        assert ids(data, name, "image", "mask") == read_list(lists / f"{name}.txt")
    assert data.card(("image", "mask")).split_origin.endswith("the official train, val and test lists")
    assert ids(data, "test", "image") == read_list(lists / "test.txt")


def test_2007_without_its_test_archive_says_where_the_test_list_comes_from(tmp_path):
    write_voc(tmp_path, year=2007)
    card = voc(tmp_path, year=2007).card(("image", "mask"))
    assert card.split_sizes["test"] == 0
    assert any("comes with VOCtest_06-Nov-2007.tar" in note for note in card.notes)


def test_labels_are_read_from_annotations_where_there_are_no_class_lists(tmp_path):
    folder = write_voc(tmp_path)
    listed = voc(tmp_path).split("train", ("label",))
    for path in (folder / "ImageSets/Main").glob("*_*.txt"):
        path.unlink()
    found = voc(tmp_path).split("train", ("label",))
    assert found.keys == listed.keys
    for i in range(len(found)):
        np.testing.assert_array_equal(found[i]["label"], listed[i]["label"])


def test_a_class_shown_by_an_easy_and_a_difficult_object_is_present(tmp_path):
    folder = write_voc(tmp_path)
    for path in (folder / "ImageSets/Main").glob("*_*.txt"):
        path.unlink()
    objects = voc_object("dog", (1, 1, 9, 9)) + voc_object("dog", (2, 2, 5, 5), difficult=1)
    (folder / "Annotations/2012_000000.xml").write_text(voc_annotation(objects))
    split = voc(tmp_path, val_share=0).split("train", ("label",))
    assert split[0]["label"][DOG] == 1


def test_boxes_and_sizes_are_read_without_decoding_pictures(tmp_path, monkeypatch):
    write_voc(tmp_path)
    monkeypatch.setattr(api, "read_picture", None)
    split = voc(tmp_path).split("test", ("boxes", "box_label"))
    assert len(split[0]["boxes"]) == 2
    assert [split.size(i) for i in range(3)] == [(20, 30), (21, 30), (22, 30)]


def test_small_pictures_are_decoded_at_a_part_of_their_size(tmp_path):
    folder = write_voc(tmp_path)
    write_picture(folder / "JPEGImages/2012_000012.jpg", noise(0, 200, 320, 3))
    split = voc(tmp_path).split("test")
    assert split.small(0, 100).shape == (3, 100, 160)
    assert split.small(0, 101).shape == (3, 200, 320)


def test_splits_go_to_workers_without_their_pictures(tmp_path):
    write_voc(tmp_path)
    split = voc(tmp_path).split("test", ("image", "mask", "label", "boxes"))
    sent = pickle.dumps(split)
    assert len(sent) < 4096
    np.testing.assert_array_equal(pickle.loads(sent)[1]["image"], split[1]["image"])


def test_rgb_masks_say_the_same_as_palette_ones(tmp_path):
    folder = write_voc(tmp_path)
    before = voc(tmp_path).split("test", ("mask",))[0]["mask"]
    colours = np.array(api.class_palette(256), np.uint8)
    write_picture(folder / "SegmentationClass/2012_000012.png", colours[before])
    np.testing.assert_array_equal(voc(tmp_path).split("test", ("mask",))[0]["mask"], before)


def damage_sample(folder: Path, kind: str) -> tuple[str, str]:
    """Damage a file of picture 12, the first of the test split; return its path and the rule that it breaks."""
    picture, mask, annotation = (
        folder / name
        for name in ("JPEGImages/2012_000012.jpg", "SegmentationClass/2012_000012.png", "Annotations/2012_000012.xml")
    )
    match kind:
        case "empty picture":
            picture.write_bytes(b"")
            return picture.name, "empty file"
        case "mask number":
            write_palette(mask, np.full((20, 30), 37, np.uint8))
            return mask.name, "mask has the number 37; classes are 0 to 20, and 255 is void"
        case "mask size":
            write_palette(mask, np.zeros((30, 20), np.uint8))
            return mask.name, "mask is 20×30 pixels, but its image 30×20"
        case "mask cut":
            mask.write_bytes(mask.read_bytes()[:60])
            return mask.name, "mask is not a sound PNG"
        case "entities":
            annotation.write_text(BILLION_LAUGHS)
            return annotation.name, "declares XML entities, which are refused"
        case "cut annotation":
            annotation.write_text(annotation.read_text()[:100])
            return annotation.name, "is not well-formed XML"
        case "outside":
            annotation.write_text(voc_annotation(voc_object("cat", (1, 1, 31, 20))))
            return annotation.name, (
                "the box of object 1 (cat; xmin 1, ymin 1, xmax 31, ymax 20) reaches outside the image of 30×20 pixels"
            )
        case "backwards":
            annotation.write_text(voc_annotation(voc_object("cat", (9, 1, 8, 20))))
            return annotation.name, "the box of object 1 (cat; xmin 9, ymin 1, xmax 8, ymax 20) ends before it begins"
        case "unknown class":
            annotation.write_text(voc_annotation(voc_object("unicorn", (1, 1, 8, 20))))
            return annotation.name, "object 1 is of the unknown class 'unicorn'"
    raise AssertionError(kind)


PICTURE_KINDS = ["empty picture"]
MASK_KINDS = ["mask number", "mask size", "mask cut"]
ANNOTATION_KINDS = ["entities", "cut annotation", "outside", "backwards", "unknown class"]


@pytest.mark.parametrize("kind", PICTURE_KINDS + MASK_KINDS + ANNOTATION_KINDS)
def test_a_damaged_sample_is_named_with_its_file_and_the_rule(tmp_path, kind):
    file, rule = damage_sample(write_voc(tmp_path), kind)
    fields = ("boxes",) if kind in ANNOTATION_KINDS else ("image", "mask") if kind in MASK_KINDS else ("image",)
    data = voc(tmp_path)
    split = data.split("test", fields)
    assert len(split) == {"boxes": 5}.get(fields[0], 6)  # it keeps its place, and is left out when it is read
    with pytest.raises(api.BrokenSample) as caught:
        split[0]
    assert caught.value.key == "VOC2012/JPEGImages/2012_000012.jpg"
    assert rule in caught.value.reason
    assert file in str(caught.value)
    assert split[1]


@pytest.mark.parametrize("kind", PICTURE_KINDS + MASK_KINDS + ANNOTATION_KINDS)
def test_problems_name_the_damaged_file_and_the_rule(tmp_path, kind):
    file, rule = damage_sample(write_voc(tmp_path), kind)
    first, *_ = [(path, told) for path, told in voc(tmp_path).problems() if file in path]
    assert first[0].startswith("VOC2012/")
    assert rule in first[1]


def test_a_sound_devkit_has_no_problems(tmp_path):
    write_voc(tmp_path)
    assert list(voc(tmp_path).problems()) == []


def test_an_unreadable_train_picture_is_left_out_of_the_statistics_and_listed(tmp_path):
    folder = write_voc(tmp_path)
    (folder / "JPEGImages/2012_000000.jpg").write_bytes(b"")
    data = voc(tmp_path, val_share=0)
    card = data.card(("image", "mask"))
    assert data.broken() == {"VOC2012/JPEGImages/2012_000000.jpg": "empty file"}
    assert "mean and std were measured on 11 train pictures chosen by the fixed seed" in card.notes
    assert "broken and left out: VOC2012/JPEGImages/2012_000000.jpg" in card.notes


def test_a_set_without_a_readable_train_picture_is_refused(tmp_path):
    folder = write_voc(tmp_path)
    for path in (folder / "JPEGImages").iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        api.DataError, match=r"none of the 11 train pictures tried in .*VOC2012 can be decoded; VOC2012/"
    ):
        voc(tmp_path).card(("image", "mask"))


def test_a_broken_annotation_takes_its_label_out_where_there_are_no_class_lists(tmp_path):
    folder = write_voc(tmp_path)
    for path in (folder / "ImageSets/Main").glob("*_*.txt"):
        path.unlink()
    damage_sample(folder, "entities")
    data = voc(tmp_path)
    assert "2012_000012" not in ids(data, "test", "image", "label")
    [(key, reason)] = data.broken().items()
    assert key == "VOC2012/JPEGImages/2012_000012.jpg"
    assert reason == "Annotations/2012_000012.xml: declares XML entities, which are refused"


def damage_lists(folder: Path, kind: str) -> tuple[str, str]:
    """Damage the structure of a devkit; return the path at fault and the rule that it breaks."""
    lists = folder / "ImageSets/Segmentation"
    train = "ImageSets/Segmentation/train.txt"
    match kind:
        case "no ImageSets":
            shutil.rmtree(folder / "ImageSets")
            return "ImageSets", "is missing; VOC's lists of images stand there"
        case "no family":
            shutil.rmtree(lists)
            return "ImageSets/Segmentation", "is missing; VOC's lists of images stand there"
        case "no list":
            (lists / "train.txt").unlink()
            return train, "is missing"
        case "empty list":
            (lists / "train.txt").write_text("\n")
            return train, "names no image"
        case "not text":
            (lists / "train.txt").write_bytes(b"\xff\xfe2012")
            return train, "cannot be read ("
        case "absent picture":
            (folder / "JPEGImages/2012_000003.jpg").unlink()
            return train, "names 2012_000003, but there is no JPEGImages/2012_000003.jpg"
        case "absent mask":
            (folder / "SegmentationClass/2012_000003.png").unlink()
            return train, "names 2012_000003, but there is no SegmentationClass/2012_000003.png"
        case "no masks":
            shutil.rmtree(folder / "SegmentationClass")
            return "SegmentationClass", "is missing"
        case "outside the devkit":
            write_voc_list(lists / "train.txt", ["../../../secret"])
            return train, "names ../../../secret, but there is no JPEGImages/../../../secret.jpg"
        case "two splits":
            write_voc_list(lists / "val.txt", ["2012_000003"])
            return "ImageSets/Segmentation/val.txt", "names 2012_000003, which train.txt names too"
        case "twice":
            write_voc_list(lists / "train.txt", ["2012_000003", "2012_000003"])
            return train, "names 2012_000003 twice"
    raise AssertionError(kind)


LIST_KINDS = [
    *("no ImageSets", "no family", "no list", "empty list", "not text", "absent picture", "absent mask", "no masks"),
    *("outside the devkit", "two splits", "twice"),
]


@pytest.mark.parametrize("kind", LIST_KINDS)
def test_lists_that_do_not_hold_are_refused_in_one_sentence(tmp_path, kind):
    folder = write_voc(tmp_path)
    path, rule = damage_lists(folder, kind)
    before = sorted(tmp_path.rglob("*"))
    for read in (lambda data: data.card(("image", "mask")), lambda data: data.split("val", ("image", "mask"))):
        with pytest.raises(api.DataError) as caught:
            read(voc(tmp_path))
        message = str(caught.value)
        assert message.startswith(f"{folder / path}: {rule}")
        assert message.endswith("; restore what is missing, or correct the lists")
        assert "\n" not in message
        assert caught.value.exit_code == 3
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", LIST_KINDS)
def test_problems_name_the_lists_that_do_not_hold(tmp_path, kind):
    path, rule = damage_lists(write_voc(tmp_path), kind)
    found = list(voc(tmp_path).problems())
    assert any(where == f"VOC2012/{path}" and told.startswith(rule) for where, told in found)


def test_the_number_of_further_faults_is_told(tmp_path):
    folder = write_voc(tmp_path)
    for i in (1, 3, 5):
        (folder / f"JPEGImages/2012_{i:06d}.jpg").unlink()
    with pytest.raises(api.DataError, match=r"names 2012_000001, but there .*000001\.jpg \(and 2 more such faults\);"):
        voc(tmp_path).card(("image", "mask"))


def test_only_the_files_that_are_asked_for_must_be_there(tmp_path):
    folder = write_voc(tmp_path)
    shutil.rmtree(folder / "SegmentationClass")
    data = voc(tmp_path)
    assert data.split("test", ("image", "label"))[0]["label"].shape == (20,)
    assert data.card().fields == ("image", "label", *OBJECT_FIELDS)
    assert data.card().mask_classes == ()


def test_a_devkit_with_segmentation_lists_alone_can_be_pretrained_on(tmp_path):
    folder = write_voc(tmp_path)
    shutil.rmtree(folder / "ImageSets/Main")
    data = voc(tmp_path)
    assert data.card().fields == ("image", "mask")
    assert data.card().split_sizes == {"train": 11, "val": 1, "test": 6}


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (None, "is missing"),
        ([], "tells no labels"),
        (["2012_000000 2"], "has the line '2012_000000 2', not an image and 1, 0 or -1"),
        (["2012_000013 1"], "names 2012_000013, which train.txt does not name"),
        (["2012_000000 1"], "does not name 2012_000001, which train.txt names"),
    ],
)
def test_class_lists_that_contradict_their_list_are_refused(tmp_path, lines, rule):
    folder = write_voc(tmp_path)
    path = folder / "ImageSets/Main/boat_train.txt"
    path.unlink() if lines is None else write_voc_list(path, lines)
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path).card(("image", "label"))
    assert str(caught.value).startswith(f"{path}: {rule}")
    assert ("VOC2012/ImageSets/Main/boat_train.txt", rule) in voc(tmp_path).problems()


def test_problems_name_contradictions_between_files(tmp_path):
    folder = write_voc(tmp_path)
    (folder / "Annotations/2012_000001.xml").write_text(voc_annotation(voc_object("boat", (1, 1, 9, 9)), 30, 21))
    (folder / "Annotations/2012_000002.xml").write_text(voc_annotation(voc_object("person", (1, 1, 9, 9)), 22, 30))
    write_palette(folder / "SegmentationClass/stray.png", np.zeros((4, 4), np.uint8))
    assert list(voc(tmp_path).problems()) == [
        (
            "VOC2012/Annotations/2012_000001.xml",
            "does not agree with the class lists in ImageSets/Main on boat, dog",
        ),
        ("VOC2012/Annotations/2012_000002.xml", "gives the image 22×30 pixels, but it has 30×22 pixels"),
        ("VOC2012/SegmentationClass/stray.png", "belongs to no picture: there is no JPEGImages/stray.jpg"),
    ]


def test_problems_do_not_fail_where_there_is_nothing(tmp_path):
    [(path, rule)] = voc(tmp_path).problems()
    assert path == str(tmp_path)
    assert rule.startswith(f"VOC 2012 was not found in {tmp_path} and download is off")


@pytest.mark.parametrize("below", ["", "VOCdevkit"])
def test_missing_data_are_named_with_the_folder_and_the_ways_out(tmp_path, below):
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path / below, year=2010).card()
    message = str(caught.value)
    assert f"VOC 2010 was not found in {tmp_path / below} and download is off" in message
    assert f"into {tmp_path / 'VOCdevkit'}, or" in message
    assert all(word in message for word in ["JPEGImages", "--root", "MAE_DATA"])


@pytest.mark.parametrize("below", ["", "VOCdevkit/VOC2007"])
def test_another_year_that_is_there_is_offered(tmp_path, below):
    write_voc(tmp_path, year=2007)
    with pytest.raises(api.DataError, match=r"set dataset\.year=2007, which is there"):
        voc(tmp_path / below).card()


def test_a_year_is_not_downloaded_into_another_years_folder(tmp_path):
    folder = write_voc(tmp_path, year=2007)
    with pytest.raises(api.DataError, match=r"the root is another year's folder; put .* into .*/VOCdevkit, or"):
        voc(folder, download=True).card()


def test_folders_of_another_set_beside_the_devkit_are_not_taken_for_a_year(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "ImageSets").mkdir()
    assert voc(tmp_path).card().split_sizes["test"] == 6


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serve archives of twins on loopback in the place of the official ones, which are checked by MD5."""
    served = tmp_path / "served"
    folder = write_voc(tmp_path / "made")
    old = write_voc(tmp_path / "made", year=2007, test=4)
    served.mkdir()
    archives = {"2012": ([folder], "VOC2012"), "2007": ([old], "VOC2007"), "2007-test": ([old], "VOC2007")}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for key, (folders, name) in archives.items():
            path = served / f"{key}.tar"
            is_test = key == "2007-test"

            def keep(info: tarfile.TarInfo, is_test: bool = is_test, key: str = key) -> tarfile.TarInfo | None:
                of_test = info.isfile() and info.name.endswith("test.txt")
                return info if key == "2012" or not info.name.endswith(".txt") or of_test == is_test else None

            with tarfile.open(path, "w") as tar:
                tar.add(folders[0], f"VOCdevkit/{name}", filter=keep)
            facts = {
                "url": f"http://127.0.0.1:{server.server_port}/{path.name}",
                "filename": path.name,
                "md5": hashlib.md5(path.read_bytes()).hexdigest(),
                "base_dir": f"VOCdevkit/{name}",
            }
            monkeypatch.setitem(torchvision_voc.DATASET_YEAR_DICT, key, facts)
        yield served
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("year", "num_test"), [(2012, 6), (2007, 4)])
@pytest.mark.parametrize("below", ["data", "data/VOCdevkit", "data/VOCdevkit/VOC{}"])
def test_a_missing_year_is_downloaded_once_with_progress_on_stderr(tmp_path, mirror, capsys, year, num_test, below):
    root = tmp_path / below.format(year)
    data = voc(root, year=year, download=True)
    assert data.card(("image", "mask")).split_sizes["test"] == num_test
    assert [path.name for path in (tmp_path / "data/VOCdevkit").iterdir()] == [f"VOC{year}"]
    printed = capsys.readouterr()
    assert "100%" in printed.err
    assert printed.out == ""
    for file in mirror.iterdir():
        file.unlink()
    assert voc(root, year=year, download=True).card(("image", "mask")).split_sizes["test"] == num_test


def test_a_download_with_another_checksum_is_refused(tmp_path, mirror):
    (mirror / "2012.tar").write_bytes(b"not the file")
    with pytest.raises(api.DataError, match=r"the download failed: .*File not found or corrupted"):
        voc(tmp_path / "data", download=True).card()


def test_a_damaged_devkit_is_never_downloaded_over(tmp_path, mirror):
    folder = write_voc(tmp_path / "data")
    shutil.rmtree(folder / "ImageSets")
    before = sorted((tmp_path / "data").rglob("*"))
    with pytest.raises(api.DataError, match="ImageSets: is missing"):
        voc(tmp_path / "data", download=True).card()
    assert sorted((tmp_path / "data").rglob("*")) == before


def test_offline_the_error_names_what_is_missing_where_and_ways_out(tmp_path, monkeypatch):
    facts = torchvision_voc.DATASET_YEAR_DICT["2012"]
    monkeypatch.setitem(torchvision_voc.DATASET_YEAR_DICT, "2012", facts | {"url": "http://127.0.0.1:9/voc.tar"})
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path, download=True).card()
    message = str(caught.value)
    assert f"VOC 2012 was not found in {tmp_path} and the download failed:" in message
    assert "Connection refused" in message
    assert all(word in message for word in ["VOC2012", str(tmp_path / "VOCdevkit"), "--root", "MAE_DATA"])
    assert "\n" not in message


def test_masks_are_read_as_pillow_reads_them(tmp_path):
    folder = write_voc(tmp_path)
    split = voc(tmp_path).split("test", ("mask",))
    for i, key in enumerate(split.keys):
        with Image.open(folder / f"SegmentationClass/{Path(key).stem}.png") as image:
            np.testing.assert_array_equal(split[i]["mask"], np.asarray(image))


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
        f"mae: {folder / 'ImageSets'}: is missing; VOC's lists of images stand there; "
        "restore what is missing, or correct the lists"
    )
