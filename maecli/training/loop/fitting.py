"""How many samples fit into memory at once, found by trying."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from maecli.data.batch import Batch
from maecli.errors import MaeError
from maecli.hardware import autocast, processes_here
from maecli.memory import allowed_bytes, forget_peak_bytes, free_bytes, out_of_memory, peak_bytes, resident_bytes
from maecli.models.blocks import drawing_from
from maecli.text import number_of
from maecli.training.loop.learner import Learner, Loss

MARGIN = 0.9
"""Share of the free memory that may be taken: what is free changes."""
AGAIN = 3
"""How often what fitted before a refusal must fit after it."""
Attempt = Callable[[int], None]
"""Does what takes the most memory in a step, with so many samples at once."""


@dataclass(frozen=True)
class Lack:
    """That there is no memory for a step, and what there is memory for."""

    told: str
    size: int
    """How many samples at once were too many."""
    fitting: int | None = None
    """How many fit, as was tried: 0 where not even the least do, None where nothing could be tried."""
    least: int = 1
    """How many a process takes at once at least."""

    def __str__(self) -> str:
        if self.fitting == 0:
            fewest = "one sample fits" if self.least == 1 else f"{self.least} samples fit"
            return f"{self.told}; not even {fewest}, so a smaller --img-size or model is needed"
        says = f"memory is used up by {number_of(self.size, 'sample')} at once; "
        means = "the same: gradients are summed over the parts of a batch"
        if self.fitting is None:
            half = max(1, self.size // 2)
            return f"{says}try --micro-batch-size {half}, which means {means}"
        return f"{says}--micro-batch-size {self.fitting} fits, as was tried, and means {means}"


def lacking(learner: Learner, step: Callable[[], None], find: Callable[[MaeError], Lack]) -> Lack | None:
    """Do a step. Return None, or what it lacked memory for: `find` tells of what memory was used up for.

    Of several processes all return the lack of the one in which the fewest samples fit; the step is taken back.
    """
    world = learner.world
    try:
        with world.guarded():
            step()
        return None
    except Exception as error:
        told = out_of_memory(error)
        if told is None or learner.is_updating or not world.may_leave_a_step:
            raise
        is_own = told is not error
    # Only here is nothing held any more by the frames that the error came through.
    if is_own:
        world.say_no_memory()
    learner.take_back()
    return min(world.lacks(find(told) if is_own else None), key=lambda lack: lack.fitting or 0)


def smaller_that_fits(learner: Learner, loss_of: Loss, batch: Batch, size: int, least: int = 1) -> int | None:
    """Return the largest part of a micro-batch that fits, where it does not itself; None where none does."""
    sizes = [half for half in halves(size)[1:] if half >= least]
    free = free_now(learner.device, refused=True)
    return largest_that_fits(sizes, lambda size: rehearse(learner, loss_of, batch, size), free)


def rehearse(learner: Learner, loss_of: Loss, batch: Batch, size: int) -> None:
    """Do what takes the most memory in a step, with micro-batches of a size; nothing that is learnt changes."""
    module, optimizer = learner.module, learner.optimizer
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    moments = [] if optimizer.state else [torch.ones_like(each) for each in parameters for _ in range(2)]
    buffers = [buffer.clone() for buffer in module.buffers()]
    optimizer.zero_grad(set_to_none=True)
    try:
        for micro in itertools.islice(batch.micro_batches(size), 2):  # the second beside the gradients of the first
            with autocast(learner.device, learner.dtype), drawing_from(module, micro.draws):
                loss = loss_of(learner.running, micro)
            loss.backward()  # type: ignore[no-untyped-call]
    finally:
        optimizer.zero_grad(set_to_none=True)
        moments.clear()
        for buffer, before in zip(module.buffers(), buffers, strict=True):
            buffer.copy_(before)


def halves(size: int) -> list[int]:
    """Return a number of samples, its half, and so on, to one; even ones, as tasks may blend pairs of samples."""
    sizes = [size]
    while sizes[-1] > 1:
        half = (sizes[-1] + 1) // 2
        sizes.append(half - half % 2 if half > 1 else half)
    return sizes


def free_now(device: torch.device, refused: bool = False) -> int | None:
    """Return how many bytes may be taken on a CPU; None where that is not known, as of a GPU.

    A process that was `refused` memory holds what it may use again in pieces, which its own limits do not show.
    """
    _give_back()
    free = [free_bytes(processes_here()), None if refused else allowed_bytes()] if device.type == "cpu" else []
    return min((each for each in free if each is not None), default=None)


def largest_that_fits(sizes: Sequence[int], attempt: Attempt, free: int | None) -> int | None:
    """Return the first of these falling sizes that fits, None where none does.

    A GPU, of which `free` is None, refuses at once what does not fit. A CPU may have the process killed for it, so with
    so many bytes `free` the smallest are tried first, and larger ones as long as the peaks of two let expect that the
    next has room. Where a limit refuses one, the largest before it but one is taken, or the first below that fits again
    and again: a refusal leaves memory in pieces.
    """
    if free is None:
        return next((size for size in sizes if fits(size, attempt)), None)
    limit = resident_bytes() + MARGIN * free
    peaks: list[tuple[int, int]] = []
    for size in reversed(sizes):
        if len(peaks) > 1 and _expected(peaks[-2], peaks[-1], size) > limit:
            break
        forget_peak_bytes()
        if not fits(size, attempt):
            peaks = peaks[:-1] or peaks
            while peaks and not all(fits(peaks[-1][0], attempt) for _ in range(AGAIN)):
                peaks.pop()
            break
        peaks.append((size, peak_bytes()))
    return peaks[-1][0] if peaks else None


def fits(size: int, attempt: Attempt) -> bool:
    """Whether an attempt ends well; what it took is given back."""
    try:
        attempt(size)
    except Exception as error:
        if out_of_memory(error) is None:
            raise
    else:
        return True
    _give_back()
    return False


def _give_back() -> None:
    """Free what a failure holds in cycles of references."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _expected(first: tuple[int, int], second: tuple[int, int], size: int) -> float:
    """Return the peak for a size by those of two, on a straight line."""
    (few, low), (many, high) = first, second
    return high + (high - low) / (many - few) * (size - many)
