"""What several processes measure, predict and embed together is what one does."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from attempts import Attempt, processes
from write_data import noise, write_picture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")]

ALIKE = ("--device", "cpu", "--precision", "float32", "--batch-size", "4")


@pytest.fixture(scope="module")
def trained(server: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and the pictures beside it, of which one cannot be read."""
    folder = tmp_path_factory.mktemp("trained")
    for i in range(60):
        split = "train" if i < 20 else "val" if i < 30 else "test"
        write_picture(folder / f"pictures/{split}/{'cat' if i % 2 else 'dog'}/{i:02d}.png", noise(i, 16, 16, 3))
    broken = folder / "pictures/test/cat/41.png"
    broken.write_bytes(broken.read_bytes()[:300])
    arguments = [
        *("finetune", "--task", "classify", "--dataset", "folder", "--root", str(folder / "pictures")),
        *("--model", "vit", "--img-size", "16", "--patch-size", "4", "--set", "model.embed_dim=16"),
        *("--set", "model.depth=1", "--set", "model.num_heads=2", "--epochs", "1", *ALIKE, "--workers", "0"),
        *("--out", str(folder / "run")),
    ]
    attempt = Attempt(server, folder / "log", arguments)
    assert attempt.wait() == 0, attempt.said()
    return folder


def told(server: subprocess.Popen[str], num: int, log: Path, args: list[str], code: int = 0) -> str:
    """Return what the first of so many processes says; the others say nothing."""
    attempts = processes(server, num, log, args) if num > 1 else [Attempt(server, log, args)]
    codes = [attempt.wait() for attempt in attempts]
    assert codes == [code] * num, "\n".join(attempt.said() for attempt in attempts)
    assert not any(attempt.said() for attempt in attempts[1:])
    return attempts[0].said()


def test_metrics_are_those_of_one_process(server, trained, tmp_path):
    args = ["eval", str(trained / "run"), "--quiet", "--json", *ALIKE]
    one, two = (json.loads(told(server, num, tmp_path / f"{num}", args).splitlines()[-1]) for num in (1, 2))
    assert one["num_samples"] == two["num_samples"] == 29
    assert one["skipped"] == two["skipped"]
    for mine, theirs in zip(one["metrics"], two["metrics"], strict=True):
        assert mine["value"] == pytest.approx(theirs["value"], rel=1e-6)
        assert mine["baselines"] == pytest.approx(theirs["baselines"], rel=1e-6)


def test_a_probe_finds_what_it_finds_in_one_process(server, trained, tmp_path):
    args = ["eval", str(trained / "run"), "--probe", "knn", "--quiet", "--json", *ALIKE]
    one, two = (json.loads(told(server, num, tmp_path / f"{num}", args).splitlines()[-1]) for num in (1, 2))
    assert one["metrics"] == two["metrics"]
    assert one["skipped"] == two["skipped"]


def test_predictions_are_those_of_one_process(server, trained, tmp_path):
    rows = []
    for num in (1, 2):
        args = ["infer", str(trained / "pictures/test"), "--run", str(trained / "run"), *ALIKE, "--workers", "0"]
        told(server, num, tmp_path / f"log{num}", [*args, "--out", str(tmp_path / f"{num}")], 3)
        with (tmp_path / f"{num}/predictions.csv").open(newline="") as file:
            rows.append(list(csv.reader(file)))
        assert "cat/41.png" in (tmp_path / f"{num}/skipped.csv").read_text()
    assert len(rows[0]) == 30
    assert rows[0] == rows[1]


def test_features_are_those_of_one_process(server, trained, tmp_path):
    features = []
    for num in (1, 2):
        args = ["embed", str(trained / "pictures/test"), "--run", str(trained / "run"), *ALIKE, "--workers", "0"]
        told(server, num, tmp_path / f"log{num}", [*args, "--out", str(tmp_path / f"{num}.npy")], 3)
        features.append(np.load(tmp_path / f"{num}.npy"))
    assert features[0].shape == (29, 16)
    assert np.array_equal(*features)
