"""A disk on which the n-th call goes wrong: the process is killed before it, or it and all later ones are refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from maecli.storage.ledger import Ledger
from maecli.training import checkpoint

CALLS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")),
    *((Path, "write_bytes"), (Ledger, "_append"), (checkpoint, "save_file")),
)
"""What touches a disk. A kill before one is a kill after the one before it: after a temporary file, after its fsync,
between two renames."""
FREEING = ("unlink", "rmdir")
"""What a full disk does not refuse."""


class Disk:
    """Counts calls; `act` is told the name of each, before it is done, its number from 1, and on what it is done."""

    def __init__(self, act: Callable[[str, int, Any], None] = lambda name, number, target: None) -> None:
        self.act, self.calls = act, 0
        self._before = [(owner, name, getattr(owner, name)) for owner, name in CALLS]

    def __enter__(self) -> Disk:
        for owner, name, call in self._before:
            setattr(owner, name, self._watched(name, call))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, call in self._before:
            setattr(owner, name, call)

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            self.act(name, self.calls, arguments[0])
            return call(*arguments, **options)

        return watched


def kills(at: int) -> Disk:
    """Return a disk on which the process is killed before a call."""

    def act(name: str, number: int, target: Any) -> None:
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return Disk(act)


def refuses(at: int, code: int) -> Disk:
    """Return a disk that refuses a call, and whatever is written after it."""

    def act(name: str, number: int, target: Any) -> None:
        if number < at or name in FREEING or (name == "mkdir" and Path(target).exists()):
            return
        if name == "save_file":
            raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(code)} (os error {code})")
        raise OSError(code, os.strerror(code))

    return Disk(act)
