"""How samples reach the device: resident in its memory, or streamed by worker processes. Both give the same batches."""

from __future__ import annotations

from collections.abc import Callable

import torch

from maecli.data.sample import Split, TensorSplit
from maecli.errors import Fault
from maecli.loading.loader import Loader, refuse
from maecli.loading.resident import ResidentLoader
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.preprocess import Preprocess
from maecli.schema import DataSpec


def make_loader(
    split: Split,
    preprocess: Preprocess,
    device: torch.device,
    seed: int,
    spec: DataSpec,
    on_fault: Callable[[Fault], None] = refuse,
    own_size: bool = False,
    chain: bool = False,
) -> Loader:
    """Return the loader that suits the split, or the one that `spec.loading` asks for.

    With `own_size` (see `Loader`), samples that differ in size are streamed in any case; so is what a `chain` of
    transforms changes in training.
    """
    resident = isinstance(split, TensorSplit) and not chain if spec.loading == "auto" else spec.loading == "resident"
    if resident and (isinstance(split, TensorSplit) or not own_size):
        return ResidentLoader(split, preprocess, device, seed, on_fault, own_size)
    cache_bytes = int(spec.cache * 2**30)
    return StreamedLoader(split, preprocess, device, seed, on_fault, own_size, spec.workers, cache_bytes)
