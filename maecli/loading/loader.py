"""Batches of a split on a device.

Which samples, in which order and with which random changes, is a function of (seed, epoch, sample) alone. So stopping,
restarting, and the number of workers change nothing.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.batching import Batching, part_of
from maecli.data.randomness import Draws, derive_seed
from maecli.data.sample import Split, TensorSplit
from maecli.data.sampling import drawn
from maecli.errors import DataError, Fault
from maecli.loading.buckets import by_size
from maecli.modalities.modality import MOST_NUMBERS
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec

Job = tuple[int, np.ndarray]
"""An epoch, and the visits to samples to read for it: the position of each, plus N for every earlier visit of it in the
epoch, of a split of N. Random changes are those of the visit."""
WHOLE = (0, 1)
"""The part of a batch, or of all batches, that one process has: the first of one."""
FIXED = -1
"""The epoch of draws that never change: evaluation, test masks."""


def epoch_order(seed: int, epoch: int, num_samples: int, chances: NDArray[np.float64] | None = None) -> np.ndarray:
    """Return the order (num_samples,) int64 in which an epoch visits the samples: each once, or by their chances."""
    generator = np.random.default_rng(derive_seed(seed, "order", epoch))
    return generator.permutation(num_samples) if chances is None else drawn(generator, chances)


def train_schedule(
    seed: int,
    batching: Batching,
    start_step: int,
    total_steps: int,
    chances: NDArray[np.float64] | None = None,
    part: tuple[int, int] = WHOLE,
) -> Iterator[Job]:
    """Yield (epoch, visits (B,)) for each step, of a part (number, of so many) of its batch."""
    steps_per_epoch, num_samples = batching.num_batches, batching.num_samples
    epoch, order = -1, np.empty(0, np.int64)
    for step in range(start_step, total_steps):
        if step // steps_per_epoch != epoch:
            epoch = step // steps_per_epoch
            order = epoch_order(seed, epoch, num_samples, chances)
        batch = order[slice(*batching.bounds(step % steps_per_epoch))]
        yield epoch, batch[slice(*part_of(len(batch), *part))]


def refuse(fault: Fault) -> None:
    """Raise DataError for a sample that cannot be read: what a loader does unless told otherwise."""
    raise DataError(str(fault))


@dataclass
class Loader(ABC):
    """Batches of one split on one device. `on_fault` is told of each sample that cannot be read.

    Whatever the loader, a sample is read, a part of it is fitted to the model's size, in its own dtype, and the rest is
    done on the device, a batch at a time: so all loaders give the same numbers.
    """

    split: Split
    preprocess: Preprocess
    device: torch.device
    seed: int
    on_fault: Callable[[Fault], None] = refuse
    own_size: bool = False
    """Whether evaluation leaves each sample at its own size; batches then hold samples of one size."""
    chances: NDArray[np.float64] | None = field(default=None, kw_only=True)
    """How likely training is to draw each sample (N,); None: an epoch visits each once."""

    @property
    def share_kept(self) -> float:
        """The share of the training samples that only the first epoch decodes; 0 where all epochs are alike."""
        return 0.0

    def train_batches(
        self,
        spec: AugmentSpec,
        batch_size: int,
        start_step: int,
        total_steps: int,
        keep: bool = False,
        part: tuple[int, int] = WHOLE,
    ) -> Generator[Batch, None, None]:
        """Yield augmented batches from `start_step` to `total_steps`, or of each a `part` (number, of so many).

        `keep`: see `Batching`.
        """
        batching = Batching(len(self.split), batch_size, keep)
        plan = train_schedule(self.seed, batching, start_step, total_steps, self.chances, part)
        for batch in self._fetch(plan, spec):
            self._report(batch)
            if not len(batch):
                raise DataError(f"none of the {len(self.split)} training samples can be read")
            yield self._finish(batch, spec)

    def eval_batches(self, batch_size: int, limit: int | None = None, part: tuple[int, int] = WHOLE) -> Iterator[Batch]:
        """Yield every sample once, unchanged; `limit` takes evenly spaced samples.

        With a `part` (number, of so many) that batch of each so many in turn.
        They come in order, but for samples at their own size: those of one size come together, none of them more than
        `buckets.WINDOW` batches late.
        """
        num = len(self.split)
        ids = np.arange(num) if limit is None or limit >= num else np.arange(limit) * num // limit
        if self.own_size and not isinstance(self.split, TensorSplit):
            parts = by_size(self.split, ids, batch_size)
        else:
            parts = (ids[i : i + batch_size] for i in range(0, len(ids), batch_size))
        for batch in self._fetch(((FIXED, each) for each in itertools.islice(parts, part[0], None, part[1])), None):
            self._report(batch)
            if len(batch):
                yield self._finish(batch, None)

    @abstractmethod
    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        """Yield the planned batches on the device, fitted, images in their own dtype and range."""

    def _draws(self, epoch: int, ids: Tensor) -> Draws:
        """Return the draws of samples; those of evaluation are the same for every seed."""
        return Draws(0 if epoch == FIXED else self.seed, epoch, ids)

    def _report(self, batch: Batch) -> None:
        for fault in batch.faults:
            self.on_fault(fault)

    def _finish(self, batch: Batch, spec: AugmentSpec | None) -> Batch:
        """Return a fetched batch as a model takes it; with a `spec`, augmented."""
        preprocess = self.preprocess
        tensors = {**batch.tensors, "image": preprocess.pixels(batch["image"])}
        if spec is not None:
            tensors = preprocess.modality.augment(tensors, batch.draws, spec, preprocess.void)
        if "valid" in tensors:
            tensors = preprocess.where_valid(tensors)
        tensors["image"] = preprocess.normalize(tensors["image"], tensors.get("valid"))
        batch.tensors = tensors
        return batch


def chance(seed: int, epoch: int, ids: Tensor, spec: AugmentSpec | None) -> list[list[float]]:
    """Return the numbers by which a part of each sample is chosen in training; none where nothing is to be chosen."""
    if spec is None:
        return [[]] * len(ids)
    return Draws(seed, epoch, ids).uniform("crop", MOST_NUMBERS).tolist()
