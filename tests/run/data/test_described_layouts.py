"""What is said before training of each layout that the page on folders describes, and what is made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from write_data import noise, write_picture

from maecli.data.card import SPLIT_NAMES
from maecli.layouts.described import LAYOUTS, Described
from maecli.registry import registry
from maecli.run.open import make_dataset
from maecli.schema import PluginSection

COPIES = 4
"""Of each picture of an example, so that there is something to train on."""
CATS = ("cat", "dog")


@dataclass(frozen=True)
class Expected:
    """What is made of an example, each of whose pictures is there four times."""

    line: str
    sizes: tuple[int, int, int]
    """Of train, val and test; what folders do not say is cut, a tenth of train but one sample at least."""
    classes: tuple[str, ...] = ()
    masks: int = 0
    left_out: dict[str, int] | None = None


EXPECTED = {
    "Flat, or in folders that mean nothing": Expected("12 pictures", (10, 1, 1)),
    "Class folders": Expected("12 pictures in 2 classes (cat, dog)", (10, 1, 1), CATS),
    "Split folders with class folders": Expected(
        "16 pictures in 2 classes (cat, dog), split by folders train/, val/, test/", (8, 4, 4), CATS
    ),
    "Split folders without labels, in part or at all": Expected(
        "16 pictures in 2 classes (cat, dog), split by folders train/, test/; unlabeled/ without labels",
        (11, 1, 4),
        CATS,
        left_out={"without a label, in test/": 4, "without a label, in unlabeled/": 4},
    ),
    "Class folders in labelled, beside unlabelled": Expected(
        "12 pictures in 2 classes (cat, dog); unlabelled/ without labels",
        (10, 1, 1),
        CATS,
        left_out={"without a label, in unlabelled/": 4},
    ),
    "Class folders that hold split folders": Expected(
        "16 pictures in 2 classes (cat, dog), split by folders train/, test/", (7, 1, 8), CATS
    ),
    "Class folders beside a test folder": Expected(
        "16 pictures in 2 classes (cat, dog), split by folders test/", (7, 1, 8), CATS
    ),
    "Classes that are called as splits are": Expected(
        "8 pictures in 2 classes (control, test)", (6, 1, 1), ("control", "test")
    ),
    "One folder around everything": Expected(
        "12 pictures in 2 classes (cat, dog), split by folders train/, val/", (7, 4, 1), CATS
    ),
    "Images and masks in folders of their own": Expected("8 pictures; masks in masks/", (6, 1, 1), masks=8),
    "Images and masks in each split": Expected(
        "8 pictures, split by folders train/, val/; masks in train/masks/, val/masks/", (3, 4, 1), masks=8
    ),
    "Splits in images and in masks": Expected(
        "8 pictures, split by folders train/, val/; masks in masks/", (3, 4, 1), masks=8
    ),
    "VOC's folders without its lists": Expected(
        "8 pictures; masks of 4 of them in SegmentationClass/",
        (6, 1, 1),
        masks=4,
        left_out={"other drawings of the masks that are used": 4, "without a mask, in JPEGImages/": 4},
    ),
    "Cityscapes' folders": Expected("8 pictures, split by folders train/, val/; masks in gtFine/", (3, 4, 1), masks=8),
    "Masks beside their pictures": Expected("8 pictures; masks by _mask in their names", (6, 1, 1), masks=8),
    "Masks beside their pictures in class folders": Expected(
        "12 pictures in 2 classes (cat, dog); masks of 8 of them by _mask in their names",
        (9, 1, 2),
        CATS,
        masks=8,
        left_out={"without a mask, in dog/": 4},
    ),
    "A folder for each picture and its mask": Expected(
        "8 pictures; masks by mask in their names; folders of a single picture are no classes", (6, 1, 1), masks=8
    ),
    "Class and split in one name": Expected(
        "16 pictures in 2 classes (cat, dog), split by folders cat_train/, dog_train/, cat_test/, dog_test/",
        (7, 1, 8),
        CATS,
    ),
    "What was drawn of pictures": Expected(
        "4 pictures; masks in masks/",
        (2, 1, 1),
        masks=4,
        left_out={"drawings of the same pictures, in overlays/, predictions/": 8},
    ),
    "Boxes in text files": Expected("8 pictures, split by folders train/, val/", (3, 4, 1)),
}


def write_tree(root: Path, tree: Sequence[str]) -> None:
    """Write each picture of a tree several times, under numbers of its own; masks show a square."""
    for number, path in enumerate(tree):
        for copy in range(COPIES):
            file = root / re.sub(r"\b(\d+|[ab])(?=[._/])", rf"\g<1>{copy}", path)
            if file.suffix == ".txt":
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("0 0.5 0.5 1 1\n")
            elif is_mask(path):
                write_picture(file, np.pad(np.ones((8, 8), np.uint8), 4))
            else:
                write_picture(file, noise(COPIES * number + copy, 16, 16, 3))


def is_mask(path: str) -> bool:
    return re.search(r"mask|Segmentation|gtFine", path) is not None


def test_of_each_described_layout_it_is_known_what_is_to_be_read():
    assert EXPECTED.keys() == {layout.title for layout in LAYOUTS}
    assert len(EXPECTED) >= 10


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title.replace(" ", "-"))
def test_one_line_before_training_says_what_was_read(layout: Described, tmp_path, mae, toy_pretrain, toy_finetune):
    root, expected = tmp_path / "data", EXPECTED[layout.title]
    write_tree(root, layout.tree)
    if expected.masks:
        (root / "classes.txt").write_text("background\nsquare\n")
        command, needed = ("finetune", "--task", "segment", *toy_finetune[3:]), "mask"
    else:
        command, needed = (toy_finetune, "label") if expected.classes else (toy_pretrain, "image")
    outcome = mae(
        *(*command, "--dataset", "folder", "--root", root, "--batch-size", 2),
        *("--set", "train.micro_batch_size=null", "--dry-run", "--json"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert f"read: {expected.line}\n" in outcome.stderr
    left_out = expected.left_out or {}
    if left_out:
        assert f"left out: {'; '.join(f'{num} {why}' for why, num in left_out.items())}\n" in outcome.stderr
    assert (outcome.json["reading"], outcome.json["left_out"]) == (expected.line, left_out)

    dataset = make_dataset(PluginSection(name="folder", root=str(root)), registry())
    card = dataset.card()
    assert (card.reading, card.classes) == (expected.line, expected.classes)
    assert tuple(card.split_sizes[name] for name in SPLIT_NAMES) == expected.sizes
    keys = [key for name in SPLIT_NAMES for key in dataset.split(name, (needed,)).keys]
    assert len(keys) == (expected.masks or sum(expected.sizes) - sum(left_out.values()))
    assert not any(map(is_mask, keys))
