from __future__ import annotations

import numpy as np
import pytest
from write_data import write_mask_folder, write_palette

from maecli.data.classes import in_masks
from maecli.data.classes.in_masks import classes_in_masks
from maecli.registry import registry


@pytest.fixture
def masks(tmp_path):
    write_mask_folder(tmp_path, 6)
    return tmp_path


def split_of(root):
    plugin = registry().dataset("folder")
    dataset = plugin(plugin.Options(root=root, val_share=0, test_share=0))
    return dataset.split("train", ("mask",))


def test_each_mask_tells_its_classes_without_void(masks):
    shown = classes_in_masks(split_of(masks), 255, "so")
    assert shown == {f"images/{i:03d}.png": {0, 1 + i % 2} for i in range(6)}


def test_a_mask_is_decoded_once_unless_it_changes(masks, monkeypatch):
    split = split_of(masks)
    read: list[int] = []
    whole = type(split).__getitem__
    monkeypatch.setattr(type(split), "__getitem__", lambda self, i: read.append(i) or whole(self, i))
    classes_in_masks(split, 255, "so")
    classes_in_masks(split, 255, "so")
    assert sorted(read) == list(range(6))
    write_palette(masks / "masks/003.png", np.full((8, 10), 1, np.uint8))
    assert classes_in_masks(split, 255, "so")["images/003.png"] == {1}
    assert len(read) == 7


def test_a_broken_mask_is_left_out(masks):
    (masks / "masks/002.png").write_bytes(b"no picture")
    assert len(classes_in_masks(split_of(masks), 255, "so")) == 5


def test_no_more_masks_are_read_than_the_bound_allows(masks, monkeypatch):
    monkeypatch.setattr(in_masks, "MOST_PIXELS", 3 * 80)
    first = classes_in_masks(split_of(masks), 255, "so")
    assert len(first) == 3
    assert classes_in_masks(split_of(masks), 255, "so") == first


def test_it_is_told_how_far_it_has_come(masks, monkeypatch):
    monkeypatch.setattr(in_masks, "SAY_EVERY_S", -1.0)
    said: list[str] = []
    classes_in_masks(split_of(masks), 255, "so", said.append)
    assert said[-1] == "looking for the classes in masks, to spread them over the splits: 6 of 6"
