"""What ends one of several processes ends all of them, with one sentence of the first and never by waiting for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from attempts import Attempt, processes
from safetensors.torch import load_file
from write_data import noise, write_picture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")]

HANG_S = 8.0
SAVED = "the same: gradients are summed over the parts of a batch; step 1 is saved, and --resume goes on from there"
NARROWER = f"mae: memory is used up by 12 samples at once; --micro-batch-size 2 fits, as was tried, and means {SAVED}"
HALF = f"mae: memory is used up by 12 samples at once; try --micro-batch-size 6, which means {SAVED}"


@pytest.fixture(autouse=True)
def _to_the_very_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempt, "ends_as_a_whole", True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for i in range(24):
        write_picture(root / f"train/{i:02d}.png", noise(i, 16, 16, 3))
    for i in range(4):
        write_picture(root / f"val/{i:02d}.png", noise(100 + i, 16, 16, 3))
    return root


def arguments(pictures: Path, out: Path, *sets: str) -> list[str]:
    settings = [
        *("dataset.test_share=0", "model.embed_dim=16", "model.depth=1", "model.num_heads=2", "log_every_steps=1"),
        *("task.decoder_embed_dim=16", "task.decoder_depth=1", "task.decoder_num_heads=2", "trackers=[jsonl]"),
        *("train.epochs=2", "train.batch_size=8", f"dataset.root={pictures}", *sets),
    ]
    return [
        *("pretrain", "--dataset", "folder", "--out", str(out), "--workers", "0"),
        *("--model", "vit", "--img-size", "16", "--patch-size", "4", "--device", "cpu", "--precision", "float32"),
        *("--base-lr", "0.01"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


def ended(server: subprocess.Popen[str], out: Path, args: list[str], traps=None) -> tuple[list[int], str]:
    """Return the exit codes of two processes, and what the first said; the other says nothing."""
    attempts = processes(server, 2, out.with_name(f"{out.name}.log"), args, traps)
    codes = [attempt.wait() for attempt in attempts]
    assert attempts[1].said() == ""
    return codes, attempts[0].said()


@pytest.mark.parametrize(
    ("sets", "traps", "code", "sentence"),
    [
        (["train.batch_size=3"], {}, 2, "mae: 2 processes share each batch in pairs of samples"),
        (["task.mask_ratio=3"], {0: ["keep_group"]}, 2, "task.mask_ratio"),
        (["dataset.root=/nowhere"], {}, 3, "/nowhere"),
        (["data.strict=true"], {1: ["fail_to_read"]}, 3, "mae: 01.png: truncated; mend or remove it"),
        ([], {1: ["see_others"]}, 3, "mae: process 1 of 2 finds other samples than process 0"),
        ([], {0: ["lose_val", 2], 1: ["lose_val", 2]}, 3, "mae: none of the 4 val samples can be read, so"),
        ([], {0: ["disk_is_full"]}, 1, "the disk is full; what was saved before is untouched"),
        ([], {1: ["lose_numbers", 3]}, 5, "mae: the loss was not finite at step 3"),
        (["train.batch_size=24"], {0: ["no_memory_for", 8, 2, 60], 1: ["no_memory_for", 4, 2, 60]}, 1, NARROWER),
        (
            ["train.batch_size=24", "parallel=fsdp"],
            {0: ["no_memory_for", 24, 2, HANG_S], 1: ["no_memory_for", 4, 2, HANG_S]},
            1,
            HALF,
        ),
        ([], {1: ["stop_at", 3]}, 130, "mae: saved at step 3; --resume goes on from there"),
        ([], {1: ["stop_in_measuring"]}, 130, "mae: saved at step 6, the last; --resume goes on with what follows"),
    ],
    ids=[
        "batch",
        "spec",
        "data",
        "data of one",
        "other data",
        "lost data",
        "disk",
        "not finite",
        "memory",
        "memory of one",
        "signal to one",
        "signal in the last measuring",
    ],
)
def test_processes_refuse_together(server, pictures, tmp_path, sets, traps, code, sentence):
    codes, said = ended(server, tmp_path / "run", arguments(pictures, tmp_path / "run", *sets), traps)
    assert codes == [code] * 2, said
    assert sentence in said.splitlines()[-1]
    if code == 2:
        assert not (tmp_path / "run").exists()


def test_a_process_that_dies_ends_the_others_at_once(server, pictures, tmp_path):
    codes, said = ended(server, tmp_path / "run", arguments(pictures, tmp_path / "run"), {1: ["die_at", 4]})
    assert codes == [1, -signal.SIGKILL]
    assert said.splitlines()[-1].startswith("mae: another of the 2 processes ended; --resume goes on from the last")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_hangs_is_named(server, pictures, tmp_path, rank):
    traps = {rank: ["hang_at", 4, HANG_S], 1 - rank: ["hang_at", 0, HANG_S]}
    attempts = processes(server, 2, tmp_path / "log", arguments(pictures, tmp_path / "run"), traps)
    hanging, other = attempts[rank], attempts[1 - rank]
    assert other.wait() == 1
    os.kill(hanging.pid, signal.SIGKILL)
    hanging.wait()
    assert f"mae: process {rank} made no progress for {HANG_S:g} s, so the run hangs" in other.said().splitlines()[-1]


def test_devices_starts_processes_and_starts_them_anew_where_one_is_killed(server, pictures, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    sets = ("train.epochs=3", "checkpoint.every_epochs=1")
    codes, said = ended(server, whole, arguments(pictures, whole, *sets))
    assert codes == [0, 0], said
    command = [*arguments(pictures, out, *sets), "--devices", "2"]
    launcher = Attempt(server, tmp_path / "log", command, ["launch_by_forks", 5])
    assert launcher.wait() == 0, launcher.said()
    assert "resuming" in launcher.said()
    for name in ("model.safetensors", "state.safetensors"):
        one, other = (load_file(each / "checkpoints" / "step-000009" / name) for each in (out, whole))
        assert all(tensor.equal(other[key]) for key, tensor in one.items())
    assert (out / "metrics.jsonl").read_text().count("train/loss") == 9
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = Attempt(server, tmp_path / "again", command, ["launch_by_forks", 0])  # one dies before the first refuses
    assert again.wait() == 2
    assert f"{out} is not empty" in again.said()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_processes_whose_launcher_is_killed_save_and_end(server, pictures, tmp_path):
    command = arguments(pictures, tmp_path / "run")
    log, saved = tmp_path / "log", "mae: saved at step 3; --resume goes on from there\n"
    launcher = Attempt(server, log, [*command, "--devices", "2"], ["launch_by_forks", 3, "launcher"])
    until = time.monotonic() + 200
    while not launcher.said().endswith(saved) and time.monotonic() < until:
        time.sleep(0.1)
    assert launcher.wait() == -signal.SIGKILL
    assert launcher.said().endswith(saved)
    again = Attempt(server, tmp_path / "again", [*command, "--resume-or-start"])
    assert again.wait() == 0, again.said()
