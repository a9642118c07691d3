from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import sleepy_step

from maecli.errors import MaeError
from maecli.speed.process import Process


def test_a_process_of_its_own_times_each_step_and_tells_its_memory_and_what_fails():
    with Process("sleepy", partial(sleepy_step.load, 0.01), np.zeros((3, 1), np.float32), threads=1) as process:
        process.feed(2)
        steps = process.turn(0.03)
        assert 1 <= len(steps) <= 3
        assert min(steps) >= 0.01
        memory = process.memory()
        assert 0 <= memory.before <= memory.peak
        assert memory.added == memory.peak - memory.before
        with pytest.raises(MaeError, match="no room for 3 samples"):
            process.feed(3)
        process.process.kill()
        with pytest.raises(MaeError, match=r"its process ended \(exit code -9\)"):
            process.turn(1)
    assert not process.process.is_alive()
