"""Real processes, stopped for real: by SIGKILL, SIGTERM and SIGINT, at random instants and in the middle of a save."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from attempts import Attempt
from safetensors.torch import load_file
from write_data import noise, write_picture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")]

STEPS_PER_EPOCH, EPOCHS = 6, 8
TOTAL = STEPS_PER_EPOCH * EPOCHS


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run with DropPath, mixup, a weight average, accumulated gradients and two workers, saved every few steps."""
    root = tmp_path_factory.mktemp("pictures")
    for i in range(48):
        write_picture(root / f"train/{'cat' if i % 2 else 'dog'}/{i:02d}.png", noise(i, 20, 18, 3))
    for i in range(8):
        write_picture(root / f"val/{'cat' if i % 2 else 'dog'}/{i:02d}.png", noise(100 + i, 18, 20, 3))
    settings = [
        *("dataset.test_share=0", "model.embed_dim=16", "model.depth=2", "model.num_heads=2", "model.drop_path=0.2"),
        *("task.mixup=0.8", "task.cutmix=1.0", "task.patch_drop=0.25", "train.ema_decay=0.9", "train.clip_grad=1.0"),
        *("train.warmup_epochs=1", "augment.flip=true", "augment.crop=random-resized", "data.loading=streamed"),
        *("checkpoint.every_epochs=0.8", "eval_every_epochs=2", "log_every_steps=1", "trackers=[jsonl]"),
    ]
    return [
        *("finetune", "--task", "classify", "--dataset", "folder", "--root", str(root), "--workers", "2"),
        *("--model", "vit", "--img-size", "16", "--patch-size", "4", "--device", "cpu", "--precision", "float32"),
        *("--epochs", str(EPOCHS), "--batch-size", "9", "--micro-batch-size", "4", "--base-lr", "0.02"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


@pytest.fixture(scope="module")
def whole(server: subprocess.Popen[str], arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that never stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    attempt = Attempt(server, out.with_name("log"), [*arguments, "--out", str(out)])
    assert attempt.wait() == 0, attempt.said()
    return out


def steps_logged(run: Path) -> int:
    try:
        return (run / "metrics.jsonl").read_bytes().count(b"train/loss")
    except FileNotFoundError:
        return 0


def wait_for(run: Path, steps: int, attempt: Attempt) -> None:
    """Return when this attempt is under way and the run has logged so many steps."""
    deadline = time.monotonic() + 200
    while "device  " not in attempt.said() or steps_logged(run) < steps:
        assert time.monotonic() < deadline, attempt.said()
        time.sleep(0.002)


def wait_until_held(attempt: Attempt) -> None:
    """Return when a trap has the process."""
    deadline = time.monotonic() + 200
    while "held\n" not in attempt.said():
        assert time.monotonic() < deadline, attempt.said()
        time.sleep(0.01)


def records(run: Path) -> list[dict[str, float]]:
    timing = ("train/samples_per_s", "train/data_wait")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in timing} for line in lines]


def assert_same(run: Path, whole: Path) -> None:
    for pointer in ("last", "best"):
        step, other = ((each / "checkpoints" / pointer).read_text().split()[0] for each in (run, whole))
        assert step == other
        for file in ("model.safetensors", "state.safetensors"):
            mine, theirs = (load_file(each / "checkpoints" / step / file) for each in (run, whole))
            assert mine.keys() == theirs.keys()
            different = [name for name in mine if not torch.equal(mine[name], theirs[name])]
            assert different == [], f"{pointer}: {file}"
    assert records(run) == records(whole)
    mine, theirs = (json.loads((each / "evaluation/val.json").read_text()) for each in (run, whole))
    assert mine == theirs


def test_the_run_that_never_stops_uses_what_could_make_a_difference(whole):
    losses = [record["step"] for record in records(whole) if "train/loss" in record]
    assert losses == list(range(1, TOTAL + 1))
    spec = (whole / "spec.yaml").read_text()
    for setting in ("drop_path: 0.2", "mixup: 0.8", "ema_decay: 0.9", "micro_batch_size: 4", "workers: 2"):
        assert setting in spec
    state = load_file(whole / "checkpoints" / f"step-{TOTAL:06d}" / "state.safetensors")
    assert any(name.startswith("raw.") for name in state)


def test_killed_at_random_instants_and_resumed_equals_never_stopped(server, arguments, whole, tmp_path):
    run, rng = tmp_path / "run", random.Random(7)
    told = [*arguments, "--out", str(run)]
    for number in range(3):
        attempt = Attempt(server, tmp_path / f"log{number}", told)
        wait_for(run, 10 * number + rng.randint(1, 9), attempt)
        time.sleep(rng.random() / 20)
        os.kill(attempt.pid, signal.SIGKILL)
        assert attempt.wait() == -signal.SIGKILL
        told = ["finetune", "--resume", "--out", str(run)]
    attempt = Attempt(server, tmp_path / "log", told)
    assert attempt.wait() == 0, attempt.said()
    assert_same(run, whole)


def test_killed_in_the_middle_of_a_save_and_resumed_equals_never_stopped(server, arguments, whole, tmp_path):
    run = tmp_path / "run"
    told = [*arguments, "--out", str(run)]
    traps = [
        ["die_while_writing", "model.safetensors", 1],
        ["die_while_writing", "state.safetensors", 2],
        ["die_before_pointing", "last", 2],
        ["die_before_pointing", "best", 1],
    ]
    for trap in traps:
        attempt = Attempt(server, tmp_path / "log", told, trap)
        assert attempt.wait() == -signal.SIGKILL, attempt.said()
        told = ["finetune", "--resume", "--out", str(run)]
    attempt = Attempt(server, tmp_path / "log", told)
    assert attempt.wait() == 0, attempt.said()
    assert_same(run, whole)
    assert not list((run / "checkpoints").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stopped_by_a_signal_to_every_process_it_saves_and_exits_with_130(server, arguments, whole, tmp_path, number):
    run = tmp_path / "run"
    settings = ["--out", str(run), "--set", "checkpoint.every_epochs=100", "--set", "eval_every_epochs=100"]
    attempt = Attempt(server, tmp_path / "log", [*arguments, *settings], ["wait_in", 8])
    wait_until_held(attempt)
    os.killpg(attempt.pid, number)  # as a terminal or a scheduler does: the workers get it too
    assert attempt.wait() == 130, attempt.said()
    assert "mae: saved at step 8; --resume goes on from there\n" in attempt.said()
    attempt = Attempt(server, tmp_path / "log", ["finetune", "--resume", "--out", str(run)])
    assert attempt.wait() == 0, attempt.said()
    assert f"resuming {run} at step 8 of {TOTAL}" in attempt.said()
    for file in ("model.safetensors", "state.safetensors"):
        mine, theirs = (load_file(each / f"checkpoints/step-{TOTAL:06d}" / file) for each in (run, whole))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("maecli.training.loop.trainer:measure", "saved at step 12; --resume goes on from there"),
        (
            "maecli.run.together:measure",
            f"saved at step {TOTAL}, the last; --resume goes on with what follows training",
        ),
    ],
    ids=["validating", "measuring"],
)
def test_sigterm_waits_for_no_measuring_which_is_made_up_for(server, arguments, whole, tmp_path, held, told):
    run = tmp_path / "run"
    attempt = Attempt(server, tmp_path / "log", [*arguments, "--out", str(run)], ["hold", held, "asleep"])
    wait_until_held(attempt)
    begin = time.monotonic()
    os.kill(attempt.pid, signal.SIGTERM)
    assert attempt.wait() == 130, attempt.said()
    assert time.monotonic() - begin < 30
    assert attempt.said().splitlines()[-1] == f"mae: {told}"
    attempt = Attempt(server, tmp_path / "log2", ["finetune", "--resume", "--out", str(run)])
    assert attempt.wait() == 0, attempt.said()
    assert_same(run, whole)


def data_workers(attempt: Attempt) -> list[int]:
    """Return the processes that a process started."""
    return [int(pid) for pid in Path(f"/proc/{attempt.pid}/task/{attempt.pid}/children").read_text().split()]


def assert_gone(processes: list[int]) -> None:
    deadline = time.monotonic() + 60
    while left := [pid for pid in processes if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


@needs_proc
def test_a_killed_worker_ends_the_run_which_saves_and_resumes_as_if_nothing_had_been(
    server, arguments, whole, tmp_path
):
    run = tmp_path / "run"
    told = [*arguments, "--out", str(run)]
    for steps in (3, 17):
        attempt = Attempt(server, tmp_path / f"log{steps}", told)
        wait_for(run, steps, attempt)
        processes = data_workers(attempt)
        begin = time.monotonic()
        os.kill(processes[0], signal.SIGKILL)  # of those that read for training; others may wait for a validation
        assert attempt.wait() == 1, attempt.said()
        assert time.monotonic() - begin < 30
        assert_gone(processes)
        step = int((run / "checkpoints/last").read_text().split()[0].removeprefix("step-"))
        assert step >= steps
        assert attempt.said().splitlines()[-1] == (
            "mae: a data worker was killed by SIGKILL, as the system does when memory runs out; use less with a "
            "smaller --batch-size, --set data.cache=0 or fewer --workers; --set data.workers=0 reads in the main "
            f"process; step {step} is saved, and --resume goes on from there"
        )
        assert "Traceback" not in attempt.said()
        told = ["finetune", "--resume", "--out", str(run)]
    attempt = Attempt(server, tmp_path / "log", told)
    assert attempt.wait() == 0, attempt.said()
    assert_same(run, whole)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_workers_that_hang_do_not_keep_the_first_signal_from_saving_and_ending_the_run(
    server, arguments, whole, tmp_path, number
):
    run = tmp_path / "run"
    attempt = Attempt(server, tmp_path / "log", [*arguments, "--out", str(run)])
    wait_for(run, 3, attempt)
    processes = data_workers(attempt)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    seen = -1
    while steps_logged(run) > seen:
        seen = steps_logged(run)
        time.sleep(1)
    begin = time.monotonic()
    os.kill(attempt.pid, number)
    assert attempt.wait() == 130, attempt.said()
    assert time.monotonic() - begin < 30
    assert f"mae: saved at step {steps_logged(run)}; --resume goes on from there\n" in attempt.said()
    assert_gone(processes)
    if number == signal.SIGTERM:  # how it goes on is seen once
        return
    attempt = Attempt(server, tmp_path / "log2", ["finetune", "--resume", "--out", str(run)])
    assert attempt.wait() == 0, attempt.said()
    assert_same(run, whole)


@needs_proc
def test_shared_memory_that_holds_no_batch_makes_no_difference(server, arguments, whole, tmp_path):
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small /dev/shm is not permitted here")
    run = tmp_path / "run"
    attempt = Attempt(server, tmp_path / "log", [*arguments, "--out", str(run)], ["shared_memory_of", "16k"])
    assert attempt.wait() == 0, attempt.said()
    assert_same(run, whole)


@needs_proc
def test_too_few_file_handles_end_a_run_with_one_sentence(server, arguments, tmp_path):
    settings = ["--out", str(tmp_path / "run"), "--workers", "40"]
    attempt = Attempt(server, tmp_path / "log", [*arguments, *settings], ["allow", "RLIMIT_NOFILE", 60])
    assert attempt.wait() == 1, attempt.said()
    assert attempt.said().splitlines()[-1] == (
        "mae: 40 data workers cannot be started: too few file handles (60 are allowed); raise the limit with ulimit "
        "-n; --set data.workers=0 reads in the main process"
    )
    assert "Traceback" not in attempt.said()
