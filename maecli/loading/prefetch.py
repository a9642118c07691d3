"""Batches that reach the device while it is at work on the one before."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.randomness import Draws


def prefetched(batches: Generator[Batch, None, None], device: torch.device) -> Generator[Batch, None, None]:
    """Yield the batches on `device`, in order, and close their generator at the end.

    To CUDA each is copied from page-locked memory on a stream of its own, while the one before is worked on; nobody
    waits for a copy but the device, and that only for the batch it needs. So one batch more lies in its memory, two
    while a copy begins, and one more has been taken than was yielded.
    """
    with contextlib.closing(batches):
        if device.type == "cuda":
            yield from _copied_aside(batches, device)
        else:
            for batch in batches:
                yield batch.to(device)


def _copied_aside(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    before: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(stream):
            copy = _pinned(batch).to(device)  # in its own memory pool, that of the stream
            copied = stream.record_event()
        if before is not None:
            yield _handed_over(*before)
        before = copy, copied
    if before is not None:
        yield _handed_over(*before)


def _handed_over(batch: Batch, copied: torch.cuda.Event) -> Batch:
    """Return a batch to work on in the current stream, which waits for its copy, not for those begun since."""
    device = batch.draws.ids.device
    current = torch.cuda.current_stream(device)
    current.wait_event(copied)
    for tensor in (*batch.tensors.values(), batch.draws.ids):
        tensor.record_stream(current)  # or its memory might go to the next copy while this stream still reads it
    return batch


def _pinned(batch: Batch) -> Batch:
    """Return a batch in page-locked memory: from other memory a copy waits. What is there already is not copied."""
    tensors = {name: _pin(tensor) for name, tensor in batch.tensors.items()}
    draws = Draws(batch.draws.seed, batch.draws.epoch, _pin(batch.draws.ids))
    return replace(batch, tensors=tensors, draws=draws)


def _pin(tensor: Tensor) -> Tensor:
    return tensor.pin_memory() if tensor.is_cpu else tensor
