"""What came out of sweeps that nobody ran."""

from __future__ import annotations

from maecli.results import Metric, mean_metric
from maecli.sweep.outcome import Outcome, Row
from maecli.sweep.plan import Axis, Choice

RATIO = Axis("mask_ratio", tuple(Choice(f"{x:g}", {}, x) for x in (0.5, 0.75)))
SIZE = Axis("size", (Choice("small", {}), Choice("large", {})))


def top1(value: float, **changes: object) -> Metric:
    fields = {"name": "top1", "label": "top-1 accuracy", "value": value, "unit": "share", "baselines": {"chance": 0.1}}
    return Metric.model_validate(fields | changes)


def row(
    point: dict[str, str],
    *values: float,
    arm: str = "",
    split: str = "test",
    runs: tuple[str, ...] = ("run",),
    usual: bool = False,
    **changes: object,
) -> Row:
    metric, sd = mean_metric([top1(value, **changes) for value in values])
    seeds = tuple(range(len(values)))
    return Row("finetune", arm, point, split, metric, sd, values, seeds, (), 65.0, runs, usual)


def outcome(*rows: Row) -> Outcome:
    splits = tuple(dict.fromkeys(each.split for each in rows))
    return Outcome("tiny", (RATIO, SIZE), (0, 1, 2), splits, rows, {})
