"""A form of a model in a process of its own, which takes turns when it is told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from maecli.errors import MaeError
from maecli.memory import forget_peak_bytes, peak_bytes, resident_bytes
from maecli.text import shortened

Step = Callable[[Tensor], object]
"""Takes raw samples (B, C, *S), and is done when its answers are there."""
Load = Callable[[int], Step]
"""Makes a step that uses a number of threads; can be pickled."""
WARM_UP = 3
END_S = 5.0
"""How long a process has to end by itself."""


@dataclass(frozen=True)
class Memory:
    """What a process held in memory, in bytes; 0 where the system does not tell."""

    before: int
    """With Python and torch alone."""
    resident: int
    """At the end."""
    peak: int

    @property
    def added(self) -> int:
        """What loading the model and running it took, at its peak."""
        return max(0, self.peak - self.before)


class Process:
    """A racer, see `turns.Racer`, that runs steps in a process of its own."""

    def __init__(self, name: str, load: Load, samples: np.ndarray, threads: int) -> None:
        """Start it. `samples` (B, C, *S): batches are made of their first ones."""
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, name, load, samples, threads), daemon=True)
        self.process.start()
        theirs.close()

    def feed(self, batch_size: int) -> None:
        self._call("feed", batch_size)

    def turn(self, seconds: float) -> Sequence[float]:
        steps: Sequence[float] = self._call("turn", seconds)
        return steps

    def memory(self) -> Memory:
        memory: Memory = self._call("memory")
        return memory

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            self.connection.send((name, *arguments))
            done, value = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join(END_S)
            raise MaeError(f"its process ended (exit code {self.process.exitcode})") from error
        if not done:
            raise MaeError(value)
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.join(END_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Steps:
    """A racer that runs in this process."""

    def __init__(self, name: str, load: Load, samples: np.ndarray, threads: int) -> None:
        self.name = name
        self._load, self.samples, self.threads = load, torch.from_numpy(samples), threads
        self.before = resident_bytes()
        forget_peak_bytes()
        self.step: Step | None = None

    def feed(self, batch_size: int) -> None:
        self.batch = self.samples[:batch_size].contiguous()
        if self.step is None:
            self.step = self._load(self.threads)
        for _ in range(WARM_UP):
            self.step(self.batch)

    def turn(self, seconds: float) -> list[float]:
        assert self.step is not None
        self.step(self.batch)  # wakes up from waiting
        steps: list[float] = []
        while not steps or sum(steps) < seconds:
            begin = time.perf_counter()
            self.step(self.batch)
            steps.append(time.perf_counter() - begin)
        return steps

    def memory(self) -> Memory:
        return Memory(self.before, resident_bytes(), peak_bytes())


def _serve(connection: Connection, name: str, load: Load, samples: np.ndarray, threads: int) -> None:
    """Do what the other process asks for, until it closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other one ends it
    os.dup2(2, 1)  # what libraries print is no answer of the verb
    torch.set_num_threads(threads)
    steps = Steps(name, load, samples, threads)
    try:
        while True:
            method, *arguments = connection.recv()
            try:
                connection.send((True, getattr(steps, method)(*arguments)))
            except Exception as error:  # of whatever library
                said = str(error) if isinstance(error, MaeError) else f"{type(error).__name__}: {error}"
                connection.send((False, shortened(" ".join(said.split()), 300)))
    except (EOFError, OSError):
        return
