"""One command in several processes: the first one runs it, and the others do what it asks them to.

So only the first parses, refuses, tells and writes; what it refuses ends them all, with its exit code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from maecli.errors import Interrupted, MaeError
from maecli.parallel.environment import EXIT_CODE
from maecli.parallel.world import ALONE, HANG_S, Processes, World, start
from maecli.terminal import complain

_ENDED = "mae/ended"
_ENDED_S = 3.0
"""How long a process that lost another waits for the word that all end."""
_HEARD_S = 10.0
"""How long the first waits until the others have heard it."""
_world: World = ALONE


def world() -> World:
    """Return the processes that this one belongs to."""
    return _world


def call(function: Callable[..., None], *arguments: Any) -> World:
    """Let all other processes call a function, and return the processes once the others are ready.

    They say so by a first block of `together`, in which they open what they need.
    """
    _world.call(function, *arguments)
    with _world.together():
        pass
    return _world


def lead_or_obey(command: Callable[[], int | str | None]) -> int | str | None:
    """Run a command in the first process, help it in the others, and return the exit code in all."""
    global _world
    place = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    try:
        _world = group = start(*place)
    except MaeError as error:  # some never came
        complain(f"mae: {error}")
        return 1
    code = _lead(command) if group.main else _obey(group)
    file = os.environ.get(EXIT_CODE)
    if file is None or code is None:
        return 1 if code is None else code
    if group.main:
        Path(file).write_text(str(code), encoding="utf-8")
    return 0


def _lead(command: Callable[[], int | str | None]) -> int | str | None:
    """Return the exit code of a command, once the others know it; None where one of them was lost."""
    code = command() or 0
    if not isinstance(_world, Processes) or _world.lost:
        return None
    store = dist.distributed_c10d._get_default_store()
    with contextlib.suppress(Exception):  # the launcher, with the store, may be gone
        store.set(_ENDED, str(code))
    _world.leave()
    with contextlib.suppress(Exception):  # it may be this process that keeps the store
        store.wait([f"{_ENDED}/{rank}" for rank in range(1, _world.size)], timedelta(seconds=_HEARD_S))
    return code


def _obey(group: Processes) -> int | None:
    """Do what the first process asks, and return the exit code with which it ended; None where it was lost."""
    store = dist.distributed_c10d._get_default_store()
    failed: MaeError | None = None
    try:
        group.obey()
    except MaeError as error:  # the first process has it too, and tells of it
        failed = error
    if 0 in group.missing:
        if group.speaks:
            complain(f"mae: {failed}")
        return None
    try:
        store.wait([_ENDED], timedelta(seconds=_ENDED_S if group.lost else HANG_S))
        code = int(store.get(_ENDED))
        store.set(f"{_ENDED}/{group.rank}", "")  # after which the first may end, and with it the store
        return code
    except Exception:
        if not group.lost and not isinstance(failed, Interrupted):
            complain(f"process {group.rank}: {failed}")
        return None
