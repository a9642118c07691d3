from __future__ import annotations

import pytest

from maecli.data.batching import Batching


@pytest.mark.parametrize(
    ("num", "asked", "keep", "expected"),
    [
        (240, 128, False, (1, 128, 112)),
        (240, 128, True, (2, 120, 0)),
        (256, 128, True, (2, 128, 0)),
        (257, 256, True, (2, 129, 0)),
        (240, 256, False, (1, 240, 0)),
        (240, 256, True, (1, 240, 0)),
        (1, 256, False, (1, 1, 0)),
    ],
)
def test_batches_of_an_epoch(num, asked, keep, expected):
    batching = Batching(num, asked, keep)
    assert (batching.num_batches, batching.batch_size, batching.num_dropped) == expected


@pytest.mark.parametrize("num", range(1, 40))
def test_kept_batches_hold_every_sample_once_and_differ_by_one_at_most(num):
    batching = Batching(num, 7, keep=True)
    bounds = [batching.bounds(number) for number in range(batching.num_batches)]
    assert [first for first, _ in bounds] == [0, *(last for _, last in bounds[:-1])]
    assert bounds[-1][1] == num
    sizes = {last - first for first, last in bounds}
    assert max(sizes) == bounds[-1][1] - bounds[-1][0] == batching.batch_size <= 7
    assert max(sizes) - min(sizes) <= 1
