"""Did pretraining pay? A run beside the same one from random weights, on the same samples, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from maecli.progress import duration
from maecli.reports.numbers import format_metric, format_value
from maecli.results import Difference, Metric, Table
from maecli.text import capitalised, number_of

TOLD = {True: "the pretrained run is better", False: "the pretrained run is worse", None: "no difference can be told"}
QUESTION = "Did pretraining pay?"
TITLES = {"test": "test", "val": "validation", "train": "training data"}


class Arm(BaseModel):
    """One of the runs that are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    """Such as "from scratch"."""
    folder: str
    """Its directory, by its name in that of the run; empty for the run itself."""
    metric: Metric
    """The headline."""
    steps: int
    seconds: float
    before: float | None = None
    """Seconds of the pretraining that it started from; None where that is not known, or there was none."""
    difference: Difference | None = None
    """How far the run's headline lies above this one's; None for the run itself, and where it is not known."""


class Payoff(BaseModel):
    """What was measured of a run and of its companions on one split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str
    num_samples: int
    one: str
    """What a sample is called, such as picture."""
    many: str
    pretrained: Arm
    others: tuple[Arm, ...]
    """From random weights: on the schedule of the run, with the time of its pretraining as well."""
    own_pretraining: bool = True
    """Whether the run started from a run of mae, and not from weights of others."""
    remarks: tuple[str, ...] = ()
    """What is to be known of it, such as why a companion is not compared sample by sample."""

    @property
    def paid(self) -> bool | None:
        """Whether the run is better than the same from random weights; None where that cannot be told."""
        return _is_above(self.others[0])

    @property
    def is_beaten(self) -> bool:
        """Whether one from random weights that had more time is better, so that the time of pretraining did not pay."""
        return any(_is_above(arm) is False for arm in self.others[1:])

    @property
    def comes_first(self) -> bool:
        """Whether a page begins with it: pretraining did not pay, or is not known to, or not for its time."""
        return not self.paid or self.is_beaten

    @property
    def samples(self) -> str:
        """Such as 150 pictures."""
        difference = self.others[0].difference
        return number_of(difference.num_samples if difference else self.num_samples, self.one, self.many)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, with whether pretraining paid and the sentences about it."""
        return {"paid": self.paid, "sentences": payoff_sentences(self), **self.model_dump(mode="json")}


def _is_above(arm: Arm) -> bool | None:
    """Return whether the run is better than a companion; None where that cannot be told."""
    if arm.difference is None or not arm.difference.is_told:
        return None
    return (arm.difference.value > 0) == (arm.metric.better == "higher")


def payoff_sentences(payoff: Payoff) -> list[str]:
    """Return whether pretraining paid, and by how much; where it did not, what to try."""
    mine, other = payoff.pretrained, payoff.others[0]
    one, another = _short(mine.metric), f"{_short(other.metric)} {other.title}"
    if (difference := other.difference) is None:
        first = f"{one} after pretraining and {another}, on {payoff.samples}; whether by chance is not known."
    else:
        apart = f"{_apart(difference, mine.metric)}, paired on {payoff.samples}"
        if payoff.paid:
            how = " on the same schedule, but not for its time" if payoff.is_beaten else ""
            first = f"Pretraining paid{how}: {one} against {another} ({apart})."
        elif payoff.paid is False:
            first = f"Pretraining did not pay here: {one} against {another} ({apart}); {_advice(payoff)} may."
        else:
            first = (
                f"No difference can be told with {payoff.samples}: {one} after pretraining, {another} ({apart}); "
                f"{_advice(payoff)} may make one."
            )
    return [first, *_longer(payoff)]


def _longer(payoff: Payoff) -> Iterator[str]:
    """Yield how the run compares with those from random weights that had more time."""
    for arm in payoff.others[1:]:
        words, difference = f"{capitalised(arm.title)}: {_short(arm.metric)}", arm.difference
        if difference is not None:
            words += f"; {TOLD[_is_above(arm)]} ({_apart(difference, arm.metric)})"
        yield f"{words}."


def _advice(payoff: Payoff) -> str:
    if payoff.own_pretraining:
        return f"more unlabelled {payoff.many}, a longer pretraining, or public weights (--init FILE)"
    return f"other weights, or pretraining on unlabelled {payoff.many} of your own (mae pretrain)"


def _short(metric: Metric) -> str:
    return f"{100 * metric.value:.1f}%" if metric.unit == "share" else format_value(metric.value, metric.unit)


def _apart(difference: Difference, metric: Metric) -> str:
    points = " points" if metric.unit == "share" else ""
    low, high = difference.interval
    doubt = (
        "" if difference.is_told or low <= 0 <= high else f", but p = {difference.p_value:.2g} by the {difference.test}"
    )
    return f"{_signed(difference.value, metric)}{points}, 95% interval {_ends(difference, metric)}{doubt}"


def _ends(difference: Difference, metric: Metric) -> str:
    return " to ".join(_signed(end, metric) for end in difference.interval)


def _signed(value: float, metric: Metric) -> str:
    if metric.unit == "share":
        return f"{round(100 * value, 1) + 0.0:+.1f}"  # no -0.0
    return f"{'+' if value >= 0 else ''}{format_value(value, metric.unit)}"


def payoff_table(payoff: Payoff) -> Table:
    """Return a row for each run that is compared, which is a pair, or a triple."""
    arms = (payoff.pretrained, *payoff.others)
    kind = "A pair on one schedule" if len(arms) == 2 else "A pair on one schedule, and one with the time of both"
    return Table(
        title=f"{kind}: {TITLES.get(payoff.split, payoff.split)}, {payoff.samples}",
        columns=("run", payoff.pretrained.metric.label, "difference", "p", "steps", "time"),
        rows=tuple(_row(arm) for arm in arms),
    )


def _row(arm: Arm) -> tuple[str, ...]:
    difference = arm.difference
    apart = f"{_signed(difference.value, arm.metric)} ({_ends(difference, arm.metric)})" if difference else ""
    time = [duration(seconds) for seconds in (arm.before, arm.seconds) if seconds is not None]
    return (
        arm.title,
        format_metric(arm.metric),
        apart,
        f"{difference.p_value:.2g}" if difference else "",
        f"{arm.steps:,}",
        " + ".join(time),
    )


def payoff_notes(payoff: Payoff) -> list[str]:
    """Return how the comparison was made, and what is to be known of it."""
    tests = {arm.difference.test for arm in payoff.others if arm.difference is not None}
    how = [
        f"A difference is that of the pretrained run from the other one on the same {payoff.many}, p by {test}. Each "
        "was trained once: how far another seed would move it is not in the interval."
        for test in sorted(tests)
    ]
    return [*how, *(f"{capitalised(remark)}." for remark in payoff.remarks)]
