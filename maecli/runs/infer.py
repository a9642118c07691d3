"""`mae infer`: run a finished run on files."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from maecli.data.card import DataCard
from maecli.data.dataset import BrokenSample, Sample, Split
from maecli.data.loading import StreamedLoader, default_workers
from maecli.data.pictures import find_pictures, read_picture
from maecli.data.preprocess import Preprocess
from maecli.errors import DataError, SpecError
from maecli.files import disk_errors, write_bytes, write_text
from maecli.hardware import autocast, choose_device, choose_dtype, keep_freed_memory
from maecli.progress import TrainProgress
from maecli.registry import Registry
from maecli.runs.assemble import load_assembly
from maecli.runs.directory import find_checkpoint, newest_finished_run, runs_dir
from maecli.runs.training import skipped_csv

SAY_EVERY_S = 5.0
OUTPUTS = ("predictions.csv", "predictions.jsonl", "skipped.csv", "files")


@dataclass(frozen=True)
class InferResult:
    """What inference wrote."""

    out: Path
    run: Path
    num_predicted: int
    skipped: dict[str, str]


class PictureFiles(Split):
    """Picture files, brought to the channels and dtype that a model was trained on."""

    def __init__(self, root: Path, keys: Sequence[str], card: DataCard) -> None:
        self.root, self._keys, self.card = root, keys, card
        self.dtype = card.dtype if card.dtype in ("uint8", "uint16") else None

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> Sample:
        key = self._keys[index]
        try:
            return {"image": read_picture(self.root / key, channels=self.card.channels, dtype=self.dtype)}
        except BrokenSample as error:
            raise BrokenSample(key, error.reason) from error


def file_range(preprocess: Preprocess, card: DataCard) -> Preprocess:
    """Return the preprocessing of picture files: integers use their format's full range, whatever the set used."""
    if card.dtype in ("uint8", "uint16"):
        return dataclasses.replace(preprocess, value_range=(0.0, float(np.iinfo(card.dtype).max)))
    return preprocess


def infer(
    source: Path,
    registry: Registry,
    progress: TrainProgress,
    *,
    task: str | None = None,
    run: Path | None = None,
    which: str = "last",
    out: Path | None = None,
    overwrite: bool = False,
    device_name: str = "auto",
    precision: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
) -> InferResult:
    """Predict for a picture, or for every picture below a folder, and write rows and files.

    The model is `run`, or the newest finished run of `task`. Outputs keep each input's relative path and full name.
    Raises DataError when there is no picture, SpecError when `out` holds something else.
    """
    keep_freed_memory()
    if run is None:
        if task is None:
            raise SpecError("give --run RUN, or --task TASK to take the newest finished run of that task")
        registry.listing("task", task)
        run = newest_finished_run(task, runs_dir()).path
        progress.say(f"using {run}, the newest finished run of task {task}")
    checkpoint = find_checkpoint(run, which)
    device = choose_device(device_name)
    dtype = choose_dtype(precision, device)
    spec, assembly = load_assembly(checkpoint, registry)
    if task is not None and task != spec.task.name:
        raise SpecError(f"{run} was trained for task {spec.task.name!r}, not {task!r}")
    root, keys = _pictures(source)
    out = out or runs_dir() / f"infer-{run.resolve().name}"
    _claim(out, overwrite)

    card = assembly.card
    skipped: dict[str, str] = {}
    loader = StreamedLoader(
        PictureFiles(root, keys, card),
        file_range(assembly.preprocess, card),
        device,
        spec.seed,
        skipped.__setitem__,
        own_size=assembly.task.own_size,
        workers=min(len(keys) // batch_size, default_workers()) if workers is None else workers,
    )
    module = assembly.module.to(device).eval()
    rows: list[dict[str, str | int | float]] = []
    said = time.monotonic()
    with torch.no_grad(), autocast(device, dtype):
        for batch in loader.eval_batches(batch_size):
            for key, prediction in zip(batch.keys, assembly.task.predict(module, batch), strict=True):
                rows.append({"path": key, **prediction.row})
                for suffix, data in prediction.files.items():
                    file = out / "files" / f"{key}{suffix}"
                    with disk_errors(file):
                        file.parent.mkdir(parents=True, exist_ok=True)
                    write_bytes(file, data)
            if time.monotonic() - said > SAY_EVERY_S or len(rows) + len(skipped) == len(keys):
                said = time.monotonic()
                progress.say(f"{len(rows) + len(skipped):,} of {len(keys):,} files")
    write_text(out / "predictions.csv", _csv(rows))
    write_text(out / "predictions.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    write_text(out / "skipped.csv", skipped_csv(skipped))
    return InferResult(out, run, len(rows), skipped)


def _pictures(source: Path) -> tuple[Path, list[str]]:
    """Return a root and the pictures below it, as relative paths."""
    source = source.expanduser()
    if source.is_file():
        return source.parent, [source.name]
    if not source.is_dir():
        raise DataError(f"{source} does not exist; give a picture or a folder of pictures")
    keys = find_pictures(source)
    if not keys:
        raise DataError(f"{source} holds no picture (JPEG, PNG, WebP, BMP, TIFF or .npy), also not in its folders")
    return source, keys


def _claim(out: Path, overwrite: bool) -> None:
    """Make the output folder; what an earlier inference wrote is replaced only if asked for."""
    if out.is_dir() and any(out.iterdir()):
        ours = {entry.name for entry in out.iterdir()} <= set(OUTPUTS)
        if not overwrite:
            raise SpecError(f"{out} is not empty; use --overwrite to replace its predictions, or another --out")
        if not ours:
            raise SpecError(f"{out} holds other things than predictions, so --overwrite does not touch it")
        with disk_errors(out):
            shutil.rmtree(out)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)


def _csv(rows: Sequence[dict[str, str | int | float]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["path"]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
