from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from write_data import VOC_CLASSES, voc_annotation, voc_object, write_voc, write_voc_list

from maecli import api


def remove_class_lists(folder: Path) -> None:
    for path in (folder / "ImageSets/Main").glob("*_*.txt"):
        path.unlink()


def test_labels_are_read_from_annotations_where_there_are_no_class_lists(tmp_path, voc):
    folder = write_voc(tmp_path)
    listed = voc(tmp_path).split("train", ("label",))
    remove_class_lists(folder)
    found = voc(tmp_path).split("train", ("label",))
    assert found.keys == listed.keys
    for i in range(len(found)):
        np.testing.assert_array_equal(found[i]["label"], listed[i]["label"])


def test_a_class_shown_by_an_easy_and_a_difficult_object_is_present(tmp_path, voc):
    folder = write_voc(tmp_path)
    remove_class_lists(folder)
    objects = voc_object("dog", (1, 1, 9, 9)) + voc_object("dog", (2, 2, 5, 5), difficult=1)
    (folder / "Annotations/2012_000000.xml").write_text(voc_annotation(objects))
    split = voc(tmp_path, val_share=0).split("train", ("label",))
    assert split[0]["label"][VOC_CLASSES.index("dog")] == 1


def test_a_broken_annotation_takes_its_label_out_where_there_are_no_class_lists(tmp_path, voc, ids):
    folder = write_voc(tmp_path)
    remove_class_lists(folder)
    entity = '<!DOCTYPE annotation [<!ENTITY a "ha">]><annotation>&a;</annotation>'
    (folder / "Annotations/2012_000012.xml").write_text(entity)
    data = voc(tmp_path)
    assert "2012_000012" not in ids(data, "test", "image", "label")
    [fault] = data.faults()
    assert fault.path == "VOC2012/JPEGImages/2012_000012.jpg"
    assert fault.reason == "Annotations/2012_000012.xml: declares XML entities, which are refused"


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
def test_class_lists_that_contradict_their_list_are_refused(tmp_path, voc, lines, rule):
    folder = write_voc(tmp_path)
    path = folder / "ImageSets/Main/boat_train.txt"
    path.unlink() if lines is None else write_voc_list(path, lines)
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path).card(("image", "label"))
    assert str(caught.value).startswith(f"{path}: {rule}")
    assert api.Fault("VOC2012/ImageSets/Main/boat_train.txt", rule) in voc(tmp_path).all_faults()


def write_objects(folder: Path, number: int, *objects: str, size: tuple[int, int] = (30, 20)) -> None:
    (folder / f"Annotations/2012_{number:06d}.xml").write_text(voc_annotation("".join(objects), *size))


@pytest.mark.parametrize(
    "box", [(-9, 1, 99, 20), ("left", "", "", ""), (9, 9, 1, 1)], ids=["outside", "text", "turned"]
)
def test_where_objects_are_does_not_matter_to_labels(tmp_path, voc, box, ids):
    folder = write_voc(tmp_path)
    remove_class_lists(folder)
    write_objects(folder, 0, voc_object("dog", box), size=(-1, 7))
    write_objects(folder, 1, "<object><name>dog</name></object>", size=(20, 30))
    data = voc(tmp_path, val_share=0)
    split = data.split("train", ("label",))
    assert {"2012_000000", "2012_000001"} <= ids(data, "train", "label")
    assert split[0]["label"][VOC_CLASSES.index("dog")] == split[1]["label"][VOC_CLASSES.index("dog")] == 1
    assert data.faults() == []


def test_pretraining_and_segmentation_read_no_annotation(tmp_path, voc):
    folder = write_voc(tmp_path)
    sizes = {fields: voc(tmp_path).card(fields).split_sizes for fields in (("image",), ("image", "mask"))}
    for path in (folder / "Annotations").iterdir():
        path.write_text("<annotation><object>")
    for fields, expected in sizes.items():
        data = voc(tmp_path)
        assert data.card(fields).split_sizes == expected
        assert data.faults() == []
        assert data.split("train", fields)[0]


def test_classes_that_are_written_another_way_are_joined_and_told(tmp_path, voc):
    folder = write_voc(tmp_path)
    remove_class_lists(folder)
    write_objects(folder, 0, voc_object("Dog", (1, 1, 9, 9)), voc_object("dining table", (1, 1, 9, 9)))
    write_objects(folder, 1, voc_object("DOG ", (1, 1, 9, 9)), voc_object("potted-plant", (1, 1, 9, 9)))
    data = voc(tmp_path, val_share=0)
    label = data.split("train", ("label",))[0]["label"]
    assert [VOC_CLASSES[i] for i in np.flatnonzero(label)] == ["diningtable", "dog"]
    card = data.card(("image", "label"))
    said = "Dog is dog, DOG is dog, dining table is diningtable, potted-plant is pottedplant"
    assert card.converted == {f"with classes written another way ({', '.join(sorted(said.split(', ')))})": 2}
    assert card.left_out == {}


def test_objects_of_other_classes_are_passed_over_counted_and_named(tmp_path, voc, ids):
    folder = write_voc(tmp_path)
    remove_class_lists(folder)
    write_objects(folder, 0, voc_object("unicorn", (1, 1, 9, 9)), voc_object("dog", (1, 1, 9, 9)))
    write_objects(folder, 1, voc_object("helmet", (1, 1, 9, 9)), voc_object("unicorn", (1, 1, 9, 9)))
    data = voc(tmp_path, val_share=0)
    card = data.card(("image", "label"))
    assert card.left_out == {"with objects of no VOC class, which are passed over: helmet, unicorn": 2}
    assert card.converted == {}
    assert "2012_000001" in ids(data, "train", "label")
    assert data.faults() == []


@pytest.mark.parametrize("fields", [("image", "label"), ("boxes", "box_label")], ids=["labels", "boxes"])
def test_annotations_of_other_classes_alone_are_refused(tmp_path, voc, fields):
    folder = write_voc(tmp_path)
    remove_class_lists(folder)
    for path in (folder / "Annotations").iterdir():
        path.write_text(voc_annotation(voc_object("helmet", (1, 1, 9, 9)), 30, 20))
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path).card(fields)
    assert str(caught.value) == (
        f"{folder}/Annotations shows objects of helmet and of none of VOC's 20 classes, which are all that data set "
        "voc knows; sort the pictures by class into folders, or name their classes in labels.csv, and read them by "
        "--dataset folder"
    )


def test_class_lists_of_other_classes_are_told(tmp_path, voc):
    folder = write_voc(tmp_path)
    write_voc_list(folder / "ImageSets/Main/unicorn_train.txt", ["2012_000000 1"])
    notes = voc(tmp_path).card(("image", "label")).notes
    assert "class lists of no VOC class are passed over: unicorn_train.txt" in notes


@pytest.mark.parametrize(
    ("fields", "reading"),
    [
        (("image",), "22 pictures of VOC2012, by the lists in ImageSets/Main and ImageSets/Segmentation"),
        (
            ("image", "mask"),
            "18 pictures of VOC2012, by the lists in ImageSets/Segmentation; masks in SegmentationClass/",
        ),
        (
            ("image", "label"),
            "22 pictures of VOC2012, by the lists in ImageSets/Main; labels of VOC's 20 classes from their lists",
        ),
    ],
    ids=["pictures", "masks", "labels"],
)
def test_the_card_says_what_was_read(tmp_path, voc, fields, reading):
    write_voc(tmp_path)
    num = reading.split()[0]
    assert voc(tmp_path).card(fields).reading == f"{reading}; boxes of {num} in Annotations/, not used here"
    assert "not used" not in voc(tmp_path).card((*fields, "boxes")).reading
