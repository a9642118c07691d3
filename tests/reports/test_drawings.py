"""Metrics decode to the promised sizes and show what they were given."""

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

RED = (179, 38, 30)


def decoded(png: bytes) -> NDArray[np.uint8]:
    """Return the PNG as (H, W, 3)."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def count(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((pixels == np.array(colour, dtype=np.uint8)).all(axis=-1).sum())


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


def test_a_tiny_picture_is_enlarged_to_crisp_squares() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[2, 5] = (10, 200, 30)

    pixels = decoded(drawings.picture_grid([[picture]], ["original"]))

    factor = 320 // 8
    assert count(pixels, (10, 200, 30)) == factor**2
    rows, columns = np.nonzero((pixels == [10, 200, 30]).all(axis=-1))
    assert [np.ptp(rows) + 1, np.ptp(columns) + 1] == [factor] * 2


def test_a_large_picture_is_reduced_and_keeps_its_proportions() -> None:
    picture = np.full((3, 300, 1500), 7, np.uint8)

    pixels = decoded(drawings.picture_grid([[picture]], ["panorama"]))

    assert count(pixels, (7, 7, 7)) == 320 * 64


def test_no_word_of_a_column_title_is_broken(drawn: list[str]) -> None:
    drawings.picture_grid([[np.zeros((160, 160, 3), np.uint8)] * 2], ["prediction", "with visible patches"])

    assert "prediction" in drawn


def test_columns_fit_into_max_px() -> None:
    rows = [[np.zeros((1, 28, 28), np.float32)] * 4] * 2
    titles = ["original", "masked", "reconstruction", "reconstruction with visible patches"]

    assert decoded(drawings.picture_grid(rows, titles)).shape[1] <= 1040
    assert decoded(drawings.picture_grid(rows, titles, max_px=500)).shape[1] <= 500


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

    pixels = decoded(drawings.picture_grid([[picture]], [""]))

    assert count(pixels, shown) == (320 // max(shape[-2:])) ** 2 * shape[-2] * shape[-1]


def test_channels_may_stand_last() -> None:
    first = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)

    assert drawings.picture_grid([[first]], [""]) == drawings.picture_grid([[first.transpose(1, 2, 0)]], [""])


def test_missing_values_are_grey_and_excess_is_clipped() -> None:
    picture = np.array([[np.nan, 7.0], [-3.0, 0.5]])

    levels = {tuple(pixel) for pixel in decoded(drawings.picture_grid([[picture]], [""])).reshape(-1, 3).tolist()}

    assert levels == {(128, 128, 128), (255, 255, 255), (0, 0, 0)}


def test_the_titles_of_columns_and_rows_are_drawn(drawn: list[str]) -> None:
    drawings.picture_grid([[np.zeros((8, 8))] * 2] * 2, ["original", "masked"], ["first", "second"])

    assert drawn == ["original", "masked", "first", "second"]


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
        drawings.picture_grid([[picture]], ["original"])


def test_a_grid_that_does_not_fit_together_is_refused() -> None:
    picture = np.zeros((8, 8))
    with pytest.raises(ValueError, match="each row needs 2 pictures, one per column title"):
        drawings.picture_grid([[picture]], ["original", "masked"])
    with pytest.raises(ValueError, match="at least one row and one column"):
        drawings.picture_grid([], ["original"])
    with pytest.raises(ValueError, match=r"40 columns do not fit into max_px \(100\)"):
        drawings.picture_grid([[picture] * 40], ["x"] * 40, max_px=100)


def test_a_wrong_prediction_has_a_red_frame_and_the_word(drawn: list[str]) -> None:
    pictures = [np.zeros((1, 8, 8))] * 3
    right = drawings.contact_sheet(pictures, ["3 99%", "4 80%", "5 70%"], [False, None, False])
    assert "wrong" not in drawn
    assert count(decoded(right), RED) == 0

    one_wrong = drawings.contact_sheet(pictures, ["3 99%", "4 80%", "5 70%"], [False, None, True])
    assert drawn.count("wrong") == 1
    side = 8 * (156 // 8)
    assert count(decoded(one_wrong), RED) >= side**2 - (side - 16) ** 2


def test_a_contact_sheet_shows_the_first_36(drawn: list[str]) -> None:
    drawings.contact_sheet([np.zeros((8, 8))] * 40, [f"n{i}" for i in range(40)])

    assert drawn == [f"n{i}" for i in range(36)]


def test_a_contact_sheet_names_files_below_their_captions_without_the_middle_of_long_names(drawn: list[str]) -> None:
    keys = ["cats/1.png", "IMG_20240131_101523_burst_0007.jpg"]
    drawings.contact_sheet([np.zeros((99, 99))] * 2, ["cat 99%", "dog 80%"], [True, None], keys)

    assert drawn == ["cat 99%", "wrong", "1.png", "dog 80%", "IMG_20…t_0007.jpg"]


def test_a_contact_sheet_refuses_no_pictures_and_missing_captions() -> None:
    with pytest.raises(ValueError, match="needs at least one picture"):
        drawings.contact_sheet([], [])
    with pytest.raises(ValueError, match="shorter"):
        drawings.contact_sheet([np.zeros((8, 8))] * 2, ["one"])


@pytest.mark.parametrize("caption", ["$x^", "a_b^c \\frac", "tab\tand\nbreak", "花 🌸", "<script>"])
def test_any_caption_can_be_drawn(caption: str) -> None:
    drawings.contact_sheet([np.zeros((8, 8))], [caption], [True])
    drawings.confusion_matrix(np.eye(2, dtype=int), [caption, "other"])
    drawings.curves({caption: [(0, 1), (1, 2)]}, caption, caption, baselines={caption: 1.0})


def test_letters_that_the_font_lacks_become_boxes(drawn: list[str]) -> None:
    drawings.contact_sheet([np.zeros((8, 8))], ["花 99%"])

    assert drawn == ["□ 99%"]


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
