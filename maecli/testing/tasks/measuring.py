"""What a task promises of its metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import torch

from maecli.results import Metric
from maecli.testing.finding import expect, must_work
from maecli.testing.tasks.alike import close
from maecli.testing.tasks.drawing import check_pictures
from maecli.testing.tasks.subject import BATCH, TaskSubject
from maecli.text import some
from maecli.training.evaluator import Evaluator, add_states


def evaluation(subject: TaskSubject) -> None:
    """Metrics are finite numbers with baselines beside them; the monitored one is always among them."""
    task, module = subject.task, subject.module.eval()
    with torch.no_grad():
        subject.fit_baselines()
        for thorough in (True, False):
            evaluator: Evaluator[Any] = task.evaluator(thorough)
            for batch in subject.loader("val").eval_batches(BATCH):
                evaluator.update(module, batch)
            _check_metrics(subject, list(evaluator.metrics()), thorough)
            if thorough:
                json.dumps([table.model_dump(mode="json") for table in evaluator.tables()])
                check_pictures("evaluator().drawings()", evaluator.drawings())


def adding(subject: TaskSubject) -> None:
    """What evaluators count of parts of a split adds up to what one counts of all of it."""
    task, module = subject.task, subject.module.eval()
    batches = list(subject.loader("val").eval_batches(BATCH // 2))
    subject.fit_baselines()
    for thorough in (True, False):
        whole, *parts, joined = (task.evaluator(thorough) for _ in range(4))
        with torch.no_grad():
            for i, batch in enumerate(batches):
                whole.update(module, batch)
                parts[i % 2].update(module, batch)
        joined.load_state(add_states(parts[1].state(), parts[0].state()))
        with must_work(
            f"evaluator({thorough=}) must take what two others have counted", "count in add() and add_rows() alone"
        ):
            found, expected = ({each.name: each for each in one.metrics()} for one in (joined, whole))
        apart = [name for name, metric in expected.items() if not _same_metric(metric, found.get(name))]
        expect(
            not apart,
            f"{some(apart)} of evaluator({thorough=}) is another when the states of two are added than when one sees "
            "all batches; count in add() and add_rows() alone, and make the metrics of these",
        )


def comparing(subject: TaskSubject) -> None:
    """Where two modules are compared on the same samples, the difference is that of their headlines."""
    evaluators = []
    for module in (subject.module.eval(), subject.build(seed=1).eval()):
        evaluator = subject.task.evaluator()
        with torch.no_grad():
            subject.fit_baselines()
            for batch in subject.loader("val").eval_batches(BATCH):
                evaluator.update(module, batch)
        evaluators.append(evaluator)
    one, other = evaluators
    difference = one.difference(other)
    if difference is None:
        return
    mine, theirs = (next(iter(evaluator.metrics())) for evaluator in evaluators)
    expect(
        close(difference.value, mine.value - theirs.value),
        f"difference() says {difference.value:.6g} of two modules whose {mine.name} is {mine.value:.6g} and "
        f"{theirs.value:.6g}; return how far the headline lies above the other's, on the samples that both saw",
    )


def _same_metric(one: Metric, other: Metric | None) -> bool:
    if other is None or one.baselines.keys() != other.baselines.keys():
        return False
    values, others = ((metric.value, *metric.baselines.values(), *(metric.interval or ())) for metric in (one, other))
    return len(values) == len(others) and all(map(close, values, others))


def _check_metrics(subject: TaskSubject, metrics: Sequence[Metric], thorough: bool) -> None:
    which = f"evaluator(thorough={thorough})"
    expect(bool(metrics), f"{which} has no metrics; return at least the one that says how good the module is")
    names = [metric.name for metric in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    expect(not twice, f"{which} has two metrics of the name {some(twice)}; give each its own")
    monitor = getattr(subject.task, "monitor", None)
    expect(
        monitor in names,
        f"monitor is {monitor!r}, and {which} has {', '.join(names)}; name the metric that decides which checkpoint is "
        "best, and measure it even when not thorough",
    )
    for metric in metrics:
        bad = [value for value in (metric.value, *metric.baselines.values()) if not math.isfinite(value)]
        expect(not bad, f"metric {metric.name!r} of {which} is {some(bad)}; a metric is a finite number")
    expect(
        bool(metrics[0].baselines),
        f"metric {metrics[0].name!r} of {which} stands alone; put beside the headline, as baselines, what trivial "
        "predictors get on the same samples (the majority, the mean of training: see fit_baselines)",
    )
