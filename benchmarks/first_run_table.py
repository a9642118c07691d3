"""The table of `first_run.py`, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from first_run_pairs import mean_interval
from first_run_sets import SETS

from maecli.text import number_of

HEAD = (
    "| set | plan | best by hand | plan less hand | trivial | seconds | planned |",
    "|---|---|---|---|---|---|---|",
)
Row = Mapping[str, Any]
Pictures = Mapping[tuple[str, str, int], np.ndarray]
"""What `figure` needs of each test picture, by set, arm and seed."""


def table(rows: Sequence[Row], pictures: Pictures) -> str:
    """Return a line per set that has results."""
    return "\n".join([*HEAD, *(_line(name, mine, pictures) for name in SETS if (mine := _of(rows, set=name)))])


def _of(rows: Sequence[Row], **key: object) -> list[Row]:
    return [row for row in rows if key.items() <= row.items()]


def _line(name: str, rows: Sequence[Row], pictures: Pictures) -> str:
    hands = {row["arm"] for row in rows} - {"plan"}
    plan = _of(rows, arm="plan")
    best = max((_of(rows, arm=arm) for arm in sorted(hands)), key=_mean, default=[])
    both = {row["seed"] for row in plan} & {row["seed"] for row in best}
    pair = [[row for row in arm if row["seed"] in both] for arm in (plan, best)]
    main = plan or best
    cells = [
        f"{name} ({number_of(len(main), 'seed')})",
        _shown([plan], pictures),
        f"{_shown([best], pictures)} ({best[0]['arm']})" if best else "",
        _shown(pair, pictures, "+") if both else "",
        f"{max(main[0]['metrics'][0]['baselines'].values()):.1%}",
        f"{max(sum(row['seconds'].values()) for row in main):.0f}",
        _planned(main[0]),
    ]
    return f"| {' | '.join(cells)} |"


def _mean(rows: Sequence[Row]) -> float:
    return statistics.mean(float(row["metrics"][0]["value"]) for row in rows)


def _shown(arms: Sequence[Sequence[Row]], pictures: Pictures, sign: str = "") -> str:
    """Return the mean over the seeds of one arm, or of one arm less another's, with its interval, in points."""
    if not arms[0]:
        return ""
    seeds = [[pictures[row["set"], row["arm"], row["seed"]] for row in arm] for arm in arms]
    value, low, high = mean_interval(seeds)
    return f"{100 * value:{sign}.1f} ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"


def _planned(row: Row) -> str:
    """Return in words what was chosen for pretraining and fine-tuning."""
    parts = []
    for verb, plan in row["planned"].items():
        rate = plan["base_lr"] * plan["batch_size"] / 256
        parts.append(
            f"{verb}: {plan['name']} at {plan['img_size']}, patch {plan['patch_size']}, {plan['steps']:,} steps of "
            f"{plan['batch_size']}, rate {rate:.2g}"
        )
    return "; ".join(parts)
