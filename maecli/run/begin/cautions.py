"""What a person should know of a schedule before it runs: where it hardly trains."""

from __future__ import annotations

from maecli.schema import TrainSpec
from maecli.text import number_of

FEW_STEPS = 100
"""In fewer, a warm-up and a decay are hardly seen."""


def cautions(train: TrainSpec, num_samples: int, unit: str, steps_per_epoch: int, total_steps: int) -> list[str]:
    """Return a sentence for each thing that keeps so many samples, called `unit`, from being learnt from."""
    found = []
    if steps_per_epoch == 1 and train.epochs > 1:
        found.append(
            f"an epoch is one step, since a batch of {train.batch_size:,} holds most of the {num_samples:,} {unit}; "
            "a smaller --batch-size takes more steps"
        )
    if total_steps < FEW_STEPS:
        found.append(
            f"{number_of(total_steps, 'step')} in all, which are few to learn by; more --epochs or a smaller "
            "--batch-size take more"
        )
    warmup = round(train.warmup_epochs * steps_per_epoch)
    if 1 < total_steps < warmup:
        found.append(
            f"the learning rate rises through all {total_steps:,} steps, since the warm-up is of {warmup:,}; lower "
            "train.warmup_epochs"
        )
    elif total_steps > 1 and 2 * warmup > total_steps:
        share = "all of" if warmup == total_steps else "more than half of"
        found.append(
            f"the learning rate rises through {share} the run, {warmup:,} of {number_of(total_steps, 'step')}; lower "
            "train.warmup_epochs"
        )
    return found
