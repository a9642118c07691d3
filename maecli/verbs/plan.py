"""`mae plan`: what a run would be, in two or three ways; nothing is trained or written."""

from __future__ import annotations

from maecli.errors import SpecError
from maecli.plan.make import GLANCE, Planner, leaves_open
from maecli.plan.offers import Offer, offers
from maecli.plan.words import described
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.request import request
from maecli.spec.ask import Ask


def plan(ask: Ask, registry: Registry, progress: Progress, *, time_s: float | None = None) -> tuple[str, list[Offer]]:
    """Return the data and the machine in words, and the ways to train.

    Raises SpecError where a recipe or a file says how long a run trains, so that nothing is left to plan.
    """
    spec = request(ask, registry)
    if not leaves_open(spec):
        source = spec.sources.get("train.epochs", "what is there")
        raise SpecError(
            f"{source} says how this run trains, so there is nothing to plan; --dry-run shows what it would be"
        )
    with progress.working("opening the data"):
        planner = Planner(
            ask, spec, lambda planned: request(planned, registry), registry, time_s, progress.say, glance=GLANCE
        )
    with progress.working("timing a few steps"):
        made = offers(planner)
    return described(planner.facts, planner.device), made
