"""What the runs of a sweep make of the same samples, laid side by side in one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maecli.hardware import autocast
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.reports.grids import picture_grid
from maecli.results import Drawing
from maecli.run.directory import RunDirectory
from maecli.run.restore import restore
from maecli.sweep.outcome import first_seed, point_title
from maecli.sweep.plan import Plan
from maecli.training.task import SideBySide

MAX_COLUMNS = 12
_COLUMN = 170
"""Width of a column, in PNG pixels."""


def side_by_side(
    plan: Plan, directories: Mapping[str, RunDirectory], registry: Registry, progress: Progress
) -> list[Drawing]:
    """Return for each verb and arm a drawing of test samples: what was given, then what each point makes of it.

    The first seed speaks for a point. What was given stands once where it is the same for all points, which the caption
    says; tasks that have nothing to lay side by side have no drawing.
    """
    drawings = []
    for (verb, arm), jobs in first_seed(plan, directories).items():
        progress.say(f"drawing {arm or verb} side by side")
        made = {}
        for job in jobs:
            run = directories[job.name]
            samples = _made(run, registry) if run.is_finished else None
            if samples is not None:
                made[point_title(job.point, plan.axes)] = samples
        if len(made) > 1:
            drawings += _drawings("-".join(filter(None, ["side by side", verb, arm])), made)
    return drawings


@torch.no_grad()
def _made(run: RunDirectory, registry: Registry) -> SideBySide | None:
    """Return what the task of a run has to show of the first test samples."""
    lenient = {"data.strict": False}  # faults were told before, and classes that came later when runs were measured
    restored = restore(run.path, registry, Progress().say, settings=lenient, ignore_unknown_classes=True)
    module = restored.module.eval()
    with autocast(restored.device, restored.dtype):
        for batch in restored.loader("test").eval_batches(8, limit=8):
            return restored.task.side_by_side(module, batch)
    return None


def _drawings(name: str, made: Mapping[str, SideBySide]) -> list[Drawing]:
    """Return one drawing, or several where the points do not fit into one."""
    first = next(iter(made.values())).given
    same = {
        title: column
        for title, column in first.items()
        if all(_equal(column, samples.given.get(title, ())) for samples in made.values())
    }
    points = list(made.items())
    room = MAX_COLUMNS - len(same)
    drawings = []
    for start in range(0, len(points), room):
        part = points[start : start + room]
        titles = [*same, *(title for title, _ in part)]
        columns = [*same.values(), *(samples.made for _, samples in part)]
        rows = [list(row) for row in zip(*columns, strict=True)]
        png = picture_grid(rows, titles, max_px=_COLUMN * len(titles))
        other = [title for title in first if title not in same]
        caption = "The same test samples at every point, first seed. " + (
            f"What is {', '.join(other)} differs between the points and is left out."
            if other
            else "What was given is the same for all."
        )
        suffix = f" {start // room + 1}" if len(points) > room else ""
        drawings.append(Drawing(name=name + suffix, caption=caption, png=png))
    return drawings


def _equal(rows: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> bool:
    return len(rows) == len(others) and all(np.array_equal(a, b) for a, b in zip(rows, others, strict=True))
