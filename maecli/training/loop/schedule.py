"""What a run does at which step: how many there are, what batches, what learning rate, when something is due."""

from __future__ import annotations

import math
import sys

from maecli.data.batching import Batching
from maecli.errors import DataError
from maecli.schema import RunSpec
from maecli.training.loop.optim import rate_at
from maecli.training.loop.pace import num_due


class Schedule:
    """The steps of a run of so many samples, of which `num_val` are measured at each validation."""

    def __init__(self, spec: RunSpec, num_samples: int, num_val: int) -> None:
        if not num_samples:
            raise DataError("there are no training samples")
        self._spec, self._num_val = spec, num_val
        self.batching = Batching(num_samples, spec.train.batch_size, spec.train.last_batch == "keep")
        self.steps_per_epoch = self.batching.num_batches
        self.total_steps = min(spec.train.epochs * self.steps_per_epoch, spec.train.max_steps or sys.maxsize)
        self.settings = spec.train.model_copy(update={"batch_size": self.batching.batch_size})
        """Those of the spec, with the batches as they are: a learning rate is stated for these."""
        self.validates_every = self._steps(spec.eval_every_epochs)
        self.saves_every = self._steps(spec.checkpoint.every_epochs)

    def _steps(self, epochs: float) -> int:
        return max(1, round(epochs * self.steps_per_epoch))

    @property
    def validation_steps(self) -> float:
        """How many steps' worth of samples a validation has."""
        return self._num_val / self.batching.batch_size

    def num_samples(self, step: int) -> int:
        """Return how many samples the batch of a step has, over all processes."""
        start, stop = self.batching.bounds(step % self.steps_per_epoch)
        return stop - start

    def rate(self, step: int, begin: int) -> float:
        """Return the learning rate of a step of a run that began at step `begin`."""
        return rate_at(step, self.total_steps, self.steps_per_epoch, self.settings, begin)

    def is_due(self, step: int, every: int) -> bool:
        """Return whether something that happens every so many steps, and at the end, happens after a step."""
        return step % every == 0 or step == self.total_steps

    def num_left(self, step: int) -> tuple[int, int]:
        """Return how many validations, with that at the very end, and how many saves are due after a step."""
        validations = num_due(step, self.total_steps, self.validates_every) + 1 if self._num_val else 0
        return validations, num_due(step, self.total_steps, self.saves_every)

    def epoch(self, step: int) -> str:
        """Return how many epochs are done, in words: 2, or 1.4."""
        return f"{step / self.steps_per_epoch:.1f}".removesuffix(".0")

    def more_epochs(self, step: int) -> int:
        """Return twice as many epochs as are done: what a run may be extended to."""
        return 2 * math.ceil(step / self.steps_per_epoch)
