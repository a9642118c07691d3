"""Several processes train as one: real ones, that gloo connects, on the CPU."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from attempts import Attempt, processes
from write_data import noise, write_picture
from write_shards import write_parquet, write_shards

from maecli.training.checkpoint import STATE
from maecli.training.checkpoint_folder import CheckpointFolder

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for i in range(41):
        write_picture(root / f"train/{'cat' if i % 2 else 'dog'}/{i:02d}.png", noise(i, 20, 18, 3))
    for i in range(13):
        write_picture(root / f"val/{'cat' if i % 2 else 'dog'}/{i:02d}.png", noise(100 + i, 18, 20, 3))
    return root


def arguments(pictures: Path, out: Path, *sets: str, form: str = "folder", epochs: int = 7) -> list[str]:
    """A run with DropPath, mixup, CutMix, a weight average, accumulated gradients and batches of 13, 14 and 14."""
    settings = [
        *("dataset.test_share=0", "model.embed_dim=16", "model.depth=2", "model.num_heads=2", "model.drop_path=0.3"),
        *("task.mixup=0.8", "task.cutmix=1.0", "task.patch_drop=0.25", "train.ema_decay=0.9", "train.clip_grad=1.0"),
        *("train.warmup_epochs=1", "augment.flip=true", "augment.crop=random-resized", "train.last_batch=keep"),
        *("log_every_steps=1", "trackers=[jsonl]", *sets),
    ]
    return [
        *("finetune", "--task", "classify", "--dataset", form, "--root", str(pictures), "--out", str(out)),
        *("--model", "vit", "--img-size", "16", "--patch-size", "4", "--device", "cpu", "--precision", "float32"),
        *("--epochs", str(epochs), "--batch-size", "14", "--micro-batch-size", "4"),
        *("--base-lr", "0.02", "--workers", "1"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


def run(server: subprocess.Popen[str], num: int, out: Path, args: list[str], traps=None, code: int = 0) -> None:
    """Run a command in so many processes, which all end with a code; the first alone says something."""
    log = out.with_name(f"{out.name}.log")
    if num == 1:
        attempts = [Attempt(server, log, args, (traps or {}).get(0))]
    else:
        attempts = processes(server, num, log, args, traps)
    codes = [attempt.wait() for attempt in attempts]
    assert codes == [code] * num, "\n".join(attempt.said() for attempt in attempts)
    assert not any(attempt.said() for attempt in attempts[1:])


def weights(out: Path) -> dict[str, torch.Tensor]:
    last = CheckpointFolder(out / "checkpoints").current("last")
    return last.tensors() | last.tensors(STATE)


def digest(out: Path) -> str:
    """Return one of all that a checkpoint holds, as `note_state` notes what a process begins with."""
    noted = hashlib.sha256()
    for name, tensor in sorted(weights(out).items()):
        noted.update(name.encode() + tensor.numpy().tobytes())
    return noted.hexdigest()


def records(out: Path) -> list[dict[str, float]]:
    timing = ("train/samples_per_s", "train/data_wait")
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in timing} for line in lines]


def assert_close(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=1e-3, atol=1e-5, msg=name)
    for mine, theirs in zip(records(one), records(other), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5)


LAYOUTS = (
    (2, "ddp", "streamed", 4),
    (2, "fsdp", "resident", 7),
    (3, "fsdp", "resident", 10),
    (1, "fsdp", "resident", 13),
    (1, "auto", "streamed", 16),
    (3, "auto", "streamed", 0),
)
"""Numbers of processes that go on with a run one after the other, how, and until which step; the last to the end.

An epoch has three steps, of which one is smaller: each does as many at least, and all but the first begin within one.
"""


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_two_processes_stream_shards_as_one_does(server, form, tmp_path):
    if form == "tar":
        write_shards(tmp_path / form, num=15)
    else:
        write_parquet(tmp_path / form, num=30)
    one, two = tmp_path / "one", tmp_path / "two"
    for num, out in enumerate((one, two), 1):
        run(server, num, out, arguments(tmp_path / form, out, "data.loading=streamed", form=form, epochs=1))
    assert_close(two, one)


def test_two_processes_learn_masks_with_void_as_one_does(server, tmp_path):
    for i in range(20):
        mask = (noise(i, 16, 16) > 127).astype(np.uint8)
        mask[: 15 if i % 2 else 2] = 255
        write_picture(tmp_path / f"set/images/{i:02d}.png", noise(i, 16, 16, 3))
        write_picture(tmp_path / f"set/masks/{i:02d}.png", mask)
    (tmp_path / "set/classes.txt").write_text("dark\nbright\n")
    settings = ("model.embed_dim=16", "model.depth=1", "model.num_heads=2", "task.dice=1.0", "train.last_batch=keep")
    for num, micro in ((1, 8), (2, 2)):
        out = tmp_path / str(num)
        args = ("finetune", "--task", "segment", "--dataset", "folder", "--root", tmp_path / "set", "--out", out)
        size = (
            "--model",
            "vit",
            "--img-size",
            16,
            "--patch-size",
            4,
            "--epochs",
            2,
            "--batch-size",
            8,
            "--base-lr",
            0.02,
        )
        how = ("--micro-batch-size", micro, "--device", "cpu", "--precision", "float32", "--workers", 0)
        sets = (part for each in (*settings, "log_every_steps=1", "trackers=[jsonl]") for part in ("--set", each))
        run(server, num, out, [str(each) for each in (*args, *size, *how, *sets)])
    assert_close(tmp_path / "1", tmp_path / "2")


def test_any_number_of_processes_goes_on_with_a_run_in_any_layout(server, pictures, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(server, 1, whole, arguments(pictures, whole, "data.loading=streamed"))
    step, saved = 0, ""
    for num, parallel, loading, until in LAYOUTS:
        args = arguments(pictures, parts, f"parallel={parallel}", f"data.loading={loading}")
        traps = {rank: ["note_state", str(tmp_path / f"{step}"), until] for rank in range(num)}
        run(server, num, parts, [*args, "--resume"] if step else args, traps, 130 if until else 0)
        if step:
            restored = [json.loads((tmp_path / f"{step}-{rank}").read_text()) for rank in range(num)]
            assert restored == [[step, saved]] * num
        step, saved = until, digest(parts)
        if parallel == "fsdp":
            assert len(list((parts / f"checkpoints/step-{step:06d}/state").iterdir())) == num
    assert_close(parts, whole)
    mine, theirs = (json.loads((out / "evaluation" / "val.json").read_text()) for out in (parts, whole))
    assert mine["num_samples"] == theirs["num_samples"] == 13
    for one, other in zip(mine["metrics"], theirs["metrics"], strict=True):
        assert one["value"] == pytest.approx(other["value"], rel=1e-3, abs=1e-5)
