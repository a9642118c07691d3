"""`mae eval FILE`: how good is an exported file, by the metrics of its run?"""

from __future__ import annotations

from pathlib import Path

from maecli.data.card import SplitName
from maecli.errors import DataError
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.data.begun import check_form
from maecli.run.data.what_was_read import what_was_read
from maecli.run.directory import Say
from maecli.run.evaluate import EvalResult, measure
from maecli.run.exported.file import ExportedFile
from maecli.run.open import Data, check_split
from maecli.run.restore import Restored, restore
from maecli.storage.files import write_json


def evaluate_file(
    path: Path,
    registry: Registry,
    progress: Progress,
    *,
    split: SplitName = "test",
    base: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    root: Path | None = None,
    dataset: str | None = None,
    out: Path | None = None,
    ignore_unknown_classes: bool = False,
) -> EvalResult:
    """Measure an exported file on one split, and write what came out beside it, as FILE.SPLIT.json, or to `out`.

    The data are those of its run, dealt into folds as it dealt them, or another data set that `root` holds. Samples
    come to the file as its run's own evaluation sees them, in their raw form. Raises as `evaluate` does.
    """
    check_split(split)
    settings = {"device": device, "precision": precision, "init": base, "dataset.name": dataset, "dataset.root": root}
    restored = restore(path, registry, progress.say, settings=settings, ignore_unknown_classes=ignore_unknown_classes)
    if root is None and dataset is None and isinstance(restored.checkpoint, ExportedFile):
        restored.checkpoint.check_root()
    if root is not None and dataset is None:
        restored.data = dealt_again(restored, root, registry, progress.say)
    data = restored.data
    data.samples(split)
    card, unknown = data.dataset.card(restored.task.fields), data.left_out(split)
    check_form(card, restored.card)
    told = [*data.sentences(), *(f"Left out: {num:,} {what}." for what, num in unknown.items())]
    for line in (*what_was_read(card, len(data.faults), data.num_broken_samples()), *told):
        progress.say(line)
    with progress.working(f"measuring {path.name} on {split}"):
        evaluation = measure(restored, restored.module, split, path.name, batch_size)
    evaluation = evaluation.model_copy(
        update={"notes": (*evaluation.notes, *told), "left_out": card.left_out | unknown}
    )
    written = (out or path.with_name(f"{path.name}.{split}.json")).expanduser()
    skipped = {fault.path: fault.reason for fault in data.faults}
    write_json(written, {"file": str(path), **evaluation.as_json(), "skipped": skipped})
    return EvalResult(path, path, written, evaluation, data.faults)


def dealt_again(restored: Restored, root: Path, registry: Registry, say: Say) -> Data:
    """Return the data of a file as its run dealt them into folds, where these below `root` are its own.

    A file names no samples, so that the numbers of its splits decide; data of other numbers keep their own splits.
    """
    recorded, spec, data = restored.checkpoint.metadata()["spec"]["data"], restored.spec, restored.data
    if recorded.get("folds") is None:
        return data
    folds = {name: recorded[name] for name in ("folds", "fold")}
    spec = spec.model_copy(update={"data": spec.data.model_copy(update=folds)})
    fields, unknown = restored.task.fields, data.ignore_unknown_classes
    dealt = Data(spec, registry, fields, data.faults, restored.task.name, restored.card, None, unknown)
    try:
        sizes = dealt.dataset.card(fields).split_sizes
    except DataError:  # of others there may be too few
        return data
    names = ("val", "test") if spec.data.labels else ("train", "val", "test")  # of labels a part is recorded
    if any(sizes.get(name, 0) != restored.card.split_sizes.get(name, 0) for name in names):
        return data
    which = f"fold {spec.data.fold} of {spec.data.folds}" if spec.data.fold else "the run that learnt from all folds"
    say(f"{root} holds the data of the run, by the numbers of its splits; they are dealt as for {which}")
    return dealt
