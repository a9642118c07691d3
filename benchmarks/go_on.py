"""Is it worth going on with masked pretraining from weights of other pictures? Three ways that take the same time.

    uv run mae pretrain --recipe cifar10-short --root DATA --epochs 24 --out runs/pretrain-cifar10
    uv run python benchmarks/go_on.py --init runs/pretrain-cifar10 --root DATA --out FOLDER

The target is the small Tiny ImageNet (20 classes × 100 pictures, recipe tiny-imagenet-small) at 32 × 32, with 10% and
with all of its labels. An encoder of CIFAR-10 is pretrained on there and then fine-tuned (continued); one from nothing
is pretrained for as many steps and then fine-tuned (anew); and CIFAR-10's is fine-tuned at once, for as long as the
first took (direct). Seeds share the encoder of CIFAR-10, and differ in all that follows.
It can be stopped and goes on; the table is printed at the end and kept as `table.txt`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LABELS = {"10%": 160, "100%": 32}
"""Part of the labels → epochs of fine-tuning after a pretraining."""
EPOCHS = 40
"""Of pretraining."""
MODEL = {
    "name": "vit-lite",
    "img_size": 32,
    "patch_size": 4,
    "embed_dim": 128,
    "depth": 4,
    "num_heads": 4,
}
DECODER = {"embed_dim": 64, "depth": 2, "num_heads": 4}
CONTINUED = {"train.base_lr": 2.4e-3}
"""Of the recipe `continue` for a width of 128."""
ANEW: dict[str, object] = {"train.base_lr": 6e-3, "train.warmup_epochs": 4, "task.norm_pix_loss": True}
"""What a plan gives to a new model of that width, which as CIFAR-10's learns from normalised patches."""


def mae(*arguments: object) -> None:
    command = [sys.executable, "-m", "maecli", *map(str, arguments)]
    print("mae", *command[3:], flush=True)
    subprocess.run(command, check=True)


def sets(**sections: Mapping[str, object]) -> list[str]:
    """Return `--set` of settings, those of a section by the section's name."""
    return [part for name, keys in sections.items() for key, value in keys.items()
            for part in ("--set", f"{name}.{key}={json.dumps(value)}")]  # fmt: skip


def pretrain(root: Path, out: Path, seed: int, settings: Mapping[str, object], *arguments: object) -> float:
    """Return the seconds that a pretraining on the target took."""
    data = ("--dataset", "tiny-imagenet", "--root", root, "--recipe", "continue", "--epochs", EPOCHS, "--seed", seed)
    changes = {"flip": True, "crop_scale": [0.3, 1.0]}
    others = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    mae("pretrain", *data, *sets(augment=changes, model=MODEL), *others, *arguments, "--out", out, "--resume-or-start")
    return seconds_of(out)


def finetune(root: Path, out: Path, seed: int, start: str, init: Path, labels: str, epochs: int) -> tuple[float, float]:
    """Return the seconds that a fine-tuning on the target took, and its top-1 on test."""
    run, quarter = out / f"{start}-{labels.rstrip('%')}", max(1, epochs // 4)
    schedule = {"warmup_epochs": max(1, epochs // 10), "base_lr": 6e-3, "epochs": epochs}
    changes = sets(train=schedule, checkpoint={"every_epochs": quarter}, model=MODEL)
    data = ("--root", root, "--recipe", "tiny-imagenet-small", "--labels", labels, "--init", init, "--seed", seed)
    pace = ("--set", f"eval_every_epochs={quarter}", "--out", run, "--resume-or-start")
    mae("finetune", *data, *changes, *pace)
    mae("eval", run)
    metrics = json.loads((run / "evaluation/test.json").read_text())["metrics"]
    return seconds_of(run), float(next(metric["value"] for metric in metrics if metric["name"] == "top1"))


def seconds_of(run: Path) -> float:
    return float(json.loads((run / "summary.json").read_text())["seconds"])


def compare(given: argparse.Namespace, seed: int) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the seconds and the top-1 on test of each part of the labels and each way, by one seed."""
    out: Path = given.out / f"seed{seed}"
    decoder: dict[str, object] = {f"task.decoder_{name}": value for name, value in DECODER.items()}
    before = {
        "continued": pretrain(given.root, out / "pretrain-continued", seed, CONTINUED, "--init", given.init),
        "anew": pretrain(given.root, out / "pretrain-anew", seed, ANEW | decoder),
    }
    found = {}
    for labels, epochs in LABELS.items():
        for start, earlier in before.items():
            seconds, top1 = finetune(given.root, out, seed, start, out / f"pretrain-{start}", labels, epochs)
            found[labels, start] = earlier + seconds, top1
        whole = found[labels, "continued"][0]
        longer = round(epochs * whole / (whole - before["continued"]))
        found[labels, "direct"] = finetune(given.root, out, seed, "direct", given.init, labels, longer)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", type=Path, required=True, help="the run that was pretrained on CIFAR-10")
    parser.add_argument("--root", type=Path, required=True, help="where Tiny ImageNet lies")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="how many, of all but the encoder of CIFAR-10")
    given = parser.parse_args()
    by_seed = [compare(given, seed) for seed in range(given.seeds)]
    lines = [f"{'labels':8}{'start':12}{'minutes':10}top-1 on test, mean ± sd over seeds (each)"]
    for labels, start in by_seed[0]:
        seconds, values = zip(*(found[labels, start] for found in by_seed), strict=True)
        spread = f" ± {statistics.stdev(values):.1%}" if len(values) > 1 else ""
        each = ", ".join(f"{value:.1%}" for value in values)
        minutes = statistics.fmean(seconds) / 60
        lines.append(f"{labels:8}{start:12}{minutes:<10.1f}{statistics.fmean(values):.1%}{spread} ({each})")
    table = "\n".join(lines)
    (given.out / "table.txt").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    main()
