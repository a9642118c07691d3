"""Jobs that other processes do."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import time
from functools import partial

import pytest

from maecli.errors import LoadingError
from maecli.loading.side_by_side import in_processes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")


def work(job):
    if job == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return job, os.getpid()


def hang(told, job):
    os.write(told, b".")
    time.sleep(600)


def test_results_come_in_order_from_several_processes_of_which_none_is_left():
    results = list(in_processes(work, range(20), 2))
    assert [job for job, _ in results] == list(range(20))
    processes = {process for _, process in results}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_is_told_in_a_sentence():
    with pytest.raises(LoadingError, match=r"^a process that helps was killed by SIGKILL, .*; free some, and retry$"):
        list(in_processes(work, [0, "kill", 1], 2))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(end):
    begun, told = os.pipe()
    main = os.fork()
    if main == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            list(in_processes(partial(hang, told), range(2), 2))
        finally:
            os._exit(1)
    os.close(told)
    with os.fdopen(begun, "rb", buffering=0) as pipe:
        assert pipe.read(1) + pipe.read(1) == b".."
        os.kill(main, end)
        os.waitpid(main, 0)
        assert select.select([pipe], [], [], 60)[0]
        assert pipe.read(1) == b""  # no process is left that has the other end
