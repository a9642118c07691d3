"""Batches of a split on a device.

Which samples, in which order and with which random changes, is a function of (seed, epoch, sample) alone. So stopping,
restarting, and the number of workers change nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import Draws, derive_seed
from maecli.data.sample import Split, TensorSplit
from maecli.errors import DataError, Fault
from maecli.modalities.pictures.augment import augment
from maecli.schema import AugmentSpec

Job = tuple[int, np.ndarray]
"""An epoch, and the positions of the samples to read for it."""
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
            self._report(batch)
            if not len(batch):
                raise DataError(f"none of the {len(self.split)} training samples can be read")
            yield self._finish(batch, spec)

    def eval_batches(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """Yield every sample once, in order and unchanged; `limit` takes evenly spaced samples."""
        num = len(self.split)
        ids = np.arange(num) if limit is None or limit >= num else np.arange(limit) * num // limit
        alike = not self.own_size or isinstance(self.split, TensorSplit)
        step = batch_size if alike else 1
        plan = ((FIXED, ids[i : i + step]) for i in range(0, len(ids), step))
        for batch in self._fetch(plan, None):
            self._report(batch)
            if len(batch):
                yield self._finish(batch, None)

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
        """Return a fetched batch as a model takes it; with a `spec`, augmented."""
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
