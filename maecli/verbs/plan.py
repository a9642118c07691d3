"""`mae plan`: what a run would be, in two or three ways; nothing is trained or written."""

from __future__ import annotations

from dataclasses import replace

from maecli.errors import SpecError
from maecli.plan.make import GLANCE, Planner, can_plan, who_says
from maecli.plan.offers import Offer, offers
from maecli.plan.words import described
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.request import request
from maecli.spec.ask import Ask


def plan(ask: Ask, registry: Registry, progress: Progress, *, time_s: float | None = None) -> tuple[str, list[Offer]]:
    """Return the data and the machine in words, and the ways to train.

    Raises SpecError where a recipe, without a time, or a file says how long a run trains: then nothing is left to plan.
    """
    ask = replace(ask, for_time=time_s is not None)
    spec = request(ask, registry)
    if not can_plan(spec, time_s):
        source = who_says(spec)
        raise SpecError(
            f"{source} says how this run trains, so there is nothing to plan but, with --time, for how long; "
            "--dry-run shows what it would be"
        )
    with progress.working("opening the data"):
        planner = Planner(
            ask, spec, lambda planned: request(planned, registry), registry, time_s, progress.say, glance=GLANCE
        )
    with progress.working("timing a few steps"):
        made = offers(planner)
    return described(planner.facts, planner.device), made
