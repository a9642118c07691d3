"""How samples reach the device: resident in its memory, or streamed by worker processes.

Both give the same batches: which samples, in which order and with which random changes, is a function of (seed,
epoch, sample) alone. So stopping, restarting, and the number of workers change nothing.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import Draws, derive_seed
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.errors import BrokenSample, DataError, Fault
from maecli.hardware import default_workers
from maecli.loading.parcels import Parcel
from maecli.loading.reading import read_sample
from maecli.loading.workers import WorkerEnded, in_workers
from maecli.modalities.pictures.augment import augment
from maecli.modalities.pictures.fit import crop_and_resize, crop_and_resize_mask
from maecli.schema import AugmentSpec, DataSpec

if TYPE_CHECKING:
    from maecli.modalities.pictures.transforms import TrainTransform

Job = tuple[int, np.ndarray]
"""An epoch, and the positions of the samples to read for it."""
Told = tuple[int, list[int], list[Fault]]
"""What goes with a batch's tensors: the epoch, the positions of the samples, and the faults of others."""

SEARCH_S = 2.0
"""How long a sample that ended a worker is searched for."""
FIXED = -1
"""The epoch of draws that never change: evaluation, test masks."""


def epoch_order(seed: int, epoch: int, num_samples: int) -> np.ndarray:
    """Return the order (num_samples,) int64 in which an epoch visits the samples."""
    return np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(num_samples)


def train_schedule(seed: int, num_samples: int, batch_size: int, start_step: int, total_steps: int) -> Iterator[Job]:
    """Yield (epoch, ids (batch_size,)) for each step; what an epoch has left over is dropped."""
    steps_per_epoch = num_samples // batch_size
    epoch, order = -1, np.empty(0, np.int64)
    for step in range(start_step, total_steps):
        if step // steps_per_epoch != epoch:
            epoch = step // steps_per_epoch
            order = epoch_order(seed, epoch, num_samples)
        first = (step % steps_per_epoch) * batch_size
        yield epoch, order[first : first + batch_size]


def refuse(fault: Fault) -> None:
    """Raise DataError for a sample that cannot be read: what a loader does unless told otherwise."""
    raise DataError(str(fault))


@dataclass
class Loader(ABC):
    """Batches of one split on one device. `on_fault` is told of each sample that cannot be read."""

    cuts_on_device: ClassVar[bool]
    """Whether cutting, mirroring and colour are left to the device; else samples arrive with it done."""

    split: Split
    preprocess: Preprocess
    device: torch.device
    seed: int
    on_fault: Callable[[Fault], None] = refuse
    own_size: bool = False
    """Whether evaluation leaves each picture at its own size; batches then hold pictures of one size."""

    def train_batches(
        self, spec: AugmentSpec, batch_size: int, start_step: int, total_steps: int
    ) -> Generator[Batch, None, None]:
        """Yield augmented batches from `start_step` to `total_steps`."""
        plan = train_schedule(self.seed, len(self.split), batch_size, start_step, total_steps)
        for batch in self._fetch(plan, spec):
            if not len(batch):
                self._report(batch)
                raise DataError(f"none of the {len(self.split)} training samples can be read")
            yield self._finish(batch, spec)

    def eval_batches(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """Yield every sample once, in order and unchanged; `limit` takes evenly spaced samples."""
        num = len(self.split)
        ids = np.arange(num) if limit is None or limit >= num else np.arange(limit) * num // limit
        step = batch_size if self._alike() else 1
        plan = ((FIXED, ids[i : i + step]) for i in range(0, len(ids), step))
        for batch in self._fetch(plan, None):
            if len(batch):
                yield self._finish(batch, None)
            else:
                self._report(batch)

    def _alike(self) -> bool:
        """Return whether all pictures of an evaluation have one size."""
        return not self.own_size or isinstance(self.split, TensorSplit)

    @abstractmethod
    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        """Yield the planned batches on the device, images in their own dtype and range."""

    def _draws(self, epoch: int, ids: Tensor) -> Draws:
        """Return the draws of samples; those of evaluation are the same for every seed."""
        return Draws(0 if epoch == FIXED else self.seed, epoch, ids)

    def _report(self, batch: Batch) -> None:
        for fault in batch.faults:
            self.on_fault(fault)

    def _finish(self, batch: Batch, spec: AugmentSpec | None) -> Batch:
        self._report(batch)
        tensors = {**batch.tensors, "image": self.preprocess.pixels(batch["image"])}
        picture = tensors["image"].ndim == 4
        cuts = picture and spec is not None and self.cuts_on_device and spec.cuts
        if not cuts and not (self.own_size and spec is None):
            tensors["image"] = self.preprocess.resize(tensors["image"])
            if "mask" in tensors:
                tensors["mask"] = self.preprocess.resize_mask(tensors["mask"])
        if picture and spec is not None:
            size = (self.preprocess.img_size[0], self.preprocess.img_size[1])
            tensors = augment(tensors, batch.draws, spec, size, self.cuts_on_device)
        tensors["image"] = self.preprocess.normalize(tensors["image"])
        batch.tensors = tensors
        return batch


@dataclass
class ResidentLoader(Loader):
    """Small sets live on the device as one tensor per field; a batch is an index into them."""

    cuts_on_device = True
    tensors: dict[str, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        split = self.split
        tensors = split.tensors if isinstance(split, TensorSplit) else self._decode_all(split)
        self.tensors = {name: tensor.to(self.device) for name, tensor in tensors.items()}

    def _decode_all(self, split: Split) -> dict[str, Tensor]:
        samples = []
        readable = []
        for index in range(len(split)):
            try:
                samples.append(_read(read_sample(split, index), self.preprocess.img_size))
                readable.append(split.keys[index])
            except BrokenSample as error:
                self.on_fault(error.fault)
        if samples:
            tensors = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
        else:
            tensors = {"image": torch.zeros(0, self.preprocess.in_chans, *self.preprocess.img_size)}
        self.split = TensorSplit(tensors, readable)
        return tensors

    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        keys = self.split.keys
        for epoch, ids in plan:
            where = torch.from_numpy(ids).to(self.device)
            tensors = {name: tensor[where] for name, tensor in self.tensors.items()}
            yield Batch(tensors, self._draws(epoch, where), [keys[i] for i in ids] if spec is None else ())


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

    def _parcels(self, read: _Reader, plan: Iterator[Job]) -> Iterator[Parcel[Told]]:
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


class _Read(NamedTuple):
    """What a worker made of one item of the plan."""

    tensors: dict[str, Tensor]
    """Empty when nothing could be read."""
    number: int
    """Position of the sample that was read, which may stand in for the planned one."""
    faults: list[Fault]


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

    def __call__(self, job: Job) -> Parcel[Told]:
        """Return the stacked fields of a batch."""
        epoch, ids = job
        items = [self._item(epoch, index) for index in ids.tolist()]
        read = [item for item in items if item.tensors]
        names = read[0].tensors.keys() if read else ()
        tensors = {name: torch.stack([item.tensors[name] for item in read]) for name in names}
        faults = [fault for item in items for fault in item.faults]
        return Parcel(tensors, (epoch, [item.number for item in read], faults))

    def _item(self, epoch: int, index: int) -> _Read:
        faults: list[Fault] = []
        attempts = len(self.split) if self.training else 1
        for offset in range(attempts):
            number = (index + offset) % len(self.split)
            try:
                return _Read(self._sample(epoch, number), number, faults)
            except BrokenSample as error:
                faults.append(error.fault)
        return _Read({}, index, faults)

    def _sample(self, epoch: int, index: int) -> dict[str, Tensor]:
        sample = self.kept.get(index) or self._read_and_keep(index)
        if self.transform is not None and sample["image"].ndim == 3:
            return self.transform(sample, epoch, index)
        return _read(sample, self.size)

    def _read_and_keep(self, index: int) -> Sample:
        """Return a sample from its file; the first ones that fit stay in memory: decoding costs the most."""
        sample = read_sample(self.split, index)
        num_bytes = sum(array.nbytes for array in sample.values())
        if num_bytes <= self.free_bytes:
            self.free_bytes -= num_bytes
            self.kept[index] = sample
        return sample


def _read(sample: Sample, size: Sequence[int] | None) -> dict[str, Tensor]:
    """Return a sample's tensors, pictures and masks brought to a size (h, w) unless that is None."""
    tensors = {}
    for name, array in sample.items():
        if size is not None and name == "image" and array.ndim == 3:
            tensors[name] = crop_and_resize(array, size)
        elif size is not None and name == "mask":
            tensors[name] = crop_and_resize_mask(array, size)
        else:
            tensors[name] = torch.from_numpy(np.array(array))  # a copy: it may be read-only
    return tensors


def make_loader(
    split: Split,
    preprocess: Preprocess,
    device: torch.device,
    seed: int,
    spec: DataSpec,
    on_fault: Callable[[Fault], None] = refuse,
    own_size: bool = False,
) -> Loader:
    """Return the loader that suits the split, or the one that `spec.loading` asks for.

    With `own_size` (see `Loader`), pictures that differ in size are streamed in any case.
    """
    resident = isinstance(split, TensorSplit) if spec.loading == "auto" else spec.loading == "resident"
    if resident and (isinstance(split, TensorSplit) or not own_size):
        return ResidentLoader(split, preprocess, device, seed, on_fault, own_size)
    cache_bytes = int(spec.cache * 2**30)
    return StreamedLoader(split, preprocess, device, seed, on_fault, own_size, spec.workers, cache_bytes)
