"""A confusion matrix shows counts where there is room for them, and shares always."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from maecli.reports.canvas import WIDTH
from maecli.reports.confusion import confusion_matrix


def decoded(png: bytes) -> NDArray[np.uint8]:
    """Return the PNG as (H, W, 3)."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect every text that is drawn."""
    texts: list[str] = []
    draw = Text.draw

    def recording(self: Text, renderer: Any) -> None:
        if self.get_visible() and self.get_text():
            texts.append(self.get_text())
        draw(self, renderer)

    monkeypatch.setattr(Text, "draw", recording)
    return texts


def test_a_small_confusion_matrix_shows_every_count(drawn: list[str]) -> None:
    matrix = np.array([[41, 9, 0], [3, 1250, 7], [0, 0, 0]])

    pixels = decoded(confusion_matrix(matrix, ["cat", "dog", "a class that nobody ever saw"]))

    assert {"41", "9", "3", "1.2k", "7", "cat", "dog", "a class …t nobody ever saw", "predicted", "true"} <= set(drawn)
    assert drawn.count("0") % 4 == 0
    assert pixels.shape[1] <= WIDTH


@pytest.mark.slow
def test_colour_is_the_share_of_the_true_class(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[NDArray[np.float64]] = []
    imshow = Axes.imshow

    def recording(self: Axes, pixels: NDArray[np.float64], **options: Any) -> Any:
        shown.append(pixels)
        return imshow(self, pixels, **options)

    monkeypatch.setattr(Axes, "imshow", recording)
    with Image.open(io.BytesIO(confusion_matrix(np.array([[3, 1], [0, 0]]), ["a", "b"]))) as image:
        assert re.findall(r"fill-opacity:([.\d]+)", image.info["mae:svg"]) == ["0.75", "0.25"]
    confusion_matrix(np.eye(1000, dtype=int) * 5, [str(i) for i in range(1000)])

    assert np.array_equal(shown[0], np.eye(200))  # the largest share of each 5 by 5 tile


@pytest.mark.slow
def test_many_classes_have_few_names_and_no_counts(drawn: list[str]) -> None:
    confusion_matrix(np.eye(1000, dtype=int) * 7, [f"c{i}" for i in range(1000)])

    assert "7" not in drawn
    assert {text for text in drawn if text.startswith("c")} == {f"c{i}" for i in range(0, 1000, 50)}
    assert "share of the true class, largest of 5 × 5 cells" in drawn


def test_no_letter_is_lost_of_the_names_of_21_classes(drawn: list[str]) -> None:
    names = [f"pottedplant {i}" for i in range(21)]
    matrix = np.eye(21, dtype=int) * 300
    matrix[20, 0] = 100
    confusion_matrix(matrix, names)

    assert set(names) <= set(drawn)
    assert {"100", "75", "25"} <= set(drawn), "shares of the true class, in percent"
    assert "0" not in drawn


def test_a_confusion_matrix_must_fit_its_classes() -> None:
    with pytest.raises(ValueError, match=r"of 2 classes must have shape \(2, 2\), not \(3, 3\)"):
        confusion_matrix(np.eye(3, dtype=int), ["a", "b"])
