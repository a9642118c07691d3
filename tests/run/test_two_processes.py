"""Two processes on one run directory: one writes, and whoever reads beside it takes finished checkpoints only."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from attempts import Attempt
from conftest import TOY_DECODER, TOY_MODEL, TOY_RUN
from safetensors import safe_open

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")
LONG = ("--epochs", "100000", "--set", "checkpoint.every_epochs=1", "--set", "eval_every_epochs=1000")


def attempt(server: subprocess.Popen[str], log: Path, *args: object) -> Attempt:
    return Attempt(server, log, list(map(str, args)))


@contextlib.contextmanager
def training(server: subprocess.Popen[str], log: Path, out: Path, *args: object):
    """Train until the block ends; a checkpoint is there and another comes every few milliseconds."""
    begun = attempt(server, log, *args, "--out", out, *LONG)
    deadline = time.monotonic() + 200
    while not (out / "checkpoints/last").exists():
        assert time.monotonic() < deadline, begun.said()
        time.sleep(0.01)
    try:
        yield begun
    finally:
        os.kill(begun.pid, signal.SIGKILL)
        begun.wait()


@pytest.mark.slow
def test_a_second_writer_is_refused_and_readers_are_not(server, pictures, tmp_path, mae):
    out, log = tmp_path / "run", tmp_path / "log"
    data = ("--dataset", "folder", "--root", pictures)
    told = ("pretrain", *TOY_MODEL, *TOY_DECODER, *TOY_RUN, *data)
    with training(server, log, out, *told) as begun:
        for flags in (("--resume",), ("--overwrite",)):
            outcome = mae(*told, "--out", out, *flags)
            assert outcome.exit_code == 1, outcome.stderr
            assert outcome.stderr == (
                f"mae: {out} is being written by process {begun.pid} on {socket.gethostname()}; wait for it to end, or "
                "use another --out\n"
            )
        for reader in (
            ("eval", out),
            ("infer", pictures, "--run", out, "--out", tmp_path / "predictions", "--workers", 0),
            ("embed", pictures, "--run", out, "--out", tmp_path / "features.npy", "--workers", 0),
            ("inspect", out),
        ):
            outcome = mae(*reader)
            assert outcome.exit_code == 0, outcome.stderr
        outcome = mae("runs", tmp_path, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.json["runs"][0]["state"].startswith("unfinished, step ")
        assert "Traceback" not in begun.said()
    assert mae("runs", tmp_path).exit_code == 0
    with (out / "metrics.jsonl").open() as file:
        steps = [record["step"] for record in map(json.loads, file.read().splitlines()[:-1]) if "train/loss" in record]
    assert steps == list(range(1, len(steps) + 1)), "no line was lost"


@pytest.mark.slow
def test_many_at_once_end_with_one_run_whole(server, pictures, tmp_path):
    data = ("--dataset", "folder", "--root", pictures)
    out, told = tmp_path / "run", ("pretrain", *TOY_MODEL, *TOY_DECODER, *TOY_RUN)
    both = [
        attempt(server, tmp_path / f"log{seed}", *told, "--seed", seed, "--out", out, *data, *flags)
        for seed, flags in enumerate(((), ("--overwrite",)))
    ]
    ends = [one.wait() for one in both]
    said = [one.said() for one in both]
    assert 0 in ends, said
    assert all(
        end == 0 or "is being written by process" in text or "is not empty" in text
        for end, text in zip(ends, said, strict=True)
    ), said
    seed = yaml.safe_load((out / "spec.yaml").read_text())["seed"]
    step = (out / "checkpoints/last").read_text().split()[0]
    with safe_open(out / "checkpoints" / step / "model.safetensors", "pt") as opened:
        assert json.loads(opened.metadata()["mae"])["spec"]["seed"] == seed
    losses = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines() if "loss" in line]
    assert losses == list(range(1, 9))
