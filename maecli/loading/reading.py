"""Reading one sample of a split, whoever wrote the split, and making tensors of it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, LoadingError, MaeError
from maecli.loading.shortage import shortage
from maecli.modalities.pictures.fit import crop_and_resize, crop_and_resize_mask


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


def sample_tensors(sample: Sample, size: Sequence[int] | None) -> dict[str, Tensor]:
    """Return a sample's tensors, pictures and masks brought to a size (h, w) unless that is None."""
    tensors = {}
    for name, array in sample.items():
        if size is not None and name == "image" and array.ndim == 3:
            tensors[name] = crop_and_resize(array, size)
        elif size is not None and name == "mask":
            tensors[name] = crop_and_resize_mask(array, size)
        else:
            tensors[name] = torch.from_numpy(np.array(array))  # a copy: it may be read-only
    return tensors


def _fault(split: Split, error: Exception) -> str:
    """Return where code of a split failed on a sample."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = type(split)
    return (
        f"{kind.__module__}.{kind.__qualname__} raised {type(error).__name__}: {error} ({Path(place.filename).name}, "
        f"line {place.lineno}); a split raises api.BrokenSample for a sample that is to be left out"
    )
