from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from maecli.speed.result import BenchResult


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        (0.1, ""),
        (0.3, "up to 30% apart; rely on the ratios, which are of turns side by side, rather than on the times"),
        (0.6, "up to 60% apart; neither times nor ratios can be relied on, so measure again when nothing else runs"),
    ],
)
def test_how_far_figures_are_to_be_believed_is_told(apart, told):
    row = SimpleNamespace(latency=SimpleNamespace(unsteadiness=0.0), throughput=SimpleNamespace(unsteadiness=apart))
    result = BenchResult(cast(Any, [row]), cast(Any, SimpleNamespace(load=None)), {}, {}, {})
    assert result.note.endswith(told)
    assert bool(result.note) is bool(told)
