"""A tiny twin of ADE20K in its published folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from maecli_plugins.datasets.ade20k.classes import CLASSES
from write_data import noise, write_picture

SHOWN = (1, 3, 150)
"""Numbers in files of the classes that the pictures show: wall, sky and flag."""


def write_ade20k(root: Path, training: int = 12, validation: int = 5) -> Path:
    """Write a twin below `root`, and return its folder.

    Picture i, (20 + i % 3, 30), shows class `SHOWN[i % 3]` as a box of rows 2 to 11 and columns 3 to 14, bright in
    channel i % 3, on wall; the last five rows are not judged.
    """
    folder = root / "ADEChallengeData2016"
    for part, num in (("training", training), ("validation", validation)):
        for i in range(num):
            name, height = f"ADE_{part[: 5 if part == 'training' else 3]}_{i + 1:08d}", 20 + i % 3
            pixels, mask = noise(i + 100 * (part == "validation"), height, 30, 3) // 8, np.ones((height, 30), np.uint8)
            pixels[2:12, 3:15, i % 3] += 200
            mask[2:12, 3:15], mask[-5:] = SHOWN[i % 3], 0
            write_picture(folder / f"images/{part}/{name}.jpg", pixels, quality=95)
            write_picture(folder / f"annotations/{part}/{name}.png", mask)
    write_object_info(folder / "objectInfo150.txt", CLASSES)
    return folder


def write_object_info(path: Path, names: Sequence[str], tab: str = "\t") -> None:
    """Write the table of the classes; the first has a second name."""
    rows = [("Idx", "Ratio", "Train", "Val", "Name")]
    rows += [(str(i), "0.1", "10", "1", f"{name}; other" if i == 1 else name) for i, name in enumerate(names, 1)]
    path.write_text("".join(tab.join(row) + "\n" for row in rows))
