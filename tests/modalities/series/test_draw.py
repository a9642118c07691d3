from __future__ import annotations

import numpy as np

from maecli.modalities.drawing import HIDDEN
from maecli.modalities.series.draw import HEIGHT, MARGIN, WIDTH
from maecli.modalities.series.modality import Series


def draw(image, hidden=None) -> np.ndarray:
    picture = Series().draw(np.array(image, np.float32), hidden)
    assert picture.shape == (3, HEIGHT, WIDTH)
    assert picture.dtype == np.float32
    assert 0 <= picture.min() < picture.max() <= 1
    return picture


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where lines are: pixels that are not nearly grey (h, w)."""
    return picture.max(0) - picture.min(0) > 0.2


def test_a_line_lies_higher_where_values_are_higher():
    rows = [np.flatnonzero(coloured(draw([[value] * 20])).any(1)).mean() for value in (1.0, 0.5, 0.0)]
    assert rows[0] < rows[1] < rows[2]
    np.testing.assert_allclose(rows[1], HEIGHT / 2, atol=2)


def test_values_outside_are_drawn_at_the_border():
    np.testing.assert_array_equal(draw([[7.0] * 9]), draw([[1.0] * 9]))


def test_a_line_has_a_gap_where_a_value_is_missing():
    columns = coloured(draw([[0.5, 0.5, 0.5, np.nan, np.nan, np.nan, 0.5, np.nan, 0.5, 0.5]])).any(0)
    middles = (MARGIN + (np.arange(10) + 0.5) / 10 * (WIDTH - 2 * MARGIN)).astype(int).tolist()
    assert [bool(columns[x - 1 : x + 2].any()) for x in middles] == [True] * 3 + [False] * 3 + [True, False] + [
        True
    ] * 2


def test_steps_without_any_value_are_hatched_and_hidden_ones_are_shaded():
    image = np.full((2, 4), 0.5)
    image[0, 1], image[:, 2] = np.nan, np.nan
    plain, shaded = draw(image), draw(image, np.array([True, False, True, False]))
    row, columns = HEIGHT // 5, [WIDTH * step // 4 + 30 for step in range(4)]
    grey = np.array(HIDDEN, np.float32) / 255
    assert [bool(plain[:, row, x : x + 8].min() < 0.7) for x in columns] == [False, False, True, False]
    for step, x in enumerate(columns):
        assert (np.abs(shaded[:, row, x] - grey).max() < 0.01) == (step in (0, 2))


def test_more_than_eight_channels_are_drawn_as_the_first_eight():
    image = np.random.default_rng(0).random((10, 30))
    np.testing.assert_array_equal(draw(image), draw(image[:8]))
    assert (draw(image) != draw(image[:7])).any()
