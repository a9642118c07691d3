"""Faults while a whole run is under way: what was finished is there, and a person is told in one sentence."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time

import pytest
import torch
from broken_disk import Disk, refuses
from safetensors.torch import load_file

from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.loop.trainer import Trainer


@pytest.fixture
def command(pictures, toy_pretrain, without_charts):
    return (*toy_pretrain, "--dataset", "folder", "--root", pictures)


def before_step(monkeypatch, step, act):
    train_step = Trainer.train_step

    def acting(self, batch):
        if self.step == step:
            act()
        train_step(self, batch)

    monkeypatch.setattr(Trainer, "train_step", acting)


def same_weights(run, other):
    ours, theirs = (load_file(each / "checkpoints/step-000008/model.safetensors") for each in (run, other))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_disk_that_refuses_from_the_start_to_the_end_of_a_run_is_one_sentence_and_it_goes_on(command, tmp_path, mae):
    whole = tmp_path / "whole"
    with Disk() as disk:
        assert mae(*command, "--out", whole).exit_code == 0
    parts = 5
    for number in range(parts):
        run = tmp_path / f"run{number}"
        again = (*command, "--out", run, "--resume-or-start")
        with refuses(2 + disk.calls * number // parts, errno.ENOSPC):
            refused = mae(*again)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1].startswith(f"mae: cannot write {run}")
        assert "Traceback" not in refused.stderr
        assert mae(*again).exit_code == 0
        assert same_weights(run, whole)
        assert (run / "evaluation/val.json").read_bytes() == (whole / "evaluation/val.json").read_bytes()


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_run_directory_that_is_taken_away_is_told_and_not_made_again(command, tmp_path, mae, monkeypatch, how):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    before_step(monkeypatch, 6, lambda: shutil.rmtree(run) if how == "removed" else run.rename(elsewhere))
    outcome = mae(*command, "--out", run)
    assert outcome.exit_code == 1
    told = f"mae: {run} was taken away while mae wrote to it, so nothing more is written there"
    assert outcome.stderr.splitlines()[-1] == told
    assert not run.exists()
    if how == "moved":
        last, problems = CheckpointFolder(elsewhere / "checkpoints").newest_good()
        assert (last.step, problems) == (4, [])
        monkeypatch.undo()
        assert mae("pretrain", "--resume", "--out", elsewhere).exit_code == 0


def test_a_clock_that_is_set_back_changes_nothing(command, tmp_path, mae, monkeypatch):
    assert mae(*command, "--out", tmp_path / "whole").exit_code == 0
    now = [1e9]

    def backwards():
        now[0] -= 1e6
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    before_step(monkeypatch, 3, lambda: now.__setitem__(0, -1e8))
    assert mae(*command, "--out", tmp_path / "run").exit_code == 0
    whole, ours = (
        load_file(tmp_path / name / "checkpoints/step-000008/model.safetensors") for name in ("whole", "run")
    )
    assert all(torch.equal(ours[name], whole[name]) for name in whole)
    assert json.loads((tmp_path / "run/summary.json").read_text())["finished_at"] == 0
    assert mae("pretrain", "--resume", "--out", tmp_path / "run").exit_code == 0
    assert mae("runs", tmp_path, "--json").exit_code == 0


def test_a_picture_that_is_replaced_while_it_is_learnt_from_is_told_and_ends_nothing(
    pictures, toy_pretrain, tmp_path, mae, monkeypatch, without_charts
):
    root, run = tmp_path / "pictures", tmp_path / "run"
    shutil.copytree(pictures, root)
    taken = sorted(root.rglob("*.png"))[:30]

    def replace():
        for file in taken:
            half = tmp_path / "half"
            half.write_bytes(file.read_bytes()[:40])
            os.replace(half, file)  # noqa: PTH105

    before_step(monkeypatch, 4, replace)
    streamed = ("--set", "data.loading=streamed", "--set", "data.cache=0")
    outcome = mae(*toy_pretrain, *streamed, "--dataset", "folder", "--root", root, "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert "broken PNG file" in outcome.stderr
    assert CheckpointFolder(run / "checkpoints").newest_good()[1] == []
    assert "Traceback" not in outcome.stderr
