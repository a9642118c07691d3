"""Real processes with little memory: `--micro-batch-size auto`, and the sentence without it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from attempts import Attempt

from maecli.errors import SpecError
from maecli.progress import Progress
from maecli.run.begin import micro_batch
from maecli.schema import AUTO

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc and RLIMIT_AS"),
]

ROOM = 200 * 2**20
"""Bytes beside what the process has when it begins to train: some samples fit, and not all of a batch."""


@pytest.fixture
def command(tmp_path) -> list[str]:
    sets = ("model.embed_dim=64", "model.depth=2", "model.num_heads=4", "task.decoder_depth=1")
    return [
        *(
            "pretrain",
            "--dataset",
            "digits",
            "--model",
            "vit",
            "--patch-size",
            "1",
            "--device",
            "cpu",
            "--workers",
            "0",
        ),
        *("--mask-ratio", "0.1", "--batch-size", "1000", "--epochs", "1", "--out", str(tmp_path / "run")),
        *("--set", "task.decoder_embed_dim=64", "--set", "task.decoder_num_heads=4", "--set", "trackers=[jsonl]"),
        *(part for each in sets for part in ("--set", each)),
    ]


def with_little_memory(server, tmp_path, arguments):
    """Run `mae`; return the exit code and what was said."""
    log = tmp_path / f"log{len(list(tmp_path.iterdir()))}"
    attempt = Attempt(server, log, arguments, ["little_memory", ROOM])
    return attempt.wait(), attempt.said()


def test_a_process_with_little_memory_is_told_what_fits_and_goes_on_with_it(server, command, tmp_path):
    code, said = with_little_memory(server, tmp_path, command)
    assert code == 1, said
    told = re.fullmatch(
        r"mae: memory is used up by 1,000 samples at once; --micro-batch-size (\d+) fits, as was tried, and means the "
        r"same: gradients are summed over the parts of a batch",
        said.splitlines()[-1],
    )
    assert told is not None, said
    assert 14 <= int(told[1]) < 250
    resume = ["pretrain", "--resume", "--out", str(tmp_path / "run"), "--micro-batch-size", told[1]]
    code, said = with_little_memory(server, tmp_path, resume)
    assert code == 0, said


def test_with_little_memory_auto_takes_what_fits_and_keeps_it(server, command, tmp_path):
    code, said = with_little_memory(server, tmp_path, [*command, "--micro-batch-size", "auto"])
    assert code == 0, said
    told = re.search(
        r"^micro-batches of (\d+): the most that fits into memory, of batches of 1,?000 samples", said, re.M
    )
    assert told is not None, said
    assert 14 <= int(told[1]) < 250
    spec = tmp_path / "run/spec.yaml"
    assert yaml.safe_load(spec.read_text())["train"]["micro_batch_size"] == int(told[1])
    again = ["pretrain", "--resume", "--out", str(tmp_path / "run"), "--micro-batch-size", "auto"]
    attempt = Attempt(server, tmp_path / "log", again)
    assert attempt.wait() == 0, attempt.said()
    assert "micro-batches of" not in attempt.said()
    assert yaml.safe_load(spec.read_text())["train"]["micro_batch_size"] == int(told[1])


def test_parts_of_a_module_in_several_processes_are_no_matter_of_trying(monkeypatch):
    monkeypatch.setattr(micro_batch, "world", lambda: SimpleNamespace(size=2))
    built = SimpleNamespace(spec=SimpleNamespace(parallel="fsdp", train=SimpleNamespace(micro_batch_size=AUTO)))
    with pytest.raises(SpecError, match="; give a number"):
        micro_batch.settle_micro_batch(built, None, Progress())


def test_what_is_no_size_is_refused(mae, command):
    outcome = mae(*command, "--micro-batch-size", "most")
    assert outcome.exit_code == 2
    assert "--micro-batch-size 'most' is no number; write 16, or auto" in outcome.stderr
