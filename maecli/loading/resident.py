"""Small sets live in the memory of the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.sample import Split, TensorSplit
from maecli.errors import BrokenSample
from maecli.loading.loader import Job, Loader
from maecli.loading.reading import read_sample, sample_tensors
from maecli.schema import AugmentSpec


@dataclass
class ResidentLoader(Loader):
    """Small sets live on the device as one tensor per field; a batch is an index into them."""

    cuts_on_device = True
    tensors: dict[str, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        split = self.split if isinstance(self.split, TensorSplit) else self._decoded(self.split)
        self.split = split
        self.tensors = {name: tensor.to(self.device) for name, tensor in split.tensors.items()}

    def _decoded(self, split: Split) -> TensorSplit:
        """Return the samples of a split that can be read, at the model's size."""
        samples = []
        keys = []
        for index in range(len(split)):
            try:
                samples.append(sample_tensors(read_sample(split, index), self.preprocess.img_size))
                keys.append(split.keys[index])
            except BrokenSample as error:
                self.on_fault(error.fault)
        if samples:
            tensors = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
        else:
            tensors = {"image": torch.zeros(0, self.preprocess.in_chans, *self.preprocess.img_size)}
        return TensorSplit(tensors, keys)

    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        keys = self.split.keys
        for epoch, ids in plan:
            where = torch.from_numpy(ids).to(self.device)
            tensors = {name: tensor[where] for name, tensor in self.tensors.items()}
            yield Batch(tensors, self._draws(epoch, where), [keys[i] for i in ids] if spec is None else ())
