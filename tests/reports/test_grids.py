"""Grids have their pictures where they say, with the texts that belong to them, as letters and as text."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from maecli.reports import grids
from maecli.reports.canvas import TEXT, fitted, font, wrapped
from maecli.reports.grids import Grid, read_grid

RED = (179, 38, 30)


def decoded(png: bytes) -> NDArray[np.uint8]:
    """Return the PNG as (H, W, 3)."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def noted(png: bytes) -> Grid:
    with Image.open(io.BytesIO(png)) as image:
        grid = read_grid(image)
    assert grid is not None
    return grid


def dark(png: bytes) -> int:
    """Return the number of dark pixels outside the pictures: letters."""
    pixels = decoded(png).copy()
    for cell in noted(png).cells:
        left, top, right, bottom = cell.box
        pixels[top:bottom, left:right] = 255
    return int((pixels.max(-1) < 130).sum())


def count(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((pixels == np.array(colour, dtype=np.uint8)).all(axis=-1).sum())


def test_a_tiny_picture_is_enlarged_to_crisp_squares() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[2, 5] = (10, 200, 30)

    pixels = decoded(grids.picture_grid([[picture]], ["original"]))

    factor = 320 // 8
    assert count(pixels, (10, 200, 30)) == factor**2
    rows, columns = np.nonzero((pixels == [10, 200, 30]).all(axis=-1))
    assert [np.ptp(rows) + 1, np.ptp(columns) + 1] == [factor] * 2


def test_a_large_picture_is_reduced_and_keeps_its_proportions() -> None:
    picture = np.full((3, 300, 1500), 7, np.uint8)

    pixels = decoded(grids.picture_grid([[picture]], ["panorama"]))

    assert count(pixels, (7, 7, 7)) == 320 * 64


def test_columns_fit_into_max_px() -> None:
    rows = [[np.zeros((1, 28, 28), np.float32)] * 4] * 2
    titles = ["original", "masked", "reconstruction", "reconstruction with visible patches"]

    assert decoded(grids.picture_grid(rows, titles)).shape[1] <= 1408
    assert decoded(grids.picture_grid(rows, titles, max_px=500)).shape[1] <= 500


@pytest.mark.parametrize(
    ("shape", "levels", "shown"),
    [
        ((4, 4), [0.2], (51, 51, 51)),
        ((1, 4, 4), [0.2], (51, 51, 51)),
        ((2, 4, 4), [0.2, 0.4], (51, 102, 0)),
        ((3, 4, 6), [0.2, 0.4, 0.6], (51, 102, 153)),
        ((5, 4, 4), [0.2, 0.4, 0.6, 0.8, 1.0], (51, 102, 153)),
    ],
)
def test_any_number_of_channels_is_shown_by_the_stated_rule(
    shape: tuple[int, ...], levels: list[float], shown: tuple[int, int, int]
) -> None:
    picture = np.empty(shape, np.float32)
    picture[:] = np.reshape(levels, (-1, 1, 1)) if len(shape) == 3 else levels[0]

    pixels = decoded(grids.picture_grid([[picture]], [""]))

    assert count(pixels, shown) == (320 // max(shape[-2:])) ** 2 * shape[-2] * shape[-1]


def test_channels_may_stand_last() -> None:
    first = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)

    assert grids.picture_grid([[first]], [""]) == grids.picture_grid([[first.transpose(1, 2, 0)]], [""])


@pytest.mark.parametrize(
    ("picture", "what"),
    [
        (np.zeros((4, 4), np.int16), r"not int16 of shape \(4, 4\)"),
        (np.zeros((2, 3, 4, 4)), r"not uint8 of shape \(2, 3, 4, 4\)"),
        (np.zeros((0, 4), np.uint8), r"not uint8 of shape \(0, 4\)"),
    ],
)
def test_what_is_no_picture_is_refused(picture: NDArray[Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        grids.picture_grid([[picture]], ["original"])


def test_a_grid_that_does_not_fit_together_is_refused() -> None:
    picture = np.zeros((8, 8))
    with pytest.raises(ValueError, match="each row needs 2 pictures, one per column title"):
        grids.picture_grid([[picture]], ["original", "masked"])
    with pytest.raises(ValueError, match="at least one row and one column"):
        grids.picture_grid([], ["original"])
    with pytest.raises(ValueError, match=r"40 columns do not fit into max_px \(100\)"):
        grids.picture_grid([[picture] * 40], ["x"] * 40, max_px=100)


def test_a_contact_sheet_refuses_no_pictures_and_missing_captions() -> None:
    with pytest.raises(ValueError, match="needs at least one picture"):
        grids.contact_sheet([], [])
    with pytest.raises(ValueError, match="shorter"):
        grids.contact_sheet([np.zeros((8, 8))] * 2, ["one"])


@pytest.mark.slow
def test_missing_values_are_grey_and_excess_is_clipped() -> None:
    picture = np.array([[np.nan, 7.0], [-3.0, 0.5]])
    png = grids.picture_grid([[picture]], [""])
    left, top, right, bottom = noted(png).cells[0].box

    levels = {tuple(pixel) for pixel in decoded(png)[top:bottom, left:right].reshape(-1, 3).tolist()}

    assert levels == {(128, 128, 128), (255, 255, 255), (0, 0, 0)}


def test_a_grid_notes_where_its_pictures_lie_and_what_stands_with_them() -> None:
    rows = [[np.full((8, 8), 0.2 * i), np.full((8, 8), 0.2 * i + 0.1)] for i in range(2)]
    png = grids.picture_grid(
        rows, ["original", "masked"], ["first", "second"], legend=[("cat", "#c80000"), ("sky", "")]
    )

    grid = noted(png)
    assert grid.columns == ("original", "masked")
    assert [cell.row for cell in grid.cells] == ["first", "", "second", ""]
    assert grid.legend == (("cat", "#c80000"), ("sky", ""))
    for level, cell in zip([0, 0.1, 0.2, 0.3], grid.cells, strict=True):
        left, top, right, bottom = cell.box
        assert right - left == bottom - top == grid.width == 320
        assert (decoded(png)[top:bottom, left:right] == round(255 * level)).all()


def test_texts_stand_as_letters_in_the_png_too() -> None:
    pictures = [[np.ones((8, 8))] * 2]
    bare = grids.picture_grid(pictures, ["", ""])
    assert dark(bare) == 0
    assert dark(grids.picture_grid(pictures, ["original", "masked"])) > 100
    assert dark(grids.picture_grid(pictures, ["", ""], ["a row"])) > 100
    legend = grids.picture_grid(pictures, ["", ""], legend=[("cat", "#c80000")])
    assert dark(legend) > 100
    assert count(decoded(legend), (200, 0, 0)) > 100


def test_a_note_of_pictures_that_are_not_in_the_png_is_not_believed() -> None:
    def read(note: str, size: int = 8) -> Grid | None:
        info, buffer = PngInfo(), io.BytesIO()
        info.add_text("mae:grid", note)
        Image.new("L", (size, size)).save(buffer, "PNG", pnginfo=info)
        with Image.open(buffer) as image:
            return read_grid(image)

    assert read('{"width": 8, "cells": [{"box": [0, 0, 8, 8]}]}') is not None
    assert read('{"width": 8, "cells": [{"box": [0, 0, 9, 8]}]}') is None
    assert read('{"width": 8, "cells": [{"box": [4, 0, 4, 8]}]}') is None
    assert read('{"width": 8, "cells": [{"box": [-1, 0, 4, 8]}]}') is None
    assert read('{"width": 8, "cells": [{"box": [0, 0, 8, 8]}, {"box": [0, 0, 8, 8]}]}') is None, (
        "more than the PNG has"
    )
    assert read('{"width": 8, "cells": [], "legend": [["x", "red;}"]]}') is None
    assert read("{") is None
    with Image.new("L", (8, 8)) as plain:
        assert read_grid(plain) is None


def test_a_wrong_prediction_has_a_red_frame_and_the_word() -> None:
    pictures = [np.zeros((1, 8, 8))] * 3
    captions = ["3 99%", "4 80%", "5 70%"]
    right = grids.contact_sheet(pictures, captions, [False, None, False])
    assert not any(cell.wrong for cell in noted(right).cells)
    assert count(decoded(right), RED) == 0

    one_wrong = grids.contact_sheet(pictures, captions, [False, None, True])
    assert [cell.wrong for cell in noted(one_wrong).cells] == [False, False, True]
    side, letters = 8 * (156 // 8), 100
    assert count(decoded(one_wrong), RED) >= side**2 - (side - 16) ** 2 + letters


def test_a_contact_sheet_shows_the_first_36_with_the_names_of_their_files() -> None:
    png = grids.contact_sheet(
        [np.zeros((8, 8))] * 40, [f"n{i}" for i in range(40)], keys=[f"a/{i}.png" for i in range(40)]
    )

    assert [(cell.caption, cell.name) for cell in noted(png).cells] == [(f"n{i}", f"{i}.png") for i in range(36)]


def test_words_are_kept_whole_and_what_is_too_long_loses_its_middle() -> None:
    assert wrapped("with visible patches", TEXT, 250, lines=2) == ["with visible", "patches"]
    assert wrapped("", TEXT, 250, lines=2) == []
    cut = wrapped("one two three four five six seven eight", TEXT, 120, lines=2)
    assert len(cut) == 2
    assert cut[1].endswith("ight")
    assert "…" in cut[1]
    name = fitted("IMG_20240131_101523_burst_0007.jpg", TEXT, 200)
    assert name.startswith("IMG")
    assert name.endswith("7.jpg")
    assert font(TEXT).getlength(name) <= 200


@pytest.mark.parametrize("caption", ["$x^", "a_b^c \\frac", "tab\tand\nbreak", "花 🌸", "<script>", "\udcff", ""])
def test_any_caption_can_be_drawn_and_noted(caption: str) -> None:
    cell = noted(grids.contact_sheet([np.zeros((8, 8))], [caption], [True], [caption])).cells[0]

    assert cell.caption == cell.name == caption.replace("\t", "\\t").replace("\n", "\\n").replace("\udcff", "\\udcff")


def test_letters_that_the_font_lacks_become_boxes() -> None:
    assert fitted("花 99%", TEXT, 300) == "□ 99%"
