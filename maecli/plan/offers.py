"""Two or three ways to train, from a quick one to a thorough one, and what each gives up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from maecli.plan.budget import written_time
from maecli.plan.make import FOR_STEPS, Choice, Planner
from maecli.run.compare.arms import arms_by_default, companions_seconds

QUICK, THOROUGH = 1 / 4, 6
"""Times, in those of the plan."""
WORTH = 1.5
"""Another way is offered where it takes, or saves, this many times the steps."""


@dataclass(frozen=True)
class Offer:
    """A way to train, and what speaks against it."""

    name: str
    """quick, planned or thorough."""
    choice: Choice
    time_s: float
    gives_up: str
    side: int | None = None
    """The longest side of its pictures, where that is not the planned one."""

    @property
    def compared_s(self) -> float:
        """What the runs take that there is time to compare it with; 0 where there are none."""
        spec, seconds = self.choice.spec, self.choice.seconds
        return companions_seconds(arms_by_default(spec, seconds, self.time_s), spec, seconds or 0.0)

    @property
    def seconds(self) -> float | None:
        """What it takes with these, about; None where nothing was timed."""
        return None if self.choice.seconds is None else self.choice.seconds + self.compared_s


def _in_its_own_time(planner: Planner, offer: Offer) -> Offer:
    """Return an offer with the shortest time that brings as much, where its training ends before its time is up."""
    if offer.seconds is None:
        return offer
    for seconds in (offer.seconds, offer.seconds / FOR_STEPS, offer.seconds / FOR_STEPS**2):
        if (time_s := written_time(seconds)) < offer.time_s:
            same = replace(offer, choice=planner.rescheduled(offer.choice, time_s), time_s=time_s)
            if same.choice.steps == offer.choice.steps and bool(same.compared_s) == bool(offer.compared_s):
                return same
    return offer


def offers(planner: Planner) -> list[Offer]:
    """Return the plan, between a quicker way and a longer one where these differ from it."""
    time_s, planned = planner.time_s, planner.best()
    made = [Offer("planned", planned, time_s, "")]
    if planned.timing is None:
        return made
    quick = planner.rescheduled(planned, QUICK * time_s)
    if WORTH * quick.steps <= planned.steps:
        lost = f"{1 - quick.steps / planned.steps:.0%} of the training"
        made.insert(0, Offer("quick", quick, QUICK * time_s, lost))
    side = planner.larger_side()
    longer = (
        planner.choice(planner.registry.model(planned.spec.model.name), THOROUGH * time_s, side)
        if side is not None
        else planner.rescheduled(planned, THOROUGH * time_s)
    )
    if side is not None or longer.steps >= WORTH * planned.steps:
        thorough = _in_its_own_time(planner, Offer("thorough", longer, THOROUGH * time_s, "", side))
        times = (thorough.seconds or 0.0) / (made[-1].seconds or 1.0)
        made.append(replace(thorough, gives_up=f"time: {times:.1f} times as much"))
    return made
