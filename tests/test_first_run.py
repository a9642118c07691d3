"""The figures and the table of benchmarks/first_run.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from first_run_hands import HANDS, MAX_HANDS
from first_run_pairs import NUM_CLASSES, figure, mean_interval
from first_run_sets import SETS
from first_run_table import table


def counts(num: int, share_right: float) -> np.ndarray:
    """Return (N, 3, Q) pixels of two classes, of which a share is right."""
    pictures = np.zeros((num, 3, NUM_CLASSES), dtype=np.int64)
    pictures[:, 1:, :2] = 100
    pictures[:, 0, :2] = round(100 * share_right)
    return pictures


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        (np.array([True, True, False, False]), 0.5),
        (counts(3, 1.0), 1.0),
        (counts(3, 0.5), 1 / 3),  # 50 of 150 pixels of the union; the other 19 classes are in no mask
    ],
)
def test_figure(pictures, expected):
    assert figure(pictures) == pytest.approx(expected)


@pytest.mark.parametrize("pictures", [np.arange(40) % 3 > 0, counts(5, 0.7)])
def test_an_arm_differs_from_itself_by_nothing(pictures):
    assert mean_interval([[pictures], [pictures]]) == (0.0, 0.0, 0.0)


def test_interval_holds_the_mean_over_seeds():
    right = np.random.default_rng(0).random((3, 200)) < 0.7
    value, low, high = mean_interval([list(right)])
    assert value == pytest.approx(right.mean())
    assert low < value < high


def row(arm: str, seed: int, value: float) -> dict[str, Any]:
    plan = {"name": "vit", "img_size": 64, "patch_size": 8, "steps": 900, "batch_size": 16, "base_lr": 0.016}
    return {
        "set": "tin-3",
        "arm": arm,
        "seed": seed,
        "metrics": [{"value": value, "baselines": {"chance": 1 / 3, "majority": 0.4}}],
        "seconds": {"pretrain": 100.0, "finetune": 150.0, "eval": 5.0},
        "planned": {"finetune": plan},
    }


def right(row: dict[str, Any]) -> np.ndarray:
    return np.arange(100) < 100 * row["metrics"][0]["value"]


def test_table_compares_the_plan_with_the_best_hand_on_the_seeds_of_both():
    rows = [row("plan", 0, 0.5), row("plan", 1, 1.0), row("poor", 0, 0.25), row("good", 0, 0.75)]
    pictures = {
        ("tin-3", each["arm"], each["seed"]): np.arange(100) < 100 * each["metrics"][0]["value"] for each in rows
    }
    line = table(rows, pictures).splitlines()[-1]
    assert line.startswith("| tin-3 (2 seeds) | 75.0 (")
    assert " (good) |" in line
    assert "| -25.0 (" in line
    assert "| 40.0% | 255 |" in line
    assert "finetune: vit at 64, patch 8, 900 steps of 16, rate 0.001" in line


def test_hands_are_of_known_sets_and_few():
    assert set(HANDS) <= set(SETS)
    assert all(len(hands) <= MAX_HANDS and len({hand.name for hand in hands}) == len(hands) for hands in HANDS.values())
