"""How long the runs of a sweep would take, told from a few steps of each kind of run."""

from __future__ import annotations

import json

from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.dry_run import dry_run
from maecli.sweep.plan import Plan, identity_of


def estimate_seconds(plan: Plan, registry: Registry, progress: Progress) -> dict[str, float]:
    """Return the estimated seconds of training of each run, by its name; measuring on test comes on top.

    Runs that differ in their seed only are timed once. Raises what a run's own dry run raises.
    """
    timed: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for number, job in enumerate(plan.jobs, 1):
        kind = json.dumps(identity_of(job.spec, plan.ignored | {"seed"}), sort_keys=True)
        if job.time_of is None and kind not in timed:
            progress.say(f"timing {number} of {len(plan.jobs)}: {job.name}")
            timed[kind] = float(dry_run(job.spec, registry, progress)["estimated_seconds"])
        seconds[job.name] = timed[kind] if job.time_of is None else sum(seconds[other.name] for other in job.time_of)
    return seconds
