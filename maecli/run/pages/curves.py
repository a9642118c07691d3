"""The curves of runs: what their trackers kept, by step or by epoch, and the drawings of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from maecli.errors import MaeError
from maecli.registry import Registry
from maecli.reports.charts import curves
from maecli.results import Drawing, Metric
from maecli.run.directory import RunDirectory
from maecli.run.plugins_used import missing_packages
from maecli.text import capitalised

Metrics = Mapping[str, Sequence[tuple[float, float]]]
"""Metric → (step or epoch, value)."""


def history(run: RunDirectory, registry: Registry, say: Callable[[str], None]) -> dict[str, list[tuple[int, float]]]:
    """Return the run's metrics as far as its trackers can read them back, metric → (step, value).

    `say` is told of trackers that cannot be had, or read.
    """
    spec = run.spec(say)
    metrics: dict[str, list[tuple[int, float]]] = {}
    for name in spec.get("trackers", ()):
        try:
            with missing_packages(spec, run):
                tracker = registry.tracker(name)
            problems, kept = tracker.problems(run.path), tracker.history(run.path)
        except (MaeError, OSError) as error:
            say(f"what tracker {name!r} kept is left out: {error}")
        else:
            for problem in problems:
                say(problem)
            metrics = kept | metrics
    return metrics


def by_epoch(metrics: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Return metrics by epoch instead of by step; by step where the run did not note its epochs."""
    epochs = [(step, epoch) for step, epoch in metrics.get("train/epoch", ()) if step]
    factor = epochs[-1][1] / epochs[-1][0] if epochs else 1.0
    return {name: [(step * factor, value) for step, value in points] for name, points in metrics.items()}


def metrics_of(runs: Iterable[RunDirectory]) -> dict[str, Metric]:
    """Return a metric that was measured of runs for each name: what it is called, and its unit and baselines."""
    evaluations = (one for run in runs for one in run.evaluations(lambda _: None))
    return {metric.name: metric for one in evaluations for metric in one.metrics}


def learning_curves(
    runs: Mapping[str, Metrics], x_label: str, metrics: Mapping[str, Metric] | None = None
) -> list[Drawing]:
    """Return a drawing of the training losses of runs, and one of the first validation metric of the first run.

    `metrics` tell what names mean: people's words for them, their units, and what trivial predictors get.
    """
    first = next(iter(runs.values()), {})
    caption = "Training loss, its mean since the last logged step."
    drawings = _curves(runs, "train/loss", x_label, "training loss", caption)
    for key in [key for key in first if key.startswith("val/") and len(first[key]) > 1][:1]:
        name = key.removeprefix("val/")
        metric = (metrics or {}).get(name, Metric(name=name, label=name, value=0.0))
        caption = f"{capitalised(metric.label)} on the validation split."
        drawings += _curves(runs, key, x_label, f"validation {metric.label}", caption, metric)
    return drawings


def _curves(
    runs: Mapping[str, Metrics], key: str, x_label: str, y_label: str, caption: str, metric: Metric | None = None
) -> list[Drawing]:
    series = {name: logged[key] for name, logged in runs.items() if logged.get(key)}
    if not series:
        return []
    unit, baselines = (metric.unit, metric.baselines) if metric else ("", {})
    png = curves(series, x_label, y_label, log_y=None, unit=unit, baselines=baselines)
    return [Drawing(name=y_label, caption=caption, png=png)]
