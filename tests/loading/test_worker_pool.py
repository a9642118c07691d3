"""Workers that stay between runs over jobs, until they are in the way."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from maecli.loading import workers
from maecli.loading.parcels import Parcel
from maecli.loading.workers import WorkerEnded, WorkerPool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")


def work(job):
    if job == "fail":
        raise KeyError(job)
    if job == "leave":
        os._exit(3)
    if job == "sleep":
        time.sleep(600)
    return Parcel({"image": torch.full((2,), 7)}, (job, os.getpid()))


def run(pool, jobs=range(6)):
    """Return the results of some jobs, and the processes that did them."""
    parcels = list(pool.run(iter(jobs)))
    assert all(parcel.tensors["image"].tolist() == [7, 7] for parcel in parcels)
    return [parcel.rest[0] for parcel in parcels], {parcel.rest[1] for parcel in parcels}


@pytest.fixture
def pool():
    with WorkerPool(work, 2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    gc.collect()
    assert multiprocessing.active_children() == []
    assert workers._living == set()


def test_no_process_starts_before_the_first_run(pool):
    parcels = pool.run(iter(range(3)))
    assert multiprocessing.active_children() == []
    next(parcels)
    assert len(multiprocessing.active_children()) == 2
    parcels.close()


def test_the_same_processes_do_the_next_run_with_the_same_results(pool):
    first, processes = run(pool)
    assert first == list(range(6))
    assert len(processes) == 2
    for jobs in (range(9), range(0), range(1), range(9)):
        results, again = run(pool, jobs)
        assert results == list(jobs)
        assert again <= processes
    assert len(multiprocessing.active_children()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_started_otherwise_they_stay_too(monkeypatch, method):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where the process finds `work`
    monkeypatch.setattr(workers, "multiprocessing", multiprocessing.get_context(method))
    with WorkerPool(work, 1) as pool:
        (_, processes), (results, again) = run(pool, range(2)), run(pool, range(3))
        assert results == [0, 1, 2]
        assert again == processes


def test_a_run_that_is_closed_while_jobs_are_owed_ends_its_processes_and_the_next_starts_others(pool):
    parcels = pool.run(iter([0, 1, "sleep"]))
    processes = {next(parcels).rest[1]}
    parcels.close()
    assert multiprocessing.active_children() == []
    results, others = run(pool)
    assert results == list(range(6))
    assert not others & processes


def test_a_run_that_is_closed_when_all_has_come_leaves_its_processes_to_the_next(pool):
    parcels = pool.run(iter(range(2)))
    processes = {next(parcels).rest[1], next(parcels).rest[1]}
    parcels.close()
    assert run(pool)[1] == processes


def test_a_job_that_fails_spoils_no_later_run(pool):
    with pytest.raises(KeyError, match="fail"):
        run(pool, [0, "fail", *range(20)])
    assert run(pool)[0] == list(range(6))


def test_a_worker_that_ends_spoils_no_later_run(pool):
    with pytest.raises(WorkerEnded, match="ended by itself with exit code 3"):
        run(pool, [0, "leave", *range(20)])
    assert multiprocessing.active_children() == []
    assert run(pool)[0] == list(range(6))


def test_jobs_that_cannot_be_made_spoil_no_later_run(pool):
    with pytest.raises(ZeroDivisionError):
        run(pool, (6 // left for left in (3, 2, 1, 0)))
    assert run(pool)[0] == list(range(6))


def test_a_worker_that_is_killed_while_it_is_idle_is_replaced(pool):
    _, processes = run(pool)
    os.kill(min(processes), signal.SIGKILL)
    os.waitid(os.P_PID, min(processes), os.WEXITED | os.WNOWAIT)
    results, others = run(pool)
    assert results == list(range(6))
    assert not others & processes


def test_idle_workers_are_deaf_to_what_a_terminal_sends_to_every_process(pool):
    _, processes = run(pool)
    for process in processes:
        os.kill(process, signal.SIGINT)
        os.kill(process, signal.SIGTERM)
    assert run(pool)[1] == processes


def test_an_interrupted_run_ends_its_processes(pool):
    def interrupt(*_):
        raise KeyboardInterrupt

    parcels = pool.run(iter([0, "sleep", 1]))
    next(parcels)
    before = signal.signal(signal.SIGALRM, interrupt)
    limit = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(parcels)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *limit)
    assert multiprocessing.active_children() == []
    assert run(pool)[0] == list(range(6))


def test_a_run_beside_another_has_processes_of_its_own_and_one_set_is_kept(pool):
    outer = pool.run(iter(range(20)))
    one = next(outer).rest[1]
    results, others = run(pool)
    assert results == list(range(6))
    assert one not in others
    assert [parcel.rest[0] for parcel in outer] == list(range(1, 20))
    assert {process.pid for process in multiprocessing.active_children()} == others
    assert run(pool)[1] == others


def test_a_run_whose_pool_is_closed_fails_when_it_is_asked_for_more(pool):
    parcels = pool.run(iter(range(20)))
    next(parcels)
    pool.close()
    assert multiprocessing.active_children() == []
    with pytest.raises(RuntimeError, match="the data workers were closed while more was asked of them"):
        next(parcels)
    assert run(pool)[0] == list(range(6))


def test_a_pool_that_nobody_has_ends_its_processes():
    pool = WorkerPool(work, 2)
    run(pool)
    assert len(multiprocessing.active_children()) == 2
    del pool
    gc.collect()
    assert multiprocessing.active_children() == []


def test_in_a_forked_child_the_pool_leaves_the_parents_workers_alone(pool):
    _, processes = run(pool)
    child = os.fork()
    if child == 0:
        pool.close()
        os._exit(len(workers._living))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run(pool)[1] == processes


def test_two_pools_do_not_keep_each_others_workers_alive(pool, monkeypatch):
    monkeypatch.setattr(workers, "END_S", 120.0)
    run(pool)
    with WorkerPool(work, 1) as other:  # its process is forked while the sockets of the first are open
        run(other)
        begin = time.monotonic()
        pool.close()
        assert time.monotonic() - begin < 60
        assert run(other)[0] == list(range(6))


IDLE = """
import os, sys
from maecli.loading.parcels import Parcel
from maecli.loading.workers import WorkerPool

pools = [WorkerPool(lambda number: Parcel({}, os.getpid()), 2) for _ in range(2)]
print(*(parcel.rest for pool in pools for parcel in pool.run(iter(range(2)))), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "sys.exit(3)"], ids=["killed", "left"])
def test_idle_workers_do_not_outlive_the_main_process(end):
    main = subprocess.run([sys.executable, "-c", IDLE + end], capture_output=True, text=True, timeout=60, check=False)
    assert main.returncode in (3, -9)
    processes = main.stdout.split()
    assert len(set(processes)) == 4
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{process}/cmdline").exists() for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
