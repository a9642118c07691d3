"""The sections of a run's page, in their order: what was measured, how it was learnt, what is left to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from maecli.registry import Registry
from maecli.reports.page import Points, Section
from maecli.reports.payoff import QUESTION, payoff_notes, payoff_sentences, payoff_table
from maecli.results import Evaluation
from maecli.run.directory import RunDirectory
from maecli.run.pages.curves import by_epoch, history, learning_curves, metrics_of
from maecli.run.pages.links import origin
from maecli.run.pages.measured import TITLES, Measured


def run_sections(measured: Measured) -> list[Section]:
    """Return what there is to show of a run."""
    return [section for part in PARTS for section in part(measured)]


def _measurements(measured: Measured) -> Iterator[Section]:
    """Yield a section for each evaluation; validation is folded where test has been read, or folds have."""
    splits = {one.split for one in measured.evaluations if not one.probe and one.data is None}
    for one in measured.evaluations:
        folded = one.split == "val" and splits & {"test", "folds"} and not one.probe and one.data is None
        yield Section(_title(one), [one], folded=bool(folded))


def _compared(measured: Measured) -> Iterator[Section]:
    """Yield what lays a run beside its companions from random weights."""
    if (payoff := measured.payoff) is not None:
        sentences = " ".join(payoff_sentences(payoff))
        yield Section(QUESTION, [sentences, payoff_table(payoff), Points(payoff_notes(payoff))])


def _damaged(measured: Measured) -> Iterator[Section]:
    if measured.damaged:
        yield Section("Left out", [Points(measured.damaged)])


def _training(measured: Measured) -> Iterator[Section]:
    section = training_section("Training", measured.run, measured.registry)
    yield replace(section, content=[*section.content, *origin(measured.run)])


PARTS: Sequence[Callable[[Measured], Iterator[Section]]] = (_compared, _measurements, _damaged, _training)
"""Those who show something of a run, in the order of the page."""


def training_section(title: str, run: RunDirectory, registry: Registry) -> Section:
    """Return the curves of a run."""
    missing: list[str] = []
    logged = history(run, registry, missing.append)
    x_label = "epoch" if logged.get("train/epoch") else "step"
    drawings = learning_curves({run.path.resolve().name: by_epoch(logged)}, x_label, metrics_of([run]))
    return Section(title, [*drawings, *missing])


def _title(evaluation: Evaluation) -> str:
    title = f"{TITLES[evaluation.split]} ({evaluation.samples})"
    title = f"Probe {evaluation.probe}: {title[0].lower()}{title[1:]}" if evaluation.probe else title
    return f"{title} of other data, in {evaluation.data.folder}" if evaluation.data is not None else title
