"""`mae embed`: the features of files, or of a data set, for a person's own analysis.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maecli.data.card import DataCard, SplitName
from maecli.data.classes.known_labels import UNKNOWN
from maecli.data.files.sources import Sources
from maecli.data.labels import labels_by_key
from maecli.errors import DataError, Fault, SpecError
from maecli.hardware import keep_freed_memory
from maecli.loading.loader import Loader
from maecli.outputs.faults import Faults
from maecli.outputs.features import FORMATS, FeatureFiles, Labels
from maecli.outputs.not_read import NotRead
from maecli.parallel.lead import call, world
from maecli.progress import Progress
from maecli.registry import Registry, registry
from maecli.run.begin.place import output_name
from maecli.run.data.begun import begun_with
from maecli.run.directory import RunDirectory, runs_dir
from maecli.run.exported.file import ExportedFile
from maecli.run.inference.own_files import OwnFiles, open_sources
from maecli.run.open import Data, check_split
from maecli.run.restore import RestoredEncoder, load_files, restore_features
from maecli.run.suited import shell
from maecli.schema import PluginSection
from maecli.storage.files import disk_errors
from maecli.training.features import Features, Tokens, blocks, check_tokens
from maecli.training.finite import NOT_FINITE


@dataclass(frozen=True)
class Named:
    """What a person wants to be embedded."""

    sources: Sources | None
    dataset: str | None
    split: SplitName
    root: Path | None


@dataclass(frozen=True)
class EmbedResult:
    """What was written."""

    files: FeatureFiles
    run: Path
    shape: tuple[int, ...]
    faults: Collection[Fault]
    not_read: NotRead
    next_commands: Sequence[tuple[str, str]] = ()
    """What usually follows, with what it does."""


def embed(
    registry: Registry,
    progress: Progress,
    *,
    run: Path,
    sources: Sources | None = None,
    dataset: str | None = None,
    split: SplitName = "train",
    root: Path | None = None,
    checkpoint: str = "last",
    base: Path | None = None,
    out: Path | None = None,
    file_format: str | None = None,
    tokens: str = "mean",
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "float32",
    batch_size: int = 64,
    workers: int | None = None,
) -> EmbedResult:
    """Write what the encoder of a run makes of files, of every file below folders, or of a split of a data set.

    Features are float32, (N, D), or (N, P, D) of all patches; `run` may be the file that a pretraining was exported to,
    which gives (N, D). `root` says where the data set lies. Files that cannot be read are left out. Raises SpecError
    where flags contradict each other or a file is in the way, DataError when nothing can be read.
    """
    if (sources is None) == (dataset is None):
        raise SpecError("give either files or folders, or --dataset NAME: one of them is embedded")
    check_split(split)
    keep_freed_memory()
    settings = {"device": device, "precision": precision, "init": base}
    restored = restore_features(run, registry, progress.say, checkpoint, settings)
    if isinstance(restored.checkpoint, ExportedFile) and tokens in ("cls", "patches"):
        raise SpecError(f"{run} gives the mean of the patch tokens alone; leave --tokens {tokens} out, or give its run")
    kind = check_tokens(tokens, restored.encoder, "--tokens")
    out = out or runs_dir() / f"embed-{output_name(run)}.{file_format or FORMATS[0]}"
    files = FeatureFiles(out.expanduser(), file_format, overwrite)
    if files.format == "csv" and kind == "patches":
        raise SpecError("--tokens patches gives a table per sample, and a row of CSV has no room for it; use npy")
    faults = Faults()
    label_of: Callable[[str], np.ndarray | None]
    not_read = NotRead()
    named = Named(sources, dataset, split, root)
    opened, loader = _opened(named, restored, batch_size, workers, faults, registry)
    if isinstance(opened, OwnFiles):
        not_read, known = opened.not_read, opened.labels(restored.card)
        for line in filter(None, [*opened.lines(), known.problem]):
            progress.say(line)
        classes, label_of = restored.card.classes, known.__getitem__
    else:
        labels = labels_by_key(opened.dataset, split, opened.split(split)) if "label" in opened.card.fields else {}
        classes, label_of = opened.card.classes, labels.get
    processes = call(help_embed, run, checkpoint, settings, named, batch_size, workers, kind)
    made = blocks(restored.encoder, loader, batch_size, restored.dtype, kind, processes)
    counted = _counted(made, len(loader.split), restored.preprocess.modality.unit, faults, progress)
    with files.lock(), closing(counted), on_disk(counted, files.out.absolute().parent) as (features, keys):
        if not keys:
            raise DataError(_nothing(faults), faults)
        about = {"run": str(run), "checkpoint": str(restored.checkpoint.path), "tokens": kind}
        files.write(features, keys, _labels(classes, map(label_of, keys), len(keys)), about)
        faults.update(not_read.faults)
        files.write_faults([*faults, *not_read.apart])
        return EmbedResult(files, run, features.shape, faults, not_read, _next_commands(run, restored.card, files))


def help_embed(
    run: Path,
    checkpoint: str,
    settings: Mapping[str, Any],
    named: Named,
    batch_size: int,
    workers: int | None,
    tokens: Tokens,
) -> None:
    """Do the part of a process beside the first one."""
    with world().together():
        restored = restore_features(run, registry(), lambda _: None, checkpoint, settings)
        _, loader = _opened(named, restored, batch_size, workers, Faults(), registry())
    for _ in blocks(restored.encoder, loader, batch_size, restored.dtype, tokens, world()):
        pass


def _opened(
    named: Named,
    restored: RestoredEncoder,
    batch_size: int,
    workers: int | None,
    faults: Faults,
    registry: Registry,
) -> tuple[OwnFiles | Data, Loader]:
    """Return what is embedded, and what loads it."""
    if named.sources is not None:
        own = open_sources(named.sources, restored.preprocess.for_files(restored.card), restored.card)
        return own, load_files(own.split, restored, faults.add, batch_size=batch_size, workers=workers)
    data = _data(str(named.dataset), named.root, restored, workers, faults, registry)
    preprocess = dataclasses.replace(restored.preprocess, value_range=data.card.value_range)
    data.samples(named.split)
    return data, data.loader(named.split, preprocess, restored.device)


def _data(
    name: str,
    root: Path | None,
    restored: RestoredEncoder,
    workers: int | None,
    faults: Faults,
    registry: Registry,
) -> Data:
    """Return a data set, whole: the run's own, with its options, or another one."""
    spec = restored.spec
    options = spec.dataset.options if name == spec.dataset.name else {}
    if root is not None:
        options["root"] = str(root)
    loading: dict[str, Any] = {"labels": None} | ({} if workers is None else {"workers": workers})
    update: dict[str, Any] = {
        "dataset": PluginSection(name=name, **options),
        "data": spec.data.model_copy(update=loading),
    }
    own = name == spec.dataset.name and root is None
    if own and isinstance(restored.checkpoint, ExportedFile):
        restored.checkpoint.check_root()
    update["paths"] = spec.paths if own else ()
    begun = begun_with(restored.checkpoint, spec, registry) if own else None
    data = Data(spec.model_copy(update=update), registry, ("image",), faults, begun=begun)
    channels, in_chans = data.card.channels, restored.preprocess.in_chans
    if channels not in (1, in_chans):
        raise DataError(
            f"{name} has {channels} channels, and the encoder of {restored.checkpoint.path} takes {in_chans}; only "
            "one channel can be copied to more"
        )
    return data


def _labels(classes: Sequence[str], labels: Iterable[np.ndarray | None], num: int) -> Labels | None:
    """Return the labels of `num` samples, each () int64 or (Q,) int8 of several; None where not one is known."""
    numbers: np.ndarray | None = None
    for i, label in enumerate(labels):
        if label is None or (label == UNKNOWN).all():
            continue
        if numbers is None:
            numbers = np.full((num, *label.shape), UNKNOWN, label.dtype)
        numbers[i] = label
    return None if numbers is None else Labels(classes, numbers)


READERS = {
    "safetensors": 'from safetensors.numpy import load_file; features = load_file({})["features"]',
    "npy": 'import numpy; features = numpy.load({}, mmap_mode="r")',
    "csv": "import csv; rows = list(csv.DictReader(open({})))",
}
"""What reads each format in Python, with double quotes alone: a shell is given it between single ones."""


def _next_commands(run: Path, card: DataCard, files: FeatureFiles) -> list[tuple[str, str]]:
    """Return what follows: the features in Python, and for data of one label each, whether they tell classes apart."""
    reading = READERS[files.format].format(json.dumps(str(files.out), ensure_ascii=False))
    commands = [(shell("python", "-ic", reading), "look at the features in Python")]
    if RunDirectory(run).is_run and card.num_classes > 1 and not card.multi_label and card.split_sizes.get("test"):
        probe = shell("mae", "eval", run, "--probe", "knn")
        commands.insert(0, (probe, "measure how well such features tell the classes apart"))
    return commands


def _counted(
    blocks: Iterable[Features], total: int, unit: str, faults: Faults, progress: Progress
) -> Generator[Features, None, None]:
    """Yield the features of `total` samples, and show how many are done or were left out for a fault."""
    settled, told = progress.count(unit, total), len(faults)
    with progress:
        for block in blocks:
            gone, told = len(faults) - told, len(faults)
            settled(len(block.keys) + gone)
            yield block
        if len(faults) > told:
            settled(len(faults) - told)


@contextmanager
def on_disk(blocks: Iterable[Features], folder: Path) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Give all features, float32 (N, …), and their keys; the features lie in a nameless file on the disk of `folder`.

    Those of all patches of 50,000 pictures take 30 GB, which a disk has more often than a memory.
    """
    while not folder.is_dir():
        folder = folder.parent
    keys: list[str] = []
    shape: tuple[int, ...] = ()
    with ExitStack() as stack:
        with disk_errors(folder):
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        for block in blocks:
            with disk_errors(folder):
                file.write(block.values.numpy().tobytes())
            keys += block.keys
            shape = tuple(block.values.shape[1:])
        with disk_errors(folder):
            file.flush()
        yield np.memmap(file, np.float32, "r", shape=(len(keys), *shape)) if keys else np.empty(0, np.float32), keys


def _nothing(faults: Faults) -> str:
    finite = all(fault.reason != NOT_FINITE for fault in faults)
    return f"none of the samples can be read{'' if finite else ' and gives finite features'}, so there are no features"
