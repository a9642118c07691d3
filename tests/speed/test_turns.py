from __future__ import annotations

from contextlib import nullcontext

import pytest

from maecli.errors import MaeError
from maecli.progress import Progress
from maecli.speed.turns import MIN_TURNS, Timing, in_turn


class Racer:
    """Takes the seconds that it is told to, and writes down that it ran."""

    def __init__(self, name, seconds, ran, fails_at=None):
        self.name, self.seconds, self.ran, self.fails_at = name, list(seconds), ran, fails_at

    def feed(self, batch_size):
        if self.fails_at == "feed":
            raise MaeError("no compiler")

    def turn(self, seconds):
        self.ran.append(self.name)
        if self.fails_at == "turn" and self.ran.count(self.name) == 2:
            raise MaeError("out of memory")
        return [self.seconds.pop(0)] * 2


def test_forms_take_turns_and_the_order_turns_around():
    ran = []
    racers = [Racer(name, [1.0] * MIN_TURNS, ran) for name in "ab"]
    timings = in_turn(racers, 4, 0, pytest.fail)
    assert "".join(ran) == "baabba"
    assert [(timing.median_s, timing.per_second, len(timing.steps)) for timing in timings.values()] == [(1, 4, 6)] * 2


def test_a_machine_that_slows_down_for_a_while_slows_both_and_the_ratio_stays():
    ran = []
    slow, quick = Racer("slow", [2.0, 20.0, 4.0], ran), Racer("quick", [1.0, 10.0, 2.0], ran)
    timings = in_turn([slow, quick], 1, 0, pytest.fail)
    assert timings[quick].speedup(timings[slow]) == (2, 2, 2)
    assert timings[quick].unsteadiness == pytest.approx((6 - 1.5) / 2)
    assert Timing(1, [[1.0], [1.0]]).unsteadiness == 0
    told = timings[quick].record(timings[slow])
    assert (told["median_ms"], told["p95_ms"], told["speedup"], told["steps"]) == (2000, 10000, 2, 6)


def test_what_is_prepared_is_told_before_the_turns_are_counted(monkeypatch):
    told = []
    progress = Progress()
    monkeypatch.setattr(progress, "working", lambda what: nullcontext(told.append(what)))
    monkeypatch.setattr(progress, "count", lambda what, total: told.append((what, total)) or (lambda: None))
    in_turn([Racer("a", [1.0] * 3, [])], 4, 0, pytest.fail, progress)
    assert told == ["preparing a for batches of 4", ("rounds of turns in batches of 4", MIN_TURNS)]


@pytest.mark.parametrize(("fails_at", "reason"), [("feed", "no compiler"), ("turn", "out of memory")])
def test_what_fails_drops_out_and_the_others_go_on(fails_at, reason):
    ran, failed = [], {}
    racers = [Racer("a", [1.0] * 3, ran), Racer("b", [1.0] * 3, ran, fails_at)]
    timings = in_turn(racers, 1, 0, lambda racer, error: failed.update({racer.name: str(error)}))
    assert (list(timings), failed) == ([racers[0]], {"b": reason})
