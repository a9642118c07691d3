"""What Ctrl-C, or a scheduler, leaves of a run, and how that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from maecli.errors import DamagedFile, Interrupted
from maecli.parallel.lead import world
from maecli.run.directory import RunDirectory
from maecli.training.loop.stopping import OF_SCHEDULERS, listening


@contextlib.contextmanager
def stopped_by_hand(run: RunDirectory) -> Iterator[None]:
    """Say, where a signal ends the block, what is there of a run and how it goes on. Raises Interrupted then.

    One of several processes, which may wait for the others where no signal is heard, ends by any but Ctrl-C as ever.
    """
    alone = world().size == 1
    try:
        with listening(_interrupt, numbers=OF_SCHEDULERS) if alone else contextlib.nullcontext():
            yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {_what_is_there(run)}") from None


def _interrupt(number: int) -> None:
    raise KeyboardInterrupt


def _what_is_there(run: RunDirectory) -> str:
    if not run.is_run:
        return "nothing was written"
    if run.is_finished:
        return f"{run} is finished, and --resume does what follows it"
    with contextlib.suppress(DamagedFile):
        if (last := run.checkpoints.pointed("last")) is not None:
            return f"{run} is saved at step {last.step}, and --resume goes on from there"
    return f"{run} has its settings and no trained weights yet, and --resume goes on with it"
