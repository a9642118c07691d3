"""What suits which data, as plain functions of the facts: no torch, no files, no clock.

A rate is stated per batch by the square-root rule of adaptive optimisers (arXiv:2205.10287, section 4), and per width
in inverse proportion (arXiv:2203.03466, table 8), so that a smaller batch or a wider model learns as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maecli.data.facts import Facts

Settings = dict[str, Any]
"""By dotted key of the spec."""

RATE, OF_WIDTH, OF_BATCH = 3e-3, 128, 256
"""The learning rate that suits an encoder of this width at batches of this size."""
GPU_BATCH = 256
"""The largest batch where the device is no CPU."""
FEWEST_STEPS = 100
"""Below this a warm-up and a decay are hardly seen, so that the time is exceeded rather."""
ENOUGH_STEPS = 600
"""Of these, more passes over few samples are taken, where the time allows."""
MOST_EPOCHS = {"pretrain": 1600, "finetune": 60}
"""More passes over the same samples were not found to help."""
SIDE = {"cpu": 64}
DENSE_SIDE = {"cpu": 128}
"""Longest side of a square picture that a model of the device is given, for answers of one per sample and per cell."""
GPU_SIDE = 224
TOKENS = {"cpu": 8}
"""Patches along a side; `GPU_TOKENS` elsewhere."""
GPU_TOKENS = 14
LAYER_DECAY = 0.75
"""Of an encoder that starts from weights."""
WARMUP = 0.08
"""Share of the steps."""
WHOLE_EPOCHS = 8
"""Of so many or more the last one is not ended early: of fewer it would be much of the time."""
VALIDATIONS, SAVES = 20, 5
"""In a run, where its epochs allow."""
SHIFT = 0.07
"""Of a side, by which samples are moved that have their place."""
OBLONG = 1.75
"""From this ratio of its sides on a sample keeps its proportions."""


def batch_size(num_train: int, device: str, on_cpu: int = 32) -> int:
    """Return a power of two: up to the device's, with eight batches in an epoch where each then has eight samples.

    That of a CPU, `on_cpu`, goes by the modality.
    """
    largest = on_cpu if device == "cpu" else GPU_BATCH
    wanted = max(8, num_train // 8)
    return min(largest, 2 ** int(math.log2(min(wanted, num_train))))


def base_rate(batch: int, width: int, times: float = 1.0) -> float:
    """Return train.base_lr, the rate per 256 samples, for batches of this size and an encoder of this width.

    It is so many `times` what suits all weights.
    """
    rate = times * RATE * OF_WIDTH / width * math.sqrt(batch / OF_BATCH)
    return _rounded(rate * OF_BATCH / batch)


def picture_size(
    size: Sequence[int], device: str, dense: bool, largest: int | None = None, patch: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Return the size (S,) that a model is given of samples of this usual size, hardly larger than these.

    It is that of a square of the side `largest`, or of what suits the device, `dense` or not: whether each cell gets
    an answer. Samples that are far from square keep their proportions. `patch` (S,) divides it where it is given.
    """
    largest = largest or (DENSE_SIDE if dense else SIDE).get(device, GPU_SIDE)
    if max(size) / min(size) < OBLONG:
        lengths = [min(largest, *size)] * len(size)
    else:
        scale = min(1.0, largest / math.prod(size) ** (1 / len(size)))
        lengths = [max(1, round(length * scale)) for length in size]
    units = patch or [_power(math.prod(lengths) ** (1 / len(lengths)) / _tokens(device))] * len(lengths)
    whole = math.floor if len(set(lengths)) == 1 else round
    return tuple(max(1, whole(length / unit)) * unit for length, unit in zip(lengths, units, strict=True))


def patch_size(size: Sequence[int], device: str) -> int:
    """Return the patch, a power of two, of a size of `picture_size`, for about as many tokens as suit a device."""
    patch = _power(math.prod(size) ** (1 / len(size)) / _tokens(device))
    while any(length % patch for length in size):
        patch //= 2
    return patch


def _tokens(device: str) -> int:
    return TOKENS.get(device, GPU_TOKENS)


def _power(length: float) -> int:
    """Return the power of two, 1 or more, that is closest by ratio."""
    return 2 ** max(0, round(math.log2(max(1.0, length))))


def warmup(epochs: float) -> float:
    return _rounded(WARMUP * epochs)


@dataclass(frozen=True)
class Schedule:
    """How long a run trains."""

    batch: int
    steps: int
    steps_per_epoch: int

    @property
    def epochs(self) -> int:
        """Whole epochs, the last of which may end early."""
        return max(1, math.ceil(self.steps / self.steps_per_epoch))

    @property
    def passes(self) -> int:
        """Samples that are seen, each as often as it is."""
        return self.steps * self.batch

    def settings(self, validations: int) -> Settings:
        """Return it as a spec says it, with so many validations on the way."""
        epochs = self.steps / self.steps_per_epoch
        return {
            "train.epochs": self.epochs,
            "train.max_steps": self.steps if self.steps % self.steps_per_epoch else None,
            "train.warmup_epochs": warmup(epochs),
            "eval_every_epochs": _every(epochs, validations),
            "checkpoint.every_epochs": _every(epochs, SAVES),
        }


def schedule(
    verb: str, batch: int, per_epoch: int, step_s: float, seconds: float, first_epoch_s: float = 0.0
) -> Schedule:
    """Return how long a run of a verb trains in so many seconds.

    A step takes `step_s`, and a whole first epoch `first_epoch_s` beside.
    """
    within_epoch = seconds / (step_s + first_epoch_s / per_epoch)
    affordable = max(FEWEST_STEPS, int(within_epoch), int((seconds - first_epoch_s) / step_s))
    if affordable < WHOLE_EPOCHS * per_epoch:
        return Schedule(batch, affordable, per_epoch)
    most = max(MOST_EPOCHS[verb], math.ceil(ENOUGH_STEPS / per_epoch))
    return Schedule(batch, min(most, affordable // per_epoch) * per_epoch, per_epoch)


def average_decay(steps: int) -> float:
    """Return train.ema_decay whose memory is a twentieth of the run."""
    return round(min(0.9998, max(0.9, 1 - 20 / max(1, steps))), 4)


def augmentation(verb: str, facts: Facts, known: frozenset[str], dense: bool, size: Sequence[int]) -> Settings:
    """Return the settings of `augment` that a kind of samples knows, by what these are like; `size` is the model's.

    Where mirror images are as good, random parts are, too; else samples have their place, and are hardly moved.
    """
    wanted: Settings
    if facts.mirrors:
        wanted = {"crop": "random-resized", "crop_scale": [0.3, 1.0], "flip": True}
    else:
        wanted = {"rotate": 10.0, "translate": _rounded(SHIFT * min(size)), "zoom": [0.9, 1.1]}
    if verb == "finetune" and dense and facts.channels == 3:
        wanted |= {"color": 0.3}
    return {f"augment.{key}": value for key, value in wanted.items() if key in known}


def _every(epochs: float, times: int) -> float:
    """Return how many epochs lie between events of which a run of so many has about so many."""
    if epochs < 1:
        return math.ceil(max(1e-3, epochs / 2) * 1000) / 1000
    return float(max(1, round(epochs / times)))


def _rounded(value: float) -> float:
    """Return a positive number to two digits, as people write it."""
    return float(f"{value:.2g}")
