"""`mae pack`: the pictures of any data set as shards, with their labels and splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import SPLIT_NAMES
from maecli.data.dataset import Dataset
from maecli.data.files.sample_files import files_of, states_of
from maecli.data.fingerprint import digest_of, fingerprint_of
from maecli.data.labels import labels_by_key
from maecli.data.sample import Split
from maecli.data.splits import places
from maecli.errors import BrokenSample, DataError, Fault, Interrupted, SpecError
from maecli.modalities.pictures.encode import file_of
from maecli.modalities.pictures.modality import Pictures
from maecli.outputs.shards import MAX_SHARDS, Member, ShardFolder
from maecli.progress import Count, Progress
from maecli.registry import Registry
from maecli.run.open import make_dataset
from maecli.spec.ask import Ask
from maecli.spec.resolve import resolve
from maecli.storage.lock import locked
from maecli.text import number_of

SHARD_SIZE = 10_000


@dataclass(frozen=True)
class PackResult:
    """What was packed."""

    out: Path
    num_shards: int
    num_samples: int
    num_bytes: int
    num_there: int
    """Shards that were whole already."""
    num_anew: int
    """Shards that had been written, and were no longer so."""
    faults: Sequence[Fault] = ()
    """Of samples that were left out."""
    notes: Sequence[str] = field(default=())
    """What is not in the shards, in words."""


def pack(
    ask: Ask,
    registry: Registry,
    progress: Progress,
    out: Path,
    *,
    shard_size: int = SHARD_SIZE,
    max_side: int | None = None,
) -> PackResult:
    """Write the pictures of the data set that is asked for as shards below `out`; go on where that was begun alike.

    Samples of each split stand in an order that looks random and never changes, so that those who read a shard from
    its beginning to its end see all classes. Raises SpecError for what is no set of pictures.
    """
    spec = resolve(ask, registry)
    dataset = make_dataset(spec.dataset, registry, spec.paths, progress.say)
    out = out.expanduser()
    with progress, locked(out):
        try:
            return _pack(dataset, registry, progress, out, shard_size, max_side)
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted(f"interrupted; the same command goes on with what is missing in {out}") from None


def _pack(
    dataset: Dataset, registry: Registry, progress: Progress, out: Path, shard_size: int, max_side: int | None
) -> PackResult:
    card = dataset.card()
    if not issubclass(registry.modality(card.modality), Pictures):
        raise SpecError(f"mae pack packs pictures, and {card.title} are {card.modality}")
    labelled = "label" in card.fields and not card.multi_label
    splits = {name: dataset.split(name) for name in SPLIT_NAMES}
    if not (total := sum(map(len, splits.values()))):
        raise DataError(f"{card.title} holds no picture to pack")
    if sum(-(-len(split) // shard_size) for split in splits.values()) > MAX_SHARDS:
        raise SpecError(f"--shard-size {shard_size:,} makes more than {MAX_SHARDS:,} shards; use a larger one")
    orders = {name: _shuffled(split) for name, split in splits.items()}
    folder = ShardFolder(
        out,
        {
            "samples": {name: digest_of(split.keys) for name, split in splits.items()},
            "classes": digest_of(card.classes if labelled else ()),
            "shard_size": shard_size,
            "max_side": max_side,
        },
    )
    there, anew, faults = 0, 0, {fault.path: fault for fault in dataset.faults()}
    if labelled:
        folder.name_classes(card.classes)
    tick = progress.count("pictures packed", total)
    for name, order in orders.items():
        labels = labels_by_key(dataset, name, splits[name]) if labelled else {}
        write = partial(_members, splits[name], labels=labels, max_side=max_side, faults=faults, tick=tick)
        for number, start in enumerate(range(0, len(order), shard_size)):
            ids = order[start : start + shard_size]
            shard = f"{name}-{number:06d}.tar"
            source = _source(splits[name], ids, labels)  # as it is before it is read
            if folder.is_whole(shard, source):
                there += 1
                tick(len(ids))
            else:
                anew += shard in folder.shards
                folder.write(shard, write(ids), source)
    folder.finish()
    facts = folder.shards.values()
    return PackResult(
        out,
        len(facts),
        sum(each["samples"] for each in facts),
        sum(each["bytes"] for each in facts),
        there,
        anew,
        [*faults.values()],
        _notes(card.fields, labelled),
    )


def _shuffled(split: Split) -> np.ndarray:
    """Return the positions of a split's samples in the order in which they are packed: that of their places."""
    line = places(split.keys)
    return np.lexsort((line[:, 1], line[:, 0]))


def _source(split: Split, ids: np.ndarray, labels: Mapping[str, np.ndarray]) -> str:
    """Return a digest of what a shard is written from: sizes and times of files, or else contents, and labels."""
    part = split.view(ids.tolist())
    files = files_of(part)
    states = states_of(files.paths, files.before).ravel().tolist()
    facts = states if files.paths else sorted(fingerprint_of(part, ("image",)).facts.items())
    return digest_of([*facts, *(labels.get(key) for key in part.keys)])


def _members(
    split: Split,
    ids: np.ndarray,
    labels: Mapping[str, np.ndarray],
    max_side: int | None,
    faults: dict[str, Fault],
    tick: Count,
) -> Iterator[Member]:
    """Yield the samples of a shard without those of `faults`, to which others that cannot be read are added."""
    taken: set[str] = set()
    for index in ids.tolist():
        key = split.keys[index]
        if key in faults:
            tick()
            continue
        try:
            suffix, data = file_of(split, index, max_side)
        except BrokenSample as broken:
            faults[broken.fault.path] = broken.fault
        else:
            name = _member_name(key, suffix, taken)
            taken.add(name)
            yield Member(name, suffix, data, int(labels[key]) if key in labels else None)
        tick()


def _member_name(key: str, suffix: str, taken: set[str]) -> str:
    """Return what a sample is called in its shard: its key, in which a dot would end the name."""
    stem = key[: -len(suffix)] if suffix and key.lower().endswith(suffix) else key
    plain = stem.replace(".", "_").replace("\\", "_").strip("/")
    name, number = plain, 1
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def _notes(fields: Sequence[str], labelled: bool) -> list[str]:
    """Return what shards do not keep of a data set."""
    lost = [name for name in fields if name not in ("image", *(["label"] if labelled else []))]
    words = {"mask": "masks", "label": "labels of several classes each", "boxes": "boxes", "box_label": "boxes"}
    names = dict.fromkeys(words.get(name, name) for name in lost)
    return [f"{' and '.join(names)} are not packed: shards hold pictures and their classes"] if names else []


def in_words(result: PackResult) -> str:
    """Return what was packed, in a sentence without its end."""
    samples = number_of(result.num_samples, "picture")
    there = f"; {result.num_there:,} of them were there" if result.num_there else ""
    why = "as damaged, missing or of files that changed"
    anew = f"; {result.num_anew:,} written anew, {why}" if result.num_anew else ""
    size = result.num_bytes / 2**20
    return f"{samples} in {number_of(result.num_shards, 'shard')} of {size:,.1f} MiB in all{there}{anew}"
