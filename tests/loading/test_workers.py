"""Workers that end in every way there is: one sentence within seconds, and no process left."""

from __future__ import annotations

import errno
import faulthandler
import functools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from maecli.errors import DataError, Fault, LoadingError, UnknownPlugin
from maecli.loading import workers
from maecli.loading.parcels import Parcel
from maecli.loading.workers import AHEAD, WorkerEnded, WorkerPool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")


def in_workers(work, jobs, num_workers):
    """Yield what workers of a pool of its own make of some jobs."""
    with WorkerPool(work, num_workers) as pool:
        yield from pool.run(jobs)


def squared(number):
    return Parcel({"square": torch.tensor(number * number)}, (number, os.getpid()))


class At:
    """Work that does something at one job."""

    def __init__(self, job, act):
        self.job, self.act = job, act

    def __call__(self, number):
        if number == self.job:
            self.act()
        return squared(number)


def die_by(number):
    def act():
        faulthandler.disable()  # it would tell where
        os.kill(os.getpid(), number)

    return act


def raising(error):
    def act():
        raise error

    return act


def hang():
    while True:
        time.sleep(60)


def taken(act, num_workers=2):
    """Return the jobs whose results came, the error, and the seconds that it took."""
    begin, seen = time.monotonic(), []
    try:
        for parcel in in_workers(At(5, act), iter(range(20)), num_workers):
            seen.append(parcel.rest[0])
    except Exception as error:
        return seen, error, time.monotonic() - begin
    raise AssertionError(seen)


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    assert multiprocessing.active_children() == []
    assert workers._living == set()


@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("num_jobs", [0, 2, 20])
def test_results_come_in_order_and_each_worker_has_its_share(num_workers, num_jobs):
    parcels = list(in_workers(squared, iter(range(num_jobs)), num_workers))
    assert [int(parcel.tensors["square"]) for parcel in parcels] == [i * i for i in range(num_jobs)]
    processes = [parcel.rest[1] for parcel in parcels]
    assert os.getpid() not in processes
    assert all(one == other for one, other in zip(processes, processes[num_workers:], strict=False))
    assert len(set(processes)) == min(num_workers, num_jobs)


@pytest.mark.slow
def test_spawned_workers_do_the_same(monkeypatch):
    monkeypatch.setattr(workers, "multiprocessing", multiprocessing.get_context("spawn"))
    in_memory = {"image": torch.tensor([3, 4])}
    parcels = list(in_workers(functools.partial(Parcel, in_memory), iter(range(3)), 1))
    assert [parcel.tensors["image"].tolist() for parcel in parcels] == [[3, 4]] * 3
    assert [parcel.rest for parcel in parcels] == [0, 1, 2]
    with pytest.raises(WorkerEnded, match="ended by itself with exit code 3"):
        next(in_workers(os._exit, iter([3]), 1))


def test_no_more_is_begun_than_is_ahead():
    begun = []
    parcels = in_workers(squared, (begun.append(i) or i for i in range(100)), 2)
    next(parcels)
    assert len(begun) == 2 * AHEAD + 1
    parcels.close()


def test_a_worker_draws_other_numbers_than_the_main_process_and_its_siblings():
    def draw(_):
        return Parcel({"drawn": torch.rand(1)}, random.random())

    parcels = list(in_workers(draw, iter(range(2)), 2))
    assert len({parcel.rest for parcel in parcels} | {random.random()}) == 3
    assert not parcels[0].tensors["drawn"].equal(parcels[1].tensors["drawn"])


KILLED = {
    signal.SIGKILL: "was killed by SIGKILL, as the system does when memory runs out; use less with a smaller "
    "--batch-size, --set data.cache=0 or fewer --workers; --set data.workers=0 reads in the main process",
    signal.SIGBUS: "was killed by SIGBUS, as happens where /dev/shm or a disk is full, or a file shrinks while it is "
    "read; make room (docker run --shm-size); --set data.workers=0 reads in the main process",
    signal.SIGSEGV: "was killed by SIGSEGV; mend or remove what it read, or update what decodes it; --set "
    "data.workers=0 reads in the main process",
}


@pytest.mark.parametrize("number", KILLED, ids=lambda number: number.name)
def test_a_killed_worker_ends_the_run_with_one_sentence(number):
    seen, error, seconds = taken(die_by(number))
    assert seen == list(range(len(seen)))
    assert len(seen) <= 5
    assert isinstance(error, WorkerEnded)
    assert 5 in error.jobs
    assert str(error) == f"a data worker {KILLED[number]}"
    assert error.exit_code == 1
    assert seconds < 60


def test_a_worker_that_leaves_by_itself_ends_the_run():
    _, error, seconds = taken(lambda: os._exit(0))
    assert str(error) == (
        "a data worker ended by itself with exit code 0; --set data.workers=0 reads in the main process"
    )
    assert seconds < 60


def test_a_worker_killed_in_the_middle_of_a_message_ends_the_run():
    def work(number):
        return Parcel({"large": torch.ones(4_000_000)}, os.getpid())

    parcels = in_workers(work, iter(range(20)), 1)
    process = next(parcels).rest
    time.sleep(0.2)  # it sends the next one, which a socket does not hold
    os.kill(process, signal.SIGKILL)
    with pytest.raises(WorkerEnded, match="SIGKILL"):
        list(parcels)


def test_what_a_job_raises_is_raised_when_its_turn_comes():
    seen, error, _ = taken(raising(KeyError("y")))
    assert seen == [0, 1, 2, 3, 4]
    assert type(error) is KeyError
    assert error.args == ("y",)
    assert "in act" in error.__notes__[0]


def test_an_error_that_cannot_be_pickled_still_says_what_it_was():
    class Local(Exception):
        pass

    _, error, _ = taken(raising(Local("odd")))
    assert (type(error), str(error)) == (RuntimeError, "Local: odd")
    assert "in act" in error.__notes__[0]


def test_a_sentence_of_ours_stays_as_it_is():
    _, unknown, _ = taken(raising(UnknownPlugin("unknown task 'x'", "task", "x")))
    assert (type(unknown), str(unknown), unknown.kind) == (UnknownPlugin, "unknown task 'x'", "task")
    _, error, _ = taken(raising(DataError("a.png: truncated file", [Fault("a.png", "truncated file")])))
    assert type(error) is DataError
    assert error.faults == (Fault("a.png", "truncated file"),)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(errno.ENOMEM, "x"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")],
)
def test_a_worker_without_memory_says_so(error):
    _, raised, _ = taken(raising(error))
    assert str(raised) == (
        "a data worker fails: memory ran out; use less with a smaller --batch-size, --set data.cache=0 or fewer "
        "--workers; --set data.workers=0 reads in the main process"
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EMFILE, r"too few file handles \([\d,]+ are allowed\); raise the limit with ulimit -n"),
        (errno.EAGAIN, "too few processes are allowed; raise the limit with ulimit -u, or use fewer --workers"),
        (errno.ENOMEM, "memory ran out; use less with a smaller --batch-size, --set data.cache=0 or fewer --workers"),
    ],
)
def test_workers_that_cannot_be_started_are_one_sentence_and_those_that_were_are_ended(monkeypatch, number, reason):
    fork, forked = os.fork, []

    def short():
        if len(forked) == 1:
            raise OSError(number, os.strerror(number))
        forked.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", short)
    with pytest.raises(LoadingError, match=f"^2 data workers cannot be started: {reason}; --set data.workers=0 reads"):
        next(in_workers(squared, iter(range(20)), 2))


def test_too_few_file_handles_are_one_sentence():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    handles = Path("/proc/self/fd")
    taken_handles = len(list(handles.iterdir())) if handles.exists() else 40
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken_handles + 8, before[1]))
    try:
        with pytest.raises(LoadingError, match=r"^30 data workers cannot be started: too few file handles"):
            next(in_workers(squared, iter(range(20)), 30))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_interruption_ends_workers_that_hang():
    def interrupt(*_):
        raise KeyboardInterrupt

    parcels = in_workers(At(5, hang), iter(range(20)), 2)
    assert len([next(parcels) for _ in range(5)]) == 5  # Python drops what a signal raises while it forks
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    begin = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(parcels)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - begin < 60


def test_a_worker_that_is_stopped_is_killed_at_the_end():
    parcels = in_workers(squared, iter(range(20)), 1)
    os.kill(next(parcels).rest[1], signal.SIGSTOP)
    parcels.close()


def test_signals_to_every_process_leave_the_workers_at_work():
    parcels = in_workers(squared, iter(range(20)), 1)
    process = next(parcels).rest[1]
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process, number)
    assert len(list(parcels)) == 19


ORPHANS = """
import os, sys, time, torch
from maecli.loading.parcels import Parcel
from maecli.loading.workers import WorkerPool

def work(number):
    if number > 1:
        time.sleep(600)
    return Parcel({}, os.getpid())

pools = WorkerPool(work, 2), WorkerPool(work, 1)
first, second = (pool.run(iter(range(9))) for pool in pools)
print(next(first).rest, next(first).rest, next(second).rest, flush=True)
{end}
"""


def _is_there(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "sys.exit(3)"], ids=["killed", "left"])
def test_workers_that_hang_do_not_outlive_the_main_process(end):
    program = ORPHANS.replace("{end}", end)
    main = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert main.returncode in (3, -9)
    processes = main.stdout.split()
    assert len(processes) == 3
    deadline = time.monotonic() + 60
    while any(map(_is_there, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
