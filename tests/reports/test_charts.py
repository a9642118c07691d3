"""Charts show every class, split and bin that they were given."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from maecli.eda.findings import Histogram
from maecli.reports import charts
from maecli.reports.canvas import NARROW, WIDTH
from maecli.results import Metric


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return image.size


def rgb(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def blue(page: np.ndarray) -> np.ndarray:
    """Return how many pixels of each row a bar covers."""
    return np.asarray((page == (0x00, 0x72, 0xB2)).all(-1).sum(1))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Collect every text that is drawn."""
    texts: set[str] = set()
    draw = Text.draw

    def recording(self: Text, renderer: Any) -> None:
        if self.get_visible() and self.get_text():
            texts.add(self.get_text())
        draw(self, renderer)

    monkeypatch.setattr(Text, "draw", recording)
    return texts


def test_bars_name_classes_and_their_numbers(drawn: set[str]) -> None:
    panels = {"images": [1234, 0], "pixels": [0.9876, 0.00012]}
    png = charts.class_panels(["cat", "$dog"], panels, [(255, 0, 0), (0, 128, 0)], frozenset({"pixels"}))

    assert size_of(png)[0] == WIDTH
    assert {"cat", "$dog", "images", "pixels", "1,234", "0", "98.8%", "0.012%"} <= drawn
    assert (rgb(png) == [255, 0, 0]).all(-1).any(), "bars have the colours of their classes"


@pytest.mark.slow
def test_of_many_classes_the_most_frequent_are_drawn(drawn: set[str]) -> None:
    names = [f"c{i}" for i in range(100)]
    charts.class_panels(names, {"train": [float(i) for i in range(100)]})

    assert {name for name in drawn if name.startswith("c")} == set(names[60:])


@pytest.mark.parametrize("scale", ["linear", "log", "log2"])
def test_a_histogram_names_splits_with_their_medians(drawn: set[str], scale: charts.Scale) -> None:
    found = Histogram(
        edges=(0.125, 0.25, 0.5, 1.0), counts={"train": (1, 2, 1), "val": (0, 0, 0)}, medians={"train": 0.3, "val": 0.7}
    )
    assert size_of(charts.histogram(found, "area", scale, "share"))[0] == WIDTH
    assert {"train, median 30.0%", "val, median 70.0%", "area", "share of the split"} <= drawn


def test_sizes_are_drawn_for_each_split(drawn: set[str]) -> None:
    png = charts.sizes({"train": [((375, 500), 9), ((500, 375), 1)], "val": [((100, 100), 1)]})

    assert size_of(png)[0] == WIDTH
    assert {"train", "val", "width in pixels", "height in pixels"} <= drawn


@pytest.mark.parametrize("size", [(12, 500), (500, 12), (3, 4)])
def test_sizes_begin_at_zero(drawn: set[str], size: tuple[int, int]) -> None:
    charts.sizes({"train": [(size, 1), ((10, 10), 1)]})
    assert not [text for text in drawn if text[0] in "−-"]
    assert "0" in drawn


def test_a_chart_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one class and one panel"):
        charts.class_panels([], {"train": []})


def test_shares_are_bars_of_their_length_the_longest_first() -> None:
    lengths = blue(rgb(charts.class_bars({"cat": 0.2, "dog": 0.8, "emu": 0.4}, "IoU")))
    runs = [run for run in np.split(lengths, np.flatnonzero(np.diff((lengths > 0).astype(int))) + 1) if run[0]]
    dog, emu, cat = (int(np.median(run)) for run in runs)
    assert dog / cat == pytest.approx(4, rel=0.05)
    assert emu / cat == pytest.approx(2, rel=0.05)


def test_marks_are_drawn_and_explained(drawn: set[str]) -> None:
    plain, marked = (rgb(charts.class_bars({"$cat": 0.2}, "IoU", marks, "$baseline")) for marks in ({}, {"$cat": 0.7}))
    orange = (0xD5, 0x5E, 0x00)
    assert not (plain == orange).all(-1).any()
    assert (marked == orange).all(-1).any()
    assert {"$cat", "$baseline", "20.00%", "IoU"} <= drawn


@pytest.mark.slow
def test_more_classes_make_a_taller_chart() -> None:
    few, many = (rgb(charts.class_bars({f"class {i}": i / 60 for i in range(n)}, "IoU")) for n in (3, 60))
    assert len(many) > 3 * len(few)


def test_a_chart_of_shares_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="a bar chart needs at least one bar"):
        charts.class_bars({}, "IoU")


@pytest.mark.slow
@pytest.mark.parametrize("caption", ["$x^", "a_b^c \\frac", "tab\tand\nbreak", "花 🌸", "<script>"])
def test_any_caption_can_be_drawn(caption: str) -> None:
    charts.curves({caption: [(0, 1), (1, 2)]}, caption, caption, baselines={caption: 1.0})


@pytest.mark.slow
def test_curves_name_their_series_and_their_baselines(drawn: set[str]) -> None:
    png = charts.curves(
        {"train": [(1, 0.2), (2, 0.9)], "val": [(1, 0.3), (2, 0.8)]},
        "epoch",
        "top-1 accuracy",
        baselines={"all_background": 0.1135},
        unit="share",
    )

    assert {"train", "val", "epoch", "top-1 accuracy", "all background 11.35%", "60%"} <= set(drawn)
    pixels = rgb(png)
    assert pixels.shape[1] == WIDTH
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
    assert rgb(charts.curves({"loss": points}, "step", "loss", log_y=log_y)).shape[1] == WIDTH


def test_curves_without_finite_points_say_so(drawn: set[str]) -> None:
    charts.curves({"loss": [(1, float("nan"))]}, "step", "loss")

    assert "no points to draw" in drawn


def test_whole_steps_have_whole_ticks(drawn: set[str]) -> None:
    charts.curves({"loss": [(1, 0.5), (3, 0.4)]}, "epoch", "loss")

    assert {"1", "2", "3"} <= set(drawn)
    assert "1.5" not in drawn


@pytest.mark.slow
def test_threads_draw_what_one_thread_draws() -> None:
    def draw(seed: int) -> bytes:
        points = [(i, float(y)) for i, y in enumerate(np.random.default_rng(seed).random(20))]
        return charts.curves({"loss": points}, "step", "loss")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == [draw(seed) for seed in range(4)]


@pytest.mark.slow
def test_matplotlib_is_loaded_when_something_is_drawn_and_pyplot_never() -> None:
    check = (
        "import sys; from maecli.reports import charts, page;"
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules);"
        "charts.curves({'a': [(0, 1), (1, 2)]}, 'x', 'y'); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_chart_is_noted_as_svg_for_a_wide_and_a_narrow_column_and_in_words() -> None:
    with Image.open(io.BytesIO(charts.class_bars({"cat": 0.75, "a & b": 0.5}, "recall"))) as image:
        wide, narrow, seen = (image.info[key] for key in ("mae:svg", "mae:svg-narrow", "Description"))

    assert seen == "recall: cat 75.00%, a & b 50.00%"
    for svg, width in ((wide, WIDTH), (narrow, NARROW)):
        root = ElementTree.fromstring(svg)
        assert float(root.attrib["viewBox"].split()[2]) == pytest.approx(width * 72 / 192, abs=0.5)
        assert {"cat", "a & b", "75.00%"} <= {each.text for each in root.iter("text")}
    assert "var(--series-1)" in wide
    assert "#0072b2" not in wide, "a page gives its own colours"


def test_a_metric_stands_above_its_baselines() -> None:
    metric = Metric(
        name="x", label="top-1 accuracy", value=0.5, unit="share", interval=(0.4, 0.6), baselines={"at_random": 0.25}
    )
    with Image.open(io.BytesIO(charts.metric_bars(metric))) as image:
        assert image.info["Description"] == "top-1 accuracy 50.00%, at random 25.00%"


def test_the_name_of_a_baseline_is_whole(drawn: set[str]) -> None:
    baselines = {"own_mean_of_each_patch": 0.2, "majority (Egyptian cat)": 0.3}
    charts.metric_bars(Metric(name="mse", label="masked MSE", value=0.4, baselines=baselines))
    assert {" ".join(text.split()) for text in drawn} >= {"own mean of each patch", "majority (Egyptian cat)"}


def test_the_svg_has_no_ground_of_its_own_and_the_png_is_white() -> None:
    png = charts.metric_bars(Metric(name="x", label="x", value=0.4, baselines={"chance": 0.1}))
    with Image.open(io.BytesIO(png)) as image:
        assert "fill:var(--paper)" not in image.info["mae:svg"]
    assert rgb(png)[0, 0].tolist() == [255, 255, 255]


def test_a_baseline_far_from_the_curves_is_named_and_leaves_them_room(drawn: set[str]) -> None:
    charts.curves({"val": [(0, 0.90), (9, 0.92)]}, "epoch", "accuracy", baselines={"chance": 0.1}, unit="share")

    assert "chance 10.00%, below the chart" in drawn
    assert "20%" not in drawn
