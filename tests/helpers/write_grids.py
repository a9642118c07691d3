"""Files of series, volumes and tables, as the data sets of `grids` read them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from grids import CELLS, CHANNELS, VOID

STEEP = np.array([[-2.0, 0, 0, 30], [0, 0, -1.5, 20], [0, 3, 0, -10], [0, 0, 0, 1]])
"""An affine whose voxels go to the left, to the top and to the back, by other steps on each axis."""


def write_series(path: Path, values: np.ndarray, names: tuple[str, ...] = CHANNELS) -> None:
    """Write (C, T) with an index of hours; nothing stands where a value is NaN."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"hour {t}," + ",".join("" if np.isnan(x) else f"{x:.4f}" for x in step) for t, step in enumerate(values.T)]
    path.write_text("\n".join([",".join(("date", *names)), *rows]) + "\n", encoding="utf-8")


def wave(seed: int, steps: int, period: float, gaps: int = 2) -> np.ndarray:
    """Return two channels (2, T), the second in other units, with some gaps."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * (np.arange(steps) / period + rng.random())
    values = np.stack([0.8 * np.sin(angle), 100 + 150 * np.cos(angle)]) + rng.normal(0, [[0.05], [10]], (2, steps))
    values[rng.integers(0, 2, gaps), rng.integers(0, steps, gaps)] = np.nan
    return values.astype(np.float32)


def write_waves(root: Path, num: int = 24) -> None:
    """Write series of 17 to 40 steps, and of one step more than a window."""
    for seed, (name, period) in enumerate((("slow", 16.0), ("fast", 4.0))):
        for i in range(num):
            write_series(root / "waves" / name / f"{i:02d}.csv", wave(1000 * seed + i, 17 + i, period))


def write_volume(path: Path, voxels: np.ndarray, affine: np.ndarray = STEEP) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def blob(seed: int, size: tuple[int, int, int], rod: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels (D, H, W) int16 of dim noise with something bright in their middle, and where that is."""
    rng = np.random.default_rng(seed)
    inside = np.zeros(size, bool)
    start = rng.integers(0, 2, 3) + np.array(size) // 2 - 3
    inside[tuple(slice(s, s + 5) for s in start)] = True
    if rod:
        inside[:] = False
        inside[:, start[1] : start[1] + 3, start[2] : start[2] + 3] = True
    return np.where(inside, 700, -600).astype(np.int16) + rng.integers(-50, 50, size, np.int16), inside


def size_of(i: int) -> tuple[int, int, int]:
    return 8 + i % 3, 10 - i % 2, 9


def write_blobs(root: Path, num: int = 18) -> None:
    for seed, name in enumerate(("cube", "rod")):
        for i in range(num):
            voxels, _ = blob(1000 * seed + i, size_of(i), rod=name == "rod")
            write_volume(root / "blobs" / name / f"{i:02d}.nii.gz", voxels)


def write_houses(root: Path, num: int = 180) -> None:
    """Write rows of six cells of which a fifth is missing; dear ones have more of everything but distance."""
    rng = np.random.default_rng(0)
    worth = rng.uniform(0, 1, num)
    slopes = np.array([6, 8, 6, 6, -6, 6])
    cells = 5 + slopes * (worth[:, None] - 0.5) + rng.normal(0, 0.4, (num, len(CELLS)))
    cells[rng.random(cells.shape) < 0.2] = np.nan
    cells[0] = np.nan
    prices = ["" if i % 7 == 0 else f"{100 * value:.2f}" for i, value in enumerate(worth)]
    kinds = ["dear" if value > 0.5 else "cheap" for value in worth]
    write_table(root / "houses.csv", cells, kind=kinds, price=prices)


def write_table(path: Path, cells: np.ndarray, **columns: list[str]) -> None:
    """Write rows (N, F), nothing where a cell is NaN, and columns of words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join([*CELLS, *columns])]
    for i, row in enumerate(cells):
        written = ["" if np.isnan(cell) else f"{cell:.3f}" for cell in row]
        lines.append(",".join([*written, *(column[i] for column in columns.values())]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_beats(root: Path, num: int = 24) -> None:
    """Write series whose first channel is high where the class is 299, with void at their first step."""
    for i in range(num):
        high = np.arange(24 + i % 3) // 8 % 2 == i % 2
        values = np.stack([np.where(high, 0.8, -0.8), np.where(high, 250.0, -50.0)])
        write_series(root / "beats/series" / f"{i:02d}.csv", values)
        _write_mask(root / "beats/masks" / f"{i:02d}.npy", high)


def write_organs(root: Path, num: int = 18) -> None:
    """Write volumes whose bright voxels are of class 299; the masks lie as samples do, in RAS."""
    for i in range(num):
        voxels, inside = blob(i, size_of(i), rod=i % 2 == 1)
        write_volume(root / "organs/volumes" / f"{i:02d}.nii.gz", voxels, np.eye(4))
        _write_mask(root / "organs/masks" / f"{i:02d}.npy", inside)


def _write_mask(path: Path, inside: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.where(inside, 299, 0).astype(np.int32)
    mask[0] = VOID
    np.save(path, mask)
