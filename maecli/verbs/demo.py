"""`mae demo`: the whole path on data that need no download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maecli.data.card import DataCard
from maecli.data.files.sources import Sources
from maecli.data.sample import Split
from maecli.errors import Interrupted, SpecError
from maecli.progress import Progress, duration
from maecli.registry import Registry
from maecli.reports.page import Section, render_report
from maecli.results import Evaluation, Table
from maecli.run.begin.request import request
from maecli.run.directory import RunDirectory, clear_runs, runs_dir
from maecli.run.evaluate import evaluate
from maecli.run.open import make_dataset
from maecli.run.pages.lead import lead
from maecli.run.pages.measured import Measured
from maecli.run.pages.runs import renew_runs_page
from maecli.run.pages.sections import training_section
from maecli.run.train import train
from maecli.spec.ask import Ask
from maecli.storage.files import disk_errors, write_text
from maecli.storage.ledger import Ledger, is_bare
from maecli.storage.lock import locked
from maecli.text import number_of
from maecli.verbs.infer import infer

RECIPE = "demo"
NUM_PICTURES = 36


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    out: Path
    report: Path
    evaluation: Evaluation
    seconds: float
    next_commands: Sequence[tuple[str, str]]


def demo(
    registry: Registry,
    progress: Progress,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    device: str | None = None,
) -> DemoResult:
    """Pretrain, fine-tune, evaluate and infer; write one page about it."""
    out = (out or runs_dir() / "demo").expanduser()
    with locked(out):
        try:
            result = _demo(registry, progress, out, overwrite, device)
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted(f"interrupted; {out} has a part of the demo, and --overwrite begins it anew") from None
    renew_runs_page(progress.say, out)
    return result


def _demo(registry: Registry, progress: Progress, out: Path, overwrite: bool, device: str | None) -> DemoResult:
    """Do it in a folder that nobody else writes to."""
    runs = {verb: RunDirectory(out / verb) for verb in ("pretrain", "finetune")}
    ledger = Ledger(out, "demo")
    if not is_bare(out):
        if not ledger.began:
            raise SpecError(f"{out} is not empty and holds no demo, so it stays; use another --out")
        if not overwrite:
            raise SpecError(f"{out} holds a demo already; use another --out, or --overwrite to run it again")
        clear_runs(ledger)
    ledger.begin()
    ledger.claim("infer/", *(f"{verb}/" for verb in runs))

    seconds = 0.0
    for verb, run in runs.items():
        flags = {"out": str(run)} | ({"device": device} if device else {})
        if verb == "finetune":
            flags["init"] = str(runs["pretrain"])
        progress.say(f"\n{verb}")
        spec = request(Ask(verb, recipe=RECIPE, flags=flags), registry)
        seconds += train(spec, registry, progress).seconds
    progress.say("\neval")
    reconstruction = evaluate(runs["pretrain"].path, registry, progress, device=device or "auto")
    result = evaluate(runs["finetune"].path, registry, progress, device=device or "auto")

    progress.say("\ninfer")
    dataset = make_dataset(spec.dataset, registry)
    pictures = out / "pictures"
    write_pictures(dataset.split("test"), dataset.card(), pictures, ledger)
    predictions = infer(
        Sources((pictures,)),
        registry,
        progress,
        run=runs["finetune"].path,
        out=out / "infer",
        overwrite=True,
        workers=0,
    )

    next_commands = [
        ("mae pretrain --root YOUR-PICTURES", "learn from your own pictures, without labels"),
        (
            "mae finetune --root YOUR-PICTURES --task classify --init runs/pretrain-YOUR-PICTURES",
            "learn your classes: one sub-folder per class, or a labels.csv",
        ),
        ("mae eval runs/finetune-YOUR-PICTURES-classify", "see how good it is, and against what"),
        ("mae infer YOUR-FOLDER --task classify", "run it on any folder"),
    ]
    report = out / "report.html"
    ledger.claim(report.name)
    environment = runs["finetune"].environment(progress.say)
    page = render_report(
        "mae demo",
        [*lead(Measured(runs["finetune"], registry)), *shown(dataset.card(), predictions.num_predicted)],
        [
            Section("Classification, on held-out samples", [result.evaluation]),
            Section("Reconstruction, on held-out samples", [reconstruction.evaluation]),
            training_section("Pretraining", runs["pretrain"], registry),
            training_section("Fine-tuning", runs["finetune"], registry),
            Section("Inference on files", [_first_rows(predictions.out)]),
        ],
        made=[f"Both trainings together took {duration(seconds)} on {environment.get('device')}."],
        environment=environment,
        next_commands=next_commands,
    )
    write_text(report, page)
    return DemoResult(out, report, result.evaluation, seconds, next_commands)


def shown(card: DataCard, num_files: int) -> list[str]:
    """Return what the demo shows, and what it does not tell."""
    pictures = number_of(sum(card.split_sizes.values()), "picture")
    named = number_of(num_files, "file")
    way = "An encoder learnt by filling in what was hidden of pictures, without labels, then with labels to name them"
    limit = f"All of that was with {pictures} ({card.title}): it does not tell what yours would give"
    return [f"{way}; at the end it named {named}.", f"{limit}."]


def write_pictures(split: Split, card: DataCard, folder: Path, ledger: Ledger) -> None:
    """Write evenly spaced samples as 8-bit PNG files, and note them in the ledger of the folder's parent."""
    ledger.claim(f"{folder.name}/")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(NUM_PICTURES):
            index = number * len(split) // NUM_PICTURES
            image = card.in_units(split[index]["image"]) * 255
            pixels = image.round().astype(np.uint8).transpose(1, 2, 0)
            ledger.claim(f"{folder.name}/{index:04d}.png")
            Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(folder / f"{index:04d}.png")


def _first_rows(out: Path, num: int = 12) -> Table:
    """Return the first predictions: path, class and the probability of that class."""
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:num]]
    table = tuple((row["path"], row["class"], f"{row['p_' + row['class']]:.1%}") for row in rows)
    return Table(title=f"The first of {len(lines)} predictions", columns=("path", "class", "probability"), rows=table)
