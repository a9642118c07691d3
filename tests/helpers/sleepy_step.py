"""A step that another process can load."""

from __future__ import annotations

import functools
import time

from torch import Tensor

from maecli.errors import MaeError


def load(seconds: float, threads: int) -> functools.partial[None]:
    return functools.partial(step, seconds)


def step(seconds: float, samples: Tensor) -> None:
    if len(samples) > 2:
        raise MaeError(f"no room for {len(samples)} samples")
    time.sleep(seconds)
