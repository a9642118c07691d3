"""What each class weighs in a loss, so that rare ones count.

Shapes: Q classes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator
from torch import Tensor

from maecli.errors import DataError, SpecError, nearest
from maecli.text import brief, some

KEY = "task.class_weights"
BETA = 0.999
"""Of the effective number of samples: about as many samples of a class as tell something new."""
COUNTED = ("balanced", "effective")
"""Ways that follow from how often each class occurs in what is learnt from."""
NUM_NAMED = 20


def _as_weights(value: Any) -> Any:
    """Return what a spec says, as one of the forms that weights have; a name of a class may hold dots."""
    if value is None:
        return "none"  # as older specs say it
    if isinstance(value, str) and value not in ("none", *COUNTED):
        raise ValueError(
            f"{KEY} {brief(value)} is none of none, {', '.join(COUNTED)}{nearest(value, ('none', *COUNTED))}; or give "
            "the weights of classes by name, such as {cat: 2, dog: 1}"
        )
    weights = _joined(value) if isinstance(value, Mapping) else {}
    for name, weight in weights.items():
        if type(weight) not in (int, float) or not 0 <= weight < math.inf:
            raise ValueError(f"{KEY}: the weight of {name} is {brief(weight)}, and must be a number from 0 on")
    return weights if isinstance(value, Mapping) else value


ClassWeights = Annotated[
    Literal["none", "balanced", "effective"] | dict[str, float] | tuple[float, ...], BeforeValidator(_as_weights)
]
"""An option of a task: how to weigh its classes, or the weights by name, or of all classes in order."""


def class_weights(
    option: str | Mapping[str, float] | Sequence[float],
    classes: Sequence[str],
    counts: Sequence[int],
    per_sample: float = 1.0,
    key: str = KEY,
) -> tuple[float, ...] | None:
    """Return the weight of each class (Q,), None where all weigh the same.

    `counts` (Q,) is how often each class occurs in what is learnt from, `per_sample` of them in a whole sample: with
    pixels, those of a picture. Computed weights have a mean of 1 over what was counted; a class that does not occur
    weighs 1.

    - balanced: inversely to the count, as scikit-learn's `compute_class_weight` has it.
    - effective: inversely to (1 - beta^n) / (1 - beta), the effective number of n samples, with beta = 0.999. Source:
      arXiv:1901.05555, equation 2; there scaled to a mean of 1 over classes.

    Raises SpecError for names that are no classes and lists of another length, DataError where nothing was counted.
    """
    if isinstance(option, Mapping):
        return _named(option, classes, key)
    if not isinstance(option, str):
        return _listed(option, classes, key)
    if option == "none":
        return None
    if not any(counts):
        raise DataError(
            f"{key} {option} follows from how often each class occurs, and nothing was counted; name weights"
        )
    number = np.array(counts, np.float64)
    present = number > 0
    size = number / per_sample
    effective = size if option == "balanced" else -np.expm1(size * math.log(BETA)) / (1 - BETA)
    weights = np.divide(1.0, effective, out=np.zeros(len(number)), where=present)
    weights *= number.sum() / (number * weights).sum()
    return tuple(np.where(present, weights, 1.0).tolist())


def _named(option: Mapping[str, float], classes: Sequence[str], key: str) -> tuple[float, ...]:
    for name in option:
        if name not in classes:
            known = f"the classes are {some(classes, NUM_NAMED)}"
            raise SpecError(f"{key}: {brief(name)} is no class of the data{nearest(name, classes)}; {known}")
    weights = tuple(float(option.get(name, 1.0)) for name in classes)
    if not any(weights):
        raise SpecError(f"{key} is 0 for every class, so nothing would be learnt")
    return weights


def _listed(option: Sequence[float], classes: Sequence[str], key: str) -> tuple[float, ...]:
    if len(option) != len(classes) or min(option) < 0 or max(option) == 0:
        raise SpecError(
            f"{key} {list(option)} must be one number for each class, none below 0 and not all 0; the {len(classes)} "
            f"classes are {some(classes, NUM_NAMED)}"
        )
    return tuple(map(float, option))


@functools.lru_cache(maxsize=16)
def weights_on(weights: tuple[float, ...], device: torch.device) -> Tensor:
    """Return weights (Q,) on a device; made anew at every step, they would be waited for."""
    return torch.tensor(weights, device=device)


def _joined(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the weights of a mapping that was taken apart at the dots of its keys."""
    joined: dict[str, Any] = {}
    for key, value in tree.items():
        joined |= _joined(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return joined
