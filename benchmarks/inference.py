"""How many pictures a second `mae infer` and `mae embed` do, beside a plain loop of the same model.

    uv run python benchmarks/inference.py                      2,000 JPEGs, vit-tiny at 224, five rounds
    uv run python benchmarks/inference.py --pictures 200 --rounds 3 --json

The plain loop is what a person writes with torchvision: `ImageFolder`, Resize, CenterCrop, ToTensor, Normalize, a
`DataLoader` of as many workers, `torch.inference_mode`; it writes what the verb writes, a CSV of probabilities or an
array of features. Each side lives in a process of its own and has the module of the same checkpoint, in the same
precision. They take turns, after one that is not timed; a turn is the whole verb once Python's modules are loaded:
reading the checkpoint, finding the files, starting workers, writing. What each side uses of all cores for a picture is
told too: where others work on the machine it says more than the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("field", "river", "street", "wood")
IMG_SIZE = 224
VERBS = ("infer", "embed")
PRECISIONS = {"infer": "auto", "embed": "float32"}
"""What the verbs take by default."""


def write_pictures(folder: Path, num: int, seed: int = 0) -> None:
    """Write JPEGs of 300 to 800 pixels a side, as smooth and as large on the disk as photos are."""
    from PIL import Image

    random = np.random.default_rng(seed)
    for i in range(num):
        height, width = random.integers(300, 801, 2).tolist()
        layers = np.zeros((height, width, 3), np.float32)
        for cells, strength in ((4, 90), (24, 40), (120, 18)):
            coarse = random.normal(0, strength, (cells, cells, 3)).clip(-127, 127)
            picture = Image.fromarray((coarse + 128).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
            layers += np.asarray(picture, np.float32) - 128
        layers += random.normal(0, 4, (height, width, 1))
        path = folder / CLASSES[i % len(CLASSES)] / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((layers + 128).clip(0, 255).astype(np.uint8)).save(path, quality=90)


def make_run(folder: Path, model: str) -> Path:
    """Return a run of one step: how good it is does not matter here."""
    write_pictures(folder / "training", 16, seed=1)
    command = ["finetune", "--task", "classify", "--dataset", "folder", "--root", folder / "training"]
    command += ["--model", model, "--img-size", IMG_SIZE, "--epochs", 1, "--batch-size", 8, "--workers", 0]
    command += ["--out", folder / "run", "--set", "train.max_steps=1"]
    done = subprocess.run([sys.executable, "-m", "maecli", *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return folder / "run"


@dataclass
class Setting:
    """The same for both sides."""

    verb: str
    folder: Path
    batch_size: int
    workers: int

    @property
    def source(self) -> Path:
        return self.folder / "pictures"

    @property
    def run(self) -> Path:
        return self.folder / "run"


class Ours:
    """The verb, as the command line calls it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def turn(self) -> None:
        from maecli.data.files.sources import Sources
        from maecli.progress import Progress
        from maecli.registry import registry
        from maecli.verbs.embed import embed
        from maecli.verbs.infer import infer

        at, out = self.setting, self.setting.folder / f"ours-{self.setting.verb}"
        options: dict[str, Any] = {"run": at.run, "batch_size": at.batch_size, "workers": at.workers, "overwrite": True}
        if at.verb == "infer":
            infer(Sources((at.source,)), registry(), Progress(), out=out, **options)
        else:
            embed(registry(), Progress(), source=at.source, out=out.with_suffix(".npy"), **options)

    def answers(self) -> Any:
        """Return (N, …) of all pictures, in the order of their names."""
        out = self.setting.folder / f"ours-{self.setting.verb}"
        if self.setting.verb == "embed":
            return np.load(out.with_suffix(".npy"))
        with (out / "predictions.csv").open(newline="") as file:
            return np.array([[float(row[f"p_{name}"]) for name in CLASSES] for row in csv.DictReader(file)])


class Theirs:
    """A plain loop."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.out = setting.folder / f"theirs-{setting.verb}.npy"

    def turn(self) -> None:
        import torch
        from torch.utils.data import DataLoader
        from torchvision import transforms
        from torchvision.datasets import ImageFolder

        from maecli.progress import Progress
        from maecli.registry import registry
        from maecli.run.restore import restore, restore_encoder

        at = self.setting
        restored: Any = (restore if at.verb == "infer" else restore_encoder)(
            at.run, registry(), Progress().say, "last", {"precision": PRECISIONS[at.verb]}
        )
        model = (restored.module if at.verb == "infer" else restored.encoder).eval()
        steps = [
            transforms.Resize(IMG_SIZE, antialias=True),
            transforms.CenterCrop(IMG_SIZE),
            transforms.ToTensor(),
            transforms.Normalize(restored.preprocess.mean, restored.preprocess.std),
        ]
        folder = ImageFolder(str(at.source), transforms.Compose(steps))
        cuda = restored.device.type == "cuda"
        loader = DataLoader(folder, at.batch_size, num_workers=at.workers, pin_memory=cuda)
        made = []
        autocast = torch.autocast(restored.device.type, restored.dtype, enabled=restored.dtype != torch.float32)
        with torch.inference_mode(), autocast:
            for images, _ in loader:
                output = model(images.to(restored.device, non_blocking=True))
                output = output.softmax(1) if at.verb == "infer" else output.float()[:, 1:].mean(1)
                made.append(output.float().cpu())
        values = torch.cat(made).numpy()
        np.save(self.out, values)
        if at.verb == "infer":
            with self.out.with_suffix(".csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["path", "class", *CLASSES])
                for (path, _), row in zip(folder.samples, values.tolist(), strict=True):
                    writer.writerow([path, CLASSES[int(np.argmax(row))], *row])

    def answers(self) -> Any:
        return np.load(self.out)


def serve(side: str, setting: Setting) -> None:
    """Do what the parent asks for, one line at a time."""
    from maecli.hardware import choose_device, describe_device

    worker = (Ours if side == "ours" else Theirs)(setting)
    for line in sys.stdin:
        answer: dict[str, Any] = {}
        match line.strip():
            case "turn":
                begin, used = time.perf_counter(), cpu_seconds()
                with contextlib.redirect_stdout(io.StringIO()):
                    worker.turn()
                answer = {"seconds": time.perf_counter() - begin, "cpu_seconds": cpu_seconds() - used}
            case "answers":
                answer = {"answers": worker.answers().tolist()}
            case "machine":
                answer = {"device": describe_device(choose_device("auto"))}
        print(json.dumps(answer), flush=True)


def cpu_seconds() -> float:
    """Return what this process and its ended children have used of all cores."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


class Side:
    """The parent's end of a worker process."""

    def __init__(self, side: str, setting: Setting) -> None:
        command = [sys.executable, __file__, "--serve", side, "--folder", setting.folder, "--verbs", setting.verb]
        command += ["--batch-size", setting.batch_size, "--workers", setting.workers]
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(setting: Setting, num: int, rounds: int) -> dict[str, Any]:
    """Return one row of the table."""
    sides = [Side(side, setting) for side in ("ours", "theirs")]
    try:
        seconds: list[list[float]] = [[], []]
        cpu_seconds: list[list[float]] = [[], []]
        for turn in range(rounds + 1):
            for i, side in enumerate(sides):
                took = side.ask("turn")
                if turn:  # the first one loads modules and fills the disk's cache
                    seconds[i].append(took["seconds"])
                    cpu_seconds[i].append(took["cpu_seconds"])
        answers = [np.array(side.ask("answers")["answers"]) for side in sides]
        machine = sides[0].ask("machine")
    finally:
        for side in sides:
            side.close()
    ours, theirs = (statistics.median(each) for each in seconds)
    ours_cpu, theirs_cpu = (1000 * statistics.median(each) / num for each in cpu_seconds)
    return {
        "verb": setting.verb,
        "workers": setting.workers,
        "batch_size": setting.batch_size,
        "ours_per_s": num / ours,
        "theirs_per_s": num / theirs,
        "ratio": theirs / ours,
        "ratio_of_best": min(seconds[1]) / min(seconds[0]),
        "ratios": [b / a for a, b in zip(*seconds, strict=True)],
        "ours_cpu_ms": ours_cpu,
        "theirs_cpu_ms": theirs_cpu,
        "alike": likeness(setting.verb, *answers),
        **machine,
    }


def likeness(verb: str, ours: Any, theirs: Any) -> float:
    """Return the share of equal classes, or the mean correlation of features: resizing differs by a little."""
    if ours.shape != theirs.shape:
        raise SystemExit(f"{verb}: ours are {ours.shape}, theirs {theirs.shape}")
    if verb == "infer":
        return float((ours.argmax(1) == theirs.argmax(1)).mean())
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]))


def show(row: dict[str, Any]) -> None:
    spread = f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}"
    cpu = f"{row['ours_cpu_ms']:.1f} / {row['theirs_cpu_ms']:.1f}"
    print(
        f"| {row['verb']} | {row['workers']} | {row['ours_per_s']:,.1f} | {row['theirs_per_s']:,.1f} | "
        f"{row['ratio']:.2f} | {row['ratio_of_best']:.2f} | {spread} | {cpu} | "
        f"{row['alike']:.4f} |",
        flush=True,
    )


def main() -> None:
    from maecli.hardware import default_workers, num_cores

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS))
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each side")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, help="of each side; default: the cores less one, 1 to 8")
    parser.add_argument("--model", default="vit-tiny")
    parser.add_argument("--json", action="store_true", help="one JSON object per row instead of a table")
    parser.add_argument("--serve", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    workers = default_workers() if args.workers is None else args.workers
    if args.serve:
        serve(args.serve, Setting(args.verbs[0], args.folder, args.batch_size, workers))
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder / "pictures", args.pictures)
        make_run(folder, args.model)
        if not args.json:
            print("| verb | workers | ours/s | theirs/s | ratio | of best | rounds | CPU ms a picture | alike |")
            print("|---|---|---|---|---|---|---|---|---|")
        for verb in args.verbs:
            row = compare(Setting(verb, folder, args.batch_size, workers), args.pictures, args.rounds)
            print(json.dumps(row), flush=True) if args.json else show(row)
    if not args.json:
        print(f"\n{row['device']}, {num_cores()} cores; {args.model} at {IMG_SIZE}, batches of {args.batch_size}")


if __name__ == "__main__":
    main()
