"""The pictures of all shards of a data set: each index is made once, many at a time, and kept beside its shard.

Shapes: N pictures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli import api
from maecli.api import pictures

from .index import NO_LABEL, ShardIndex

SAY_EVERY_S = 5.0
IN_PROCESSES = 64 << 20
"""Bytes of the shards that are worth the start of other processes."""

MakeIndex = Callable[[Path], ShardIndex]
MadeBy = Callable[[Path], str]
"""Says in words all that the index of a shard depends on besides the shard."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Shard:
    """A shard as its index knows it."""

    name: str
    """Its path below the root."""
    path: Path
    stamp: tuple[int, int]
    """Its size in bytes and its time of change."""


@dataclass(frozen=True)
class Joined:
    """The pictures of all shards, sorted by shard, then as they lie."""

    shards: list[Shard]
    shard_of: NDArray[np.int32]
    """(N,) positions in `shards`."""
    keys: pictures.Keys
    """`shard.tar/name`."""
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    sizes: NDArray[np.int32]
    kinds: NDArray[np.int32]
    labels: NDArray[np.int32]
    infos: list[pictures.PictureInfo]
    texts: list[str]
    faults: list[api.Fault]
    num_lost: int
    """Pictures of damaged shards beyond one for each fault."""


def read_indexes(root: Path, names: Sequence[str], make: MakeIndex, made_by: MadeBy, say: Say) -> Joined:
    """Return the pictures of some shards below `root`, by the indexes that are kept of them, or are made by `make`.

    `make` goes to other processes. Raises DataError for a shard that cannot be looked at.
    """
    shards = [_shard(root, name) for name in names]
    indexes = {shard.name: index for shard in shards if (index := _kept(shard, made_by(shard.path))) is not None}
    missing = [shard for shard in shards if shard.name not in indexes]
    for shard, index in _made(missing, make, say):
        indexes[shard.name] = index
        if pictures.keep(shard.path, made_by(shard.path), index.arrays(), shard.stamp) is None:
            say(f"the index of {shard.name} cannot be kept, neither beside it nor in your cache: it is made every time")
    return _join(shards, [indexes[shard.name] for shard in shards])


def _shard(root: Path, name: str) -> Shard:
    try:
        return Shard(name, root / name, pictures.stamp_of(root / name))
    except OSError as error:
        raise api.DataError(f"{root / name} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _kept(shard: Shard, made_by: str) -> ShardIndex | None:
    try:
        arrays = pictures.kept(shard.path, made_by)
        index = None if arrays is None else ShardIndex.of_arrays(arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return index if index is None or index.end <= shard.stamp[0] else None


def _made(shards: Sequence[Shard], make: MakeIndex, say: Say) -> Iterator[tuple[Shard, ShardIndex]]:
    """Yield the indexes of shards as they are made, in as many processes as there are cores where that pays."""
    total, begun = sum(shard.stamp[0] for shard in shards), time.monotonic()
    told, done = begun, 0

    def tell(shard: Shard) -> None:
        nonlocal told, done
        done += shard.stamp[0]
        if (now := time.monotonic()) - told >= SAY_EVERY_S:
            told = now
            left = (now - begun) * (total - done) / max(1, done)
            say(f"looking where pictures lie in {len(shards):,} shards: {done / max(1, total):.0%}, {left:.0f} s left")

    if total < IN_PROCESSES or len(shards) < 2:
        for shard in shards:
            yield shard, make(shard.path)
            tell(shard)
        return
    say(f"looking where the pictures lie in {len(shards):,} shards of {total / 2**30:.2f} GiB; this is done once")
    indexes = api.pictures.in_processes(make, (shard.path for shard in shards), min(len(shards), _num_cores()))
    for shard, index in zip(shards, indexes, strict=True):
        yield shard, index
        tell(shard)


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _join(shards: list[Shard], indexes: Sequence[ShardIndex]) -> Joined:
    infos: dict[pictures.PictureInfo, int] = {}
    texts: dict[str, int] = {}
    kinds, labels, faults = [], [], list[api.Fault]()
    for shard, index in zip(shards, indexes, strict=True):
        here = [infos.setdefault(info, len(infos)) for info in index.infos]
        kinds.append(np.array([*here, 0], np.int32)[index.kinds])
        numbers = [texts.setdefault(text, len(texts)) for text in index.texts]
        labels.append(np.array([*numbers, NO_LABEL], np.int32)[index.labels])
        faults += [api.Fault("/".join(filter(None, (shard.name, fault.path))), fault.reason) for fault in index.faults]
    counts = [len(index.names) for index in indexes]
    return Joined(
        shards,
        np.repeat(np.arange(len(shards), dtype=np.int32), counts),
        pictures.Keys.of(
            f"{shard.name}/{name}" for shard, index in zip(shards, indexes, strict=True) for name in index.names
        ),
        np.concatenate([index.starts for index in indexes]),
        np.concatenate([index.lengths for index in indexes]),
        np.concatenate([index.sizes for index in indexes]),
        np.concatenate(kinds),
        np.concatenate(labels),
        list(infos),
        list(texts),
        faults,
        sum(index.num_lost for index in indexes),
    )
