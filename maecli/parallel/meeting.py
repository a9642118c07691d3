"""How processes that start together find each other, in a store that may outlive them.

That of torchrun stays while it starts its processes anew, and holds what those that died wrote. How often it did so
tells nothing: a machine that comes back counts from 0. So each process knocks with a word of its own, and the first
answers with the name of this meeting, under which all of them write from then on.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from maecli.errors import MaeError
from maecli.terminal import complain

POLL_S = 0.05
LATE_S = 60.0
"""After how long those that are there say whom they wait for."""


@contextlib.contextmanager
def telling_whom(rank: int, size: int, where: str) -> Iterator[None]:
    """Say whom a process waits for, where it does so for long: the first, and the second, which it is that waits for
    the first.
    """
    whom = "process 0" if rank else f"all of process 1 to {size - 1}"
    late = threading.Timer(LATE_S, complain, [f"mae: process {rank} of {size} waits at {where} for {whom}"])
    late.daemon = True
    if rank < 2:
        late.start()
    try:
        yield
    finally:
        late.cancel()


def meet(store: Any, rank: int, size: int) -> str:
    """Return the name of a meeting, the same in all of the processes that are there now, once all are there.

    `store`: one of torch.distributed, whose timeout is how long they wait. Raises MaeError where some never come, in
    the first process, and what the store raises in the others.
    """
    word = uuid.uuid4().hex
    if rank > 0:
        store.set(f"mae/knock/{rank}", word)
        name = store.get(f"mae/answer/{word}").decode()
        store.set(f"mae/{name}/here/{rank}", "")
        return name
    missing, answered = set(range(1, size)), set()
    until = time.monotonic() + store.timeout.total_seconds()
    late = time.monotonic() + LATE_S
    while missing:
        who = f"process {', '.join(map(str, sorted(missing)))} of {size}"
        if time.monotonic() > late:
            complain(f"mae: waiting for {who}")
            late = math.inf
        if time.monotonic() > until:
            raise MaeError(f"{who} did not come within {store.timeout.total_seconds():g} s, so nothing began")
        for other in sorted(missing):
            knock = f"mae/knock/{other}"
            if store.check([knock]) and (theirs := store.get(knock).decode()) not in answered:
                store.set(f"mae/answer/{theirs}", word)
                answered.add(theirs)
            if store.check([f"mae/{word}/here/{other}"]):
                missing.remove(other)
        time.sleep(POLL_S)
    return word
