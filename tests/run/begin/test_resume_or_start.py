"""`--resume-or-start`: one command that begins a run, goes on with it, and says when it is finished."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
from conftest import TOY_DECODER, TOY_MODEL

from maecli.storage.lock import locked
from maecli.training.loop.trainer import Trainer


@pytest.fixture
def command(pictures, toy_pretrain, without_charts):
    return (*toy_pretrain, "--dataset", "folder", "--root", pictures, "--epochs", 1, "--resume-or-start")


def stopped_after_a_step(monkeypatch, train_step=Trainer.train_step):
    def fails(self, batch):
        if self.step == 1 and self.checkpoints is not None:  # no plan
            raise KeyboardInterrupt
        train_step(self, batch)

    monkeypatch.setattr(Trainer, "train_step", fails)


def test_it_begins_goes_on_and_says_that_it_is_finished(command, tmp_path, mae, monkeypatch):
    out = ("--out", tmp_path / "run")
    with monkeypatch.context() as patched:
        stopped_after_a_step(patched)
        assert mae(*command, *out, "--set", "checkpoint.every_epochs=0.1").exit_code == 130
    again = mae(*command, *out, "--set", "checkpoint.every_epochs=0.1", "--json")
    assert (again.exit_code, again.json["finished"]) == (0, True), again.stderr
    assert f"resuming {tmp_path / 'run'} at step 1" in again.stderr
    thrice = mae(*command, *out, "--set", "checkpoint.every_epochs=0.1", "--json")
    assert (thrice.exit_code, thrice.json["finished"]) == (0, True)
    assert f"{tmp_path / 'run'} is finished, so nothing is left to do" in thrice.stderr


def test_it_waits_for_the_attempt_before_to_end(command, tmp_path, mae, monkeypatch):
    run, holding = tmp_path / "run", contextlib.ExitStack()

    def until_told(folder, *, waiting, **how):
        def told(line):
            waiting(line)
            holding.close()

        return locked(folder, waiting=told, **how)

    with monkeypatch.context() as patched:
        stopped_after_a_step(patched)
        assert mae(*command, "--out", run, "--set", "checkpoint.every_epochs=0.1").exit_code == 130
    monkeypatch.setattr("maecli.run.begin.launch.locked", until_told)
    with holding:
        holding.enter_context(locked(run))
        again = mae(*command, "--out", run, "--set", "checkpoint.every_epochs=0.1")
    assert again.exit_code == 0, again.stderr
    writer = f"process {os.getpid()} on {socket.gethostname()}"
    assert f"{run} is being written by {writer}: waiting up to 120 s for it to end" in " ".join(again.stderr.split())
    assert f"resuming {run} at step 1" in again.stderr


def test_it_begins_in_a_directory_that_is_there_and_empty_and_in_no_other(command, tmp_path, mae):
    (tmp_path / "empty").mkdir()
    assert mae(*command, "--out", tmp_path / "empty").exit_code == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("mine")
    refused = mae(*command, "--out", tmp_path / "full")
    assert refused.exit_code == 2
    assert "is not empty and holds no run of mae, so it stays" in refused.stderr


def test_without_out_another_spec_is_another_run(command, tmp_path, mae, monkeypatch):
    monkeypatch.setenv("MAE_RUNS", str(tmp_path))
    runs = [mae(*command, "--seed", seed, "--json").json["run"] for seed in (1, 2, 1)]
    assert runs[0] == runs[2] != runs[1]


def test_a_time_counts_when_the_run_begins(pictures, tmp_path, mae, monkeypatch):
    data = ("--dataset", "folder", "--root", pictures, "--device", "cpu", "--workers", 0, "--out", tmp_path / "run")
    command = ("pretrain", *data, *TOY_MODEL, *TOY_DECODER, "--batch-size", 8, "--resume-or-start")
    stopped_after_a_step(monkeypatch)
    assert mae(*command, "--time", "5s").exit_code == 130
    again = mae(*command, "--time", "5s")
    assert again.exit_code == 130, again.stderr
    assert "trains" not in again.stderr
    other = mae(*command, "--time", "10s")

    assert other.exit_code == 2
    assert "--time plans how long a run trains" in other.stderr


def test_it_is_given_without_what_contradicts_it(command, tmp_path, mae):
    both = mae(*command, "--resume", "--out", tmp_path / "run")
    assert both.exit_code == 2
    told = "--resume goes on with a run and --resume-or-start begins it where none is; give one of them"
    assert told in both.stderr
    assert mae(*command, "--overwrite", "--out", tmp_path / "run").exit_code == 2
