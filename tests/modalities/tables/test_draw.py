from __future__ import annotations

import numpy as np
from cards import card

from maecli.modalities.drawing import HIDDEN
from maecli.modalities.series.modality import Series
from maecli.modalities.tables.draw import SCALE
from maecli.modalities.tables.modality import Tables

SIDE = 48


def middle(picture: np.ndarray, column: int) -> list[float]:
    return picture[:, SIDE // 2, column * SIDE + SIDE // 2].tolist()


def test_cells_go_from_violet_to_yellow():
    picture = Tables().draw(np.array([[0, 0.5, 1, 9, -9]], np.float32))
    assert picture.shape == (3, SIDE + 1, 5 * SIDE + 1)
    assert picture.dtype == np.float32
    for column, colour in enumerate((SCALE[0], SCALE[2], SCALE[4], SCALE[4], SCALE[0])):
        np.testing.assert_allclose(middle(picture, column), colour, atol=1e-6)


def test_a_missing_cell_is_hatched_in_white_and_grey():
    picture = Tables().draw(np.array([[np.nan, 0.0]], np.float32))
    assert set(np.unique(picture[:, 1:SIDE, 1:SIDE].round(2))) == {np.float32(0.6), np.float32(1.0)}


def test_of_a_hidden_cell_the_middle_is_seen():
    picture = Tables().draw(np.array([[1.0, 1.0]], np.float32), np.array([True, False]))
    np.testing.assert_allclose(picture[:, 3, 3], np.array(HIDDEN) / 255, atol=1e-6)
    np.testing.assert_allclose(middle(picture, 0), SCALE[4], atol=1e-6)
    np.testing.assert_allclose(picture[:, 3, SIDE + 3], SCALE[4], atol=1e-6)


def test_many_cells_stand_in_lines_that_fit_a_page():
    assert Tables().draw(np.zeros((1, 40), np.float32)).shape == (3, 4 * 32 + 1, 10 * 32 + 1)
    assert max(Tables().draw(np.zeros((1, 900), np.float32)).shape[1:]) <= 321


def test_a_caption_names_the_cells_and_says_what_colours_mean():
    named = card(size=(2,), cells=("age", "height"))
    assert Tables().keyed("Rows.", named) == (
        "Rows. Cells in their order: age, height; from violet, the least, to yellow, the greatest; hatched where "
        "nothing is known."
    )
    assert Tables().keyed("Rows.", card(size=(2,))).startswith("Rows. From violet, ")
    assert Series().keyed("Windows.", named) == "Windows."
