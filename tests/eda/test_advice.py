"""Advice says what the findings mean, and keeps quiet where there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from toy_dataset import Shapes, shapes

from maecli.data.card import DataCard
from maecli.eda.advice import advise
from maecli.eda.findings import (
    Duplicates,
    Findings,
    Histogram,
    Labels,
    Masks,
    Objects,
    Overlap,
    Samples,
    Sizes,
    Words,
)
from maecli.eda.survey import survey
from maecli.errors import Fault
from maecli.modalities.pictures.masks.read import class_palette
from maecli.modalities.pictures.modality import Pictures


def pictures(num: int = 2000, size: tuple[int, int] = (64, 64), **changes: Any) -> Samples:
    sizes = Sizes(smallest=size, median=size, largest=size, num_distinct=1, common=((size, num),))
    return Samples(**({"num": num, "num_broken": 0, "sizes": sizes, "num_flat": 0, "num_grey": 0} | changes))


def card(**changes: Any) -> DataCard:
    fields = {"name": "x", "title": "x", "fields": ("image",), "channels": 3, "size": None, "mean": (0.5,) * 3}
    return DataCard(**(fields | {"std": (0.5,) * 3, "split_sizes": {}, "split_origin": ""} | changes))


def findings(**changes: Any) -> Findings:
    three = {name: pictures() for name in ("train", "val", "test")}
    return Findings(**({"dataset": "x", "card": card(), "pictures": three} | changes))


SOME_LABELS = {"train": Labels(num=0, present=(), not_judged=())}


def said(img_size: tuple[int, int] = (64, 64), **changes: Any) -> list[str]:
    return advise(findings(**{"labels": SOME_LABELS, **changes}), img_size)


def labelled(present: Sequence[int], **changes: Any) -> list[str]:
    names = tuple("abcdefghij"[: len(present)])
    labels = Labels(num=sum(present), present=tuple(present), not_judged=(0,) * len(present))
    three = {"train": pictures(sum(present)), "val": pictures(), "test": pictures()}
    return said(card=card(classes=names, **changes), labels={"train": labels}, pictures=three)


def copies(*overlaps: Overlap) -> Duplicates:
    return Duplicates(
        num_compared=9, max_distance=8, min_similarity=0.95, num_exact=0, num_near=0, overlaps=overlaps, pairs=()
    )


def overlap(split: str, other: str, exact: int = 0, near: int = 0, very_near: int = 0) -> Overlap:
    return Overlap(split=split, other=other, exact=exact, near=near, very_near=very_near)


def test_a_set_without_peculiarities_gets_no_advice():
    assert said() == []
    assert labelled([1000, 1000]) == []


def test_background_is_no_merit():
    masks = Masks(
        num=100, images=(100, 100), objects=(0, 120), pixels=(741, 259), void_pixels=100, constant=0,
        constant_accuracy=0.741, constant_miou=0.3705,
    )  # fmt: skip
    mask_card = card(mask_classes=("background", "cat"), mask_palette=class_palette(2), background=0)
    first, void = said(mask_card=mask_card, masks={"train": masks})
    assert first == (
        "74.1% of the pixels are background: read mIoU, not pixel accuracy. Predicting background everywhere has that "
        "accuracy, and an mIoU of 37.0% (train)."
    )
    assert void == "9.1% of train's mask pixels are void: neither loss nor metrics count them."


def test_copies_across_splits_leak():
    told = said(duplicates=copies(overlap("test", "train", exact=2, near=1), overlap("train", "test", exact=2, near=1)))
    assert told == [
        (
            "2 of 2,000 pictures of test are in train too, pixel by pixel: metrics on test would be too good; take "
            "them out of train."
        ),
        (
            "1 of 2,000 pictures of test has a near copy in train: look at the pairs below, and take copies out of "
            "train before you trust metrics on test."
        ),
    ]


def test_copies_across_the_splits_of_masks_leak_too():
    masks = Masks(
        num=40, images=(40, 40), objects=(0, 40), pixels=(400, 600), void_pixels=0, constant=0,
        constant_accuracy=0.4, constant_miou=0.2,
    )  # fmt: skip
    mask_card = card(mask_classes=("background", "cat"), mask_palette=class_palette(2), background=0)
    told, few = said(
        mask_card=mask_card,
        masks={"train": masks, "val": masks},
        duplicates=copies(),
        copies_by={"masks": copies(overlap("val", "train", near=3))},
    )
    assert told == (
        "3 of 40 pictures of val with masks have a near copy in train with masks: look at the pairs below, and take "
        "copies out of train with masks before you trust metrics on val with masks."
    )
    assert few.startswith("val has 40 pictures with a mask: ")


def test_pictures_that_are_alike_by_nature_are_not_called_copies():
    near = (overlap("train", "train", near=500), overlap("val", "train", near=300, very_near=4))
    (told,) = said(duplicates=copies(*near))
    assert told.startswith("300 of 2,000 pictures of val have a near copy in train (4 all but identical), but in train")
    assert "25% have one: these pictures are alike by nature" in told
    assert told.endswith("Those that are all but identical are copies: take them out of train.")


def test_samples_that_recur_by_chance_are_not_called_copies():
    rows = Words(one="row", many="rows", part="cell", axes=("cells",), recur=True)
    overlaps = (overlap("train", "train", exact=1500), overlap("val", "train", exact=1900))
    (told,) = said(words=rows, duplicates=copies(*overlaps))
    assert told == (
        "1,900 of 2,000 rows of val equal one of train, but in train itself 75% equal another one: of so few different "
        "values they are alike by chance, and no copies."
    )
    few = (overlap("train", "train", exact=19), overlap("val", "train", exact=1))
    assert any("take it out of train" in told for told in said(words=rows, duplicates=copies(*few)))


def test_a_few_copies_in_a_small_set_excuse_no_leak():
    (told,) = said(duplicates=copies(overlap("train", "train", near=19), overlap("val", "train", near=3)))
    assert "take copies out of train" in told
    assert "alike" not in told


def test_uneven_and_tiny_classes_are_named():
    uneven, few, rarest = labelled([9000, 10])
    assert uneven == (
        "Classes are uneven in train: 9,000 samples show a (99.9% of all), 10 b. Read macro-F1 and recall per class "
        "besides the headline."
    )
    assert few == "b has at most 20 samples in train: little to learn from."
    assert rarest == (
        "The rarest class, b, has 10 of 9,010 pictures: what is learnt leans to the frequent ones. To make rare "
        "classes count, try --set task.class_weights=balanced, or --set data.sampling=balanced, not both."
    )


def test_classes_that_a_split_lacks_are_named():
    assert labelled([1000, 0, 1000]) == ["The train split shows no b: a model cannot learn them."]
    names = ("a", "b")
    labels = {
        name: Labels(num=2000, present=present, not_judged=(0, 0))
        for name, present in (("train", (1000, 1000)), ("val", (2000, 0)))
    }
    assert said(card=card(classes=names), labels=labels) == [
        "The val split shows no b: means over classes leave them out there."
    ]


def test_missing_labels_splits_and_pictures():
    labels = Labels(num=400, present=(200, 200), not_judged=(0, 0))
    told = said(
        card=card(classes=("a", "b")),
        labels={"train": labels},
        pictures={"train": pictures(900), "val": pictures(0, sizes=None), "test": pictures(5)},
    )
    assert told == [
        "There is no val split: nothing is left to choose by.",
        (
            "test has 5 pictures: a share measured on so few is sure to about ±33 points only (95%), so small "
            "differences there mean nothing."
        ),
        (
            "train has 900 pictures, which is little to pretrain on: add unlabelled ones of the same kind, or pretrain "
            "longer."
        ),
        "500 of 900 train pictures have no label: pretraining uses them all, fine-tuning the 400 others.",
    ]


def test_sizes_grey_and_flat_pictures():
    varied = Sizes(smallest=(30, 40), median=(50, 50), largest=(90, 80), num_distinct=2, common=())
    told = said(
        img_size=(96, 96),
        pictures={
            "train": pictures(2000, sizes=varied, num_grey=3, num_flat=1),
            "val": pictures(),
            "test": pictures(),
        },
    )
    assert told == [
        (
            "Pictures differ in size, from 30×40 to 90×80 (height × width, taken separately); each is cut to the "
            "model's proportions and resized to 96×96: choose that with --img-size."
        ),
        "Most pictures are smaller than 96×96: resizing them up adds no detail, so try a smaller --img-size.",
        "3 of 6,000 pictures are grey in a set of colour.",
        "1 of 6,000 pictures is flat, of one value throughout: there is nothing to learn from them.",
    ]


def test_a_train_split_that_cannot_be_read_says_nothing_of_its_sizes():
    three = {
        "train": pictures(num_broken=2000, sizes=None),
        "val": pictures(size=(9, 9)),
        "test": pictures(size=(9, 9)),
    }
    assert said(img_size=(96, 96), pictures=three) == []


def test_small_objects_want_small_patches():
    areas = Histogram(edges=(0, 1), counts={"train": (4,)}, medians={"train": 0.0025})
    three = {name: pictures(size=(160, 160)) for name in ("train", "val", "test")}
    (told,) = said(img_size=(160, 160), objects=Objects(areas=areas), pictures=three)
    assert told == (
        "Half of the objects cover less than 0.25% of their picture, about 8 × 8 pixels at 160×160: use small patches, "
        "or a larger --img-size."
    )


def test_no_larger_size_is_advised_where_a_smaller_one_is():
    areas = Histogram(edges=(0, 1), counts={"train": (4,)}, medians={"train": 0.0025})
    smaller, patches = said(img_size=(160, 160), objects=Objects(areas=areas))
    assert smaller.endswith("so try a smaller --img-size.")
    assert patches.endswith("about 8 × 8 pixels at 160×160: use small patches.")


@pytest.mark.parametrize(("num", "told"), [(1, "val has 1 picture: "), (2, "val has 2 pictures: "), (99, "±10 points")])
def test_metrics_from_a_handful_of_pictures_are_cautioned_against(num, told):
    three = {"train": pictures(), "val": pictures(num), "test": pictures(100)}
    (caution,) = said(pictures=three)
    assert told in caution
    assert caution.endswith("so small differences there mean nothing.")


def test_few_labels_count_rather_than_many_pictures():
    labels = {
        name: Labels(num=num, present=(num, num), not_judged=(0, 0)) for name, num in (("train", 2000), ("val", 50))
    }
    told = said(card=card(classes=("a", "b"), multi_label=True), labels=labels)
    assert any(sentence.startswith("val has 50 pictures with a label: ") for sentence in told)


def test_by_a_part_of_the_samples_nothing_is_called_few():
    labels = {name: Labels(num=50, present=(50, 0), not_judged=(0, 0)) for name in ("train", "val", "test")}
    parts = {name: pictures(50) for name in labels}
    whole = card(classes=("a", "b"), split_sizes=dict.fromkeys(labels, 100_000))
    assert advise(findings(card=whole, pictures=parts, labels=labels), (64, 64), is_part=True) == [
        f"What was looked at of {name} shows no b: rare there, or not there at all." for name in labels
    ]
    unlabelled = findings(card=whole, pictures=parts)
    assert advise(unlabelled, (64, 64), is_part=True) == ["There are no labels: 300,000 pictures to pretrain on."]


def test_equal_pictures_with_different_labels_are_called_so():
    found = survey(Shapes({"train": [1, 5, 5, 2, 2]}), Pictures(), lambda *_: lambda: None).findings
    (told,) = [each for each in advise(found, (24, 32)) if "labelled differently" in each]
    assert told == (
        "2 groups of equal pictures are labelled differently, train/1.png as odd and train/2.png as even, for one: no "
        "model can be right on all of them. Mend the labels, which are listed below."
    )


def test_several_labels_want_mean_average_precision():
    assert labelled([1000, 1000], multi_label=True) == [
        "Pictures have several labels: read mean average precision, not accuracy."
    ]


def test_broken_files_are_counted():
    broken = {"train/1.png": "truncated file"}
    found = survey(shapes(num_train=30, broken=broken), Pictures(), lambda *_: lambda: None).findings
    assert advise(found, (24, 32))[0].startswith("1 file breaks a rule or cannot be read; all are listed below.")
    faults = [Fault("a.xml", reason) for reason in ("is no XML", "names no image")]
    assert said(faults=faults)[0].startswith("1 file breaks a rule"), "which may break several"


def test_a_picture_repeated_in_train_is_told():
    found = survey(Shapes({"train": [1, 1, 2]}, fields=("image",)), Pictures(), lambda *_: lambda: None).findings
    told = [each for each in advise(found, (24, 32)) if "occur" in each]
    assert told == ["train holds 2 pictures that occur more than once in it, which count more than others."]


@pytest.mark.parametrize("num", [1, 9])
def test_long_lists_of_classes_are_cut(num):
    present = [1000, *[0] * num]
    (told,) = labelled(present)
    assert told.startswith(
        "The train split shows no b, c, d, e, f, g, h, i and 1 more:" if num == 9 else "The train split shows no b:"
    )


def test_a_pool_without_labels_is_called_one_and_nothing_is_said_of_measuring() -> None:
    told = said(labels={}, pictures={"train": pictures(900), "val": pictures(5), "test": pictures(0, sizes=None)})
    assert told[0].startswith("There are no labels: 905 ")
    assert not any("measure" in sentence for sentence in told)
