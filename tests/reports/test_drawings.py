"""Charts decode to the promised sizes and show what they were given."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from maecli.reports import drawings


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


@pytest.mark.parametrize("caption", ["$x^", "a_b^c \\frac", "tab\tand\nbreak", "花 🌸", "<script>"])
def test_any_caption_can_be_drawn(caption: str) -> None:
    drawings.confusion_matrix(np.eye(2, dtype=int), [caption, "other"])
    drawings.curves({caption: [(0, 1), (1, 2)]}, caption, caption, baselines={caption: 1.0})


def test_curves_name_their_series_and_their_baselines(drawn: list[str]) -> None:
    png = drawings.curves(
        {"train": [(1, 0.2), (2, 0.9)], "val": [(1, 0.3), (2, 0.8)]},
        "epoch",
        "top-1 accuracy",
        baselines={"all_background": 0.1135},
        unit="share",
    )

    assert {"train", "val", "epoch", "top-1 accuracy", "all background 11.35%", "60%"} <= set(drawn)
    pixels = decoded(png)
    assert pixels.shape == (640, 1040, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 0.5)],
        [(1, float("nan")), (2, float("inf"))],
        [(0, 0.0), (1, -1.0)],
        [(i, 10.0**-i) for i in range(9)],
    ],
    ids=["none", "one", "not finite", "not positive", "nine decades"],
)
def test_curves_of_any_points_can_be_drawn(points: list[tuple[float, float]], log_y: bool) -> None:
    assert decoded(drawings.curves({"loss": points}, "step", "loss", log_y=log_y)).shape == (640, 1040, 3)


def test_curves_without_finite_points_say_so(drawn: list[str]) -> None:
    drawings.curves({"loss": [(1, float("nan"))]}, "step", "loss")

    assert "no points to draw" in drawn


def test_whole_steps_have_whole_ticks(drawn: list[str]) -> None:
    drawings.curves({"loss": [(1, 0.5), (3, 0.4)]}, "epoch", "loss")

    assert {"1", "2", "3"} <= set(drawn)
    assert "1.5" not in drawn


def test_a_small_confusion_matrix_shows_every_count(drawn: list[str]) -> None:
    matrix = np.array([[41, 9, 0], [3, 1250, 7], [0, 0, 0]])

    pixels = decoded(drawings.confusion_matrix(matrix, ["cat", "dog", "a class that nobody ever saw"]))

    assert {"41", "9", "3", "1.2k", "7", "cat", "dog", "a class that …", "predicted", "true"} <= set(drawn)
    assert drawn.count("0") == 4
    assert pixels.shape == (1040, 1040, 3)


def test_colour_is_the_share_of_the_true_class(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[NDArray[np.float64]] = []
    imshow = Axes.imshow

    def recording(self: Axes, pixels: NDArray[np.float64], **options: Any) -> Any:
        shown.append(pixels)
        return imshow(self, pixels, **options)

    monkeypatch.setattr(Axes, "imshow", recording)
    drawings.confusion_matrix(np.array([[3, 1], [0, 0]]), ["a", "b"])
    drawings.confusion_matrix(np.eye(1000, dtype=int) * 5, [str(i) for i in range(1000)])

    assert shown[0].tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert np.array_equal(shown[1], np.eye(200))  # the largest share of each 5 by 5 tile


def test_many_classes_have_few_names_and_no_counts(drawn: list[str]) -> None:
    drawings.confusion_matrix(np.eye(1000, dtype=int) * 7, [f"c{i}" for i in range(1000)])

    assert "7" not in drawn
    assert {text for text in drawn if text.startswith("c")} == {f"c{i}" for i in range(0, 1000, 50)}
    assert "share of the true class, largest of 5 × 5 cells" in drawn


def test_a_confusion_matrix_must_fit_its_classes() -> None:
    with pytest.raises(ValueError, match=r"of 2 classes must have shape \(2, 2\), not \(3, 3\)"):
        drawings.confusion_matrix(np.eye(3, dtype=int), ["a", "b"])


def test_threads_draw_what_one_thread_draws() -> None:
    def draw(seed: int) -> bytes:
        points = [(i, float(y)) for i, y in enumerate(np.random.default_rng(seed).random(20))]
        return drawings.curves({"loss": points}, "step", "loss")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == [draw(seed) for seed in range(4)]


def test_importing_the_metrics_loads_no_matplotlib() -> None:
    check = (
        "import sys, maecli.reports.drawings, maecli.reports.page;"
        "sys.exit('matplotlib' in sys.modules or 'jinja2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_pyplot_is_never_loaded() -> None:
    check = (
        "import sys, numpy; from maecli.reports import drawings;"
        "drawings.curves({'a': [(0, 1), (1, 2)]}, 'x', 'y'); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
