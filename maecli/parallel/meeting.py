"""How processes that start together find each other, in a store that may outlive them.

That of torchrun stays while it starts its processes anew, and holds what those that died wrote. How often it did so
tells nothing: a machine that comes back counts from 0. So each process knocks with a word of its own, and the first
answers with the name of this meeting, under which all of them write from then on.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from maecli.errors import MaeError

POLL_S = 0.05


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
    while missing:
        if time.monotonic() > until:
            who = f"process {', '.join(map(str, sorted(missing)))} of {size}"
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
