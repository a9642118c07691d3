"""What is done so that rare classes count, in words, before training."""

from __future__ import annotations

from collections.abc import Mapping

from maecli.run.open import Built

NUM_NAMED = 8
"""Classes whose weights are told one by one; of more, the lightest and the heaviest."""
TWICE = (
    "task.class_weights and data.sampling both make rare classes count more, so together they do it twice over; leave "
    "one of them out unless that is meant"
)
SAMPLINGS = {
    "balanced": "each class is drawn equally often",
    "sqrt": "classes are drawn by the square root of their counts",
}


def balance_lines(built: Built) -> list[str]:
    """Return a line on the weights of classes, one on how samples are drawn, and a warning where both are set."""
    weights, sampling = built.task.class_weights, built.spec.data.sampling
    lines = []
    if weights:
        lines.append(f"weights {_in_words(weights)}; in the loss only, metrics are not weighted")
    if sampling != "natural":
        unit = built.preprocess.modality.unit
        lines.append(f"draws   {sampling}: {SAMPLINGS[sampling]}; rare {unit} come several times per epoch")
    return [*lines, f"        {TWICE}"] if len(lines) == 2 else lines


def _in_words(weights: Mapping[str, float]) -> str:
    if len(weights) <= NUM_NAMED:
        return ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items())
    least, most = min(weights, key=weights.__getitem__), max(weights, key=weights.__getitem__)
    return f"of {len(weights)} classes, from {weights[least]:.3g} ({least}) to {weights[most]:.3g} ({most})"
