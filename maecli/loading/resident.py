"""Small sets live in the memory of the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.sample import TensorSplit
from maecli.errors import BrokenSample, Fault
from maecli.loading.loader import Job, Loader, chance
from maecli.loading.reading import Reads, candidates
from maecli.modalities.boxes import whole
from maecli.modalities.fit import as_tensor, fit_alike, fit_batch
from maecli.schema import AugmentSpec

Tensors = dict[str, Tensor]
IN_BATCHES = ("cuda", "mps")
"""Devices on which a call for each sample would take too long."""


@dataclass
class ResidentLoader(Loader):
    """Samples are decoded once and live on the device at the model's size; a batch is an index into them.

    Where training cuts parts out of samples by chance, they live at their own size: on the device if they are tensors
    of one size, else in the memory of this process.
    """

    _decoded: dict[int, Tensors] = field(default_factory=dict, init=False, repr=False)
    """Samples of files that parts are cut out of, by their positions."""
    _broken: set[int] = field(default_factory=set, init=False, repr=False)

    @cached_property
    def _read(self) -> Reads:
        return Reads(self.split)

    @cached_property
    def own(self) -> Tensors:
        """The samples of a split of tensors as they are, on the device."""
        assert isinstance(self.split, TensorSplit)
        tensors = {name: tensor.to(self.device) for name, tensor in self.split.tensors.items()}
        if not self.preprocess.missing:
            return tensors
        size = tensors["image"].shape[2:]
        return fit_alike(tensors, whole(size), size, self.preprocess.void, missing=True)

    @cached_property
    def fitted(self) -> tuple[Tensors, np.ndarray]:
        """The readable samples at the model's size, on the device, and the row (N,) of each position, -1 for no row."""
        preprocess, num = self.preprocess, len(self.split)
        if isinstance(self.split, TensorSplit):
            box = preprocess.box(self.own["image"].shape[2:])
            made = fit_alike(self.own, box, preprocess.img_size, preprocess.void, preprocess.missing)
            return made, np.arange(num)
        samples: list[Tensors] = []
        rows = np.full(num, -1)
        for index in range(num):
            try:
                samples.append(preprocess.fit(self._read(index)))
            except BrokenSample as error:
                self.on_fault(error.fault)
            else:
                rows[index] = len(samples) - 1
        empty = {"image": torch.zeros(0, preprocess.in_chans, *preprocess.img_size)}
        return {name: tensor.to(self.device) for name, tensor in (_stacked(samples) or empty).items()}, rows

    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        assert spec is None or not spec.chain, "workers apply it"
        for epoch, visits in plan:
            if spec is not None and self._cuts_by_chance(spec):
                tensors, visits = self._parts(epoch, visits, spec)
            elif self.own_size and spec is None and isinstance(self.split, TensorSplit):
                where = sent(visits, self.device)
                tensors = {name: tensor[where] for name, tensor in self.own.items()}
            else:
                kept, rows = self.fitted
                visits = self._stand_ins(visits, rows) if spec is not None else visits[rows[visits] >= 0]
                where = sent(rows[visits % len(rows)], self.device)
                tensors = {name: tensor[where] for name, tensor in kept.items()}
            keys = [self.split.keys[i] for i in visits] if spec is None else ()
            yield Batch(tensors, self._draws(epoch, sent(visits, self.device)), keys)

    def _cuts_by_chance(self, spec: AugmentSpec) -> bool:
        """Whether training sees other parts of samples than evaluation does."""
        if isinstance(self.split, TensorSplit) and not spec.cuts:
            return self.preprocess.how == "crop" and self.own["image"].shape[2:] != self.preprocess.img_size
        return spec.cuts or self.preprocess.how == "crop"

    def _stand_ins(self, visits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return visits with the next readable sample in the place of one that cannot be read."""
        num = len(rows)
        if isinstance(self.split, TensorSplit) or not (rows[visits % num] < 0).any():
            return visits
        readable = (next((i for i in candidates(v % num, num, True) if rows[i] >= 0), None) for v in visits)
        return np.array([v - v % num + i for v, i in zip(visits, readable, strict=True) if i is not None], np.int64)

    def _parts(self, epoch: int, visits: np.ndarray, spec: AugmentSpec) -> tuple[Tensors, np.ndarray]:
        """Return the parts of samples that chance chooses, on the device, and the visits of those samples."""
        preprocess, num = self.preprocess, len(self.split)
        if not isinstance(self.split, TensorSplit):
            samples = [(v - v % num, found) for v in visits.tolist() if (found := self._sample(v % num)) is not None]
            visits = np.array([earlier + index for earlier, (index, _) in samples], np.int64)
            tensors = [tensors for _, (_, tensors) in samples]
        numbers = chance(self.seed, epoch, torch.from_numpy(visits), spec)
        if isinstance(self.split, TensorSplit):
            ids = visits % num
            where = sent(ids, self.device)
            if self.device.type in IN_BATCHES and not preprocess.missing:
                alike = {name: tensor[where] for name, tensor in self.own.items()}
                boxes = [preprocess.box(alike["image"].shape[2:], spec, each) for each in numbers]
                return fit_batch(alike, boxes, preprocess.img_size, preprocess.void), visits
            tensors = [{name: tensor[i] for name, tensor in self.own.items()} for i in ids]
        made = []
        for one, each in zip(tensors, numbers, strict=True):
            box = preprocess.box(one["image"].shape[1:], spec, each, one.get("centres"))
            made.append(fit_alike(one, box, preprocess.img_size, preprocess.void, preprocess.missing))
        return {name: tensor.to(self.device) for name, tensor in _stacked(made).items()}, visits

    def _sample(self, index: int) -> tuple[int, Tensors] | None:
        """Return a sample of a file, or the next one that can be read, and its position; it is decoded once."""
        faults: dict[int, Fault] = {}
        for number in candidates(index, len(self.split), True):
            if number in self._broken:
                continue
            if number not in self._decoded:
                try:
                    sample = self._read(number)
                except BrokenSample as error:
                    faults[number] = error.fault
                    continue
                self._decoded[number] = {name: as_tensor(array) for name, array in sample.items()}
            break
        self._broken.update(faults)
        for fault in faults.values():  # not before it is known that the data are there
            self.on_fault(fault)
        return (number, self._decoded[number]) if number in self._decoded else None


def sent(ids: np.ndarray, device: torch.device) -> Tensor:
    """Return positions on a device, without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(ids))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _stacked(samples: list[Tensors]) -> Tensors:
    return {name: torch.stack([sample[name] for sample in samples]) for name in (samples[0] if samples else ())}
