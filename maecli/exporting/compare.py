"""How far the answers of an exported file are from our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from maecli.errors import MaeError


@dataclass(frozen=True)
class Agreement:
    """How far one output of a file is from ours, and how far it may be."""

    output: str
    difference: float
    """Of numbers the largest difference, over the largest number of ours or 1; of classes the share that differs."""
    tolerance: float | None
    """None: it is told, and may be any."""

    @property
    def holds(self) -> bool:
        return self.tolerance is None or self.difference <= self.tolerance  # NaN does not

    def __str__(self) -> str:
        most = "" if self.tolerance is None else f" (tolerance {self.tolerance:g})"
        return f"{self.output}: largest difference {self.difference:.2g}{most}"


def compared(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], tolerance: float | None) -> list[Agreement]:
    """Return how far each of our outputs is from theirs of the same name. Raises MaeError where one is missing."""
    missing = [name for name in ours if name not in theirs]
    if missing:
        raise MaeError(f"the exported file gives no {missing[0]}")
    return [Agreement(name, difference(value, theirs[name]), tolerance) for name, value in ours.items()]


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Return how far two tensors are from each other, see `Agreement`; infinity where their shapes differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not ours.is_floating_point():
        return float((ours != theirs.to(ours.dtype)).double().mean())
    size = max(1.0, float(ours.abs().max())) if ours.numel() else 1.0
    return float((ours.double() - theirs.double()).abs().max()) / size if ours.numel() else 0.0


def worst(agreements: Sequence[Agreement]) -> list[Agreement]:
    """Return for each output the one that is farthest off."""
    found: dict[str, Agreement] = {}
    for one in agreements:
        if one.output not in found or not one.difference <= found[one.output].difference:
            found[one.output] = one
    return list(found.values())


def check_agreements(agreements: Sequence[Agreement], what: str) -> None:
    """Raise MaeError for what is farther from our own answers than it may be."""
    for one in agreements:
        if not one.holds:
            raise MaeError(
                f"{what} does not answer as the run does ({one}), so nothing was written; this is a fault of mae or of "
                "a library that it exports with"
            )
