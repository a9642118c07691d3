"""What a model card says, as Markdown: what it is, how good, of which data, how made, and what is not known of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from maecli.data.card import SPLIT_NAMES
from maecli.progress import duration
from maecli.reports import numbers
from maecli.reports.markdown import block, plain, points, table
from maecli.results import Evaluation
from maecli.run.card.facts import CardFacts
from maecli.run.card.untested import untested
from maecli.run.pages.lead import lead
from maecli.run.pages.measured import TITLES
from maecli.run.suited import shell
from maecli.storage.documents import dump_yaml
from maecli.storage.shareable import last_name
from maecli.text import capitalised, number_of
from maecli.weights.hub_names import hub_name

MOST_CLASSES = 200
"""Classes that get a line each."""
LEFT_OUT = ("paths", "out", "version")
"""Entries of a spec that say nothing to others."""


def body(facts: CardFacts) -> str:
    """Return the card below its head, up to what is a person's own to say."""
    parts = [f"# {plain(facts.name)}", *_lead(facts)]
    for title, section in SECTIONS.items():
        parts += [f"## {title}", *content] if (content := [*section(facts)]) else []
    return "\n\n".join(parts)


def _lead(facts: CardFacts) -> Iterator[str]:
    if sentences := lead(facts.measured):
        yield plain(facts.told(" ".join(sentences)))
    if facts.use.about:
        yield plain(facts.use.about)


def _what_it_is(facts: CardFacts) -> Iterator[str]:
    spec, summary = facts.spec, facts.summary
    model = {key: value for key, value in spec["model"].items() if key != "name" and value is not None}
    options = ", ".join(f"{key} {value}" for key, value in model.items())
    yield _facts(
        {
            "Task": " ".join(filter(None, [spec["task"]["name"], f"({spec['verb']})"])),
            "Model": f"{spec['model']['name']}{f': {options}' if options else ''}",
            "Input": _input(facts),
            "Answers": _answers(facts),
            "Starts from": facts.told(summary.init) if summary else "",
            "Trained": _training(facts),
            "Made with": _versions(facts.environment),
            **facts.use.rows,
        }
    )


def _answers(facts: CardFacts) -> str:
    """Say what its answers are, where they are classes."""
    fields = facts.task.fields if facts.task is not None else ()
    classes = facts.data.classes if "label" in fields else facts.data.mask_classes if "mask" in fields else ()
    return number_of(len(classes), "class", "classes") if classes else ""


def _input(facts: CardFacts) -> str:
    preprocess = facts.checkpoint.metadata()["preprocess"]
    size = "×".join(map(str, preprocess["img_size"]))
    channels = number_of(preprocess["in_chans"], "channel")
    if facts.modality.per_cell:
        return f"{facts.modality.unit} of {size} cells"
    mean, std = (", ".join(f"{value:.4g}" for value in preprocess[name]) for name in ("mean", "std"))
    return (
        f"{facts.modality.unit} of {size}, {channels}; values in [0, 1] less the mean ({mean}), divided by the "
        f"deviation ({std})"
    )


def _training(facts: CardFacts) -> str:
    summary = facts.summary
    if summary is None:
        return ""
    ending = f"; it {summary.ending}" if summary.ending else ""
    samples = number_of(summary.train_samples, facts.modality.one, facts.modality.unit)
    return (
        f"{number_of(summary.steps, 'step')} on {samples} in {duration(summary.seconds)} on {summary.device}, "
        f"{summary.precision}{ending}"
    )


def _versions(environment: Mapping[str, Any]) -> str:
    libraries = environment.get("libraries") or {}
    torch = f", torch {libraries['torch']}" if "torch" in libraries else ""
    return f"mae {environment['mae']}{torch}" if "mae" in environment else ""


def _how_to_use(facts: CardFacts) -> Iterator[str]:
    if facts.use.code:
        yield block(facts.use.code, facts.use.language)


def _how_good(facts: CardFacts) -> Iterator[str]:
    if facts.use.cost:
        yield plain(facts.use.cost)
    for one in facts.measured.evaluations:
        yield f"### {plain(facts.told(_title(one)))}"
        rows = (
            (
                plain(metric.label),
                plain(numbers.format_value(metric.value, metric.unit)),
                plain(numbers.format_interval(metric.interval, metric.unit)) if metric.interval else "",
                plain("; ".join(numbers.format_baselines(metric))),
                plain(" ".join(filter(None, [numbers.verdict(metric) or numbers.caution(metric), metric.note]))),
            )
            for metric in one.metrics
        )
        yield table(("metric", "value", "95% interval", "trivial predictors", ""), rows)
        yield points(plain(facts.told(note)) for note in one.notes)


def _title(one: Evaluation) -> str:
    title = f"{TITLES[one.split]}: {one.samples}"
    title = f"Probe {one.probe}, {title[0].lower()}{title[1:]}" if one.probe else title
    title = f"{title} of other data, in {one.data.folder}" if one.data is not None else title
    return f"{title}, weights of {one.weights}" if one.weights else title


def _data(facts: CardFacts) -> Iterator[str]:
    card = facts.data
    sizes = ", ".join(f"{name} {card.split_sizes[name]:,}" for name in SPLIT_NAMES if name in card.split_sizes)
    done = [f"{what} ({number:,})" for what, number in {**card.converted, **card.left_out}.items()]
    yield _facts(
        {
            "Data": card.title,
            "What was read": card.reading,
            "Samples": sizes,
            "Splits": card.split_origin,
            "Made alike or left out": "; ".join(done),
            "Source": card.source,
            "Licence of the data": card.licence or "not known to mae",
        },
        facts,
    )
    if card.notes:
        yield points(plain(facts.told(note)) for note in card.notes)
    yield from _classes(card.classes, card.class_counts, "Class", "samples to learn from")
    yield from _classes(card.mask_classes, card.mask_counts, "Class in masks", "cells to learn from")


def _classes(names: Sequence[str], counts: Sequence[int], title: str, what: str) -> Iterator[str]:
    if not names:
        return
    columns = ("number", title, what) if counts else ("number", title)
    rows = [[str(number), plain(name)] for number, name in enumerate(names)]
    for row, count in zip(rows, counts, strict=False):
        row.append(f"{count:,}")
    yield table(columns, rows[:MOST_CLASSES])
    if len(rows) > MOST_CLASSES:
        yield f"… and {len(rows) - MOST_CLASSES:,} more."


def _how_it_was_made(facts: CardFacts) -> Iterator[str]:
    command = facts.environment.get("command")
    if isinstance(command, list) and command and last_name(str(command[0])) == "mae":
        words = ["mae", *(facts.told(str(word)) for word in command[1:])]
        yield block(shlex.join(words), "sh")
        yield "All that was decided, which `mae` takes as `--config spec.yaml`; of paths the last names are told:"
    else:
        yield block(shell("mae", facts.spec["verb"], "--config", "spec.yaml"), "sh")
        yield "With this `spec.yaml`; of paths the last names are told:"
    spec = {key: value for key, value in facts.spec.items() if key not in LEFT_OUT}
    yield "<details><summary>spec.yaml</summary>"
    yield block(dump_yaml(facts.told(spec)), "yaml")
    yield "</details>"


def _weights_of_others(facts: CardFacts) -> Iterator[str]:
    init = facts.spec.get("init")
    if not init:
        return
    name = hub_name(init)
    if name is None:
        yield f"The encoder began as {plain(facts.told(str(init)))}: what holds for those weights may hold for these."
        return
    from maecli.weights.hub import licence_in_cache

    licence = licence_in_cache(name)
    stated = f"under the licence {plain(licence)}" if licence else "whose licence is told on their page of the hub"
    yield (
        f"The encoder began as {plain(str(name))}, weights of others, {stated}. A model that is made of them may have "
        "to follow it."
    )


def _not_tested(facts: CardFacts) -> Iterator[str]:
    yield points(plain(facts.told(capitalised(sentence))) for sentence in untested(facts))


def _facts(facts: Mapping[str, str], of: CardFacts | None = None) -> str:
    told = {name: of.told(value) if of is not None else value for name, value in facts.items()}
    return table(("", ""), [(name, plain(value)) for name, value in told.items() if value])


SECTIONS: Mapping[str, Callable[[CardFacts], Iterator[str]]] = {
    "What it is": _what_it_is,
    "How to use it": _how_to_use,
    "How good it is": _how_good,
    "What it was not tested on": _not_tested,
    "Data": _data,
    "Weights that it began with": _weights_of_others,
    "How it was made": _how_it_was_made,
}
"""In the order of the card."""
