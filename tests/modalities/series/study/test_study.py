"""Each defect that is planted is told in a sentence, and of a series without any nothing is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_grids import series

from maecli.data.card import SPLIT_NAMES, DataCard
from maecli.data.sample import TensorSplit
from maecli.data.tabular.times import TimeFormat
from maecli.modalities.series.modality import Series
from maecli.modalities.series.recording import Recorded, Recording
from maecli.modalities.series.steps import Steps
from maecli.modalities.study import Study

NUM, LOOKBACK = 2000, 48
ROWS = {"train": range(1400), "val": range(1400, 1600), "test": range(1600, NUM)}
STEPS = np.arange(NUM)


class Cut(TensorSplit, Recorded):
    """The windows of recordings."""


def noise(seed: int) -> np.ndarray:
    return np.convolve(np.random.default_rng(seed).normal(size=NUM + 20), 0.5 ** np.arange(10), "same")[:NUM]


def study(columns: dict[str, np.ndarray], targets=(), lookback=LOOKBACK, steps: Steps | None = None, num=1) -> Study:
    """Return what is found in equal series of these columns, hour by hour."""
    names, values = tuple(columns), np.stack([*columns.values()]).astype(np.float32)
    hours = steps or Steps.even("2026-01-01", timedelta(hours=1), NUM)
    form = TimeFormat("%Y-%m-%d %H:%M")
    splits = {}
    for name in SPLIT_NAMES:
        splits[name] = Cut({"image": torch.zeros(0, len(names), lookback)})
        splits[name].recordings = [
            Recording(f"{i}.csv", values, ROWS[name], Path(f"{i}.csv"), hours, form) for i in range(num)
        ]
    card = DataCard(
        name="toy",
        title="toy",
        modality="series",
        fields=("image", "target"),
        channels=len(names),
        size=(lookback,),
        dtype="float32",
        mean=(0.0,),
        std=(1.0,),
        channel_names=names,
        targets=targets,
        split_sizes={},
        split_origin="by time",
    )
    found = Series().study(lambda name, fields: splits[name], card)
    assert found is not None
    return Study.model_validate_json(found.model_dump_json())


def told(found: Study) -> list[str]:
    return [finding.told for finding in found.findings]


@pytest.mark.parametrize("seed", range(3))
def test_of_noise_nothing_is_claimed(seed):
    found = study({"flow": noise(seed), "level": noise(seed + 100)})
    assert told(found) == []
    assert "No season was found in flow, level." in found.topics[1].text


def test_a_season_is_told_in_words_and_measured_against_the_look_back():
    wave = 3 * np.sin(2 * np.pi * STEPS / 24)
    week = 4.0 * (STEPS // 24 % 7 >= 5)
    found = study({"flow": wave + noise(0), "level": wave + noise(1), "load": wave + week + noise(2)})
    assert told(found) == [
        (
            "flow and level repeat themselves after a day (24 steps): let the look-back hold that, as it does, and "
            "compare forecasts with the season before."
        ),
        (
            "load repeats itself after a day (24 steps) and a week (168 steps): a look-back of 48 steps is shorter "
            "than that: make it longer, and compare forecasts with the season before."
        ),
    ]


def test_a_column_that_looks_ahead_comes_first():
    flow = np.cumsum(noise(0)) * 0.02 + noise(1)
    found = study({"flow": flow, "early": np.roll(flow, -3), "late": np.roll(flow, 2)}, targets=("flow",))
    ahead = [finding for finding in found.findings if finding.kind == "look ahead"]
    assert found.findings[0] == ahead[0]
    assert [finding.of for finding in ahead] == [("early", "flow")]
    assert ahead[0].told == (
        "early holds what flow holds 3 hours (3 steps) later (correlation 1.00), so it looks ahead: forecasts of flow "
        "read the answer from it; leave early out, unless it is known so early."
    )
    assert any(each.startswith("late holds what flow held 2 hours (2 steps) before") for each in told(found))


def test_a_column_that_is_there_twice_is_enough_once():
    found = study({"flow": noise(0), "again": 3 * noise(0) + 1})
    assert told(found) == ["flow and again all but copy each other (correlation 1.00): one of them is enough."]


def test_gaps_are_told_with_their_times():
    flow, level = noise(0), noise(1)
    flow[100:110] = level[100:110] = np.nan
    flow[200] = level[200] = np.nan
    level[500:520] = np.nan
    found = study({"flow": flow, "level": level})
    assert told(found) == [
        (
            "Nothing is known at 11 of 2,000 steps. There are 2 gaps, the longest 10 hours (10 steps) long, from "
            "2026-01-05 04:00: nothing is filled, and models learn from the rest; fill in what you know, or split the "
            "file at long gaps."
        ),
        (
            "Values are missing of level 20 (1.0%) where others are known, at most 20 steps in a row: from 2026-01-21 "
            "20:00, of level. Models learn from the rest; leave out a column that lacks much."
        ),
    ]
    (table,) = next(topic for topic in found.topics if topic.title == "Gaps").tables
    assert table.rows[1] == ("0.csv", "all columns", "2026-01-05 04:00", "2026-01-05 13:00", 10)


def test_rows_between_steps_are_told():
    places = np.arange(NUM)
    places[[7, 9]] = -1
    steps = Steps(np.timedelta64(3600, "s"), np.datetime64("2026-01-01T00", "us"), places, NUM)
    assert told(study({"flow": noise(0), "level": noise(1)}, steps=steps)) == [
        (
            "Steps are irregular: 2 rows of 0.csv stand between steps of 1 hour and are left out; bring the series to "
            "even steps before, as by means, to use them."
        )
    ]


def test_splits_that_differ_are_told_by_how():
    flow, level = noise(0), noise(1)
    flow[1600:] += 3
    level[1600:] *= 4
    found = study({"flow": flow, "level": level})
    (drift,) = [finding for finding in found.findings if finding.kind == "drift"]
    assert drift.of == ("flow", "level")
    assert drift.told.startswith("Test is not like train, by its mean (flow +2.")
    assert "by its spread (level 4" in drift.told
    assert "by values outside of all that train holds (" in drift.told


def test_levels_that_move_are_told_by_how():
    walk, trend = np.cumsum(noise(0)), 0.01 * STEPS + noise(1)
    found = study({"walk": walk, "trend": trend, "flow": noise(2)})
    levels = {finding.of: finding.told for finding in found.findings if finding.kind == "level"}
    assert levels[("walk",)].startswith("walk wanders: its level moves by up to ")
    assert levels[("trend",)].startswith("trend rises along a line: its level moves by up to ")
    assert len(levels) == 2


def test_several_series_are_named(monkeypatch):
    found = study({"flow": noise(0), "again": noise(0)}, num=2)
    assert [finding.of for finding in found.findings] == [
        ("flow of 0.csv", "again of 0.csv"),
        ("flow of 1.csv", "again of 1.csv"),
    ]
    monkeypatch.setattr("maecli.modalities.series.study.subject.MOST_COLUMNS", 2)
    monkeypatch.setattr("maecli.modalities.series.study.subject.MOST_STEPS", 500)
    found = study({"flow": noise(0), "again": noise(1)}, num=2)
    assert found.topics[0].text == (
        "Seasons, levels and copies were looked for in 2 of 4 columns of series and the last 500 steps of each.",
    )


def test_windows_of_nobody_knows_what_are_not_studied():
    dataset = series()
    assert Series().study(dataset.split, dataset.card()) is None
