"""A toy run that keeps its metrics and checkpoints as real ones do, and goes on from what it finds.

It is killed at each of its calls to the disk, in a process of its own, and goes on; see `interrupted`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from broken_disk import Disk, kills
from maecli_plugins.trackers.jsonl import JsonLines
from toy_training import Brightness, make

from maecli.storage.ledger import Ledger
from maecli.training.checkpoint import MODEL, STATE
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.loop.trainer import Trainer

TIMING = ("train/samples_per_s", "train/data_wait")


def go_on(folder: Path) -> Trainer:
    """Bring the run in a folder to its end, from where it is."""
    folder.mkdir(exist_ok=True)
    trainer = make(folder, Brightness(noise=0.1), train={"epochs": 1}, save_epochs=0.34)
    with taken_up(trainer, folder):
        trainer.fit()
    return trainer


@contextlib.contextmanager
def taken_up(trainer: Trainer, folder: Path) -> Iterator[None]:
    """Let a trainer begin where the run in a folder is, and keep its metrics there."""
    ledger = Ledger(folder, "run")
    if not ledger.began:
        ledger.begin()
    assert trainer.checkpoints is not None
    last, problems = trainer.checkpoints.newest_good()
    assert problems == []
    if last is not None:
        trainer.load(last)
    tracker = JsonLines(folder, {}, trainer.step)
    trainer.trackers = (tracker,)
    with contextlib.closing(tracker):
        yield


def metrics(folder: Path, until: int = sys.maxsize) -> list[dict[str, Any]]:
    """Return the metrics up to a step, without those that tell the time."""
    *whole, _ = (folder / "metrics.jsonl").read_text().split("\n")
    records = [json.loads(line) for line in whole]
    return [
        {key: value for key, value in record.items() if key not in TIMING}
        for record in records
        if record["step"] <= until
    ]


def what_is_lost(folder: Path, whole: Path) -> list[str]:
    """Return what a run that was broken off lacks of what it had finished: checkpoints, and metrics up to the last."""
    last, problems = CheckpointFolder(folder / "checkpoints").newest_good()
    if last is not None and metrics(folder, last.step) != metrics(whole, last.step):
        problems.append(f"metrics up to step {last.step}")
    return problems


def differences(folder: Path, whole: Path) -> list[str]:
    """Return in what a finished run differs from another."""
    found = []
    for pointer in ("last", "best"):
        ours, theirs = (CheckpointFolder(each / "checkpoints").pointed(pointer) for each in (folder, whole))
        if ours is None or theirs is None or ours.path.name != theirs.path.name:
            found.append(pointer)
            continue
        for file in (MODEL, STATE):
            tensors, others = (each.tensors(file) for each in (ours, theirs))
            found += [f"{pointer} {name}" for name in others if not torch.equal(tensors[name], others[name])]
    if metrics(folder) != metrics(whole):
        found.append("metrics")
    return found + [path.name for path in folder.rglob(".*.tmp")]


def undisturbed(root: Path) -> tuple[Path, int]:
    """Return a run that was never broken off, and how many calls to the disk it takes."""
    go_on(root / "first")  # libraries may write when they are first used
    with Disk() as disk:
        go_on(root / "whole")
    return root / "whole", disk.calls


def _die(folder: Path, at: int) -> int:
    """Run a process that is killed before a call; return how it ended."""
    child = os.fork()
    if child == 0:
        with kills(at):
            go_on(folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_each_call(root: Path) -> dict[str, Any]:
    """Return how many calls to the disk a run takes, and what was lost or became different when killed before each."""
    whole, calls = undisturbed(root)
    wrong, steps = [], [0]
    for at in range(1, calls + 1):
        folder = root / f"killed-{at}"
        ended = _die(folder, at)
        lost = what_is_lost(folder, whole)
        last, _ = CheckpointFolder(folder / "checkpoints").newest_good()
        steps.append(last.step if last is not None else 0)
        go_on(folder)
        wrong += [f"call {at}: ended with {ended}"] * (ended != -9)
        wrong += [f"call {at}: {each}" for each in (*lost, *differences(folder, whole))]
    return {"kills": calls, "wrong": wrong, "steps": steps}
