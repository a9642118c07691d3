"""What is said of the predictions of an inference as a whole, on the terminal and on its page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from maecli.outputs.mask_totals import ACCURACY, MEAN_IOU, MaskTotals, Overlap
from maecli.outputs.summary import Right, Summary
from maecli.text import number_of


class Unit(NamedTuple):
    """What samples are called."""

    one: str
    many: str

    def of(self, num: int) -> str:
        """Return a number of them: 1 picture, 2,000 pictures."""
        return number_of(num, self.one, self.many)


SAMPLES = Unit("sample", "samples")


def findings(summary: Summary, masks: MaskTotals | None, unit: Unit) -> Iterator[str]:
    """Yield how many answers are right, how well masks agree with true ones, and how many samples are unsure.

    What trivial answers get stands beside.
    """
    if summary.right is not None and summary.majority is not None:
        name, share = summary.majority
        of = f"{_right(summary.right)} of the {unit.of(summary.right.known)} whose truth is known"
        yield f"right: {of}, {_share(summary.right)}; always saying {name!r}: {share:.1%}"
    if summary.right_sure is not None and summary.unsure:
        yield f"without the unsure ones: {_share(summary.right_sure)}"
    if summary.unsure is not None:
        are = "is" if summary.unsure == 1 else "are"
        yield f"{summary.unsure:,} of {summary.num:,} {are} unsure: like none of the classes"
    if masks is not None and masks.overlap is not None:
        yield from _agreement(masks.overlap, masks.num_known, unit)


def _agreement(overlap: Overlap, num: int, unit: Unit) -> Iterator[str]:
    """Yield how well predicted masks agree with the true ones of a number of samples."""
    name, constant = overlap.baseline
    classes = number_of(len(overlap.iou), "class that occurs", "classes that occur")
    of = f" over the {classes} in the {unit.of(num)} whose mask is known"
    for label, key, where in (("mean IoU", MEAN_IOU, of), ("pixel accuracy", ACCURACY, "")):
        score = _with_interval(overlap.scores[key], overlap.intervals.get(key))
        yield f"{label}: {score}{where}; {name}: {constant[key]:.1%}"


def warning(summary: Summary, masks: MaskTotals | None, unit: Unit) -> str:
    """Return what to know where the run was trained on some of the samples; empty where it was not."""
    num = summary.num_in_training
    if not num:
        return ""
    figure = "accuracy" if summary.right is not None else "IoU" if masks is not None and masks.overlap else ""
    if summary.num == 1:
        return "this one was in training: its answer says nothing of new ones"
    were = f"{num:,} of these {unit.of(summary.num)} {'was' if num == 1 else 'were'} in training"
    new = summary.right_new
    if new is not None:
        others = f"of the {new.known:,} others {_right(new)} are right, {_share(new)}"
        return f"{were}: the accuracy says nothing of new ones; {others}"
    return f"{were}: the {figure} says nothing of new ones" if figure else were


def _right(right: Right) -> str:
    return f"{right.num:,}"


def _share(right: Right) -> str:
    return _with_interval(right.share, right.interval)


def _with_interval(share: float, interval: tuple[float, float] | None) -> str:
    return f"{share:.1%}" + (f" (95% interval: {interval[0]:.1%} to {interval[1]:.1%})" if interval else "")
