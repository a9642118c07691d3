from __future__ import annotations

import numpy as np
import pytest
from write_data import write_mask_folder, write_palette

from maecli.registry import registry

MASKED = ("image", "mask")


@pytest.fixture
def masks(tmp_path):
    """Return a folder of 30 pictures with masks, of which two show a cat and six a dog."""
    for name in write_mask_folder(tmp_path, 30):
        i, mask = int(name[:3]), np.zeros((8, 10), np.uint8)
        mask[2:6, 1:5] = 1 if i < 2 else 2 if i < 8 else 0
        write_palette(tmp_path / "masks" / name, mask)
    return tmp_path


def folder(root, **options):
    plugin = registry().dataset("folder")
    return plugin(plugin.Options(root=root, **options))


def shown(dataset, name):
    return [set(np.unique(sample["mask"]).tolist()) for sample in dataset.split(name, MASKED)]


def test_every_class_of_the_masks_is_learnt_and_frequent_ones_are_tested(masks):
    dataset = folder(masks, val_share=0.2, test_share=0.2)
    parts = {name: shown(dataset, name) for name in ("train", "val", "test")}
    assert {number for each in parts["train"] for number in each} == {0, 1, 2}
    assert all(any(2 in each for each in part) for part in parts.values())
    assert [abs(len(part) - exact) <= 1 for part, exact in zip(parts.values(), (18, 6, 6), strict=True)] == [True] * 3
    assert dataset.card(MASKED).split_origin == (
        "val (0.2) and test (0.2) cut from train with the fixed seed 0, stratified by the classes in masks, of "
        "pictures with a mask only"
    )


def test_pretraining_leaves_out_what_segmentation_is_tested_on(masks):
    alone, masked = folder(masks), folder(masks)
    for name in ("train", "val", "test"):
        assert list(alone.split(name).keys) == list(masked.split(name, MASKED).keys)


def test_masks_are_not_read_where_no_split_is_cut(masks, monkeypatch):
    monkeypatch.setattr("maecli_plugins.datasets.folder.dataset.pictures.classes_in_masks", None)
    assert len(folder(masks, val_share=0, test_share=0).split("train")) == 30


def test_a_broken_mask_is_no_fault_of_a_task_that_needs_none(masks):
    (masks / "masks/009.png").write_bytes(b"no picture")
    dataset = folder(masks)
    dataset.card()
    assert not dataset.faults()
