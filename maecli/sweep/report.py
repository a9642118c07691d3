"""What a sweep found, as tables and pictures: mean ± standard deviation over seeds, each beside its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maecli.progress import duration
from maecli.reports.charts import Mark, bars_chart, points_chart
from maecli.reports.numbers import format_mean, format_value
from maecli.results import Drawing, Table
from maecli.sweep.outcome import Outcome, Row
from maecli.sweep.plan import Axis

VERBS = {"finetune": "Fine-tuning", "pretrain": "Pretraining"}


def format_seeds(row: Row) -> str:
    """Return how many seeds a mean is of, and which ones it lacks."""
    num = len(row.seeds)
    text = "one seed" if num == 1 else f"{num} seeds"
    return text if not row.missing else f"{text}, without {', '.join(map(str, row.missing))}"


def sweep_tables(outcome: Outcome) -> list[Table]:
    """Return the headline metrics, a table for each verb, split and kind of metric: a row for each point and arm."""
    tables = []
    for verb in VERBS:
        for split in outcome.splits:
            rows = outcome.headlines(verb, split)
            for name in dict.fromkeys(row.metric.name for row in rows):
                chosen = [row for row in rows if row.metric.name == name]
                tables.append(_table(outcome, chosen, f"{VERBS[verb]}: {chosen[0].metric.label}, {split}"))
    return tables


def _table(outcome: Outcome, rows: Sequence[Row], title: str) -> Table:
    axes = [axis.name for axis in outcome.axes if any(axis.name in row.point for row in rows)]
    arms = any(row.arm for row in rows)
    cells = []
    for row in rows:
        cells.append(
            (
                *(row.point.get(axis, "any") for axis in axes),
                *([row.arm] if arms else []),
                format_mean(row.metric, row.sd),
                _written_baseline(row),
                "" if row.metric.beats_baselines is not False else "does not beat it",
                format_seeds(row),
                duration(row.seconds),
            )
        )
    value = "mean ± sd" if any(row.sd is not None for row in rows) else "value (95% interval)"
    columns = (*map(words, axes), *(["arm"] if arms else []), value, "best baseline", "", "seeds", "training time")
    keep = [i for i, column in enumerate(columns) if column or any(row[i] for row in cells)]
    return Table(
        title=title, columns=tuple(columns[i] for i in keep), rows=tuple(tuple(row[i] for i in keep) for row in cells)
    )


def sweep_pictures(outcome: Outcome) -> list[Drawing]:
    """Return a chart of each verb's headline metric on the first split, what was learnt from labels first."""
    pictures = []
    for verb in VERBS:
        rows = outcome.headlines(verb)
        for name in dict.fromkeys(row.metric.name for row in rows):
            chosen = [row for row in rows if row.metric.name == name]
            label = f"{chosen[0].metric.label}, {outcome.splits[0]}"
            png = _chart(chosen, outcome.axes, label)
            pictures.append(Drawing(name=f"{verb}-{name}", caption=_caption(chosen, label), png=png))
    return pictures


def splits_pictures(outcome: Outcome, splits: Sequence[str]) -> list[Drawing]:
    """Return for each arm a chart of its headline metric on every split over the numeric axis, if there is one."""
    pictures = []
    for verb in VERBS:
        for arm in dict.fromkeys(row.arm for row in outcome.headlines(verb)):
            rows = {split: [row for row in outcome.headlines(verb, split) if row.arm == arm] for split in splits}
            every = [row for chosen in rows.values() for row in chosen]
            axis = _numeric(every, outcome.axes)
            if axis is None:
                continue
            series: dict[str, dict[float, Mark]] = {}
            for split, chosen in rows.items():
                for row in chosen:
                    if axis.name in row.point:
                        rest = [label for name, label in row.point.items() if name != axis.name]
                        series.setdefault(" · ".join([split, *rest]), {})[_x(row, axis)] = mark(row)
            metric = every[0].metric
            title = " · ".join(filter(None, [VERBS[verb], arm]))
            png = points_chart(series, words(axis.name), metric.label, metric.unit)
            caption = f"{title}: {metric.label} on each split. {_spread(every)}"
            pictures.append(Drawing(name="-".join(filter(None, ["splits", verb, arm])), caption=caption, png=png))
    return pictures


def words(name: str) -> str:
    """Return a key as people read it."""
    return name.replace("_", " ")


def point_title(point: Mapping[str, str], axes: Sequence[Axis]) -> str:
    """Return what tells a point from the others: mask ratio 0.5, small."""
    numeric = {axis.name for axis in axes if axis.is_numeric}
    return ", ".join(f"{words(name)} {label}" if name in numeric else label for name, label in point.items())


def mark(row: Row) -> Mark:
    """Return what is drawn of a row: ± sd over seeds, or the 95% interval of one seed."""
    value = row.metric.value
    if row.sd is not None:
        return Mark(value, value - row.sd, value + row.sd)
    low, high = row.metric.interval or (value, value)
    return Mark(value, low, high)


def _chart(rows: Sequence[Row], axes: Sequence[Axis], label: str) -> bytes:
    axis = _numeric(rows, axes)
    unit = rows[0].metric.unit
    if axis is None:
        baselines = {_bar(row): value for row in rows if (value := _baseline(row)[1]) is not None}
        return bars_chart({_bar(row): mark(row) for row in rows}, label, unit, baselines, _baseline(rows[0])[0])
    series: dict[str, dict[float, Mark]] = {}
    levels: dict[str, Mark] = {}
    for row in rows:
        rest = [text for name, text in row.point.items() if name != axis.name]
        name = " · ".join(filter(None, [*rest, row.arm])) or row.metric.label
        if axis.name in row.point:
            series.setdefault(name, {})[_x(row, axis)] = mark(row)
        else:
            levels[name] = mark(row)
    found = {_x(row, axis): _baseline(row) for row in reversed(rows) if axis.name in row.point}
    values = {x: value for x, (_, value) in found.items() if value is not None}
    baseline = (next(iter(found.values()))[0], values) if values else None
    return points_chart(series, words(axis.name), label, unit, levels, baseline)


def _numeric(rows: Sequence[Row], axes: Sequence[Axis]) -> Axis | None:
    """Return the first axis of numbers of which the rows have at least two."""
    for axis in axes:
        if axis.is_numeric and len({row.point[axis.name] for row in rows if axis.name in row.point}) > 1:
            return axis
    return None


def _x(row: Row, axis: Axis) -> float:
    number = next(choice.number for choice in axis.choices if choice.label == row.point[axis.name])
    return float(number or 0.0)


def _bar(row: Row) -> str:
    return " · ".join(filter(None, [*row.point.values(), row.arm])) or row.title


def _baseline(row: Row) -> tuple[str, float | None]:
    """Return the strongest trivial predictor of a row."""
    baselines: Mapping[str, float] = row.metric.baselines
    if not baselines:
        return "", None
    best = (max if row.metric.better == "higher" else min)(baselines, key=lambda name: baselines[name])
    return best.replace("_", " "), baselines[best]


def _written_baseline(row: Row) -> str:
    name, value = _baseline(row)
    return "none" if value is None else f"{name} {format_value(value, row.metric.unit)}"


def _caption(rows: Sequence[Row], label: str) -> str:
    direction = "" if rows[0].metric.better == "higher" else " Lower is better."
    return f"{label[0].upper()}{label[1:]}.{direction} {_spread(rows)}"


def _spread(rows: Sequence[Row]) -> str:
    """Return what the error bars are."""
    if any(row.sd is not None for row in rows):
        return "Bars are the standard deviation over seeds."
    if any(row.metric.interval for row in rows):
        return "One seed each; bars are the 95% interval over the samples."
    return "One seed each."
