"""What a task promises of its drawings.

Shapes: C channels, H, W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from maecli.results import Drawing
from maecli.testing.finding import expect, must_work
from maecli.testing.tasks.subject import BATCH, TaskSubject
from maecli.training.task import SideBySide

PNG = b"\x89PNG\r\n\x1a\n"


def drawing(subject: TaskSubject) -> None:
    """Drawings are named PNGs with a caption, of pictures with and without what else a sample carries."""
    module = subject.module.eval()
    with torch.no_grad():
        full = next(subject.loader("val").eval_batches(BATCH))
        for batch, what in ((full, "a batch of val"), (subject.picture_batch(), "pictures alone, as inference has")):
            with must_work(f"draw() fails on {what}", "draw what the batch has, or return []"):
                drawings = subject.task.draw(module, batch)
            check_pictures("draw()", drawings)
        _check_side_by_side(subject.task.side_by_side(module, full), len(full))


def check_pictures(what: str, pictures: Sequence[Drawing]) -> None:
    for picture in pictures:
        expect(isinstance(picture, Drawing), f"{what} returns {type(picture).__name__}; return api.Drawing(…)")
        expect(picture.png.startswith(PNG), f"{what}: picture {picture.name!r} is no PNG; encode it as one")
        expect(
            bool(picture.name) and "/" not in picture.name,
            f"{what}: {picture.name!r} is no name for a file; use letters and hyphens",
        )
        expect(
            bool(picture.caption), f"{what}: picture {picture.name!r} has no caption; say in a sentence what it shows"
        )


def _check_side_by_side(sides: SideBySide | None, num: int) -> None:
    if sides is None:
        return
    columns: dict[str, Sequence[Any]] = {**sides.given, "made": sides.made}
    lengths = {len(column) for column in columns.values()}
    expect(
        len(lengths) == 1 and max(lengths) <= num,
        f"side_by_side() has {sorted(lengths)} pictures in its columns for {num} samples; each has one per sample",
    )
    for title, column in columns.items():
        for picture in column:
            array = np.asarray(picture)
            expect(
                array.ndim == 3 and bool(np.isfinite(array).all()) and array.min() >= 0 and array.max() <= 1,
                f"side_by_side(): a picture of {title!r} has the shape {array.shape} and goes from {array.min():.3g} "
                f"to {array.max():.3g}; give (C, H, W) in [0, 1]",
            )
