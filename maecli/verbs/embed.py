"""`mae embed`: the features of files, or of a data set, for a person's own analysis.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from maecli.data.card import SplitName
from maecli.data.few_labels import labels_by_key
from maecli.errors import DataError, Fault, SpecError
from maecli.hardware import choose_device, choose_dtype, keep_freed_memory
from maecli.loading import make_loader
from maecli.loading.loader import Loader
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.pictures.known_labels import UNKNOWN, KnownLabels
from maecli.modalities.pictures.source import PictureSource, file_range, find_source, num_workers
from maecli.outputs.faults import Faults
from maecli.outputs.features import FORMATS, FeatureFiles, Labels
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.assemble import make_dataset
from maecli.run.directory import runs_dir
from maecli.run.evaluate import check_split
from maecli.run.run_encoder import RunEncoder, load_run_encoder
from maecli.schema import PluginSection
from maecli.storage.files import disk_errors
from maecli.training.features import Features, blocks, check_tokens
from maecli.training.finite import NOT_FINITE


@dataclass(frozen=True)
class EmbedResult:
    """What was written."""

    files: FeatureFiles
    run: Path
    shape: tuple[int, ...]
    faults: Collection[Fault]


@dataclass(frozen=True)
class Source:
    """Samples to embed, and what is known of their classes."""

    loader: Loader
    classes: Sequence[str]
    known: KnownLabels | dict[str, np.ndarray]
    """Labels by key, () int64 or (Q,) int8 of several; -1 is not known."""

    def labels(self, keys: Sequence[str]) -> Labels | None:
        """Return the labels of samples, None where not one is known."""
        numbers: np.ndarray | None = None
        for i, key in enumerate(keys):
            label = self.known[key] if isinstance(self.known, KnownLabels) else self.known.get(key)
            if label is None or (label == UNKNOWN).all():
                continue
            if numbers is None:
                numbers = np.full((len(keys), *label.shape), UNKNOWN, label.dtype)
            numbers[i] = label
        return None if numbers is None else Labels(self.classes, numbers)


def embed(
    registry: Registry,
    progress: Progress,
    *,
    run: Path,
    source: Path | None = None,
    dataset: str | None = None,
    split: SplitName = "train",
    root: Path | None = None,
    which: str = "last",
    out: Path | None = None,
    file_format: str | None = None,
    tokens: str = "mean",
    overwrite: bool = False,
    device_name: str = "auto",
    precision: str = "float32",
    batch_size: int = 64,
    workers: int | None = None,
) -> EmbedResult:
    """Write what the encoder of a run makes of a picture, of the pictures below a folder, or of a split of a data set.

    Features are float32, (N, D), or (N, P, D) of all patches. `root` says where the data set lies. Files that cannot
    be read are left out. Raises SpecError where flags contradict each other or a file is in the way, DataError when
    nothing can be read.
    """
    if (source is None) == (dataset is None):
        raise SpecError("give either a picture or a folder of pictures, or --dataset NAME: one of them is embedded")
    check_split(split)
    keep_freed_memory()
    loaded = load_run_encoder(run, which, registry, progress.say)
    kind = check_tokens(tokens, loaded.encoder, "--tokens")
    out = out or runs_dir() / f"embed-{run.resolve().name}.{file_format or FORMATS[0]}"
    out = out.expanduser()
    files = FeatureFiles(out, file_format, overwrite)
    if files.format == "csv" and kind == "patches":
        raise SpecError("--tokens patches gives a table per sample, and a row of CSV has no room for it; use npy")
    device = choose_device(device_name)
    faults = Faults()
    if source is not None:
        found = _files(source, loaded, device, batch_size, workers, faults)
        if isinstance(found.known, KnownLabels) and found.known.problem:
            progress.say(found.known.problem)
    else:
        found = _samples(str(dataset), split, root, loaded, device, workers, faults, registry)
    progress.say(f"features of {len(found.loader.split):,} samples")
    encoder = loaded.encoder.to(device)
    made = blocks(encoder, found.loader, batch_size, choose_dtype(precision, device), kind)
    with files.lock(), on_disk(made, out.absolute().parent) as (features, keys):
        if not keys:
            raise DataError(_nothing(faults), faults)
        about = {"run": str(run), "checkpoint": str(loaded.checkpoint.path), "tokens": kind}
        files.write(features, keys, found.labels(keys), about)
        files.write_faults(faults)
        return EmbedResult(files, run, features.shape, faults)


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


def _files(
    source: Path,
    loaded: RunEncoder,
    device: torch.device,
    batch_size: int,
    workers: int | None,
    faults: Faults,
) -> Source:
    root, keys = find_source(source)
    card = loaded.card
    loader = StreamedLoader(
        PictureSource(root, keys, card),
        file_range(loaded.preprocess, card),
        device,
        loaded.spec.seed,
        faults.add,
        workers=num_workers(len(keys), batch_size) if workers is None else workers,
    )
    return Source(loader, card.classes, KnownLabels(root, card))


def _samples(
    name: str,
    split: SplitName,
    root: Path | None,
    loaded: RunEncoder,
    device: torch.device,
    workers: int | None,
    faults: Faults,
    registry: Registry,
) -> Source:
    """Return the samples of a data set: the run's own, with its options, or another one."""
    spec = loaded.spec
    options = spec.dataset.options if name == spec.dataset.name else {}
    if root is not None:
        options["root"] = str(root)
    dataset = make_dataset(PluginSection(name=name, **options), registry)
    card, in_chans = dataset.card(), loaded.preprocess.in_chans
    if card.channels not in (1, in_chans):
        raise DataError(
            f"{name} has {card.channels} channels, and the encoder of {loaded.checkpoint.path} takes {in_chans}; only "
            "one channel can be copied to more"
        )
    samples = dataset.split(split)
    faults.update(dataset.faults())
    if len(samples) == 0:
        raise DataError(f"{name} has no {split} samples; it has {card.split_sizes}")
    preprocess = dataclasses.replace(loaded.preprocess, value_range=card.value_range)
    settings = spec.data.model_copy(update={} if workers is None else {"workers": workers})
    loader = make_loader(samples, preprocess, device, spec.seed, settings, faults.add)
    known = labels_by_key(dataset, split, samples) if "label" in card.fields else {}
    return Source(loader, card.classes, known)
