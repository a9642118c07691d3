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
