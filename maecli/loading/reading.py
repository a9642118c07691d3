"""Reading one sample of a split, whoever wrote the split."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, LoadingError, MaeError
from maecli.loading.shortage import shortage


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
