"""How pixels are normalised in a run that starts from weights of others: as theirs were, unless told otherwise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import partial

from maecli.data.card import DataCard
from maecli.modalities.preprocess import Preprocess
from maecli.registry import Registry
from maecli.schema import RunSpec
from maecli.spec.layers import INIT_LAYER
from maecli.weights.pixels import PixelScale

KEYS = ("mean", "std")
"""Of `data`."""


def brought_along(spec: RunSpec) -> list[str]:
    """Return which of `data.mean` and `data.std` came with the weights that a spec starts from."""
    return [key for key in KEYS if spec.sources.get(f"data.{key}") == INIT_LAYER]


def fitted_to(spec: RunSpec, card: DataCard, registry: Registry) -> RunSpec:
    """Return a spec whose mean and deviation, where they came with the weights, fit the channels of the data.

    One grey channel has their average, as its kernel is the sum of those of the colours; other channels are not those
    of the weights, so the data's own are used.
    """
    num = spec.data.channels or card.channels
    if registry.modality(card.modality).per_cell:
        return spec
    changes = {}
    for key in brought_along(spec):
        values: Sequence[float] | None = getattr(spec.data, key)
        if values is not None and len(values) not in (1, num):
            changes[key] = (statistics.fmean(values),) if num == 1 else None
    if not changes:
        return spec
    return spec.model_copy(update={"data": spec.data.model_copy(update=changes)}).with_sources(spec.sources)


def normalised_as(theirs: PixelScale | None, ours: Preprocess) -> str:
    """Return how pixels are normalised, in words, beside how those of the weights were; empty where it is not known."""
    if theirs is None:
        return ""
    here = PixelScale(ours.mean, ours.std)
    if _alike(here.mean, theirs.mean) and _alike(here.std, theirs.std):
        return f"pixels are normalised as its own were, by {theirs}"
    return f"pixels are normalised by {here}, and its own were by {theirs}"


def _alike(here: tuple[float, ...], theirs: tuple[float, ...]) -> bool:
    every = theirs * len(here) if len(theirs) == 1 else theirs
    return len(here) == len(every) and all(map(partial(math.isclose, abs_tol=1e-6), here, every))
