"""What part of a batch each of several processes has, in micro-batches of which each has as many."""

from __future__ import annotations

from maecli.data.batch import Batch
from maecli.data.batching import part_of
from maecli.errors import SpecError
from maecli.parallel.world import World
from maecli.text import number_of


def whole_pairs(size: int, num: int) -> int:
    """Return the size of micro-batches of `num` samples that begin at even places: a task may blend pairs of samples.

    Those of one sample are left so.
    """
    return size - size % 2 if 1 < size < num else size


def micro_batches(batch: Batch, num_samples: int, size: int | None, world: World) -> list[Batch]:
    """Return the parts of this process's share of a batch that has `num_samples` over all processes.

    They have at most `size` samples, or all. Each process has as many, for all work on each at the same time.
    """
    if world.size == 1:
        return list(batch.micro_batches(whole_pairs(size or len(batch), len(batch))))
    bounds = (part_of(num_samples, rank, world.size) for rank in range(world.size))
    nums = [stop - start for start, stop in bounds]
    num_parts = min(-(-max(nums) // (size or max(nums))), min(nums) // 2)
    return [batch.narrow(*part_of(len(batch), i, num_parts)) for i in range(num_parts)]


def check_shares(num_samples: int, num_processes: int) -> None:
    """Raise SpecError where a batch is too small for so many processes: each takes two samples of it at least."""
    if num_processes > 1 and num_samples < 2 * num_processes:
        raise SpecError(
            f"{num_processes} processes share each batch in pairs of samples, and a batch here has "
            f"{number_of(num_samples, 'sample')}; use fewer processes, or a --batch-size of at least "
            f"{2 * num_processes}"
        )
