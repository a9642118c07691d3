"""What processes make of the batches of one split, each of its share, one after the other at the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from maecli.errors import Fault
from maecli.loading.loader import Loader
from maecli.parallel.world import World

T = TypeVar("T")


def shared(own: Iterator[T], loader: Loader, world: World) -> Iterator[T]:
    """Yield, in the first process, what all have made, by turns; in the others nothing.

    The loader's `on_fault` is told there of the faults that any has met.
    """
    faults: list[Fault] = []
    if not world.main:
        loader.on_fault = faults.append
    more = True
    while more:
        with world.together():
            made = next(own, None)
        parts = world.gathered((made, [*faults]), only_first=True)
        faults.clear()
        more = any(world.gathered(made is not None))
        for one, met in parts:
            for fault in met:
                loader.on_fault(fault)
            if one is not None:
                yield one
