"""Reading one sample of a split, whoever wrote the split."""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, DataError, Fault, LoadingError, MaeError
from maecli.loading.shortage import shortage

MANY = 32
"""So many samples that cannot be read one after the other are no chance: they lie in one place, or all are gone."""
NUM_GOOD, NUM_SPREAD = 8, 64
"""How many of those that were read last, and of all, are tried then."""


def read_sample(split: Split, index: int) -> Sample:
    """Return `split[index]`.

    Raises BrokenSample for what is wrong with the sample, and LoadingError, naming it, for what is wrong with the
    machine or with the split: then leaving the sample out would be no answer.
    """
    try:
        return split[index]
    except BrokenSample as error:
        if short := shortage(error):
            raise LoadingError(f"{error.fault.path} cannot be read: {short}") from error
        raise
    except MaeError:
        raise
    except Exception as error:
        reason = shortage(error) or _fault(split, error)
        raise LoadingError(f"{split.keys[index]} cannot be read: {reason}") from error


class Reads:
    """Reads the samples of a split, and tells data that are gone from samples that are damaged."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self._good: deque[int] = deque(maxlen=NUM_GOOD)
        """Those that were read last."""
        self._failed: set[int] = set()
        """Those that could not be since."""

    def __call__(self, index: int) -> Sample:
        """Return what `read_sample` does.

        Raises DataError where many in a row cannot be read, nor any of those that were read before, or from all over.
        """
        try:
            sample = read_sample(self.split, index)
        except BrokenSample as error:
            self._failed.add(index)
            if self._good and len(self._failed) >= MANY:
                self._look_again(error.fault)
            raise
        self._good.append(index)
        self._failed.clear()
        return sample

    def _look_again(self, fault: Fault) -> None:
        num = len(self.split)
        others = [*self._good, *range(0, num, -(-num // NUM_SPREAD))]
        if not any(self._can_be_read(index) for index in others):
            raise DataError(
                f"the data cannot be read any more: {len(self._failed)} samples one after the other cannot, nor can "
                f"those that were read before ({fault}); bring them back as they were"
            )
        self._failed.clear()

    def _can_be_read(self, index: int) -> bool:
        with contextlib.suppress(BrokenSample):
            read_sample(self.split, index)
            return True
        return False


def candidates(index: int, num: int, training: bool) -> Iterator[int]:
    """Yield the position of a sample, and in training those of the samples that stand in for it."""
    return ((index + offset) % num for offset in range(num if training else 1))


def _fault(split: Split, error: Exception) -> str:
    """Return where code of a split failed on a sample."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = type(split)
    return (
        f"{kind.__module__}.{kind.__qualname__} raised {type(error).__name__}: {error} ({Path(place.filename).name}, "
        f"line {place.lineno}); a split raises api.BrokenSample for a sample that is to be left out"
    )
