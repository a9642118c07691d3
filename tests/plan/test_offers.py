"""The ways that `mae plan` offers: what each takes is what its time says."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from maecli.plan.budget import parse_time
from maecli.plan.offers import offers
from maecli.plan.words import flag

SPEC = SimpleNamespace(init=None, extend=None, model=SimpleNamespace(name="vit"))


@dataclass(frozen=True)
class Trained:
    """What a choice tells: a step takes a second."""

    steps: int
    spec: ClassVar[Any] = SPEC
    timing: ClassVar[float] = 1.0

    @property
    def seconds(self) -> float:
        return self.steps + 10.0


@dataclass(frozen=True)
class Machine:
    """A planner whose runs end after so many steps."""

    most: int
    time_s: float = 130.0

    def best(self) -> Trained:
        return self.rescheduled(None, self.time_s)

    def rescheduled(self, _: object, time_s: float) -> Trained:
        return Trained(min(self.most, int(0.92 * time_s - 10)))

    def larger_side(self) -> None:
        return None


@pytest.mark.parametrize("most", [300, 560, 10_000])
def test_a_way_is_offered_with_the_time_that_it_takes(most):
    planner = Machine(most)
    quick, planned, thorough = offers(planner)  # type: ignore[arg-type]
    assert [offer.name for offer in (quick, planned, thorough)] == ["quick", "planned", "thorough"]
    for offer in (quick, planned, thorough):
        seconds = offer.seconds or 0.0
        assert seconds <= parse_time(flag(offer.time_s)) <= max(1.25 * seconds, seconds + 5)
        assert planner.rescheduled(None, parse_time(flag(offer.time_s))).steps >= 0.9 * offer.choice.steps
    assert thorough.choice.steps == min(most, 707)
