"""How the samples of an epoch are dealt out to batches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batching:
    """Batches of an epoch of `num_samples`, of the size that was asked for or, where there are fewer, of all of them.

    What is left over is dropped or, with `keep`, there is one batch more, and all are as even as can be: none is so
    small that its few samples count many times as much as others.
    """

    num_samples: int
    asked: int
    keep: bool = False

    @property
    def num_batches(self) -> int:
        """How many there are in an epoch, one at least."""
        return max(1, -(-self.num_samples // self.asked) if self.keep else self.num_samples // self.asked)

    @property
    def batch_size(self) -> int:
        """How many samples a batch has; with `keep` the largest, which others are a sample short of at most."""
        if self.keep or self.num_samples < self.asked:
            return -(-self.num_samples // self.num_batches)
        return self.asked

    @property
    def num_dropped(self) -> int:
        """How many samples of each epoch are left out, others in each."""
        return max(0, self.num_samples - self.num_batches * self.batch_size)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return where, in the order of an epoch, one of its batches begins and ends; none is larger than the last."""
        if not self.keep:
            return number * self.batch_size, (number + 1) * self.batch_size
        num = self.num_batches
        return self.num_samples * number // num, self.num_samples * (number + 1) // num


def part_of(num_samples: int, number: int, num_parts: int) -> tuple[int, int]:
    """Return where one of so many parts of a batch begins and ends: at even places, for a task may blend pairs.

    Each has two samples at least where there are enough for that.
    """
    pairs = num_samples // 2
    start, stop = (2 * (pairs * each // num_parts) for each in (number, number + 1))
    return start, num_samples if number == num_parts - 1 else stop


def largest_part(num_samples: int, num_parts: int) -> int:
    """Return how many samples the largest part of a batch has."""
    parts = (part_of(num_samples, number, num_parts) for number in range(num_parts))
    return max(stop - start for start, stop in parts)
