"""Runs that are resumed on data which are, or are not, those that they began with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maecli.data import fingerprint
from maecli.errors import Interrupted
from maecli.training.loop.trainer import Trainer


@pytest.fixture
def copied(pictures, pretrained, tmp_path) -> tuple[Path, Path]:
    """Return copies of the pictures, with their times, and of the run that was trained on them."""
    data = shutil.copytree(pictures, tmp_path / "data")
    return data, shutil.copytree(pretrained, tmp_path / "run")


@pytest.fixture
def resume(mae) -> Callable[..., Any]:
    """Return a function that resumes a run and returns its exit code and what it said."""

    def resumed(run: Path, *arguments: object, verb: str = "pretrain") -> tuple[int, str]:
        outcome = mae(verb, "--resume", "--out", run, *arguments)
        return outcome.exit_code, outcome.stderr

    return resumed


@pytest.fixture
def few_are_read(monkeypatch):
    """Let the pictures be too many to read all, and 5 of each split be sampled."""
    monkeypatch.setattr(fingerprint, "ALL_FILES", 3)
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 5)


@pytest.fixture
def stopped(toy_pretrain, mae, tmp_path, monkeypatch) -> Callable[..., Path]:
    """Return a function that begins a run, which ends after its first checkpoint."""

    def begin(*arguments: object) -> Path:
        save, run = Trainer.save, tmp_path / "stopped"

        def save_and_stop(self: Trainer, best: bool = False) -> None:
            save(self, best)
            raise Interrupted("stopped")

        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "save", save_and_stop)
            assert mae(*toy_pretrain, "--dataset", "folder", "--out", run, *arguments).exit_code == 130
        return run

    return begin
