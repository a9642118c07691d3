"""Kill runs at random instants and resume them: does each end with the same bits as one that was never killed?

    uv run python benchmarks/kills.py --kills 200

Real SIGKILLs of real processes: pretraining and fine-tuning, resident and streamed by workers, with DropPath, a weight
average and accumulated gradients, killed about eight times each and then left to finish. After each kill the checkpoint
that was the last must be there, or a later one, and all metrics up to it. A tenth more kills are of
`mae infer --overwrite`, after which the old or the new predictions must stand, and never a mixture. Exits 1 where
anything is lost, or differs.

Starting Python with torch takes seconds, so one process imports everything and forks a child for each attempt, before
any tensor is computed. Children share nothing but the imports.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from maecli.errors import MaeError
from maecli.training.checkpoint_folder import CheckpointFolder

KILLS_PER_RUN = 8
TIMING = ("train/samples_per_s", "train/data_wait")
SERVER = """
import json, os, sys
import torch, torch._dynamo
torch.set_num_threads(1)
import maecli.verbs.demo
import matplotlib.pyplot
from maecli.registry import registry
found = registry()
found.dataset("folder"), found.task("classify"), found.task("reconstruct"), found.model("vit"), found.tracker("jsonl")
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        from maecli.cli import app
        sys.argv = ["mae", *order["args"]]
        app()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
SETTINGS = (
    *("dataset.test_share=0", "model.embed_dim=16", "model.depth=2", "model.num_heads=2", "model.drop_path=0.2"),
    *("train.ema_decay=0.9", "train.clip_grad=1.0", "train.warmup_epochs=1", "augment.flip=true"),
    *("augment.crop=random-resized", "checkpoint.every_epochs=0.8", "eval_every_epochs=2"),
    *("log_every_steps=1", "trackers=[jsonl]"),
)
OF_VERB = {
    "pretrain": ("task.decoder_embed_dim=16", "task.decoder_depth=1", "task.decoder_num_heads=2"),
    "finetune": ("task.mixup=0.8", "task.cutmix=1.0", "task.patch_drop=0.25"),
}


@dataclass
class Server:
    """The process that forks attempts."""

    process: subprocess.Popen[str]
    log: Path

    def start(self, *args: object) -> int:
        """Start `mae` with arguments; return the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"args": list(map(str, args)), "log": str(self.log)}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self, pid: int) -> int:
        """Return the exit code, or minus the signal that ended the process."""
        assert self.process.stdout is not None
        code = int(self.process.stdout.readline())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # its data workers notice only after a while that it is gone
        return code

    def run(self, *args: object) -> float:
        """Run `mae` to its end; return the seconds. Exits where it fails."""
        begin = time.monotonic()
        code = self.wait(self.start(*args))
        if code != 0:
            sys.exit(f"mae {' '.join(map(str, args))} ended with {code}:\n{self.log.read_text()[-2000:]}")
        return time.monotonic() - begin

    def kill(self, after_s: float, *args: object) -> bool:
        """Run `mae` and kill it after so many seconds; return whether it lived as long."""
        pid = self.start(*args)
        time.sleep(after_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        code = self.wait(pid)
        if code not in (0, -signal.SIGKILL):
            sys.exit(f"mae {' '.join(map(str, args))} ended with {code}:\n{self.log.read_text()[-2000:]}")
        return code != 0


@contextlib.contextmanager
def serving(log: Path) -> Iterator[Server]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Server(process, log)
        assert process.stdin is not None
        process.stdin.close()


def write_pictures(root: Path) -> None:
    """Write 48 training and 8 validation pictures of two classes."""
    rng = np.random.default_rng(0)
    for split, num in (("train", 48), ("val", 8)):
        for i in range(num):
            file = root / split / ("cat" if i % 2 else "dog") / f"{i:02d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 18, 3), dtype=np.uint8)).save(file)


class Kind(NamedTuple):
    """What is killed."""

    verb: str
    loading: str

    def __str__(self) -> str:
        return f"{self.verb}, {self.loading}"


KINDS = tuple(Kind(verb, loading) for verb in ("pretrain", "finetune") for loading in ("resident", "streamed"))


def arguments(kind: Kind, root: Path) -> list[str]:
    verb = kind.verb
    task = ("--task", "classify") if verb == "finetune" else ()
    settings = [
        part for setting in (*SETTINGS, *OF_VERB[verb], f"data.loading={kind.loading}") for part in ("--set", setting)
    ]
    return [
        *(verb, *task, "--dataset", "folder", "--root", str(root), "--workers", "2", "--model", "vit"),
        *("--img-size", "16", "--patch-size", "4", "--device", "cpu", "--precision", "float32", "--epochs", "8"),
        *("--batch-size", "9", "--micro-batch-size", "4", "--base-lr", "0.02", *settings),
    ]


def what_came_out(run: Path) -> dict[str, Any]:
    """Return everything of a run that must not depend on how often it was killed."""
    found: dict[str, Any] = {}
    for pointer in ("last", "best"):
        step = (run / "checkpoints" / pointer).read_text().split()[0]
        found[pointer] = step
        for file in ("model.safetensors", "state.safetensors"):
            for name, tensor in load_file(run / "checkpoints" / step / file).items():
                found[f"{pointer} {file} {name}"] = (str(tensor.dtype), tensor.shape, _bytes(tensor))
    found["metrics"] = metrics(run)
    found["evaluation"] = json.loads((run / "evaluation/val.json").read_text())
    found["leftovers"] = sorted(path.name for path in (run / "checkpoints").glob(".*"))
    return found


def metrics(run: Path, until: int = sys.maxsize) -> list[dict[str, float]]:
    """Return the metrics up to a step, without those that tell the time; a last line that is cut is none."""
    *whole, _ = (run / "metrics.jsonl").read_text().split("\n")
    lines = [json.loads(line) for line in whole]
    return [{key: value for key, value in line.items() if key not in TIMING} for line in lines if line["step"] <= until]


def last_step(run: Path) -> int:
    """Return the step of the last checkpoint, 0 before there is one. Raises MaeError where it is not what was saved."""
    last = CheckpointFolder(run / "checkpoints").pointed("last")
    if last is None:
        return 0
    last.check()
    return last.step


def what_is_lost(run: Path, before: int, whole: Path) -> list[str]:
    """Return what a kill took of a run whose last checkpoint was of step `before`."""
    try:
        step = last_step(run)
    except MaeError as error:
        return [str(error)]
    lost = [f"the checkpoint of step {before}"] if step < before else []
    if step and metrics(run, step) != metrics(whole, step):
        lost.append(f"metrics up to step {step}")
    return lost


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


@dataclass
class Counts:
    """What came of killing."""

    kills: int = 0
    runs: int = 0
    lost: int = 0
    """Kills that took what was finished."""
    different: int = 0
    """Runs that ended with other bits than one that was never killed."""

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, after {self.lost} of which a finished checkpoint or metrics were lost; "
            f"{self.runs - self.different} of {self.runs} runs bit-identical to one that was never killed"
        )


def kill_run(
    server: Server, kind: Kind, root: Path, whole: Path, seconds: float, counts: Counts, kills: int, rng: random.Random
) -> None:
    """Kill a run of a kind so often, let it finish, and compare it with `whole`, which took so many seconds."""
    run, told, before = whole.with_name(f"run{counts.runs}"), arguments(kind, root), 0
    for _ in range(kills):
        counts.kills += server.kill(rng.uniform(0.0, seconds / 3), *told, "--out", run)
        if lost := what_is_lost(run, before, whole):
            counts.lost += 1
            print(f"{run} lost {', '.join(lost)}", flush=True)
        else:
            before = last_step(run)
        if (run / "spec.yaml").exists():
            told = [kind.verb, "--resume"]
    server.run(*told, "--out", run)
    counts.runs += 1
    expected, ended = what_came_out(whole), what_came_out(run)
    bad = sorted(key for key in expected.keys() | ended.keys() if expected.get(key) != ended.get(key))
    if bad:
        counts.different += 1
        print(f"{run} differs in {', '.join(bad[:5])}", flush=True)
    else:
        shutil.rmtree(run)
    print(f"{kind}: now {counts}", flush=True)


def kill_inference(server: Server, run: Path, root: Path, out: Path, kills: int, rng: random.Random) -> tuple[int, int]:
    """Kill `mae infer --overwrite` so often; return how many kills, and after how many the folder was a mixture."""
    few, many = root / "val", root / "train"
    states = {}
    told = ["infer", "--run", run, "--workers", 0, "--overwrite", "--out", out]
    for source in (few, many):
        seconds = server.run(*told, source)
        states[source] = _contents(out)
    done = mixed = 0
    seen = {few: 0, many: 0}
    while done < kills:
        source = few if _contents(out) == states[many] else many
        if not server.kill(rng.uniform(0.0, seconds * 1.05), *told, source):
            continue
        done += 1
        now = [name for name, state in states.items() if state == _contents(out)]
        if not now:
            mixed += 1
            print(f"{out} is a mixture after a kill", flush=True)
        for name in now:
            seen[name] += 1
    print(f"infer --overwrite: {done} kills, {done - mixed} whole", flush=True)
    return done, mixed


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".mae")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "log") as server:
        root, out = Path(folder) / "pictures", Path(folder) / "runs"
        write_pictures(root)
        out.mkdir()
        counts, undisturbed = Counts(), {}
        for kind in KINDS:
            whole = out / f"{kind.verb}-{kind.loading}" / "whole"
            undisturbed[kind] = whole, server.run(*arguments(kind, root), "--out", whole)
        for kind in itertools.cycle(KINDS):
            if counts.kills >= given.kills:
                break
            kills = min(KILLS_PER_RUN, given.kills - counts.kills)
            kill_run(server, kind, root, *undisturbed[kind], counts, kills, rng)
        run, _ = undisturbed[KINDS[-1]]
        inferences, mixed = kill_inference(server, run, root, out / "infer", given.kills // 10, rng)
    print(f"training: {counts}\ninfer --overwrite: {inferences} kills, {mixed} mixtures")
    sys.exit(1 if counts.lost or counts.different or mixed else 0)


if __name__ == "__main__":
    main()
