"""What processes say of each other."""

from __future__ import annotations

from maecli.parallel.world import Processes


def test_where_a_process_is_lost_resuming_is_advised_to_training_alone():
    here = object.__new__(Processes)  # without connections, which this sentence asks for nothing
    here.size = 2
    assert here._whom(timed_out=False) == (
        "another of the 2 processes ended; start the same command again, as mae --devices and torchrun --max-restarts "
        "do by themselves"
    )
    here.goes_on = True
    assert "--resume goes on from the last checkpoint, as mae --devices" in here._whom(timed_out=False)
