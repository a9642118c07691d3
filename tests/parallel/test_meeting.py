"""Processes that start together agree on a name, whatever those before them left in the store."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from torch.distributed import HashStore

from maecli.errors import MaeError
from maecli.parallel.meeting import meet, telling_whom


@pytest.fixture
def store():
    store = HashStore()
    store.set_timeout(timedelta(seconds=20))
    return store


def met(store, ranks) -> set[str]:
    """Return the names that three processes find, which arrive in some order."""
    with ThreadPoolExecutor(3) as threads:
        return {each.result() for each in [threads.submit(meet, store, rank, 3) for rank in ranks]}


@pytest.mark.parametrize("ranks", [(0, 1, 2), (2, 1, 0)])
def test_processes_that_start_again_and_again_meet_under_a_name_of_each_time(store, ranks):
    names = [met(store, ranks) for _ in range(3)]
    assert [len(each) for each in names] == [1, 1, 1]
    assert len(set.union(*names)) == 3


def test_who_knocked_and_died_is_not_taken_for_there(store):
    store.set("mae/knock/2", "of one that died")
    with ThreadPoolExecutor(3) as threads:
        first, second = (threads.submit(meet, store, rank, 3) for rank in (0, 1))
        assert second.result() == store.get("mae/answer/of one that died").decode()
        assert not first.done()
        assert threads.submit(meet, store, 2, 3).result() == first.result() == second.result()


def test_the_first_names_who_never_comes(store, monkeypatch, capsys):
    here, now = threading.Event(), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += here.is_set()
        time.sleep(0.001)

    monkeypatch.setattr("maecli.parallel.meeting.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setattr("maecli.parallel.meeting.LATE_S", 10)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(meet, store, rank, 4) for rank in (0, 2))
        second.add_done_callback(lambda _: here.set())
        with pytest.raises(MaeError, match=r"^process 1, 3 of 4 did not come within 20 s, so nothing began$"):
            first.result()
        assert second.result() == store.get(f"mae/answer/{store.get('mae/knock/2').decode()}").decode()
    assert capsys.readouterr().err == "mae: waiting for process 1, 3 of 4\n"


@pytest.mark.parametrize(("rank", "said"), [(0, "all of process 1 to 3"), (1, "process 0"), (2, None)])
def test_who_waits_for_long_before_the_store_is_there_says_for_whom(rank, said, monkeypatch):
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr("maecli.parallel.meeting.LATE_S", 0.05)
    monkeypatch.setattr("maecli.parallel.meeting.complain", told.put)
    with telling_whom(rank, 4, "node1:29500"):
        if said:
            assert told.get(timeout=60) == f"mae: process {rank} of 4 waits at node1:29500 for {said}"
        else:
            time.sleep(0.3)
    assert told.empty()
