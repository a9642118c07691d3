"""The first sentences of a run's page: what was found, and what limits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from maecli.reports import numbers
from maecli.reports.payoff import payoff_sentences
from maecli.results import Evaluation
from maecli.run.pages.measured import Measured
from maecli.text import capitalised

NOT_TEST = {"folds": "cross-validated", "val": "validation", "train": "training"}
"""Splits whose name belongs to what was measured on."""


def lead(measured: Measured) -> list[str]:
    """Return the sentences, the one that matters most first."""
    return [sentence for sentences in SENTENCES for sentence in sentences(measured)]


def _not_better(measured: Measured) -> Iterator[str]:
    """Say first that nothing was learnt, where a trivial predictor is as good."""
    if measured.headline is not None:
        metric = measured.headline.metrics[0]
        if verdict := numbers.verdict(metric):
            value = numbers.format_value(metric.value, metric.unit)
            yield f"{capitalised(metric.label)} of {value} {verdict[0].lower()}{verdict[1:]}"


def _found(measured: Measured) -> Iterator[str]:
    if measured.headline is not None:
        yield found(measured.headline)


def _doubtful(measured: Measured) -> Iterator[str]:
    if measured.headline is not None and (caution := numbers.caution(measured.headline.metrics[0])):
        yield caution


def _did_not_pay(measured: Measured) -> Iterator[str]:
    """Say first where pretraining did not pay, or cannot be told to."""
    if measured.payoff is not None and measured.payoff.comes_first:
        yield payoff_sentences(measured.payoff)[0]


def _paid(measured: Measured) -> Iterator[str]:
    if measured.payoff is not None and not measured.payoff.comes_first:
        yield payoff_sentences(measured.payoff)[0]


SENTENCES: Sequence[Callable[[Measured], Iterator[str]]] = (_did_not_pay, _not_better, _found, _doubtful, _paid)
"""Those who say something of a run, in the order of what they say."""


def found(evaluation: Evaluation) -> str:
    """Return what an evaluation found, on how many samples, and how sure that is."""
    metric = evaluation.metrics[0]
    finding = evaluation.finding or f"{metric.label} is {numbers.format_value(metric.value, metric.unit)}"
    told = not evaluation.finding and bool(numbers.verdict(metric))  # by the sentence before
    which = NOT_TEST.get(evaluation.split, "")
    samples = f"{evaluation.num_samples:,} " + " ".join(filter(None, [which, evaluation.samples.split(" ", 1)[1]]))
    sure = f": {numbers.rough_interval(metric.interval, metric.unit)}" if metric.interval else ""
    return capitalised(f"{'' if told else f'{finding}; '}measured on {samples}{sure}.")
