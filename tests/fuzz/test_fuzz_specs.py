"""Whatever words come in by flags and files, only errors of ours come out, and soon.

`MAE_FUZZ=8000 pytest tests/fuzz/test_fuzz_specs.py` tries more of them, `MAE_FUZZ_SEED=7` others.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import odd_words
import pytest

from fuzz.mutate import FEW, Reader
from maecli.errors import MaeError
from maecli.registry import registry
from maecli.schema import SPECS, FinetuneSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import Layer, flatten, merge, nest
from maecli.spec.recipes import parse_sets, read_document, read_sweep
from maecli.spec.resolve import resolve
from maecli.spec.validate import validate
from maecli.spec.validate import validate_options as check_options
from maecli.storage.documents import MAX_YAML_BYTES, dump_yaml, parse_json, parse_yaml, read_text
from maecli.sweep.definition import make_sweep, parse_grid, parse_seeds
from maecli.sweep.plan import make_plan
from maecli.verbs.sweep import plan_sweep

NUMBER = int(os.environ.get("MAE_FUZZ", "1000"))
LONGEST = 1000  # letters of a message


def inputs(make: Callable[[random.Random], Any]) -> Iterator[Any]:
    draw = random.Random(os.environ.get("MAE_FUZZ_SEED", "0"))
    return (make(draw) for _ in range(NUMBER))


def fails_well(read: Callable[..., object], *given: object) -> None:
    """Call a reader; it may raise what a person is told, in a sentence, and nothing else."""
    told = "."
    try:
        read(*given)
    except MaeError as error:
        told = str(error)
    assert 0 < len(told) < LONGEST


def value_of(parse: Callable[[str], Any], text: str) -> Any:
    """Return what a parser reads, None where it raises ValueError with a reason."""
    try:
        return parse(text)
    except ValueError as error:
        kind, told = type(error), str(error)
    assert kind is ValueError
    assert 0 < len(told) < LONGEST
    return None


def known_keys() -> list[str]:
    """Return keys of a spec that a small run has."""
    keys = []
    for name, field in FinetuneSpec.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {})
        keys += [name, *(f"{name}.{each}" for each in inner)]
    for kind, name in (("dataset", "digits"), ("task", "classify"), ("task", "reconstruct"), ("model", "vit")):
        keys += [f"{kind}.{each}" for each in getattr(registry(), kind)(name).Options.model_fields]
    return keys


KEYS = known_keys()
RECIPES = [registry().recipe(name) for name in registry().names("recipe")]


def assignments(draw: random.Random) -> list[str]:
    return [odd_words.assignment(draw, KEYS) for _ in range(draw.choice([1, 1, 1, 2]))]


def document(draw: random.Random) -> str:
    return odd_words.document(draw, RECIPES)


def read_spec(path: Path) -> None:
    settings = read_document(read_text(path, MAX_YAML_BYTES), "finetune", path.name)
    resolve(Ask("finetune", recipe="digits", extra=[Layer.of(path.name, settings)]), registry())


def read_sweep_file(path: Path) -> None:
    tree = read_sweep(read_text(path, MAX_YAML_BYTES), path.name)
    if tree is not None:
        make_sweep(tree)


SPEC = dump_yaml(resolve(Ask("finetune", recipe="digits"), registry()).model_dump(mode="json")).encode()
SWEEPS = [text.encode() for text in RECIPES if "\nsweep:" in text]
READERS = [
    Reader("specs", "spec.yaml", read_spec, [SPEC], MaeError),
    Reader("sweeps", "sweep.yaml", read_sweep_file, [SPEC, *SWEEPS], MaeError),
]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused_by_a_sentence(reader, tmp_path):
    assert reader.survives(tmp_path, FEW // 4)["read"] < FEW // 4


@pytest.mark.slow
def test_yaml_is_read_or_refused_and_what_is_written_comes_back():
    for text in inputs(lambda draw: document(draw) if draw.random() < 0.5 else odd_words.text(draw)):
        value = value_of(parse_yaml, text)
        assert repr(parse_yaml(dump_yaml(value))) == repr(value)


def test_json_is_read_or_refused():
    def spoilt(draw: random.Random) -> str:
        return odd_words.spoilt(json.dumps(odd_words.tree(draw), default=str, skipkeys=True), draw)

    for text in inputs(spoilt):
        value_of(parse_json, text)


@pytest.mark.slow
@pytest.mark.parametrize("verb", SPECS)
def test_set(verb):
    task = "classify" if verb == "finetune" else "reconstruct"

    def read(sets: list[str]) -> None:
        spec = resolve(Ask(verb, recipe="digits", flags={"task.name": task}, sets=sets), registry())
        written = dump_yaml(spec.model_dump(mode="json"))
        assert SPECS[verb].model_validate(parse_yaml(written)).model_dump() == spec.model_dump()

    for sets in inputs(assignments):
        fails_well(parse_sets, sets)
        fails_well(read, sets)


@pytest.mark.slow
def test_spec_files():
    def read(text: str) -> None:
        settings = read_document(text, "finetune", "x.yaml")
        resolve(Ask("finetune", recipe="digits", extra=[Layer.of("x.yaml", settings)]), registry())

    for text in inputs(document):
        fails_well(read_document, text, "pretrain", "x.yaml")
        fails_well(read, text)


def test_settings_of_any_type():
    whole = {"dataset": {"name": "digits"}, "task": {"name": "classify"}, "model": {"name": "vit"}}
    for tree in inputs(odd_words.tree):
        if isinstance(tree, dict):
            fails_well(lambda tree=tree: nest(flatten(tree)))
            fails_well(merge, [Layer.of("below", whole), Layer.of("above", tree)])
            fails_well(validate, whole | tree, "finetune", registry())
            fails_well(make_sweep, tree)


@pytest.mark.parametrize("kind", ["dataset", "task", "model"])
def test_options_of_plugins(kind):
    for name in registry().names(kind):
        options = getattr(registry(), kind)(name).Options
        for key in options.model_fields:
            for value in odd_words.VALUES:
                fails_well(check_options, kind, name, {key: value}, options)


@pytest.mark.slow
def test_grids_and_seeds():
    def read(grid: list[str], sets: list[str]) -> None:
        ask = Ask("sweep", sets=sets, flags={"dataset.name": "digits"})
        plan_sweep(ask, registry(), grid=grid)

    for grid in inputs(assignments):
        fails_well(parse_grid, grid)
        fails_well(parse_seeds, grid[0].partition("=")[2])
        fails_well(read, grid[:1], grid[1:])


@pytest.mark.slow
def test_sweep_files():
    def read(text: str) -> None:
        tree = read_sweep(text, "x.yaml")
        if tree is not None:
            make_plan(make_sweep(tree), registry())

    for text in inputs(document):
        fails_well(read, text)
