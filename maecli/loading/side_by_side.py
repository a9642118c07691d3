"""Jobs without tensors that other processes do, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from maecli.errors import LoadingError
from maecli.loading.parcels import Parcel
from maecli.loading.workers import WorkerEnded, WorkerPool

J = TypeVar("J")
R = TypeVar("R")


def in_processes(work: Callable[[J], R], jobs: Iterable[J], num_processes: int) -> Iterator[R]:
    """Yield `work(job)` for each job, in order, as it is done by one of some processes; some jobs are begun ahead.

    None of them is left when the iterator is closed or ends, nor when this process does, however that comes. What is
    handed over is pickled. What `work` raises is raised here; LoadingError where a process is gone.
    """
    with WorkerPool(partial(_done, work), num_processes) as pool:
        try:
            for parcel in pool.run(iter(jobs)):
                yield parcel.rest
        except WorkerEnded as error:
            free = "free some, and " if "memory runs out" in error.how else ""
            raise LoadingError(f"a process that helps {error.how}; {free}retry") from error


def _done(work: Callable[[J], R], job: J) -> Parcel[R]:
    return Parcel({}, work(job))
