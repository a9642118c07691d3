"""Measuring is broken off before the next batch where a process is to stop."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from maecli.training.evaluation import measure
from maecli.training.loop.stopping import Stopped


@pytest.mark.parametrize(("after", "seen"), [(2, ["a", "bc"]), (9, ["a", "bc", "def"])])
def test_measuring_stops_before_the_next_batch(after, seen):
    counted: list[str] = []
    evaluator = SimpleNamespace(update=lambda _, batch: counted.append(batch))
    task = SimpleNamespace(evaluator=lambda _: evaluator)
    loader = SimpleNamespace(device=torch.device("cpu"), eval_batches=lambda *_: iter(["a", "bc", "def"]))
    module = nn.Identity()

    def run() -> int:
        return measure(task, module, loader, 3, torch.float32, stopped=lambda: len(counted) >= after)[1]

    if after < 3:
        with pytest.raises(Stopped):
            run()
    else:
        assert run() == 6
    assert counted == seen
    assert module.training
