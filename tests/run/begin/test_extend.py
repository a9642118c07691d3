"""Training a finished run longer, by the commands that people type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from written import contents

from maecli.run.begin.extend import extended_name
from maecli.run.checkpoint import find_checkpoint


@pytest.fixture
def run(toy_pretrain, pictures, tmp_path, mae):
    """Return a finished run of an epoch of 4 steps."""
    data = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run", "--epochs", 1)
    assert mae(*toy_pretrain, *data, "--set", "train.ema_decay=0.9").exit_code == 0
    return tmp_path / "run"


def logged(run: Path) -> list[int]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["step"] for record in records if "train/loss" in record]


def test_a_longer_run_goes_on_from_its_parent_and_can_be_repeated(run, tmp_path, mae):
    before = contents(run, ledger=True)
    num = find_checkpoint(run).step
    outcome = mae("pretrain", "--extend", run, "--epochs", 2)
    assert outcome.exit_code == 0, outcome.stderr
    longer = tmp_path / "run-extended"
    assert f"goes on from {run} at step {num}" in outcome.stderr
    assert contents(run, ledger=True) == before
    assert find_checkpoint(longer).step == 2 * num
    assert logged(longer) == list(range(1, 2 * num + 1)), "one curve"
    spec = yaml.safe_load((longer / "spec.yaml").read_text())
    assert (spec["extend"], spec["train"]["epochs"]) == (str(run), 2)
    summary, environment = (json.loads((longer / f"{name}.json").read_text()) for name in ("summary", "environment"))
    assert summary["parent"].endswith("run")
    assert environment["extends"]["step"] == num
    assert f"goes on from {run} at step {num}" in (longer / "report.html").read_text()

    again = mae("pretrain", "--config", longer / "spec.yaml", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.stderr
    one, other = (find_checkpoint(folder).tensors() for folder in (longer, tmp_path / "again"))
    assert all(one[name].equal(other[name]) for name in one)
    resumed = mae("pretrain", "--extend", run, "--epochs", 2, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert logged(longer) == list(range(1, 2 * num + 1))
    assert json.loads((longer / "environment.json").read_text())["extends"] == environment["extends"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--epochs", 1),
            "--epochs 1 is not more than the 1 that the run to extend has; give more, such as --epochs 2",
        ),
        (("--epochs", 2, "--set", "model.depth=3"), "start from its encoder, with --init RUN: model.depth: 2 -> 3"),
        (("--epochs", 2, "--batch-size", 4), "train.batch_size: 8 -> 4"),
        (("--epochs", 2, "--init", "x"), "--extend trains a run longer and --init starts another one from its encoder"),
    ],
)
def test_only_how_long_and_how_fast_may_change(run, mae, flags, said):
    outcome = mae("pretrain", "--extend", run, *flags)
    assert outcome.exit_code == 2
    assert said.replace("RUN", str(run)) in outcome.stderr


def test_what_is_no_finished_run_of_the_verb_is_refused(run, tmp_path, mae):
    other = mae("finetune", "--extend", run, "--epochs", 2)
    assert (other.exit_code, f"--extend {run} is a run of mae pretrain, not of mae finetune" in other.stderr) == (
        2,
        True,
    )
    (run / "summary.json").unlink()
    unfinished = mae("pretrain", "--extend", run, "--epochs", 2)
    assert unfinished.exit_code == 2
    assert f"that run is not finished; resume it first: mae pretrain --resume --out {run}" in unfinished.stderr
    nothing = mae("pretrain", "--extend", tmp_path / "none", "--epochs", 2)
    assert nothing.exit_code == 2
    assert "is not a run directory; give one of a finished run" in nothing.stderr


@pytest.mark.parametrize(
    ("name", "next_one"),
    [("x", "x-extended"), ("x-extended", "x-extended-2"), ("x-extended-2", "x-extended-3")],
)
def test_names_of_longer_runs(name, next_one):
    assert extended_name(Path("runs") / name) == Path("runs") / next_one
