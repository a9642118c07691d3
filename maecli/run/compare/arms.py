"""Which companions a run may have, where they lie, and what they train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maecli.errors import SpecError, nearest
from maecli.run.checkpoint import run_of
from maecli.run.data.paths import INIT, place_of
from maecli.run.directory import RunDirectory
from maecli.schema import RunSpec, TrainSpec
from maecli.spec.ask import COMPARISONS
from maecli.spec.layers import PLANNED

SCRATCH, TOTAL_TIME = "scratch", "scratch-total-time"
ARMS = {"none": (), SCRATCH: (SCRATCH,), TOTAL_TIME: (SCRATCH, TOTAL_TIME)}
"""Value of --compare → the companions that it asks for."""
LAYER_DECAY, RATE = "train.layer_decay", "train.base_lr"
BEFORE = "compare-"
"""What the name of a companion's directory, in that of its run, begins with."""


def arms_of(choice: str | None, spec: RunSpec) -> tuple[str, ...]:
    """Return the companions that --compare asks for, none where it is not given.

    Raises SpecError for what cannot be compared.
    """
    if choice is None:
        return ()
    if choice not in ARMS:
        raise SpecError(f"--compare {choice} is none of {', '.join(COMPARISONS)}{nearest(choice, COMPARISONS)}")
    if ARMS[choice] and spec.extend is not None:
        raise SpecError(f"--compare {choice} is for a run that --init begins; this one goes on from {spec.extend}")
    if ARMS[choice] and spec.init is None:
        raise SpecError(
            f"--compare {choice} trains the same without --init, and there is none: this run starts from random weights"
        )
    if choice == TOTAL_TIME:
        _known_seconds_before(spec)
    return ARMS[choice]


def arms_by_default(spec: RunSpec, seconds: float | None, budget_s: float) -> tuple[str, ...]:
    """Return the companions of a planned run where nobody names them: from scratch, if the time is enough for both.

    `seconds` are what the run itself takes, about; None where that is not known. It ends early where more passes over
    few samples are of no use, so that the rest of its time tells whether pretraining paid.
    """
    enough = seconds is not None and 2 * seconds <= budget_s
    return ARMS[SCRATCH] if enough and spec.init is not None and spec.extend is None else ()


def companions_seconds(arms: Sequence[str], spec: RunSpec, seconds: float) -> float:
    """Return what companions take, about, of a run that takes so many seconds."""
    return sum(seconds + ((seconds_before(spec) or 0.0) if arm == TOTAL_TIME else 0.0) for arm in arms)


def start_of(spec: RunSpec) -> RunDirectory | None:
    """Return the run that `--init` names; None for weights of others."""
    init = place_of(INIT, spec.init, spec.paths)
    return run_of(init.expanduser()) if init is not None else None


def seconds_before(spec: RunSpec) -> float | None:
    """Return what the training of the run that `--init` names took; None where that is not known."""
    start = start_of(spec)
    summary = start.summary() if start is not None else None
    return summary.seconds if summary is not None else None


def _known_seconds_before(spec: RunSpec) -> float:
    seconds = seconds_before(spec)
    if seconds is None:
        raise SpecError(
            f"--compare {TOTAL_TIME} needs the time of the pretraining, and --init {spec.init} is no finished run that "
            f"tells it; --compare {SCRATCH} does without"
        )
    return seconds


def title_of(arm: str, spec: RunSpec) -> str:
    """Return what people call a companion."""
    scratch = "with a random encoder" if spec.train.freeze else "from scratch"
    return scratch if arm == SCRATCH else f"{scratch}, total time"


def companion(run: RunDirectory, arm: str) -> RunDirectory:
    """Return the directory of a companion."""
    return RunDirectory(run.path / f"{BEFORE}{arm}")


def claim_companions(run: RunDirectory, arms: Sequence[str]) -> None:
    """Note that a run is to have these companions, so that it can be resumed without naming them."""
    run.ledger.claim(*(f"{BEFORE}{arm}/" for arm in arms))


def claimed(run: RunDirectory) -> tuple[str, ...]:
    """Return the companions that a run has, or is to have."""
    paths = run.ledger.paths
    return tuple(arm for arm in ARMS[TOTAL_TIME] if f"{BEFORE}{arm}/" in paths)


def companion_spec(arm: str, spec: RunSpec, run: RunDirectory) -> RunSpec:
    """Return what a companion trains: the same as its run, from random weights.

    A `train.layer_decay` that was planned for pretrained weights, whose lower layers it slows, is the 1 that a plan
    gives to random ones, and a rate that was planned for adapters is that of all weights; what a person set stays.
    Random blocks are not kept as they are: all of them learn, without adapters.
    With the time of both it has as many more epochs as that is more than the time of the run, which must be finished.
    """
    train = spec.train.model_copy(update={"freeze_blocks": 0})
    if LAYER_DECAY in run.planned:
        train = train.model_copy(update={"layer_decay": 1.0})
    if spec.adapt is not None and RATE in run.planned:
        train = train.model_copy(update={"base_lr": train.base_lr / spec.adapt.TIMES_RATE})
    if arm == TOTAL_TIME:
        own = run.finished().seconds
        train = lengthened(train, (_known_seconds_before(spec) + own) / max(own, 1e-9))
    update: dict[str, Any] = {
        "init": None,
        "init_sha256": "",
        "init_partial": False,
        "adapt": None,
        "out": companion(run, arm).path,
        "paths": tuple(path for path in spec.paths if path.key != INIT),
        "train": train,
    }
    return spec.model_copy(update=update).with_sources(dict.fromkeys(run.planned, PLANNED))


def lengthened(train: TrainSpec, factor: float) -> TrainSpec:
    """Return a schedule that is so many times as long."""
    update = {"epochs": max(1, round(train.epochs * factor))}
    if train.max_steps is not None:
        update["max_steps"] = max(1, round(train.max_steps * factor))
    return train.model_copy(update=update)
