"""Processes make their shares in rounds, and wait for each other no longer than those that ended lately suggest."""

from __future__ import annotations

import contextlib

import pytest

from maecli.parallel import rounds
from maecli.parallel.world import World


class Slower(World):
    """One of two processes; the other is slow in some rounds, and has one batch more."""

    def __init__(self, slow: set[int], num: int) -> None:
        self.slow, self.left = slow, num
        self.hurried: list[bool] = []

    @contextlib.contextmanager
    def together(self, in_step=False):
        self.hurried.append(in_step)
        yield

    def any(self, *flags):
        self.left -= 1
        return flags[0] or self.left >= 0, flags[1] or len(self.hurried) in self.slow


def test_a_process_waits_for_the_batches_of_the_others_and_patiently_only_where_they_are_slow():
    world = Slower({2}, num=4)
    assert list(rounds.rounds((i for i in range(3)), world)) == [0, 1, 2, None, None]
    assert world.hurried == [False, True, False, True, True]


def test_where_own_rounds_are_slow_it_is_patient_until_four_were_not(monkeypatch):
    seconds = iter([0.0, 7.0, *(7.0 for _ in range(30))])  # the first round takes 7 s, the others nothing
    monkeypatch.setattr(rounds.time, "monotonic", lambda: next(seconds))
    world = Slower(set(), num=6)
    list(rounds.rounds((i for i in range(6)), world))
    assert world.hurried == [False, False, False, False, False, True, True]


def test_what_was_begun_is_closed_where_another_process_ends_it():
    closed = []

    def own():
        try:
            yield from range(3)
        finally:
            closed.append(True)

    class Ended(World):
        def any(self, *flags):
            raise RuntimeError("ended")

    with pytest.raises(RuntimeError, match="ended"):
        next(iter(rounds.rounds(own(), Ended())))
    assert closed == [True]
