"""Processes that do jobs side by side, and hand over tensors through a socket each.

torch's own workers hand tensors over in shared memory, and share one queue. Where `/dev/shm` is small (64 MB is
Docker's default) or file handles are few, a thread of the worker drops the batch that it cannot send, and the main
process waits for it for ever; so it does when a killed worker leaves half a message, or a lock that it held. Here
nothing is shared: a socket ends with the process behind it, whatever ended that, and both sides notice at once.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import queue
import random
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch

from maecli.errors import LoadingError, MaeError
from maecli.loading.parcels import ByValue, Parcel, carried, pack, receive
from maecli.loading.shortage import IN_MAIN, LESS_MEMORY, shortage

J = TypeVar("J")
R = TypeVar("R")

AHEAD = 4
"""Jobs that a worker has been given, and whose results were not taken yet, unless told otherwise."""
END_S = 1.0
"""How long workers whose sockets are closed may take to end before they are killed."""
GONE_S = 5.0
"""How long a process that closed its socket is waited for, to say how it ended."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""Those by which a person, a scheduler, or a terminal that is closed, ends the processes of a command."""

_living: set[_Worker] = set()


class WorkerEnded(LoadingError):
    """A worker process is gone: `how` it ended, the `way_out`, and the `jobs` whose results it still owed."""

    def __init__(self, how: str, way_out: str, jobs: Sequence[Any] = (), at: str = "") -> None:
        super().__init__(f"a data worker {how}{at}; {way_out}")
        self.how, self.way_out, self.jobs = how, way_out, jobs


class WorkerPool(Generic[J, R]):
    """Processes that do `work`, and stay between one run over jobs and the next.

    They start with the first run, `num_workers` of them, and wait idle after each that comes to its end, so that a
    validation per epoch starts none. Those of a run that fails, is interrupted, or is closed while they owe results
    are ended; the next run then starts others, as does a run that begins while another still goes on.

    An idle process waits for its socket and takes no time of a core. Forked, it has some 30 MB of its own beside the
    pages that it shares with the main process; started otherwise, an interpreter with torch: some 300 MB. It also keeps
    what `work` keeps. A program with three pools of W workers has up to 3 W idle ones: close what is done with.

    None is left when the pool is closed or collected, nor when the main process ends, however it does. A pool belongs
    to the process, and the thread, that made it.
    """

    def __init__(self, work: Callable[[J], Parcel[R]], num_workers: int, pin_memory: bool = False) -> None:
        self.work, self.num_workers, self.pin_memory = work, num_workers, pin_memory
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        """The idle ones, and those that runs have taken."""
        weakref.finalize(self, _end, self._workers).atexit = False  # `_end_all` comes in time for that

    def run(self, jobs: Iterator[J], ahead: int = AHEAD) -> Generator[Parcel[R], None, None]:
        """Yield `work(job)` for each job, in order; job i is done by worker i modulo `num_workers`.

        What `work` raises is raised here, when its turn comes. Raises WorkerEnded when a process is gone, and
        LoadingError when one cannot be started.
        """
        workers = self._taken() or self._started()
        try:
            with _selector(workers) as sockets:
                yield from _in_order(workers, sockets, jobs, self.pin_memory, ahead)
        finally:
            self._give_back(workers)

    def close(self) -> None:
        """End the processes, also those of a run that still goes on: it fails when it is asked for more."""
        _end(self._workers)
        self._workers.clear()
        self._idle.clear()

    def __enter__(self) -> WorkerPool[J, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _taken(self) -> list[_Worker]:
        """Return the idle workers, none where one of them has ended meanwhile."""
        workers, self._idle = self._idle, []
        if all(worker.is_there() for worker in workers):
            return workers
        self._ended(workers)
        return []

    def _started(self) -> list[_Worker]:
        workers: list[_Worker] = []
        try:
            for number in range(self.num_workers):
                workers.append(_Worker(self.work, number))
                self._workers.append(workers[-1])
        except BaseException as error:
            self._ended(workers)
            if not isinstance(error, OSError):
                raise
            raise _not_started(self.num_workers, error) from error
        return workers

    def _give_back(self, workers: list[_Worker]) -> None:
        """Let workers wait for the next run if they can: if they owe nothing, and others do not wait already."""
        if self._idle or not all(worker.is_open and not worker.owed for worker in workers):
            self._ended(workers)
        else:
            self._idle = workers

    def _ended(self, workers: Sequence[_Worker]) -> None:
        _end(workers)
        for worker in workers:
            if worker in self._workers:
                self._workers.remove(worker)


def _not_started(num_workers: int, error: OSError) -> LoadingError:
    reason = shortage(error) or f"{error.strerror or error}; {IN_MAIN}"
    return LoadingError(f"{num_workers} data workers cannot be started: {reason}")


@contextlib.contextmanager
def _selector(workers: Sequence[_Worker]) -> Iterator[selectors.BaseSelector]:
    try:
        sockets = selectors.DefaultSelector()
    except OSError as error:
        raise _not_started(len(workers), error) from error
    with sockets:
        for worker in workers:
            sockets.register(worker.socket, selectors.EVENT_READ, worker)
        yield sockets


def _in_order(
    workers: Sequence[_Worker], sockets: selectors.BaseSelector, jobs: Iterator[J], pin_memory: bool, ahead: int
) -> Iterator[Parcel[Any]]:
    numbered = enumerate(jobs)
    waiting: deque[int] = deque()
    done: dict[int, Parcel[Any]] = {}

    def give(num: int) -> None:
        for number, job in islice(numbered, num):
            workers[number % len(workers)].give(number, job)
            waiting.append(number)

    give(ahead * len(workers))
    while waiting:
        while waiting[0] not in done:
            for key, _ in sockets.select():
                number, parcel = key.data.take(pin_memory)
                done[number] = parcel
        parcel = done.pop(waiting.popleft())
        if isinstance(parcel.rest, _Failure):
            raise parcel.rest.error
        give(1)
        yield parcel
        if not workers[0].is_open:
            raise RuntimeError("the data workers were closed while more was asked of them")


class _Worker:
    """The main process's side of a worker."""

    def __init__(self, work: Callable[[Any], Parcel[Any]], number: int) -> None:
        self.owed: deque[tuple[int, Any]] = deque()
        """Jobs whose results it owes, with their numbers."""
        self.socket, theirs = socket.socketpair()
        self.process = multiprocessing.Process(target=_serve, args=(theirs, ByValue(work), number), daemon=True)
        _living.add(self)
        try:
            with _signals_wait():
                self.process.start()
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()

    @property
    def is_open(self) -> bool:
        """Whether this process may use it: not after `close`, nor in a child."""
        return self in _living

    def is_there(self) -> bool:
        """Whether its process still runs."""
        return self.is_open and self.process.is_alive()

    def give(self, number: int, job: object) -> None:
        self.owed.append((number, job))
        try:
            for part in pack(Parcel({}, job)):
                self.socket.sendall(part)
        except ConnectionError:
            raise self._gone() from None

    def take(self, pin_memory: bool) -> tuple[int, Parcel[Any]]:
        """Return the number and the result of the job that it was at. Raises WorkerEnded."""
        try:
            parcel = receive(self.socket, pin_memory)
        except EOFError:
            raise self._gone() from None
        return self.owed.popleft()[0], parcel

    def _gone(self) -> WorkerEnded:
        self.process.join(GONE_S)
        return WorkerEnded(*_how_it_ended(self.process.exitcode), [job for _, job in self.owed])

    def close(self) -> None:
        self.socket.close()
        _living.discard(self)


def _how_it_ended(code: int | None) -> tuple[str, str]:
    """Return how, and the way out."""
    if code is None:
        return "closed its connection", IN_MAIN
    if code >= 0:
        return f"ended by itself with exit code {code}", IN_MAIN
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if name == "SIGKILL":
        return f"was killed by {name}, as the system does when memory runs out", LESS_MEMORY
    if name == "SIGBUS":
        full = "/dev/shm or a disk is full, or a file shrinks while it is read"
        return f"was killed by {name}, as happens where {full}", f"make room (docker run --shm-size); {IN_MAIN}"
    return f"was killed by {name}", f"mend or remove what it read, or update what decodes it; {IN_MAIN}"


def _end(workers: Sequence[_Worker]) -> None:
    """Leave no process behind: a worker ends when its socket does, and is killed if it cannot."""
    workers = [worker for worker in workers if worker.is_open]
    for worker in workers:
        worker.close()
    deadline = time.monotonic() + END_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(END_S)  # one that hangs in the kernel ends when that lets go of it
        if not worker.process.is_alive():
            worker.process.close()


@atexit.register
def _end_all() -> None:
    """End workers whose generator was never closed, before `multiprocessing` waits for them."""
    _end(list(_living))


def _forget_all() -> None:
    """Close the copies that a fork made of other workers' sockets: a socket ends with the last one who has it."""
    for worker in list(_living):
        worker.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back while a process is started, or they would find the main process's handlers in it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Failure(NamedTuple):
    """What a job raised."""

    error: Exception


def _serve(end: socket.socket, work: ByValue, number: int) -> None:
    """Do jobs in a worker until the socket ends. Two threads receive and send, so that no job waits for the other side.

    The signal that a terminal or scheduler sends to every process is left to the main one: it saves.
    """
    for ignored in SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    torch.set_num_threads(1)
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    results: queue.SimpleQueue[list[memoryview]] = queue.SimpleQueue()
    try:
        for move in (lambda: jobs.put(receive(end).rest), lambda: _send(end, results.get())):
            threading.Thread(target=_until_the_end, args=(move,), daemon=True).start()
    except RuntimeError as error:
        _send(end, _failure(error))
        os._exit(1)
    while True:
        results.put(_result(work.value, jobs.get()))


def _send(end: socket.socket, parts: list[memoryview]) -> None:
    for part in parts:
        end.sendall(part)


def _until_the_end(move: Callable[[], None]) -> None:
    """Repeat `move`; when the main process is gone end this one, whatever it is at."""
    try:
        while True:
            move()
    except (EOFError, ConnectionError):
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _result(work: Callable[[Any], Parcel[Any]], job: Any) -> list[memoryview]:
    try:
        return pack(work(job))
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> list[memoryview]:
    """Return a parcel with the error, or with one that says the same where it cannot be pickled."""
    if not isinstance(error, MaeError) and (short := shortage(error)):
        error = LoadingError(f"a data worker fails: {short}")
    if not isinstance(error, MaeError):
        error.add_note(f"In a data worker:\n{traceback.format_exc()}")
    return pack(Parcel({}, _Failure(_portable(error))))


def _portable(error: Exception) -> Exception:
    with contextlib.suppress(Exception):
        again = carried(error)
        if type(again) is type(error) and str(again) == str(error):
            return error
    if isinstance(error, MaeError):
        return MaeError(str(error))
    stand_in = RuntimeError(f"{type(error).__name__}: {error}")
    stand_in.__notes__ = getattr(error, "__notes__", [])
    return stand_in
