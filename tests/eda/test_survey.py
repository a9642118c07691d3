"""The survey counts what a person can count, reads nothing twice, and goes on past what cannot be read."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from toy_dataset import HEIGHT, WIDTH, Shapes, shapes

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.sample import Places, TensorSplit, View
from maecli.eda import histograms
from maecli.eda.annotations import scan_labels, scan_masks
from maecli.eda.findings import Findings, Where
from maecli.eda.parallel import in_threads
from maecli.eda.samples import scan_samples
from maecli.eda.survey import regrouped, survey
from maecli.errors import DataError, Fault
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.modality import Pictures


def look(dataset: Dataset, modality: Modality | None = None) -> Findings:
    ticked: dict[str, int] = {}
    expected: dict[str, int] = {}

    def ticks(what, total):
        expected[what] = total
        ticked[what] = 0

        def tick():
            ticked[what] += 1

        return tick

    findings = survey(dataset, modality or Pictures(), ticks).findings
    assert ticked == expected, "the progress of every pass ends at its total"
    return Findings.model_validate_json(findings.model_dump_json())


def test_masks_are_counted_by_images_objects_and_pixels():
    masks = look(shapes(num_train=5)).masks["train"]
    assert (masks.num, masks.images, masks.objects) == (5, (5, 3, 2), (0, 3, 2))
    assert masks.pixels == (5 * (768 - 64 - 8), 3 * 64, 2 * 64)
    assert masks.void_pixels == 5 * 8


def test_all_background_is_scored_on_the_judged_pixels_and_the_classes_that_are_there():
    masks = look(shapes(num_train=5, num_val=1)).masks
    accuracy = (768 - 64 - 8) / (768 - 8)
    assert [masks[name].constant_accuracy for name in ("train", "val")] == pytest.approx([accuracy, accuracy])
    assert masks["train"].constant_miou == pytest.approx(accuracy / 3)
    assert masks["val"].constant_miou == pytest.approx(accuracy / 2), "the only mask of val shows one class"


def test_labels_boxes_and_their_measures():
    findings = look(shapes(num_train=5))
    assert findings.labels["train"].present == (3, 2)
    assert (findings.boxes["train"].num, findings.boxes["train"].objects) == (5, (3, 2))
    objects = findings.objects
    assert objects.per_image is not None
    assert objects.per_image.counts["train"] == (0, 5)
    assert objects.areas is not None
    assert objects.areas.medians["train"] == pytest.approx(64 / 768)
    assert objects.aspects is not None
    assert objects.aspects.medians["train"] == 1
    assert objects.foreground is not None
    assert objects.foreground.medians["train"] == pytest.approx(64 / 760)


def test_pictures_are_measured_and_none_is_read_twice():
    dataset = shapes()
    pictures = look(dataset).pictures["train"]
    assert pictures.sizes is not None
    assert pictures.sizes.common == (((HEIGHT, WIDTH), 6),)
    assert (pictures.num, pictures.num_broken, pictures.num_flat, pictures.num_grey) == (6, 0, 0, 0)
    for split in dataset.splits:
        if split.fields == ("image",):
            assert split.reads == {"size": len(split), "small": len(split)}
        else:
            assert split.reads["sample"] == len(split)
            assert "image" not in split.fields


def test_a_set_of_pictures_alone_has_only_these():
    findings = look(shapes(fields=("image",)))
    assert (findings.labels, findings.masks, findings.boxes, findings.mask_card) == ({}, {}, {}, None)


def test_broken_files_are_named_once_with_what_the_data_set_knows():
    broken = {"train/1.png": "truncated file"}
    rules = [("a.xml", "names a class that there is not"), ("train/1.png", "truncated file")]
    findings = look(shapes(broken=broken, rules=rules))
    assert findings.faults == (
        Fault(path="a.xml", reason="names a class that there is not"),
        Fault(path="train/1.png", reason="truncated file"),
    )
    assert (findings.pictures["train"].num, findings.pictures["train"].num_broken) == (6, 1)
    assert findings.masks["train"].num == 5


def test_a_sample_broken_by_its_mask_is_not_named_beside_the_mask():
    broken = {"train/1.png": "masks/1.png: has the number 37", "train/2.png": "masks/2.png: empty file"}
    findings = look(shapes(broken=broken, rules=[("VOC/masks/1.png", "has the number 37")]))
    assert [fault.path for fault in findings.faults] == ["VOC/masks/1.png", "train/2.png"]


def test_copies_across_splits_are_found():
    findings = look(Shapes({"train": [1, 2, 3], "test": [9, 2]}, fields=("image",)))
    assert findings.duplicates is not None
    (pair,) = findings.duplicates.pairs
    assert (pair.kind, pair.first.key, pair.second.key) == ("exact", "train/1.png", "test/1.png")


class OwnLists(Shapes):
    """Pictures of which `masked`, by split, have masks, in other splits than they themselves are in."""

    masked: ClassVar[dict[str, list[str]]] = {}

    def split(self, name, fields=("image",)):
        split = super().split(name, fields)
        if "mask" in fields:
            split._keys = self.masked.get(name, [])
            split.seeds = [self.seeds[key.split("/")[0]][int(key.split("/")[1][0])] for key in split._keys]
        return split


def test_copies_across_the_splits_of_masks_are_found_where_these_are_others():
    class Crossed(OwnLists):
        masked: ClassVar[dict[str, list[str]]] = {"train": ["test/0.png"], "val": ["test/1.png", "train/0.png"]}

    findings = look(Crossed({"train": [1, 2], "test": [7, 7]}, fields=("image", "mask")))
    assert findings.duplicates is not None
    assert [(each.split, each.other) for each in findings.duplicates.overlaps] == [("test", "test")]
    found = findings.copies_by["masks"]
    assert [(each.split, each.other, each.exact) for each in found.overlaps] == [
        ("train", "val", 1),
        ("val", "train", 1),
    ]
    (pair,) = found.pairs
    assert (pair.first, pair.second) == (Where(split="train", key="test/0.png"), Where(split="val", key="test/1.png"))


def test_splits_of_masks_that_are_those_of_the_pictures_are_not_compared_again():
    class Fewer(OwnLists):
        masked: ClassVar[dict[str, list[str]]] = {"train": ["train/1.png"]}

    assert look(Fewer({"train": [1, 2], "test": [7, 7]}, fields=("image", "mask"))).copies_by == {}
    assert look(shapes()).copies_by == {}


def test_keys_that_two_splits_share_tell_no_picture():
    split = TensorSplit({"image": torch.zeros(1, 3, 8, 8)}, ["0"])
    seen = {name: scan_samples(split, card(channels=3), Pictures(), lambda: None) for name in ("train", "val")}
    assert regrouped(seen, {"val": ["0"]}) is None


def test_pictures_in_other_splits_are_read_from_their_own():
    split = TensorSplit({"image": torch.arange(2.0).reshape(2, 1, 1, 1)}, ["a", "b"])
    moved = View(Places.within(split, [1, 0]))
    assert [moved[i]["image"].item() for i in range(len(moved))] == [1, 0]


def test_the_check_of_every_file_is_announced():
    told: list[str] = []
    survey(shapes(2, 1, 1), Pictures(), lambda *_: lambda: None, say=told.append)
    assert told == ["checking every file against its rules"]


def test_masks_of_void_alone_have_no_foreground():
    mask = torch.tensor([[[255, 255]], [[0, 1]]], dtype=torch.uint8)
    classes = {"mask_classes": ("ground", "thing"), "mask_palette": ((0, 0, 0), (1, 1, 1)), "background": 0}
    scan = scan_masks(TensorSplit({"mask": mask}), card(**classes), lambda: None)
    assert scan.foreground(card(**classes)).tolist() == [0.5]
    void = scan_masks(TensorSplit({"mask": mask[:1]}), card(**classes), lambda: None)
    assert void.foreground(card(**classes)).tolist() == []


def test_a_set_of_which_nothing_can_be_read_is_refused():
    broken = {f"{name}/{i}.png": "empty file" for name in ("train", "val") for i in range(2)}
    with pytest.raises(
        DataError, match=r"none of the 4 pictures of shapes can be read; train/0.png, .*: empty file"
    ) as caught:
        look(shapes(2, 2, 0, broken=broken))
    assert caught.value.faults == tuple(Fault(*fault) for fault in broken.items())


def card(**changes) -> DataCard:
    fields = {"name": "x", "title": "x", "fields": ("image",), "channels": 1, "size": None, "mean": (0.5,)}
    return DataCard(**(fields | {"std": (0.5,), "split_sizes": {}, "split_origin": ""} | changes))


def test_labels_that_are_not_judged_are_neither_present_nor_absent():
    split = TensorSplit({"label": torch.tensor([[1, -1], [0, 1], [1, -1]], dtype=torch.int8)})
    scan = scan_labels(split, card(classes=("a", "b"), multi_label=True), lambda: None)
    assert scan.summary(2).present == (2, 1)
    assert scan.summary(2).not_judged == (0, 2)
    assert scan.showing(0) == [0, 2]


def test_one_label_per_sample_is_counted():
    scan = scan_labels(TensorSplit({"label": torch.tensor([2, 0, 2])}), card(classes=("a", "b", "c")), lambda: None)
    assert scan.summary(3).present == (1, 0, 2)
    assert scan.showing(2) == [0, 2]


def test_regions_touch_at_corners_and_specks_are_no_objects():
    mask = torch.zeros(1, 100, 100, dtype=torch.uint8)
    mask[0, 10:20, 10:20] = 1
    mask[0, 20:30, 20:30] = 1  # touches the first at a corner
    mask[0, 60:70, 60:70] = 1
    mask[0, 90, 90] = 1  # 0.01% of the mask
    classes = {"mask_classes": ("ground", "thing"), "mask_palette": ((0, 0, 0), (1, 1, 1)), "background": 0}
    scan = scan_masks(TensorSplit({"mask": mask}), card(**classes), lambda: None)
    counted = scan.summary(card(**classes))
    assert counted is not None
    assert counted.objects == (0, 2)
    assert scan.region_areas().tolist() == pytest.approx([0.02, 0.01])


def test_without_a_background_the_most_frequent_class_is_the_trivial_prediction():
    mask = torch.tensor([[[0, 1, 1, 255]]], dtype=torch.uint8)
    classes = {"mask_classes": ("sky", "sea"), "mask_palette": ((0, 0, 0), (1, 1, 1))}
    counted = scan_masks(TensorSplit({"mask": mask}), card(**classes), lambda: None).summary(card(**classes))
    assert counted is not None
    assert (counted.constant, counted.constant_accuracy) == (1, pytest.approx(2 / 3))
    assert counted.constant_miou == pytest.approx((2 / 3 + 0) / 2)


def test_end_bins_hold_what_lies_beyond_them():
    found = histograms.of_values({"train": np.array([0.01, 1.1, 50.0, 50.0])}, histograms.ASPECTS)
    assert found is not None
    assert (found.counts["train"][0], found.counts["train"][-1], sum(found.counts["train"])) == (1, 2, 4)
    assert histograms.of_counts({"train": np.zeros(0)}) is None


def test_threads_give_results_in_order_and_end_with_the_first_error():
    assert list(in_threads(lambda i: i * i, 1000)) == [i * i for i in range(1000)]

    started = []

    def fail(index):
        started.append(index)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(in_threads(fail, 100_000))
    assert len(started) < 5000


def test_equal_pictures_that_are_labelled_differently_are_grouped():
    dataset = Shapes({"train": [1, 5, 5, 7], "val": [7], "test": [1]})  # the class of picture i of a split is i % 2
    different, across = look(dataset).contradictions
    assert (different.num, different.labels) == (2, ("odd", "even"))
    assert different.pictures == (Where(split="train", key="train/1.png"), Where(split="train", key="train/2.png"))
    assert across.pictures == (Where(split="train", key="train/3.png"), Where(split="val", key="val/0.png"))


def test_equal_pictures_of_one_label_and_without_labels_contradict_nothing():
    assert look(Shapes({"train": [5, 1, 5]})).contradictions == ()
    assert look(Shapes({"train": [5, 5]}, fields=("image",))).contradictions == ()
