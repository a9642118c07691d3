from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maecli.modalities.pictures.masks.read import VOID, VOID_COLOUR
from maecli.reports import overlays
from maecli.reports.grids import write_legend
from maecli.reports.overlays import ClassStyle, blend, overlay, overlay_rows

RED, BLUE = (200, 0, 0), (0, 0, 200)
STYLE = ClassStyle(("background", "cat", "dog"), ((0, 0, 0), RED, BLUE), background=0)


def opened(png):
    image = Image.open(io.BytesIO(png))
    assert image.mode == "RGB"
    return np.asarray(image)


def half(size=(20, 20)):
    """Return a mask whose right half is cat."""
    mask = np.zeros(size, np.uint8)
    mask[:, size[1] // 2 :] = 1
    return mask


def test_each_number_has_its_class_colour_and_void_one_of_its_own():
    colours = STYLE.colours()[np.array([[0, 1], [2, VOID]])]
    assert colours.tolist() == [[[0, 0, 0], [*RED]], [[*BLUE], [224, 224, 192]]]


def test_classes_are_tinted_and_bordered_and_the_background_stays_clear():
    grey = np.full((1, 20, 20), 100, np.uint8)
    mixed = blend(grey, half(), STYLE)
    assert (mixed[:, :10] == 100).all()
    assert (mixed[:, 11:] == (150, 50, 50)).all()
    assert (mixed[:, 10] == (227, 127, 127)).all()  # half of the colour and half of white


def test_without_a_background_every_class_is_tinted():
    style = ClassStyle(("sky", "cat"), ((0, 0, 0), RED))
    mixed = blend(np.full((1, 20, 20), 100, np.uint8), half(), style)
    assert (mixed[:, :9] == 50).all()


def test_what_is_not_judged_has_a_colour_of_its_own_and_no_border():
    mask = half()
    mask[mask == 1] = VOID
    mixed = blend(np.full((1, 20, 20), 100, np.uint8), mask, STYLE)
    assert np.abs(mixed[:, 10:].astype(int) - (np.array(VOID_COLOUR) + 100) // 2).max() <= 1


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"a mask of \(4, 4\) does not lie on a picture of \(5, 4\)"):
        blend(np.zeros((3, 5, 4), np.uint8), np.zeros((4, 4), np.uint8), STYLE)


@pytest.mark.parametrize("size", [(500, 600), (401, 400)])
def test_an_overlay_has_the_pictures_own_size_above_its_legend(size):
    picture = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    page = opened(overlay(picture, half(size), STYLE))
    assert page.shape[1] == size[1]
    assert (page[: size[0]] == blend(picture, half(size), STYLE)).all()
    legend = page[size[0] :]
    assert 14 < len(legend) < 100
    assert (legend == RED).all(-1).sum() > 100  # a swatch
    assert (legend.reshape(-1, 3).max(-1) < 60).sum() > 20  # dark letters


@pytest.mark.parametrize(("size", "factor"), [((1, 1), 400), ((8, 8), 50), ((150, 200), 2)])
def test_small_pictures_are_enlarged_by_whole_factors(size, factor):
    picture = np.full((3, *size), 90, np.uint8)
    page = opened(overlay(picture, np.zeros(size, np.uint8), STYLE))
    assert (page[: size[0] * factor, : size[1] * factor] == 90).all()
    assert page.shape[1] == 400
    assert page.shape[0] > size[0] * factor


@pytest.mark.parametrize("size", [(10, 2000), (2000, 10)])
def test_very_long_pictures_get_a_legend_that_can_be_read(size):
    page = opened(overlay(np.zeros((1, *size), np.uint8), half(size), STYLE))
    assert page.shape[1] == max(400, size[1])
    assert page.shape[0] > size[0] + 14


@pytest.mark.slow
@pytest.mark.parametrize(("size", "swatch"), [((400, 400), 14), ((2000, 3000), 58)])
def test_the_legend_grows_with_the_picture(size, swatch):
    page = opened(overlay(np.zeros((1, *size), np.uint8), half(size), STYLE))
    inside = (page[size[0] :] == RED).all(-1).any(0).sum()
    assert abs(inside - swatch) <= swatch // 5  # less the frame


def test_the_legend_names_each_class_with_its_share_the_most_frequent_first():
    mask = np.zeros((100, 100), np.uint8)
    mask[:30] = 2
    mask[30, :1] = 1
    found = overlays._entries(mask, STYLE, None)
    assert found == [("background 70.0%", ""), ("dog 30.0%", "#0000c8"), ("cat <0.1%", "#c80000")]
    mask[:] = VOID
    assert overlays._entries(mask, STYLE, None) == [("not judged 100.0%", "#e0e0c0")]


def test_long_legends_break_into_lines_and_long_names_lose_their_middle():
    def drawn(entries):
        image = Image.new("RGB", (400, 2000), "white")
        return np.asarray(image.crop((0, 0, 400, write_legend(ImageDraw.Draw(image), entries, 0, 400, 14))))

    entries = [(f"class {i} 1.0%", "#c80000") for i in range(40)]
    assert len(drawn(entries)) > 10 * 14 > len(drawn(entries[:2]))
    endless = drawn([("x" * 500 + " 1.0%", "#c80000")])
    assert (endless[:, 386:] == 255).all()


def test_rows_show_picture_truth_and_prediction_over_one_legend():
    pictures = [np.full((3, 60, 80), 120, np.uint8), np.full((3, 40, 40), 10, np.uint8)]
    truths, guesses = [half((60, 80)), half((40, 40))], [np.full((60, 80), 2, np.uint8), half((40, 40))]
    page = opened(overlay_rows(pictures, truths, guesses, STYLE))
    assert (page == (160, 60, 60)).all(-1).sum() > 40 * 60  # cat on the first truth
    assert (page == (60, 60, 160)).all(-1).sum() > 60 * 80  # dog all over the first prediction
    assert (page[-60:] == RED).all(-1).any()
    assert (page[-60:] == BLUE).all(-1).any()


@pytest.mark.parametrize("void", [-1, 255, 1000])
def test_void_may_be_any_number_that_no_class_has(void):
    picture = np.zeros((8, 8), np.uint8)
    mask = np.zeros((8, 8), np.int32)
    mask[4:] = void
    mixed = blend(picture, mask, replace(STYLE, void=void))
    assert np.abs(mixed[6:].astype(int) - np.array(VOID_COLOUR) // 2).max() <= 1
    assert overlay(picture, mask, replace(STYLE, void=void))
