"""Pictures and masks are paired by their names."""

from __future__ import annotations

import pytest

from maecli.layouts.layout import Layout
from maecli.layouts.read import read_layout

PICTURES = (".jpg", ".png")


def read(*paths: str) -> Layout:
    return read_layout(sorted(paths), lambda path: path.lower().endswith(PICTURES))


def test_pictures_and_masks_are_paired_by_name():
    images = ["images/1.jpg", "images/a/1.jpg", "images/a.b.png"]
    masks = ["masks/1.png", "masks/a/1.PNG", "masks/a.b.png"]
    layout = read(*images, "images/alone.jpg", *masks)
    assert layout.masks == dict(zip(images, masks, strict=True))
    assert layout.unpaired == {}
    assert layout.samples == sorted([*images, "images/alone.jpg"])


@pytest.mark.parametrize(
    ("images", "masks", "path", "rule"),
    [
        pytest.param(
            ["images/1.jpg"],
            ["masks/a/2.png"],
            "masks/a/2.png",
            "mask without a picture: there is no images/a/2.*",
            id="no-picture",
        ),
        pytest.param(
            ["images/1.jpg", "images/1.png"],
            ["masks/1.png"],
            "masks/1.png",
            "mask of 2 pictures: images/1.jpg and images/1.png; rename one of them",
            id="two-pictures",
        ),
        pytest.param(
            ["images/1.jpg"],
            ["masks/1.jpg"],
            "masks/1.jpg",
            "is a JPEG, in which neighbouring classes bleed",
            id="lossy",
        ),
        pytest.param(
            ["images/1.jpg"],
            ["masks/1.PNG", "masks/1.png"],
            "masks/1.png",
            "second mask of images/1.jpg, beside masks/1.PNG",
            id="two-masks",
        ),
        pytest.param(
            ["1.jpg", "2.jpg"],
            ["1_mask.png", "2_mask.png", "3_mask.png"],
            "3_mask.png",
            "mask without a picture: there is no 3.* beside it",
            id="mark-without-picture",
        ),
        pytest.param(
            ["1.jpg", "2.jpg"],
            ["1_mask.png", "2_mask.jpg"],
            "2_mask.jpg",
            "mask in a form that loses pixels; save it as PNG",
            id="lossy-mark",
        ),
    ],
)
def test_what_makes_no_pair_is_told_with_its_rule(images, masks, path, rule):
    layout = read(*images, *masks)
    assert list(layout.unpaired) == [path]
    assert layout.unpaired[path].startswith(rule)
    assert path not in layout.masks.values()
    assert layout.samples == images


def test_of_several_drawings_of_a_mask_the_numbers_are_taken():
    layout = read(
        "img/a_leftImg8bit.png", *(f"gtFine/a_gtFine_{kind}.png" for kind in ("color", "instanceIds", "labelIds"))
    )
    assert layout.masks == {"img/a_leftImg8bit.png": "gtFine/a_gtFine_labelIds.png"}
    assert layout.extra == {"other drawings of the masks that are used": 2}
