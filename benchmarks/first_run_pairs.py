"""What was predicted of each held-out picture, and intervals of figures and of their paired differences.

Shapes: N pictures, S seeds, Q classes.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from first_run_sets import Task
from PIL import Image

RESAMPLES = 1_000
NUM_CLASSES = 21
"""Of VOC's masks, with background."""
VOID = 255


def per_picture(task: Task, predictions: Path, test: Path) -> np.ndarray:
    """Return what `figure` needs of each test picture, in the order of their names.

    `classify`: whether the class is right, (N,). `segment`: pixels that are right, predicted and true of each class,
    (N, 3, Q), at the picture's own size.
    """
    if task == "classify":
        with (predictions / "predictions.csv").open(newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
        return np.array([row["class"] == row["truth"] for row in rows])
    return np.stack([_counts(path, predictions) for path in sorted((test / "masks").glob("*.png"))])


def _counts(mask: Path, predictions: Path) -> np.ndarray:
    true = np.asarray(Image.open(mask))
    predicted = np.asarray(Image.open(predictions / "files" / f"{mask.stem}.jpg.mask.png"))
    judged = true != VOID
    true, predicted = true[judged], predicted[judged]
    parts = (true[true == predicted], predicted, true)
    return np.stack([np.bincount(part, minlength=NUM_CLASSES) for part in parts])


def figure(pictures: np.ndarray) -> float:
    """Return top-1 accuracy, or mIoU over the classes that these pictures have."""
    if pictures.ndim == 1:
        return float(pictures.mean())
    right, predicted, true = pictures.sum(0)
    present = true > 0
    return float((right[present] / (predicted + true - right)[present]).mean())


def mean_interval(arms: Sequence[Sequence[np.ndarray]]) -> tuple[float, float, float]:
    """Return the mean figure over the seeds of one arm, or of one arm less another's, with its 95% interval.

    Each arm is its seeds' pictures. The interval is of resamples of whole pictures, the same for all seeds and arms:
    it holds the chance of which pictures were tested, and not that of seeds beyond these.
    """

    def value(rows: np.ndarray) -> float:
        means = [np.mean([figure(seed[rows]) for seed in arm]) for arm in arms]
        return float(means[0] - (means[1] if len(means) > 1 else 0.0))

    num, draws = len(arms[0][0]), np.random.default_rng(0)
    low, high = np.percentile([value(draws.integers(0, num, num)) for _ in range(RESAMPLES)], (2.5, 97.5))
    return value(np.arange(num)), float(low), float(high)
