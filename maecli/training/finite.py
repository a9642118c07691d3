"""Outputs that are no numbers, and which samples of a batch they come from.

Finite weights may give NaN or infinity for a sample that is far from all that was learnt. Such a sample is left out
like one that cannot be read, whatever the task: what counts is what the module and its parts return.

Shapes: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.data.randomness import Draws
from maecli.errors import Fault

NOT_FINITE = "the model's output is not finite (NaN or infinite)"
TOO_LARGE = "holds values too large to be normalised: they become infinite"
MOST_EXTREMES = 1024
"""Numbers of a step that are held one by one."""

T = TypeVar("T")


class NotFiniteOutput(Exception):
    """A module returned NaN or infinity; the message is the reason for leaving the sample out."""


class OutputWatch:
    """Watches, inside its block, what a module and its direct parts return.

    The lowest and the highest value of each output stay on the device until a step is done, be it of one batch or of a
    whole split, so that no layer is waited for. What holds no layers of its own, as a list of modules, counts as its
    parts.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._extremes: list[Tensor] = []

    def __enter__(self) -> Self:
        parts = (self.module, *_parts(self.module))
        self._hooks = [part.register_forward_hook(self._see) for part in dict.fromkeys(parts)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def run(self, step: Callable[[], T]) -> T:
        """Return what `step` returns. Raises NotFiniteOutput where an output in it is not finite."""
        self._extremes.clear()
        try:
            made = step()
        except Exception as error:
            if self._finite():
                raise
            raise NotFiniteOutput(NOT_FINITE) from error  # it stumbled over NaN, as an index or in a drawing
        if not self._finite():
            raise NotFiniteOutput(NOT_FINITE)
        return made

    def _see(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        for tensor in _tensors(output):
            if tensor.is_floating_point() and tensor.numel():
                values = tensor.detach()
                self._extremes += [values.amin().float(), values.amax().float()]  # NaN is both
        if len(self._extremes) > MOST_EXTREMES:
            self._extremes = [torch.stack(self._extremes).abs().amax()]

    def _finite(self) -> bool:
        return not self._extremes or bool(torch.stack(self._extremes).isfinite().all())  # waits for the device


def try_samples(
    watch: OutputWatch, batch: Batch, step: Callable[[Batch], T]
) -> tuple[list[tuple[Batch, T]], dict[int, Fault]]:
    """Return what `step` makes of a batch, and the faults of the others by their position in it.

    The whole batch is one part, unless an output is not finite: then each sample is tried by itself.
    """
    try:
        return [(batch, watch.run(partial(step, batch)))], {}
    except NotFiniteOutput as error:
        if len(batch) == 1:
            return [], {0: Fault(batch.keys[0], str(error))}
    made: list[tuple[Batch, T]] = []
    faults: dict[int, Fault] = {}
    for position, one in enumerate(batch.micro_batches(1)):
        try:
            made.append((one, watch.run(partial(step, one))))
        except NotFiniteOutput as error:
            faults[position] = Fault(batch.keys[position], str(error))
    return made, faults


def not_finite(values: Tensor) -> list[int]:
    """Return the positions (B,) at which values (B, ...) are not all finite."""
    rows = values.flatten(1)
    finite = rows.amin(1).isfinite() & rows.amax(1).isfinite()  # NaN is both; many times as fast as asking each value
    return [] if finite.all() else (~finite).nonzero().flatten().tolist()


def without(batch: Batch, positions: Iterable[int]) -> Batch:
    """Return a batch without the samples at some positions."""
    gone = set(positions)
    if not gone:
        return batch
    kept = [i for i in range(len(batch)) if i not in gone]
    draws = batch.draws
    where = torch.tensor(kept, dtype=torch.int64, device=draws.ids.device)
    return replace(
        batch,
        tensors={name: tensor[where.to(tensor.device)] for name, tensor in batch.tensors.items()},
        draws=Draws(draws.seed, draws.epoch, draws.ids[where]),
        keys=[batch.keys[i] for i in kept] if batch.keys else (),
    )


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):  # never called
            yield from _parts(child)
        else:
            yield child


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from _tensors(value)
