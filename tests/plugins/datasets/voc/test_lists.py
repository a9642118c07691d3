from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from write_data import write_voc, write_voc_list

from maecli import api


def damage_lists(folder: Path, kind: str) -> tuple[str, str]:
    """Damage the structure of a devkit; return the path at fault and the rule that it breaks."""
    lists = folder / "ImageSets/Segmentation"
    train = "ImageSets/Segmentation/train.txt"
    match kind:
        case "no ImageSets":
            shutil.rmtree(folder / "ImageSets")
            return "ImageSets", "is missing; VOC's lists of pictures stand there"
        case "no family":
            shutil.rmtree(lists)
            return "ImageSets/Segmentation", "is missing; VOC's lists of pictures stand there"
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
def test_lists_that_do_not_hold_are_refused_in_one_sentence(tmp_path, voc, kind):
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
def test_all_faults_name_the_lists_that_do_not_hold(tmp_path, voc, kind):
    path, rule = damage_lists(write_voc(tmp_path), kind)
    faults = list(voc(tmp_path).all_faults())
    assert any(fault.path == f"VOC2012/{path}" and fault.reason.startswith(rule) for fault in faults)


def test_the_number_of_further_faults_is_told(tmp_path, voc):
    folder = write_voc(tmp_path)
    for i in (1, 3, 5):
        (folder / f"JPEGImages/2012_{i:06d}.jpg").unlink()
    with pytest.raises(api.DataError, match=r"names 2012_000001, but there .*000001\.jpg \(and 2 more such faults\);"):
        voc(tmp_path).card(("image", "mask"))
