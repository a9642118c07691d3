"""What is told of all predictions of an inference: the answers by class, the least certain ones, how many are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from maecli.least import Least
from maecli.measures import wilson_interval
from maecli.outputs.rows import Row
from maecli.training.task import Answer

NUM_LEAST_CERTAIN = 10
TRUTH = "truth"
"""The column of what is known of a sample's class."""


@dataclass(frozen=True)
class Right:
    """How many answers are right, of those whose truth is known."""

    num: int
    known: int

    @property
    def share(self) -> float:
        return self.num / self.known

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the share."""
        return wilson_interval(self.num, self.known)

    def record(self) -> dict[str, Any]:
        return {"right": self.num, "known": self.known, "share": self.share, "interval": list(self.interval)}


@dataclass
class _Count:
    num: int = 0
    known: int = 0

    def add(self, right: bool) -> None:
        self.num += right
        self.known += 1

    @property
    def right(self) -> Right | None:
        return Right(self.num, self.known) if self.known else None


class Summary:
    """Counts rows as they are written; where a task gives no answer, nothing but how many there are."""

    def __init__(self, answer: Answer | None, in_training: Collection[str] = ()) -> None:
        """Take where rows say the answer, and the paths of samples that the run was trained on."""
        self.answer, self.in_training = answer, in_training
        self.num = self.num_in_training = 0
        self.counts: Counter[str] = Counter()
        """Class → samples for which it is an answer; the empty name: those for which none is."""
        self.unsure: int | None = None
        """Samples that are like none of the classes; None where that cannot be told."""
        self._right, self._right_new, self._right_sure = _Count(), _Count(), _Count()
        self._truths: Counter[str] = Counter()
        self._least = Least[dict[str, str | int | float]](NUM_LEAST_CERTAIN)

    def add(self, row: Row) -> None:
        """Take the row of a sample."""
        self.num += 1
        new = row["path"] not in self.in_training
        self.num_in_training += not new
        if self.answer is None:
            return
        said = str(row[self.answer.column])
        self.counts.update(said.split(";") if self.answer.several else [said])
        unsure = bool(row.get(self.answer.unsure, False))
        if self.answer.unsure in row:
            self.unsure = (self.unsure or 0) + unsure
        if TRUTH in row:
            right = row[TRUTH] == said
            self._right.add(right)
            self._truths[str(row[TRUTH])] += 1
            if new:
                self._right_new.add(right)
            if not unsure:
                self._right_sure.add(right)
        if self.answer.margin:
            told = {name: row[name] for name in self.columns if name in row}
            self._least.add(float(row[self.answer.margin]), self.num, lambda: told)

    @property
    def columns(self) -> list[str]:
        """What is told of a single sample: its path, the answer, how certain it is and the truth."""
        if self.answer is None:
            return ["path"]
        return ["path", *_columns(self.answer), TRUTH]

    @property
    def least_certain(self) -> list[dict[str, str | int | float]]:
        """The samples of the smallest margins, that of the smallest first."""
        return self._least.things

    @property
    def right(self) -> Right | None:
        """Of all samples; None where no truth is known."""
        return self._right.right

    @property
    def right_sure(self) -> Right | None:
        """Of the samples that are not unsure; None where no truth of one is known, or none can be told to be unsure."""
        return self._right_sure.right if self.unsure is not None else None

    @property
    def right_new(self) -> Right | None:
        """The same of samples that were not in training, where some were; None where no truth of them is known."""
        return self._right_new.right if self.num_in_training else None

    @property
    def majority(self) -> tuple[str, float] | None:
        """The most frequent true class, and what share it is of all that are known; None where no truth is known."""
        return next(((name, num / self._right.known) for name, num in self._truths.most_common(1)), None)

    def record(self) -> dict[str, Any]:
        """Return the same for programs; of a task without answers how many samples were in training."""
        told: dict[str, Any] = {"in_training": self.num_in_training}
        if self.answer is None:
            return told
        return told | {
            "classes": dict(self.counts.most_common()),
            "least_certain": self.least_certain,
            "unsure": self.unsure,
            "accuracy": self.right.record() if self.right else None,
            "accuracy_of_new": self.right_new.record() if self.right_new else None,
            "accuracy_without_unsure": self.right_sure.record() if self.right_sure else None,
            "majority": {"class": self.majority[0], "share": self.majority[1]} if self.majority else None,
        }


def with_truth(row: Row, answer: Answer, truth: str | None) -> dict[str, str | int | float]:
    """Return a row that tells the truth, if it is known, behind the columns of the answer."""
    if truth is None:
        return dict(row)
    places = [place for place, name in enumerate(row) if name in _columns(answer)]
    cells = list(row.items())
    cells.insert(max(places) + 1, (TRUTH, truth))
    return dict(cells)


def _columns(answer: Answer) -> list[str]:
    """Return those of the columns of an answer that there are, in the order in which rows have them."""
    return [name for name in (answer.column, answer.probability, answer.margin, answer.unsure) if name]
