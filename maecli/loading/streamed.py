"""Large sets stay in files, which worker processes decode."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, Fault
from maecli.hardware import default_workers
from maecli.loading.loader import Job, Loader
from maecli.loading.parcels import Parcel
from maecli.loading.reading import read_sample, sample_tensors
from maecli.loading.workers import WorkerEnded, in_workers
from maecli.schema import AugmentSpec

if TYPE_CHECKING:
    from maecli.modalities.pictures.transforms import TrainTransform

Origin = tuple[int, list[int], list[Fault]]
"""What goes with a batch's tensors: the epoch, the positions of the samples, and the faults of others."""

SEARCH_S = 2.0
"""How long a sample that ended a worker is searched for."""


@dataclass
class StreamedLoader(Loader):
    """Files are decoded by worker processes, and cut, resized, mirrored and recoloured there; see `transforms`."""

    cuts_on_device = False
    workers: int | None = None
    cache_bytes: int = 0
    """How much of the decoded training samples the workers keep, all together."""

    def __post_init__(self) -> None:
        if self.workers is None:
            self.workers = default_workers()

    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        size = None if self.own_size and spec is None else self.preprocess.img_size
        cache = self.cache_bytes // max(1, self.workers or 0) if spec is not None else 0
        read = _Reader(self.split, size, self.seed, spec, cache)
        for tensors, (epoch, ids, faults) in self._parcels(read, plan):
            keys = [self.split.keys[i] for i in ids] if spec is None else ()
            draws = self._draws(epoch, torch.tensor(ids, dtype=torch.int64))
            yield Batch(dict(tensors), draws, keys, faults).to(self.device)

    def _parcels(self, read: _Reader, plan: Iterator[Job]) -> Iterator[Parcel[Origin]]:
        if not self.workers:
            yield from map(read, plan)
            return
        try:
            yield from in_workers(read, plan, self.workers, pin_memory=self.device.type == "cuda")
        except WorkerEnded as error:
            culprit = None if "SIGKILL" in error.how else find_culprit(read, error.jobs)
            if culprit is None:
                raise
            at = f" while it read {self.split.keys[culprit]}"
            raise WorkerEnded(error.how, error.way_out, error.jobs, at) from error


def find_culprit(read: _Reader, jobs: Sequence[Job]) -> int | None:
    """Return which sample of some batches ends a process that reads it, if one does so again and is found soon."""
    deadline = time.monotonic() + SEARCH_S
    single = ((epoch, ids[i : i + 1]) for epoch, ids in jobs for i in range(len(ids)) if time.monotonic() < deadline)
    try:
        for _ in in_workers(read, single, 1, ahead=1):
            pass
    except WorkerEnded as error:
        return int(error.jobs[0][1][0])
    except Exception:
        return None  # another fault, and not what is asked for
    return None


class _Reader:
    """Reads the samples of a batch. In training an unreadable one is replaced by the next readable one."""

    def __init__(
        self, split: Split, size: tuple[int, ...] | None, seed: int, spec: AugmentSpec | None, cache_bytes: int = 0
    ) -> None:
        self.split, self.size, self.training = split, size, spec is not None
        self.kept: dict[int, Sample] = {}
        self.free_bytes = cache_bytes
        self.transform: TrainTransform | None = None
        if spec is not None and size is not None and len(size) == 2:
            from maecli.modalities.pictures.transforms import TrainTransform  # heavy; only training from files needs it

            self.transform = TrainTransform(spec, (size[0], size[1]), seed)

    def __call__(self, job: Job) -> Parcel[Origin]:
        """Return the stacked fields of a batch."""
        epoch, ids = job
        samples: list[dict[str, Tensor]] = []
        numbers: list[int] = []
        faults: list[Fault] = []
        for index in ids.tolist():
            for number in self._candidates(index):
                try:
                    samples.append(self._sample(epoch, number))
                except BrokenSample as error:
                    faults.append(error.fault)
                else:
                    numbers.append(number)
                    break
        names = samples[0] if samples else ()
        tensors = {name: torch.stack([sample[name] for sample in samples]) for name in names}
        return Parcel(tensors, (epoch, numbers, faults))

    def _candidates(self, index: int) -> Iterator[int]:
        """Return the position of a sample, and in training those of the ones that stand in for it."""
        num = len(self.split)
        return ((index + offset) % num for offset in range(num if self.training else 1))

    def _sample(self, epoch: int, index: int) -> dict[str, Tensor]:
        sample = self.kept.get(index) or self._read_and_keep(index)
        if self.transform is not None and sample["image"].ndim == 3:
            return self.transform(sample, epoch, index)
        return sample_tensors(sample, self.size)

    def _read_and_keep(self, index: int) -> Sample:
        """Return a sample from its file; the first ones that fit stay in memory: decoding costs the most."""
        sample = read_sample(self.split, index)
        num_bytes = sum(array.nbytes for array in sample.values())
        if num_bytes <= self.free_bytes:
            self.free_bytes -= num_bytes
            self.kept[index] = sample
        return sample
