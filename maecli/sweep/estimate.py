"""How long the runs of a sweep would take, told from a few steps of each kind of run."""

from __future__ import annotations

import json

from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.timing import SECONDS
from maecli.run.data.what_was_read import what_was_read
from maecli.run.dry_run import rehearse
from maecli.run.open import Data, open_run
from maecli.sweep.plan import Job, Plan, identity_of

WITHOUT_COST = frozenset(
    {
        "seed",
        "train.base_lr",
        "train.min_lr",
        "train.rewarm_share",
        "train.warmup_epochs",
        "train.weight_decay",
        "train.beta1",
        "train.beta2",
        "train.layer_decay",
    }
)
"""Keys that change what a step learns, and not what it takes."""


def estimate_seconds(plan: Plan, registry: Registry, progress: Progress) -> dict[str, float]:
    """Return the estimated seconds of training of each run, by its name; measuring on test comes on top.

    Runs that differ in nothing that costs time are timed once, and all together as long as a single run. What was read
    is told of data that were not open before. Raises what a run's own dry run raises.
    """
    kinds = {job.name: _kind_of(job, plan) for job in plan.jobs if job.time_of is None}
    num = len(set(kinds.values()))
    timed: dict[str, float] = {}
    seconds: dict[str, float] = {}
    data: Data | None = None
    for job in plan.jobs:
        if job.time_of is not None:
            seconds[job.name] = sum(seconds[other.name] for other in job.time_of)
            continue
        kind = kinds[job.name]
        if kind not in timed:
            progress.say(f"timing {len(timed) + 1} of {num}: {job.name}")
            opened = data if data is not None and data.serves(job.spec) else None
            built = open_run(job.spec, registry, progress.say, opened=opened)
            if opened is None:
                for line in what_was_read(built.card, len(built.data.faults), built.data.num_broken_samples()):
                    progress.say(line)
            timed[kind], data = round(rehearse(built, progress, SECONDS / num).total_s), built.data
        seconds[job.name] = timed[kind]
    return seconds


def _kind_of(job: Job, plan: Plan) -> str:
    """Return what of a run's spec says how long it takes."""
    return json.dumps(identity_of(job.spec, plan.ignored | WITHOUT_COST), sort_keys=True)
