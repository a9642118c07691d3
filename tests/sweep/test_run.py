from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from attempts import Attempt
from written import csv_rows

from maecli.data.files.finding import find_files
from maecli.hardware import keep_freed_memory
from maecli.run.begin.timing import SECONDS

pytestmark = pytest.mark.usefixtures("without_charts")

ARMS = {"pretrained": {}, "scratch": {"scratch": True}, "longer": {"total_time_of": "pretrained"}}


def runs_in(out: Path) -> set[str]:
    return {entry.parent.name for entry in out.glob("*/spec.yaml")}


def finished_at(out: Path) -> dict[str, float]:
    return {file.parent.name: json.loads(file.read_text())["finished_at"] for file in out.glob("*/summary.json")}


def read_when(out: Path) -> dict[str, float]:
    """Return when each run's test metrics were written."""
    return {file.parents[1].name: file.stat().st_mtime_ns for file in out.glob("*/evaluation/test.json")}


@pytest.mark.slow
def test_a_sweep_pretrains_fine_tunes_and_measures_and_repeats_nothing(tmp_path, mae, write_sweep):
    file = write_sweep(arms=ARMS, grid={"pretrain.task.mask_ratio": [0.5]}, seeds=2, side_by_side=True)
    outcome = mae("sweep", "--config", file)
    assert outcome.exit_code == 0, outcome.stderr
    out = tmp_path / "runs/sweep-tiny"
    assert runs_in(out) == {
        f"{name}-seed{seed}"
        for name in (
            "pretrain-mask-ratio-0.5",
            "finetune-pretrained-mask-ratio-0.5",
            "finetune-scratch",
            "finetune-longer-mask-ratio-0.5",
        )
        for seed in (0, 1)
    }
    for name in ("sweep.yaml", "sweep.json", "sweep.csv", "sweep.png", "report.html"):
        assert (out / name).stat().st_size > 0
    assert read_when(out).keys() == runs_in(out)
    copy = shutil.copytree(out, tmp_path / "data/sweep", ignore=shutil.ignore_patterns(".*"))
    assert list(copy.rglob("*.png"))
    assert find_files(tmp_path / "data") == [], "it is known without its ledger"

    tuned = yaml.safe_load((out / "finetune-pretrained-mask-ratio-0.5-seed1/spec.yaml").read_text())
    assert (tuned["init"], tuned["seed"]) == (str(out / "pretrain-mask-ratio-0.5-seed1"), 1)
    scratch = yaml.safe_load((out / "finetune-scratch-seed0/spec.yaml").read_text())
    assert scratch["init"] is None
    seconds = {
        name: json.loads((out / f"{name}-mask-ratio-0.5-seed0/summary.json").read_text())["seconds"]
        for name in ("pretrain", "finetune-pretrained")
    }
    longer = yaml.safe_load((out / "finetune-longer-mask-ratio-0.5-seed0/spec.yaml").read_text())
    share = sum(seconds.values()) / max(seconds["finetune-pretrained"], 1e-9)
    assert longer["train"]["max_steps"] == max(1, round(2 * share))

    rows = json.loads((out / "sweep.json").read_text())["rows"]
    [row] = [row for row in rows if (row["arm"], row["split"], row["metric"]["name"]) == ("pretrained", "test", "top1")]
    values = [
        json.loads((out / f"finetune-pretrained-mask-ratio-0.5-seed{seed}/evaluation/test.json").read_text())
        for seed in (0, 1)
    ]
    shares = [each["metrics"][0]["value"] for each in values]
    assert row["values"] == shares
    assert row["metric"]["value"] == pytest.approx(sum(shares) / 2)
    assert row["sd"] == pytest.approx(abs(shares[0] - shares[1]) / 2**0.5)
    assert row["metric"]["baselines"]["chance"] == 0.1
    written = csv_rows(out / "sweep.csv")
    assert len(written) == len(rows)
    assert {line["mask_ratio"] for line in written if line["arm"] == "scratch"} == {""}
    for word in ("top-1 accuracy, test", "masked MSE, test", "mean ± sd", "best baseline", "majority", "2 seeds"):
        assert word in " ".join(outcome.stdout.split())

    ends, reads = finished_at(out), read_when(out)
    more = ("--grid", "pretrain.task.mask_ratio=0.5,0.75", "--seeds", 1)
    again = mae("sweep", "--config", file, "--resume", *more)
    assert again.exit_code == 0, again.stderr
    later = finished_at(out)
    assert {name: later[name] for name in ends} == ends
    assert {name: read_when(out)[name] for name in reads} == reads
    assert later.keys() - ends.keys() == {
        f"{name}-mask-ratio-0.75-seed0" for name in ("pretrain", "finetune-pretrained", "finetune-longer")
    }
    assert "one seed" in again.stdout


@pytest.mark.slow
def test_a_dry_run_lists_what_is_kept_and_writes_nothing(tmp_path, mae, write_sweep):
    file = write_sweep(finetune=None)
    out = tmp_path / "runs/sweep-tiny"
    dry = mae("sweep", "--config", file, "--dry-run", "--json").json
    assert dry["runs"][0].pop("estimated_seconds") >= 0
    assert dry == {"out": str(out), "runs": [{"run": "pretrain-seed0", "from": "scratch", "state": "new"}]}
    assert not out.exists()
    assert mae("sweep", "--config", file, "--quiet").exit_code == 0
    told = mae("sweep", "--config", file, "--dry-run", "--seeds", 2).stdout
    assert "finished, kept" in told
    assert f"2 runs in {out}, 1 of them to do, in about " in told


def test_a_dry_run_times_each_kind_of_run_once(mae, write_sweep, monkeypatch):
    timed = []

    def rehearse(built, progress, seconds):
        timed.append((built.spec.verb, built.data.dataset, seconds))
        return SimpleNamespace(total_s=60 if built.spec.verb == "pretrain" else 10)

    monkeypatch.setattr("maecli.sweep.estimate.rehearse", rehearse)
    arms = {"tuned": {}, "scratch": {"scratch": True}, "as-long": {"total_time_of": "tuned"}}
    file = write_sweep(arms=arms, seeds=2)
    runs = {
        run["run"]: run["estimated_seconds"]
        for run in mae("sweep", "--config", file, "--dry-run", "--json").json["runs"]
    }
    assert {name: seconds for name, seconds in runs.items() if name.endswith("seed0")} == {
        "pretrain-seed0": 60,
        "finetune-tuned-seed0": 10,
        "finetune-scratch-seed0": 10,
        "finetune-as-long-seed0": 70,
    }
    assert len(runs) == 8
    assert [(verb, seconds) for verb, _, seconds in timed] == [("pretrain", SECONDS / 2), ("finetune", SECONDS / 2)]
    assert "in about 5 min 00 s of training" in mae("sweep", "--config", file, "--dry-run").stdout


def test_runs_that_differ_in_rates_only_are_timed_once_and_equal_data_opened_once(mae, write_sweep, monkeypatch):
    timed = []

    def rehearse(built, progress, seconds):
        timed.append(built)
        return SimpleNamespace(total_s=60)

    monkeypatch.setattr("maecli.sweep.estimate.rehearse", rehearse)
    grid = {"pretrain.train.base_lr": [0.1, 0.2], "pretrain.train.epochs": [1, 2]}
    told = mae("sweep", "--config", write_sweep(finetune=None, grid=grid), "--dry-run")
    assert [built.spec.train.epochs for built in timed] == [1, 2]
    assert timed[0].data.dataset is timed[1].data.dataset
    assert "in about 4 min 00 s of training" in told.stdout


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_the_others_go_on(tmp_path, mae, write_sweep):
    file = write_sweep(grid={"pretrain.train.base_lr": [1e30, 0.001]})
    outcome = mae("sweep", "--config", file, "--json")
    assert outcome.exit_code == 1
    failed = outcome.json["failed"]
    assert list(failed) == ["pretrain-base-lr-1e+30-seed0", "finetune-base-lr-1e+30-seed0"]
    assert failed["pretrain-base-lr-1e+30-seed0"].startswith("the loss was not finite at step ")
    assert failed["finetune-base-lr-1e+30-seed0"] == "needs pretrain-base-lr-1e+30-seed0, which failed"
    assert "mae: 2 of 4 runs failed: pretrain-base-lr-1e+30-seed0: the loss was not finite" in outcome.stderr
    out = tmp_path / "runs/sweep-tiny"
    assert finished_at(out).keys() == {"pretrain-base-lr-0.001-seed0", "finetune-base-lr-0.001-seed0"}
    assert "Runs that failed" in (out / "report.html").read_text()
    assert json.loads((out / "sweep.json").read_text())["failed"] == failed


@pytest.mark.slow
def test_killed_and_resumed_it_keeps_what_is_done(tmp_path, mae, write_sweep, server):
    long = {"train": {"max_steps": 20, "batch_size": 128, "warmup_epochs": 0}, "checkpoint": {"every_epochs": 1}}
    file = write_sweep(finetune={"task": {"name": "classify"}, "device": "cpu", "trackers": ["jsonl"]} | long)
    out = tmp_path / "runs/sweep-tiny"
    command = ["sweep", "--config", str(file), "--out", str(out), "--quiet"]
    killed = Attempt(server, tmp_path / "log", command, ["die_at", 15])  # the pretraining has two steps
    assert killed.wait() == -signal.SIGKILL, killed.said()
    assert (out / "finetune-seed0/checkpoints/last").exists()
    ends, reads = finished_at(out), read_when(out)
    assert ends.keys() == reads.keys() == {"pretrain-seed0"}

    refused = mae("sweep", "--config", file)
    assert refused.exit_code == 2
    assert refused.stderr == (f"mae: {out} holds a sweep already; use --resume to go on with it, or another --out\n")
    outcome = mae("sweep", "--resume", "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"resuming {out / 'finetune-seed0'} at step " in outcome.stderr
    assert finished_at(out).keys() == {"pretrain-seed0", "finetune-seed0"}
    assert {name: finished_at(out)[name] for name in ends} == ends
    assert {name: read_when(out)[name] for name in reads} == reads


def test_the_directory_of_another_thing_is_left_alone(tmp_path, mae, write_sweep):
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    file = write_sweep()
    for how in ("--resume", "--overwrite"):
        outcome = mae("sweep", "--config", file, "--out", other, how)
        assert outcome.exit_code == 2
        assert outcome.stderr == f"mae: {other} is not empty and holds no sweep, so it stays; use another --out\n"
    assert (other / "letter.txt").read_text() == "dear"
    both = mae("sweep", "--config", file, "--resume", "--overwrite")
    assert "--resume keeps the runs that are there and --overwrite deletes them; give one of them" in both.stderr


@pytest.mark.slow
def test_overwriting_deletes_the_runs_of_the_sweep_before(tmp_path, mae, write_sweep):
    out = tmp_path / "runs/sweep-tiny"
    assert mae("sweep", "--config", write_sweep(finetune=None, seeds=2), "--quiet").exit_code == 0
    assert mae("sweep", "--config", write_sweep(finetune=None), "--quiet", "--overwrite").exit_code == 0
    assert runs_in(out) == {"pretrain-seed0"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "mae: nothing says what to sweep over: give --grid KEY=VALUE,VALUE with --dataset, a --recipe or a"),
        (("--resume", "--out", "nowhere"), "mae: nowhere holds no sweep: it has no sweep.yaml"),
        (
            ("--dataset", "digits", "--grid", "train.epochs=1,2"),
            "mae: train.epochs is for one verb at a time: write pretrain.train.epochs or finetune.train.epochs",
        ),
        (
            ("--dataset", "digits", "--grid", "mask_ratio"),
            "mae: --grid 'mask_ratio' is not of the form KEY=VALUE,VALUE",
        ),
        (
            ("--dataset", "digts", "--grid", "model.depth=1,2"),
            "mae: unknown dataset 'digts'; did you mean 'digits'?",
        ),
        (
            ("--dataset", "digits", "--no-pretrain", "--no-finetune"),
            "mae: a sweep without pretraining and without fine-tuning does nothing",
        ),
    ],
)
def test_what_cannot_be_swept_is_one_sentence(mae, args, said):
    outcome = mae("sweep", *args)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(said)
    assert outcome.stderr.count("\n") == 1


def test_an_encoder_that_is_given_takes_the_place_of_pretraining(tmp_path, mae, write_sweep, pretrained):
    """And the memory of a run is its own, whatever the process held before."""
    keep_freed_memory()
    held = torch.ones(2**26)
    del held
    outcome = mae("sweep", "--config", write_sweep(splits=["val"]), "--init", pretrained)
    assert outcome.exit_code == 0, outcome.stderr
    out = tmp_path / "runs/sweep-tiny"
    assert runs_in(out) == {"finetune-seed0"}
    summary = json.loads((out / "finetune-seed0/summary.json").read_text())
    assert summary["init"].startswith(f"encoder from {pretrained}")
    assert 0 < summary["peak_memory"] < 2**27


def test_training_verbs_refuse_a_sweep(mae, write_sweep):
    file = write_sweep()
    outcome = mae("pretrain", "--config", file)
    assert outcome.exit_code == 2
    assert outcome.stderr == f"mae: {file} is a sweep of many runs, not a spec of mae pretrain; run it by mae sweep\n"
