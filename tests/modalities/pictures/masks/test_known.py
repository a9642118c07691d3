from __future__ import annotations

import numpy as np
import pytest
from cards import card
from write_data import noise, write_palette, write_picture

from maecli.data.file_reading import FileReading
from maecli.errors import BrokenSample
from maecli.modalities.pictures.masks.code import class_palette
from maecli.modalities.pictures.masks.known import known_masks

TWO = {"mask_classes": ("background", "cat"), "mask_palette": class_palette(2), "background": 0}


def write(root, *paths):
    for i, path in enumerate(paths):
        is_mask = "mask" in path
        (write_palette if is_mask else write_picture)(
            root / path, np.eye(8, dtype=np.uint8) if is_mask else noise(i, 8, 8, 3)
        )


@pytest.mark.parametrize(
    ("paths", "folder", "whole", "masks"),
    [
        (("images/1.png", "masks/1.png"), "", True, {"images/1.png": "masks/1.png"}),
        (("images/1.png", "masks/1.png"), "images", True, {"1.png": "masks/1.png"}),
        (("images/1.png", "masks/1.png"), "images", False, {"1.png": "masks/1.png"}),
        (("images/val/1.png", "masks/val/1.png"), "images/val", True, {"1.png": "masks/val/1.png"}),
        (("1.png", "1_mask.png", "2.png"), "", True, {"1.png": "1_mask.png"}),
        (("1.png", "1_mask.png", "2.png"), "", False, {"1.png": "1_mask.png"}),
        (("new/1.png", "masks/1.png"), "new", True, {}),
        (("a/1.png", "a/2.png"), "", True, {}),
    ],
)
def test_masks_lie_where_those_of_a_data_set_do(tmp_path, paths, folder, whole, masks):
    write(tmp_path, *paths)
    root = tmp_path / folder
    keys = [path.removeprefix(f"{folder}/") for path in paths if "mask" not in path]
    known = known_masks(root, keys, {root: whole}, card(**TWO))
    assert dict(known.files) == {key: tmp_path / path for key, path in masks.items()}
    for file in known.files.values():
        np.testing.assert_array_equal(known.read(file), np.eye(8))


def test_two_masks_of_each_picture_are_none(tmp_path):
    write(tmp_path, "images/1.png", "masks_anna/1.png", "masks_ben/1.png")
    known = known_masks(tmp_path, ["images/1.png"], {tmp_path: True}, card(**TWO))
    assert not known.files
    assert known.problem == "no true mask is known: there are several of a picture, in masks_anna/ and masks_ben/"


def test_masks_are_read_as_those_that_the_run_learnt_from(tmp_path):
    write_picture(tmp_path / "images/1.png", noise(0, 8, 8, 3))
    write_picture(tmp_path / "masks/1.png", np.eye(8, dtype=np.uint8) * 255)
    white = FileReading(mask_foreground=255)
    known = known_masks(tmp_path, ["images/1.png"], {tmp_path: True}, card(**TWO, files=white))
    np.testing.assert_array_equal(known.read(known.files["images/1.png"]), np.eye(8))


def test_classes_are_numbered_as_in_the_files_of_the_run(tmp_path):
    write_picture(tmp_path / "images/1.png", noise(0, 8, 8, 3))
    write_picture(tmp_path / "masks/1.png", np.arange(3, dtype=np.uint8).repeat(8).reshape(3, 8))
    from_one = card(**TWO, files=FileReading(mask_first=1))
    mask = known_masks(tmp_path, ["images/1.png"], {tmp_path: True}, from_one).read(tmp_path / "masks/1.png")
    assert mask[:, 0].tolist() == [255, 0, 1]


def test_a_mask_of_other_classes_is_broken(tmp_path):
    write(tmp_path, "images/1.png")
    write_picture(tmp_path / "masks/1.png", np.full((8, 8), 7, np.uint8))
    known = known_masks(tmp_path, ["images/1.png"], {tmp_path: True}, card(**TWO))
    with pytest.raises(BrokenSample, match="number 7"):
        known.read(known.files["images/1.png"])
