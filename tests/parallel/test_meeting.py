"""Processes that start together agree on a name, whatever those before them left in the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore

from maecli.parallel.meeting import meet


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
