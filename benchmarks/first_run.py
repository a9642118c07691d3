"""What default commands make of one's own pictures in five minutes, beside the best setting that was found by hand.

    uv run python benchmarks/first_run.py make
    uv run python benchmarks/first_run.py run all
    uv run python benchmarks/first_run.py hand tin-3
    uv run python benchmarks/first_run.py table

`run` pretrains, fine-tunes and evaluates each set with default commands only, as a person would; `hand` does so with
the settings in `first_run_hands.py`, at most six per set. Both append a line per set, arm and seed to results.jsonl and
skip what is there, so that they can be stopped at any time. Seconds are wall seconds of whole verbs: run it on a
machine at rest. The figure is `mae eval` on the held-out test pictures, which no training sees; then, not timed,
`mae infer` keeps what was predicted of each of them, for paired differences.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from first_run_hands import HANDS, Hand
from first_run_pairs import per_picture
from first_run_sets import FEW, SETS, Set, make
from first_run_table import table

BUDGET_S = 300
"""For the three verbs together."""
SEEDS = 0, 1, 2
PLAN = Hand("plan")
"""The arm that says nothing: everything is planned."""
RESULTS = "results.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/first-run"), help="folder for sets, runs and results")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MAE_DATA", "data")), help="public sets")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, about in (("make", "make the sets"), ("run", "default commands"), ("hand", "settings by hand")):
        part = verbs.add_parser(verb, help=about)
        part.add_argument("sets", nargs="*", choices=[*SETS, "all"], default="all")
        part.add_argument("--seeds", nargs="+", type=int, help="default: 0 1 2 below 500 pictures, 0 for the rest")
    verbs.add_parser("table", help="what was measured, as Markdown")
    args = parser.parse_args()
    if args.verb == "table":
        rows = read_results(args.work)
        print(table(rows, {key_of(row): np.load(args.work / row["pictures"]) for row in rows}))
        return
    for name in SETS if "all" in args.sets else args.sets:
        chosen = SETS[name]
        make(chosen, args.data, args.work)
        arms = {"make": (), "run": (PLAN,), "hand": HANDS.get(name, ())}[args.verb]
        for arm in arms:
            for seed in args.seeds or (SEEDS if chosen.num_train < FEW else SEEDS[:1]):
                measure(chosen, arm, seed, args.work)


def read_results(work: Path) -> list[dict[str, Any]]:
    """Return what was measured so far."""
    path = work / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def key_of(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """Return what a result is of."""
    return row["set"], row["arm"], row["seed"]


def measure(chosen: Set, arm: Hand, seed: int, work: Path) -> None:
    """Train and measure one arm, unless that was done, and add a line to the results."""
    if (chosen.name, arm.name, seed) in map(key_of, read_results(work)):
        return
    folder, runs = work / chosen.name, work / "runs" / f"{chosen.name}-{arm.name}-{seed}"
    shutil.rmtree(runs, ignore_errors=True)  # of an attempt that was stopped
    pretrained, finetuned = runs / "pretrain", runs / "finetune"
    seconds, load = {}, os.getloadavg()[0]
    if arm.pretrain is not None:
        options = ["--root", folder / "pictures", "--out", pretrained, "--seed", seed, *arm.pretrain]
        seconds["pretrain"] = mae("pretrain", *options)[1]
    options = ["--root", folder / chosen.labelled, "--out", finetuned, "--seed", seed, *arm.finetune]
    if arm.pretrain is not None:
        options += ["--init", pretrained]
    seconds["finetune"] = mae("finetune", "--task", chosen.task, *options)[1]
    evaluation, seconds["eval"] = mae("eval", finetuned, "--root", folder / "held-out")
    pictures = runs / "pictures.npy"
    np.save(pictures, predict(chosen, finetuned, folder, runs / "predictions"))
    row = {
        "set": chosen.name,
        "arm": arm.name,
        "seed": seed,
        "metrics": evaluation["metrics"],
        "seconds": seconds,
        "load_before": load,
        "cores": os.cpu_count(),
        "planned": {verb: read_plan(runs / verb) for verb in ("pretrain", "finetune") if (runs / verb).exists()},
        "pictures": str(pictures.relative_to(work)),
        "finished_at": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
    }
    with (work / RESULTS).open("a") as file:
        file.write(json.dumps(row) + "\n")
    metric = evaluation["metrics"][0]
    print(
        f"{chosen.name} {arm.name} seed {seed}: {metric['label']} {metric['value']:.2%}, {sum(seconds.values()):.0f} s"
    )


def mae(*words: object) -> tuple[dict[str, Any], float]:
    """Return the JSON that a verb ends with, and its wall seconds. Raises SystemExit with its error."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "maecli", *map(str, words), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])} ended with {done.returncode}: {done.stdout}")
    return json.loads(done.stdout), round(time.monotonic() - begin, 1)


def read_plan(run: Path) -> dict[str, Any]:
    """Return what was chosen, by the run's own record."""
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    summary = json.loads((run / "summary.json").read_text())
    return {**spec["model"], **spec["train"], "steps": summary["steps"], "train_samples": summary["train_samples"]}


def predict(chosen: Set, run: Path, folder: Path, out: Path) -> np.ndarray:
    """Return what a run makes of each held-out picture: see `per_picture`."""
    test = folder / "held-out" / "test"
    mae("infer", "--run", run, test / "images" if chosen.task == "segment" else test, "--out", out)
    return per_picture(chosen.task, out, test)


if __name__ == "__main__":
    main()
