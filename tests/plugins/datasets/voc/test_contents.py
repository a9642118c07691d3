from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from write_data import voc_annotation, voc_object, write_palette, write_voc

from maecli import api

BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<annotation>&b;</annotation>"
)


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
            return mask.name, "damaged file: Truncated File Read"
        case "entities":
            annotation.write_text(BILLION_LAUGHS)
            return annotation.name, "declares XML entities, which are refused"
        case "cut annotation":
            annotation.write_text(annotation.read_text()[:100])
            return annotation.name, "is not well-formed XML"
        case "outside":
            annotation.write_text(voc_annotation(voc_object("cat", (1, 1, 32, 20))))
            return annotation.name, (
                "the box of object 1 (cat; xmin 1, ymin 1, xmax 32, ymax 20) reaches outside the image of 30×20 pixels"
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
def test_a_damaged_sample_is_named_with_its_file_and_the_rule(tmp_path, voc, kind):
    file, rule = damage_sample(write_voc(tmp_path), kind)
    fields = ("boxes",) if kind in ANNOTATION_KINDS else ("image", "mask") if kind in MASK_KINDS else ("image",)
    data = voc(tmp_path)
    split = data.split("test", fields)
    assert len(split) == {"boxes": 5}.get(fields[0], 6)  # it keeps its place, and is left out when it is read
    with pytest.raises(api.BrokenSample) as caught:
        split[0]
    assert caught.value.fault.path == "VOC2012/JPEGImages/2012_000012.jpg"
    assert rule in caught.value.fault.reason
    assert file in str(caught.value)
    assert split[1]


@pytest.mark.parametrize("kind", PICTURE_KINDS + MASK_KINDS + ANNOTATION_KINDS)
def test_all_faults_name_the_damaged_file_and_the_rule(tmp_path, voc, kind):
    file, rule = damage_sample(write_voc(tmp_path), kind)
    first, *_ = [fault for fault in voc(tmp_path).all_faults() if file in fault.path]
    assert first.path.startswith("VOC2012/")
    assert rule in first.reason


def test_a_sound_devkit_has_no_faults(tmp_path, voc):
    write_voc(tmp_path)
    assert list(voc(tmp_path).all_faults()) == []


def test_all_faults_name_contradictions_between_files(tmp_path, voc):
    folder = write_voc(tmp_path)
    (folder / "Annotations/2012_000001.xml").write_text(voc_annotation(voc_object("boat", (1, 1, 9, 9)), 30, 21))
    (folder / "Annotations/2012_000002.xml").write_text(voc_annotation(voc_object("person", (1, 1, 9, 9)), 22, 30))
    write_palette(folder / "SegmentationClass/stray.png", np.zeros((4, 4), np.uint8))
    assert list(voc(tmp_path).all_faults()) == [
        api.Fault(
            "VOC2012/Annotations/2012_000001.xml",
            "does not agree with the class lists in ImageSets/Main on boat, dog",
        ),
        api.Fault(
            "VOC2012/Annotations/2012_000002.xml",
            "gives the image 22×30 pixels, but it has 30×22 pixels, which is taken",
        ),
        api.Fault("VOC2012/SegmentationClass/stray.png", "belongs to no picture: there is no JPEGImages/stray.jpg"),
    ]


def test_an_unreadable_train_picture_is_left_out_of_the_statistics_and_listed(tmp_path, voc):
    folder = write_voc(tmp_path)
    (folder / "JPEGImages/2012_000000.jpg").write_bytes(b"")
    data = voc(tmp_path, val_share=0)
    card = data.card(("image", "mask"))
    assert data.faults() == [api.Fault("VOC2012/JPEGImages/2012_000000.jpg", "empty file")]
    assert "mean and std were measured on 11 train pictures chosen by the fixed seed" in card.notes
    assert "broken and left out: VOC2012/JPEGImages/2012_000000.jpg" in card.notes


def test_a_set_without_a_readable_train_picture_is_refused(tmp_path, voc):
    folder = write_voc(tmp_path)
    for path in (folder / "JPEGImages").iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        api.DataError, match=r"none of the 11 train pictures tried in .*VOC2012 can be decoded; VOC2012/"
    ):
        voc(tmp_path).card(("image", "mask"))
