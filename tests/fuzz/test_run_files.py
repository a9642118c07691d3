"""Damaged files of each kind that a run directory holds: read, or refused by one sentence."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from maecli_plugins.trackers.jsonl import JsonLines
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fuzz.mutate import FEW, survives
from maecli.errors import MaeError
from maecli.registry import registry
from maecli.run.directory import RunDirectory
from maecli.run.listing import describe
from maecli.run.report import describe_run
from maecli.run.restore import rebuild
from maecli.storage.ledger import Ledger, written_paths
from maecli.training.checkpoint import CHECKSUM, RECORD, Checkpoint, checksum_of_record
from maecli.training.checkpoint_folder import CheckpointFolder

MODEL, STATE = "model.safetensors", "state.safetensors"


@pytest.fixture
def run(finetuned: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finetuned, tmp_path / "run"))


def quiet(_: str) -> None:
    """Stand in for what tells people."""


@pytest.mark.slow
@pytest.mark.parametrize("file", [MODEL, STATE])
def test_checkpoints(run, file):
    checkpoint = run.checkpoints.steps()[0]
    path = checkpoint.path / file
    sound = path.read_bytes()

    def read(_: Path) -> None:
        checkpoint = run.checkpoints.steps()[0]  # which has read nothing yet
        record, tensors = checkpoint.metadata(file), checkpoint.tensors(file)
        assert path.read_bytes() == sound or (record, len(tensors)) == whole

    whole = (checkpoint.metadata(file), len(checkpoint.tensors(file)))
    came = survives(read, [sound], path, MaeError, FEW)
    assert came["DamagedCheckpoint"] > 0.9 * FEW, "a checksum finds nearly all of them"


READERS: dict[str, tuple[str, Callable[[RunDirectory], Any]]] = {
    "summary": ("summary.json", lambda run: (describe_run(run), run.summary())),
    "environment": ("environment.json", lambda run: run.environment(quiet)),
    "evaluation": ("evaluation/val.json", lambda run: (list(run.evaluations(quiet)), run.evaluation("val"))),
    "spec": ("spec.yaml", lambda run: (describe(run, run.path), run.spec(quiet))),
    "metrics": ("metrics.jsonl", lambda run: (JsonLines.history(run.path), JsonLines.problems(run.path))),
    "pointer": ("checkpoints/last", lambda run: (run.checkpoints.steps(), run.checkpoints.pointed("last"))),
    "ledger": (".mae/ledger", lambda run: (written_paths(run.path), Ledger(run.path, "run").foreign(), run.is_older)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_files_beside_the_checkpoints(run, name):
    file, read = READERS[name]
    samples = [(run.path / file).read_bytes()]
    survives(lambda _: read(RunDirectory(run.path)), samples, run.path / file, MaeError)


@pytest.mark.slow
def test_no_damaged_ledger_leads_out_of_its_folder(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    out = tmp_path / "out"
    ledger = Ledger(out, "run")
    ledger.begin()
    ledger.own("a", "b/", "b/c", "../mine", str(mine))
    data = ledger.file.read_bytes()

    def read(_: Path) -> None:
        Ledger(out, "run").remove()
        assert mine.read_text() == "mine"

    survives(read, [data], ledger.file, MaeError)


def damaged(value: Any, chance: random.Random) -> Any:
    """Return a value with one part of another kind, or without it."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        if chance.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: damaged(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], damaged(value[place], chance), *value[place + 1 :]]
    odd = [None, True, -1, 0, 2**70, 1e308, float("nan"), "", "x" * 300, [], {}, [[]], {"a": 1}, "..", [1, "a"], 3.5]
    return chance.choice(odd)


@pytest.mark.slow
def test_records_of_another_shape_whose_checksum_is_right(run):
    """As another version, or a person with an editor, would write them."""
    path = run.checkpoints.steps()[0].path / MODEL
    with safe_open(path, "pt") as opened:
        record = json.loads(opened.metadata()[RECORD])
    tensors, found, chance = load_file(path), registry(), random.Random(0)
    came: dict[str, int] = {}
    for number in range(FEW):
        text = json.dumps(damaged(record, chance) if number % 3 else damaged(damaged(record, chance), chance))
        save_file(tensors, path, {RECORD: text, CHECKSUM: checksum_of_record(text)})
        try:
            rebuild(Checkpoint(path.parent), found, quiet)
        except MaeError as error:
            came[type(error).__name__] = came.get(type(error).__name__, 0) + 1
        except Exception as error:
            raise AssertionError(f"record {number}: {type(error).__name__}: {error}\n{text[:3000]}") from error
        else:
            came["read"] = came.get("read", 0) + 1
    assert came["read"] < 0.9 * FEW


@pytest.mark.slow
def test_a_folder_of_damaged_checkpoints_has_no_good_one(run):
    for checkpoint in run.checkpoints.steps():
        (checkpoint.path / STATE).write_bytes(b"")
    good, problems = CheckpointFolder(run.checkpoints.path).newest_good()
    assert good is None
    assert len(problems) == 2
