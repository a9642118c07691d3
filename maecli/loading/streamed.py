"""Large sets stay in files, which worker processes decode."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from maecli.data.batch import Batch
from maecli.data.randomness import derive_seed
from maecli.data.sample import OWN, Sample, Split
from maecli.errors import BrokenSample, Fault
from maecli.hardware import default_workers
from maecli.loading.cache import SampleCache
from maecli.loading.loader import FIXED, Job, Loader, chance
from maecli.loading.parcels import Parcel
from maecli.loading.prefetch import prefetched
from maecli.loading.reading import Reads, candidates
from maecli.loading.workers import WorkerEnded, WorkerPool
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec

Reading = tuple[int, np.ndarray, AugmentSpec | None]
"""A job, and what training does to its samples; None in evaluation."""
Origin = tuple[int, list[int], list[Fault]]
"""What goes with a batch's tensors: the epoch, the visits to samples, and the faults of others."""

SEARCH_S = 2.0
"""How long a sample that ended a worker is searched for."""
MAX_LARGE_WORKERS = 2
"""Processes that read samples at their own size: each holds several ahead, and they may be large."""
FILES_PER_LARGE_WORKER = 16
"""As many samples of their own size are worth starting a process for."""


@dataclass
class StreamedLoader(Loader):
    """Files are decoded by worker processes, and brought to the model's size there.

    The processes start with the first batch and stay as long as the loader, for every pass over its split.
    """

    workers: int | None = None
    cache_bytes: int = 0
    """How much of the decoded training samples is kept, for all workers together."""

    def __post_init__(self) -> None:
        if self.workers is None:
            self.workers = default_workers()

    @cached_property
    def _read(self) -> _Reader:
        cache = SampleCache(len(self.split), self.cache_bytes)
        return _Reader(self.split, self.preprocess, self.seed, self.own_size, cache)

    @cached_property
    def _pool(self) -> WorkerPool[Reading, Origin]:
        return WorkerPool(self._read, self.workers or 1, pin_memory=self.device.type == "cuda")

    @property
    def share_kept(self) -> float:
        return self._read.cache.share_kept()

    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        return prefetched(self._batches((*job, spec) for job in plan), self.device)

    def _batches(self, readings: Iterator[Reading]) -> Generator[Batch, None, None]:
        """Yield the batches as they come from the workers."""
        for tensors, (epoch, ids, faults) in self._parcels(readings):
            keys = [self.split.keys[i] for i in ids] if epoch == FIXED else ()
            yield Batch(dict(tensors), self._draws(epoch, torch.tensor(ids, dtype=torch.int64)), keys, faults)

    def _parcels(self, readings: Iterator[Reading]) -> Iterator[Parcel[Origin]]:
        if not self.workers:
            yield from map(self._read, readings)
            return
        try:
            yield from self._pool.run(readings)
        except WorkerEnded as error:
            culprit = None if "SIGKILL" in error.how else find_culprit(self._read, error.jobs)
            if culprit is None:
                raise
            at = f" while it read {self.split.keys[culprit]}"
            raise WorkerEnded(error.how, error.way_out, error.jobs, at) from error


def num_workers(num_samples: int, batch_size: int, own_size: bool = False) -> int:
    """Return how many processes pay that read each sample once: none for less than a batch each."""
    if own_size:
        return min(num_samples // FILES_PER_LARGE_WORKER, default_workers(), MAX_LARGE_WORKERS)
    return min(num_samples // batch_size, default_workers())


def find_culprit(read: _Reader, readings: Sequence[Reading]) -> int | None:
    """Return which sample of some batches ends a process that reads it, if one does so again and is found soon."""
    deadline = time.monotonic() + SEARCH_S
    single = (
        (epoch, ids[i : i + 1], spec)
        for epoch, ids, spec in readings
        for i in range(len(ids))
        if time.monotonic() < deadline
    )
    try:
        with WorkerPool(read, 1) as pool:
            for _ in pool.run(single, ahead=1):
                pass
    except WorkerEnded as error:
        return int(error.jobs[0][1][0]) % len(read.split)
    except Exception:
        return None  # another fault, and not what is asked for
    return None


class _Reader:
    """Reads the samples of a batch. In training an unreadable one is replaced by the next readable one."""

    def __init__(self, split: Split, preprocess: Preprocess, seed: int, own_size: bool, cache: SampleCache) -> None:
        self.split, self.preprocess, self.seed, self.own_size, self.cache = split, preprocess, seed, own_size, cache
        self._read = Reads(split)

    def __call__(self, reading: Reading) -> Parcel[Origin]:
        """Return the stacked fields of a batch."""
        epoch, visits, spec = reading
        num = len(self.split)
        found: list[Sample] = []
        numbers: list[int] = []
        faults: dict[int, Fault] = {}
        for visit in visits.tolist():
            for number in candidates(visit % num, num, spec is not None):
                if number in faults:
                    continue
                try:
                    found.append(self._sample(number, spec is not None))
                except BrokenSample as error:
                    faults[number] = error.fault
                else:
                    numbers.append(visit - visit % num + number)
                    break
        if self.own_size and spec is None:
            samples = [self.preprocess.as_is(sample) for sample in found]
        else:
            if spec is not None and spec.chain:
                found = [self._changed(sample, spec, epoch, i) for sample, i in zip(found, numbers, strict=True)]
            chances = chance(self.seed, epoch, torch.tensor(numbers, dtype=torch.int64), spec)
            samples = [self.preprocess.fit(sample, spec, each) for sample, each in zip(found, chances, strict=True)]
        names = samples[0] if samples else ()
        tensors = {name: torch.stack([sample[name] for sample in samples]) for name in names}
        return Parcel(tensors, (epoch, numbers, [*faults.values()]))

    def _changed(self, sample: Sample, spec: AugmentSpec, epoch: int, index: int) -> Sample:
        return self.preprocess.prepare(sample, spec, derive_seed(self.seed, "chain", epoch, index))

    def _sample(self, index: int, training: bool) -> Sample:
        """Return a sample; of training the first ones that fit stay in memory: decoding costs the most."""
        sample = self.cache.get(index)
        if sample is None:
            sample = self._read(index)
            if training:
                sample = {name: array for name, array in sample.items() if name not in OWN}
                self.cache.put(index, sample)
        return sample
