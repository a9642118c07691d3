"""Training the companions of a run, and measuring them as the run is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from maecli.errors import Interrupted, MaeError
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.reports.payoff import Payoff
from maecli.run.begin.launch import Launch
from maecli.run.compare.arms import claimed, companion, companion_spec, title_of
from maecli.run.compare.kept import write_payoff
from maecli.run.compare.pair import make_payoff
from maecli.run.directory import RunDirectory
from maecli.run.evaluate import evaluate
from maecli.run.report import write_run_report
from maecli.run.train import train
from maecli.schema import RunSpec
from maecli.spec.validate import validate


def compare(run: RunDirectory, registry: Registry, progress: Progress, until: float = math.inf) -> Payoff | None:
    """Bring the companions of a finished run to their end, and return how it compares with them on validation.

    Those that are finished stay as they are. None without companions, and without a validation split. Raises TimeIsUp
    where they are to have stopped by `until`.
    """
    arms = claimed(run)
    if not arms:
        return None
    tree = run.spec(progress.say)
    spec = validate(tree, tree["verb"], registry)
    for arm in arms:
        _finish(arm, spec, run, registry, progress, until)
    return keep_payoff(run, "val", registry, progress.say)


def _finish(arm: str, spec: RunSpec, run: RunDirectory, registry: Registry, progress: Progress, until: float) -> None:
    """Train a companion, or go on with it. An error leaves the run as it is, which is said."""
    other = companion(run, arm)
    if other.is_finished:
        return
    progress.say(f"\n{run} is finished. The same {title_of(arm, spec)}, to compare: {other}")
    try:
        begun = _as_begun(companion_spec(arm, spec, run), other, registry)
        train(begun, registry, progress, Launch(resume=True, until=until))
    except MaeError:
        progress.say(f"{run} stands as it is; `mae finetune --resume --out {run}` goes on with the comparison")
        raise


def _as_begun(spec: RunSpec, other: RunDirectory, registry: Registry) -> RunSpec:
    """Return a companion's spec; one that was begun keeps its schedule, which the time of other runs decided."""
    if not other.checkpoints.steps():
        return spec
    begun = other.spec(lambda _: None)
    return spec.model_copy(update={"train": validate(begun, begun["verb"], registry).train})


def measure_companions(
    run: RunDirectory, name: str, registry: Registry, progress: Progress, **settings: Any
) -> Payoff | None:
    """Measure the finished companions of a run as it was measured itself, and return how it compares.

    `name` is that of the run's own evaluation, `settings` those that it was measured with. None without companions.
    """
    others = [companion(run, arm) for arm in claimed(run)]
    for other in others:
        if other.is_finished:
            progress.say(f"measuring {other} too, to compare")
            try:
                evaluate(other.path, registry, progress, **settings)
            except Interrupted:
                raise
            except MaeError as error:
                progress.say(f"left out: {error}")
    return keep_payoff(run, name, registry, progress.say) if others else None


def keep_payoff(run: RunDirectory, name: str, registry: Registry, say: Callable[[str], None]) -> Payoff | None:
    """Write how a run compares with its companions, and its page anew; return it, None where nothing was measured."""
    payoff = make_payoff(run, name, registry)
    if payoff is not None:
        write_payoff(run, name, payoff)
        write_run_report(run, registry, say)
    return payoff
