from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from PIL import Image
from write_data import VOC_CLASSES, noise, voc_annotation, voc_object, write_picture, write_voc

from maecli import api

OBJECT_FIELDS = ("boxes", "box_label", "difficult", "truncated")
CAT, CHAIR = VOC_CLASSES.index("cat"), VOC_CLASSES.index("chair")


def test_a_sample_carries_what_is_asked_for(tmp_path, voc):
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


def test_the_files_of_a_sample_are_those_of_the_fields_asked_for(tmp_path, voc):
    folder = write_voc(tmp_path)
    picture, mask, objects = (
        folder / f"{name}/2012_000012.{suffix}"
        for name, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png"), ("Annotations", "xml"))
    )
    for fields, files in (
        (("image",), [picture]),
        (("image", "mask"), [picture, mask]),
        (("image", "label"), [picture]),
        (("image", "mask", "boxes"), [picture, mask, objects]),
        (("box_label",), [objects]),
        (("boxes",), [picture, objects]),
    ):
        assert voc(tmp_path).split("test", fields).files(0) == files
    assert voc(tmp_path).split("test", ("image",)).label(0) is None
    assert voc(tmp_path).split("test", ("image", "label")).label(0)[CAT] == 1


def test_boxes_count_from_0_and_end_before_their_right_and_bottom(tmp_path, voc):
    write_voc(tmp_path)
    sample = voc(tmp_path).split("test", ("mask", "boxes"))[0]
    assert sample["boxes"].tolist() == [[3, 2, 15, 12], [19, 13, 28, 18]]
    left, top, right, bottom = sample["boxes"][1].astype(int)
    rows, columns = np.nonzero(sample["mask"] == 1 + CHAIR)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)


def test_boxes_and_sizes_are_read_without_decoding_pictures(tmp_path, voc, monkeypatch):
    write_voc(tmp_path)
    monkeypatch.setattr(api.pictures, "read_picture", None)
    split = voc(tmp_path).split("test", ("boxes", "box_label"))
    assert len(split[0]["boxes"]) == 2
    assert [split.size(i) for i in range(3)] == [(20, 30), (21, 30), (22, 30)]


def test_small_pictures_are_decoded_at_a_part_of_their_size(tmp_path, voc):
    folder = write_voc(tmp_path)
    write_picture(folder / "JPEGImages/2012_000012.jpg", noise(0, 200, 320, 3))
    split = voc(tmp_path).split("test")
    assert split.small(0, 100).shape == (3, 100, 160)
    assert split.small(0, 101).shape == (3, 200, 320)


def test_masks_are_read_as_pillow_reads_them(tmp_path, voc):
    folder = write_voc(tmp_path)
    split = voc(tmp_path).split("test", ("mask",))
    for i, key in enumerate(split.keys):
        with Image.open(folder / f"SegmentationClass/{Path(key).stem}.png") as image:
            np.testing.assert_array_equal(split[i]["mask"], np.asarray(image))


def test_rgb_masks_say_the_same_as_palette_ones(tmp_path, voc):
    folder = write_voc(tmp_path)
    before = voc(tmp_path).split("test", ("mask",))[0]["mask"]
    colours = np.array(api.pictures.class_palette(256), np.uint8)
    write_picture(folder / "SegmentationClass/2012_000012.png", colours[before])
    np.testing.assert_array_equal(voc(tmp_path).split("test", ("mask",))[0]["mask"], before)


def test_splits_go_to_workers_without_their_pictures(tmp_path, voc):
    write_voc(tmp_path)
    split = voc(tmp_path).split("test", ("image", "mask", "label", "boxes"))
    sent = pickle.dumps(split)
    assert len(sent) < 4096
    np.testing.assert_array_equal(pickle.loads(sent)[1]["image"], split[1]["image"])


def test_boxes_a_pixel_outside_are_clipped_and_a_wrong_size_is_not_believed_and_both_are_counted(tmp_path, voc):
    folder = write_voc(tmp_path)
    path = folder / "Annotations/2012_000012.xml"  # of a picture of 30×20
    path.write_text(voc_annotation(voc_object("cat", (0, 1, 30.4, 20)), 20, 30))
    data = voc(tmp_path)
    sample = data.split("test", ("image", "boxes"))[0]
    assert sample["boxes"].tolist() == [[0, 0, 30, 20]]
    assert data.card(("image", "boxes")).converted == {
        "with boxes up to a pixel outside, which were clipped": 1,
        "whose annotation gives another size than the picture's own, which was taken": 1,
    }
    assert data.card(("image", "label")).converted == {}
