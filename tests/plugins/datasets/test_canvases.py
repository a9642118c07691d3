from __future__ import annotations

import pytest
import torch
from maecli_plugins.datasets.canvases import CanvasOptions, CanvasSet

from maecli.data.card import DataCard
from maecli.data.sample import TensorSplit
from maecli.errors import DataError, SpecError

THRESHOLD = 100
FIELDS = ("image", "mask")


def parts(num=20, size=(4, 3)):
    """Return splits of constant pictures: train is brighter than val, and val than test; picture i has label i % 10."""
    labels = torch.arange(num) % 10
    return {
        name: TensorSplit(
            {"image": (base + labels).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, *size), "label": labels}
        )
        for name, base in (("train", 200), ("val", 150), ("test", 120))
    }


def canvases(pictures=None, threshold=THRESHOLD, **options) -> CanvasSet:
    options = {
        "train_canvases": 60,
        "val_canvases": 5,
        "test_canvases": 7,
        "canvas_size": (12, 16),
        "canvas_overlap": 0,
    } | options
    return CanvasSet(pictures or parts(), CanvasOptions(**options), threshold)


def card_of(pictures: CanvasSet) -> DataCard:
    plain = DataCard(
        name="plain",
        title="plain pictures",
        fields=("image", "label"),
        channels=1,
        size=(4, 3),
        mean=(0.5,),
        std=(0.5,),
        classes=tuple("0123456789"),
        class_counts=(2,) * 10,
        split_sizes={"train": 20, "val": 20, "test": 20},
        split_origin="by hand",
        notes=("a note",),
    )
    return pictures.card(plain, FIELDS)


def test_without_overlap_a_canvas_holds_two_to_four_whole_pictures():
    tensors = canvases().split("train", FIELDS).tensors
    areas = (tensors["mask"] > 0).flatten(1).sum(1)
    assert set(areas.tolist()) == {24, 36, 48}
    assert tensors["image"].shape == (60, 1, 12, 16)
    assert tensors["mask"].shape == (60, 12, 16)
    assert tensors["mask"].dtype == torch.uint8


def test_the_mask_names_the_picture_that_is_seen():
    tensors = canvases(canvas_overlap=0.5).split("train", FIELDS).tensors
    image, mask = tensors["image"][:, 0], tensors["mask"]
    assert torch.equal(mask[mask > 0], image[mask > 0] - 200 + 1)
    assert image[mask == 0].max() == 0


def test_where_pictures_overlap_the_brighter_one_is_seen():
    tensors = canvases(canvas_overlap=1, canvas_size=(4, 3)).split("train", FIELDS).tensors  # all in one place
    assert bool((tensors["image"].flatten(1).min(1).values == tensors["image"].flatten(1).max(1).values).all())
    assert tensors["mask"].float().mean() > 6.5  # of two or more labels the greatest; one alone has a mean of 5.5


def test_faint_pixels_are_seen_and_are_background():
    tensors = canvases(threshold=204).split("train", FIELDS).tensors
    image, mask = tensors["image"][:, 0], tensors["mask"]
    assert set(image[mask == 0].tolist()) == {0, 200, 201, 202, 203, 204}
    assert set(mask.flatten().tolist()) == {0, 6, 7, 8, 9, 10}


def test_canvases_of_a_split_hold_its_own_pictures():
    found = canvases()
    for name, base in (("train", 200), ("val", 150), ("test", 120)):
        image = found.split(name, FIELDS).tensors["image"]
        assert set(image.flatten().tolist()) <= {0, *range(base, base + 10)}
    assert [len(found.split(name, FIELDS)) for name in ("train", "val", "test")] == [60, 5, 7]
    assert found.split("val", FIELDS).keys[:2] == ["canvas-val-0", "canvas-val-1"]


def test_splits_are_laid_out_differently():
    found = canvases(val_canvases=60)
    train, val = (found.split(name, FIELDS).tensors["mask"] > 0 for name in ("train", "val"))
    assert (train != val).flatten(1).any(1).float().mean() > 0.9


def test_more_canvases_leave_the_first_ones_as_they_are():
    few = canvases(train_canvases=5).split("train", FIELDS).tensors
    many = canvases(train_canvases=1500).split("train", FIELDS).tensors
    for name in FIELDS:
        assert torch.equal(few[name], many[name][:5])


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_no_two_boxes_have_more_in_common_than_is_allowed(overlap):
    found = canvases(canvas_overlap=overlap)
    counts = torch.full((200,), 4)
    top, left = found._places("train", torch.arange(200), counts)
    common = []
    for a in range(4):
        for b in range(a):
            dy = (4 - (top[:, a] - top[:, b]).abs()).clamp(min=0)
            dx = (3 - (left[:, a] - left[:, b]).abs()).clamp(min=0)
            common.append(dy * dx)
    assert 12 * overlap - 3 <= torch.stack(common).max() <= 12 * overlap
    assert (int(top.min()), int(top.max())) == (0, 8)
    assert (int(left.min()), int(left.max())) == (0, 13)


def test_each_number_of_pictures_is_as_frequent():
    mask = canvases(train_canvases=1200).split("train", FIELDS).tensors["mask"]
    areas = torch.bincount((mask > 0).flatten(1).sum(1) // 12)
    assert areas[:2].tolist() == [0, 0]
    assert (areas[2:5] - 400).abs().max() < 60  # 3.7 standard deviations


def test_the_card_states_how_canvases_are_made():
    found = canvases(canvas_overlap=0.25)
    card = card_of(found)
    assert card.title == "plain pictures: 2 to 4 on canvases of 12x16, overlapping by up to 25%"
    assert (card.fields, card.size, card.classes, card.class_counts) == (FIELDS, (12, 16), (), ())
    assert card.mask_classes == ("background", *"0123456789")
    assert (card.background, len(card.mask_palette)) == (0, 11)
    assert card.split_sizes == {"train": 60, "val": 5, "test": 7}
    assert card.split_origin == "canvases of each split are composed of its own pictures (by hand)"
    assert card.notes == (
        "a note",
        "2 to 4 pictures of 4x3 per canvas of 12x16, drawn with the fixed seed 0",
        "two pictures' boxes overlap by up to 25%; pixels are the brighter picture's",
        "mask: label + 1 where the pixel is above 100 of 255, 0 elsewhere",
        "the same 60 train canvases in each epoch, augmented",
    )
    image = found.split("train", FIELDS).tensors["image"].double() / 255
    assert card.mean == pytest.approx([image.mean().item()])
    assert card.std == pytest.approx([image.std(correction=0).item()])


def test_a_canvas_without_room_says_so():
    with pytest.raises(SpecError) as caught:
        canvases(canvas_size=(4, 11)).split("train", FIELDS)
    assert str(caught.value) == (
        "dataset.canvas_size 4x11 has no room for 4 pictures of 4x3 that overlap by no more than "
        "dataset.canvas_overlap 0; raise one of the two"
    )


def test_a_canvas_smaller_than_a_picture_says_so():
    with pytest.raises(SpecError, match=r"dataset\.canvas_size 3x16 is smaller than a picture \(4x3\)"):
        canvases(canvas_size=(3, 16)).split("train", FIELDS)


def test_canvases_have_no_label():
    with pytest.raises(DataError, match="canvases have image and mask, no label; ask for either mask or label"):
        canvases().split("train", ("image", "label", "mask"))
