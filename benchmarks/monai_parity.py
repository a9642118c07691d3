"""Compare Dice and 95% Hausdorff distance of `segment` with MONAI's on seeded random shapes with unequal voxels.

MONAI is no dependency of ours, and needs an environment of its own:

    uv venv /tmp/monai
    uv pip install --python /tmp/monai/bin/python monai .
    /tmp/monai/bin/python benchmarks/monai_parity.py

It prints the greatest differences, and ends with 1 where one is above `MOST` of what is measured.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np
import torch
from maecli_plugins.tasks.segment.cases import dice
from maecli_plugins.tasks.segment.surface import hausdorff95
from scipy.ndimage import gaussian_filter

from maecli.measures import confusion
from maecli.overlap import overlap_counts

MOST = 1e-5
"""Relative difference: MONAI reckons in float32."""


def shape(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Return a smooth random mask (D, H, W) of some blobs, which may touch the ends."""
    field = gaussian_filter(rng.standard_normal(size), rng.uniform(1, 3))
    return np.asarray(field > np.quantile(field, rng.uniform(0.5, 0.98)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    num = parser.parse_args().cases
    warnings.simplefilter("ignore")
    import monai
    from monai.metrics import compute_dice, compute_hausdorff_distance

    rng = np.random.default_rng(0)
    worst = {"dice": 0.0, "hd95": 0.0}
    for _ in range(num):
        size = tuple(rng.integers(6, 40, 3).tolist())
        spacing = rng.uniform(0.4, 5, 3).tolist()
        truth, guess = shape(rng, size), shape(rng, size)
        theirs = [torch.from_numpy(mask)[None, None].float() for mask in (guess, truth)]
        options = {"include_background": True, "percentile": 95, "directed": False, "spacing": spacing}
        pairs = {
            "dice": (_dice(truth, guess), compute_dice(*theirs).item()),
            "hd95": (hausdorff95(truth, guess, spacing), compute_hausdorff_distance(*theirs, **options).item()),
        }
        for name, (own, other) in pairs.items():
            worst[name] = max(worst[name], abs(own - other) / max(abs(other), 1e-9))
    print(f"{num} cases of 6 to 39 voxels a side, 0.4 to 5 mm apart, MONAI {monai.__version__}: greatest relative")
    print(f"difference of Dice {worst['dice']:.1e}, of the 95% Hausdorff distance {worst['hd95']:.1e}")
    return int(max(worst.values()) > MOST)


def _dice(truth: np.ndarray, guess: np.ndarray) -> float:
    """Return Dice of two masks as `segment` counts it."""
    matrix = confusion(torch.from_numpy(truth.astype(np.int64)), torch.from_numpy(guess.astype(np.int64)), 2)
    return float(dice(overlap_counts(matrix).numpy()[None])[0, 1])


if __name__ == "__main__":
    sys.exit(main())
