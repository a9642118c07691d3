from __future__ import annotations

import io
import math

import pytest
from PIL import Image
from sweep_outcomes import RATIO, SIZE, outcome, row, top1

from maecli.reports.charts import Mark, bars_chart, curves, points_chart
from maecli.reports.numbers import format_mean
from maecli.results import Metric, mean_metric
from maecli.sweep.outcome import Row, point_title
from maecli.sweep.report import format_seeds, headline_charts, mark, split_charts, sweep_tables


def test_mean_and_deviation_over_seeds_are_those_of_the_textbook():
    metric, sd = mean_metric([top1(0.90, interval=(0.8, 0.95)), top1(0.92), top1(0.97)])
    assert metric.value == pytest.approx(0.93)
    assert sd == pytest.approx(math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2))
    assert metric.interval is None
    assert format_mean(metric, sd) == "93.00 ± 3.61%"


def test_baselines_are_averaged_too():
    metric, _ = mean_metric([top1(0.5, baselines={"a": 0.1, "b": 0.3}), top1(0.7, baselines={"a": 0.2})])
    assert metric.baselines == {"a": pytest.approx(0.15)}


def test_one_seed_keeps_its_interval_and_has_no_deviation():
    metric, sd = mean_metric([top1(0.9, interval=(0.8, 0.95))])
    assert sd is None
    assert format_mean(metric, sd) == "90.00% (80.00% to 95.00%)"


@pytest.mark.parametrize(
    ("value", "sd", "unit", "text"),
    [
        (14.9, 0.123, "dB", "14.90 ± 0.12 dB"),
        (0.0324, 0.00123, "squared", "0.03240 ± 0.00123"),
        (1e-9, 2e-10, "", "1.000e-09 ± 2.000e-10"),
        (float("nan"), float("nan"), "share", "n/a ± n/a"),
    ],
)
def test_a_deviation_has_the_decimals_of_its_mean(value, sd, unit, text):
    assert format_mean(Metric(name="x", label="x", value=value, unit=unit), sd) == text


def test_the_table_has_a_row_per_point_and_arm_beside_its_baseline():
    [table] = sweep_tables(outcome(row({"mask_ratio": "0.5"}, 0.9, 0.92), row({}, 0.05, arm="scratch")))
    assert table.title == "Fine-tuning: top-1 accuracy, test"
    assert table.columns == ("mask ratio", "arm", "mean ± sd", "best baseline", "", "seeds", "training time")
    assert table.rows == (
        ("0.5", "", "91.00 ± 1.41%", "chance 10.00%", "", "2 seeds", "1 min 05 s"),
        ("any", "scratch", "5.00%", "chance 10.00%", "does not beat it", "one seed", "1 min 05 s"),
    )


def test_what_arms_learn_and_take_is_told_where_it_differs():
    arms = [Row(**{**vars(row({}, 0.9, arm=f"{num}")), "trained_parameters": num}) for num in (1290, 54000)]
    [table] = sweep_tables(outcome(Row(**{**vars(arms[0]), "peak_memory": 10**9}), arms[1]))
    assert table.columns[-2:] == ("parameters that learn", "peak memory")
    assert [cells[-2:] for cells in table.rows] == [("1,290", "1.0 GB"), ("54,000", "not measured")]


def test_seeds_that_are_missing_are_named():
    each = row({}, 0.5, 0.6)
    assert format_seeds(Row(**{**vars(each), "missing": (2,)})) == "2 seeds, without 2"


def test_the_metrics_of_another_task_have_a_table_of_their_own():
    other = row({}, 0.3, name="map", label="mean average precision", arm="several")
    assert [table.title for table in sweep_tables(outcome(row({}, 0.9, arm="one"), other))] == [
        "Fine-tuning: top-1 accuracy, test",
        "Fine-tuning: mean average precision, test",
    ]


def test_what_is_drawn_is_the_deviation_or_the_interval_of_one_seed():
    assert mark(row({}, 0.4, 0.6)) == Mark(0.5, pytest.approx(0.5 - 0.1 * 2**0.5), pytest.approx(0.5 + 0.1 * 2**0.5))
    assert mark(row({}, 0.4, interval=(0.3, 0.6))) == Mark(0.4, 0.3, 0.6)
    assert mark(row({}, 0.4)) == Mark(0.4, 0.4, 0.4)


def test_a_point_is_named_by_what_tells_it_from_others():
    assert point_title({"mask_ratio": "0.5", "size": "small"}, (RATIO, SIZE)) == "mask ratio 0.5, small"


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to the charts."""
    calls = []
    monkeypatch.setattr("maecli.sweep.report.points_chart", lambda *args: calls.append(("points", *args)) or b"")
    monkeypatch.setattr("maecli.sweep.report.bars_chart", lambda *args: calls.append(("bars", *args)) or b"")
    return calls


def test_numbers_are_drawn_along_x_and_the_rest_as_lines(drawn):
    rows = [
        row({"mask_ratio": ratio, "size": size}, value)
        for size, value in (("small", 0.5), ("large", 0.7))
        for ratio in ("0.5", "0.75")
    ]
    [picture] = headline_charts(outcome(*rows, row({"size": "small"}, 0.4, arm="scratch")))
    [(kind, series, x, y, unit, levels, baseline)] = drawn
    assert (kind, x, y, unit) == ("points", "mask ratio", "top-1 accuracy, test", "share")
    assert series == {
        "small": {0.5: Mark(0.5, 0.5, 0.5), 0.75: Mark(0.5, 0.5, 0.5)},
        "large": {0.5: Mark(0.7, 0.7, 0.7), 0.75: Mark(0.7, 0.7, 0.7)},
    }
    assert levels == {"small · scratch": Mark(0.4, 0.4, 0.4)}
    assert baseline == ("chance", {0.5: 0.1, 0.75: 0.1})
    assert picture.caption == "Top-1 accuracy, test. One seed each."


def test_names_are_drawn_as_bars(drawn):
    headline_charts(outcome(row({"size": "small"}, 0.5), row({"size": "large"}, 0.7)))
    [(kind, bars, _, _, baselines, baseline)] = drawn
    assert (kind, list(bars), baselines, baseline) == (
        "bars",
        ["small", "large"],
        {"small": 0.1, "large": 0.1},
        "chance",
    )


def test_each_split_has_a_line_of_its_own(drawn):
    rows = [
        row({"mask_ratio": ratio}, value, split=split)
        for split, value in (("train", 0.9), ("test", 0.7))
        for ratio in ("0.5", "0.75")
    ]
    [picture] = split_charts(outcome(*rows), ["train", "test"])
    assert list(drawn[0][1]) == ["train", "test"]
    assert picture.name == "splits-finetune"


@pytest.mark.slow
@pytest.mark.parametrize("far", [False, True])
def test_charts_are_pngs_of_the_page_width(far):
    marks = {x: Mark(x, x - 0.1, x + 0.1) for x in (1.0, 2.0, 16.0)}
    baseline = ("mean picture", dict.fromkeys(marks, -1000.0 if far else 0.5))
    charts = [
        points_chart({"a_b $x$": marks}, "size", "error", "", {"scratch": Mark(3, 2, 4)}, baseline),
        bars_chart(
            {"small": Mark(0.5, 0.4, 0.6), "large": Mark(0.7, 0.7, 0.7)}, "share", "share", {"small": 0.1}, "chance"
        ),
        curves({"a": [(1, 0.1), (2, 5.0)], "b": [(1, math.nan)]}, "epoch", "loss", log_y=None, ends={"a": (2, 4.0)}),
    ]
    for png in charts:
        with Image.open(io.BytesIO(png)) as image:
            assert image.width == 1408
