from __future__ import annotations

import os

import pytest

from maecli.errors import MaeError
from maecli.registry import registry
from maecli.speed.forms import COMPILED, PYTORCH, Making, forms_of_run
from maecli.speed.process import Steps
from maecli.verbs import bench


class Here(Steps):
    """Runs in this process, where nothing is compiled: that takes longer than a test may."""

    def feed(self, batch_size):
        if self.name.endswith(COMPILED):
            raise MaeError("there is no compiler")
        super().feed(batch_size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.setattr(bench, "Process", Here)
    monkeypatch.setattr("maecli.speed.turns.TURN_S", 0.001)


def test_a_run_is_measured_in_each_form_beside_the_first_one(mae, finetuned):
    outcome = mae("bench", finetuned, "--seconds", 0, "--batch-size", 2, "--threads", 1, "--json", "--quiet")
    assert outcome.exit_code == 0, outcome.stderr
    said = outcome.json
    first = said["rows"][0]
    assert first["name"] == PYTORCH
    assert (first["latency"]["speedup"], first["throughput"]["speedup"]) == (1, 1)
    assert (first["latency"]["batch_size"], first["throughput"]["batch_size"]) == (1, 2)
    assert all(row["file_bytes"] > 0 and row["latency"]["median_ms"] > 0 for row in said["rows"])
    assert said["left_out"] == {COMPILED: "there is no compiler"}
    assert said["machine"]["threads"] == 1
    assert said["machine"]["cpu"]
    assert said["inputs"]["finetuned"].startswith("pictures (batch, 3 channels")


def test_the_table_names_the_machine_and_what_was_left_out(mae, finetuned, monkeypatch):
    monkeypatch.setattr(registry().export("onnx"), "can_be_run", False)  # writing it takes seconds
    outcome = mae("bench", finetuned, "--seconds", 0, "--batch-size", 2, "--threads", 1)
    assert outcome.exit_code == 0, outcome.stderr
    assert "not measured: torch.compile: there is no compiler" in " ".join(outcome.stdout.split())
    assert "1 thread each" in outcome.stdout
    assert outcome.stdout.count("× as fast") >= 2


def test_compiling_leaves_the_cache_that_programs_share_alone(finetuned, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "shared")
    monkeypatch.setattr(registry().export("onnx"), "can_be_run", False)  # writing it takes seconds
    _, compiled = forms_of_run(finetuned, registry(), print, Making(tmp_path, "last", None, "cpu")).forms
    compiled.load(1)  # nothing is compiled before the first step
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


def test_weights_beside_adapters_are_refused_where_there_are_none(mae, finetuned):
    outcome = mae("bench", finetuned, "--base", finetuned)
    assert outcome.exit_code == 2
    assert f"--base is for a run of adapters, and {finetuned}" in outcome.stderr


def test_what_is_neither_a_run_nor_a_file_of_ours_is_refused(mae, tmp_path):
    assert mae("bench", tmp_path / "nothing").exit_code == 2
