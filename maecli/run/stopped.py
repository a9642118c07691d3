"""What Ctrl-C leaves of a run, and how that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from maecli.errors import DamagedFile, Interrupted
from maecli.run.directory import RunDirectory


@contextlib.contextmanager
def stopped_by_hand(run: RunDirectory) -> Iterator[None]:
    """Say, where Ctrl-C ends the block, what is there of a run and how it goes on. Raises Interrupted then."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {_what_is_there(run)}") from None


def _what_is_there(run: RunDirectory) -> str:
    if not run.is_run:
        return "nothing was written"
    if run.is_finished:
        return f"{run} is finished, and --resume does what follows it"
    with contextlib.suppress(DamagedFile):
        if (last := run.checkpoints.pointed("last")) is not None:
            return f"{run} is saved at step {last.step}, and --resume goes on from there"
    return f"{run} has its settings and no trained weights yet, and --resume goes on with it"
