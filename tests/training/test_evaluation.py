"""Measuring is broken off before the next batch where a process is to stop."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.preprocess import Preprocess
from maecli.training.evaluation import measure
from maecli.training.loop.stopping import Stopped


@pytest.mark.parametrize(("after", "seen"), [(2, ["a", "bc"]), (9, ["a", "bc", "def"])])
def test_measuring_stops_before_the_next_batch(after, seen):
    counted: list[str] = []
    evaluator = SimpleNamespace(update=lambda _, batch: counted.append(batch))
    task = SimpleNamespace(evaluator=lambda _: evaluator)
    loader = SimpleNamespace(
        device=torch.device("cpu"), on_fault=None, eval_batches=lambda *_: iter(["a", "bc", "def"])
    )
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


class Pictures(Split):
    """Three of them, of which some cannot be read."""

    keys = ("a", "b", "c")

    def __init__(self, broken: str) -> None:
        self.broken = broken

    def __getitem__(self, index: int) -> Sample:
        if self.keys[index] in self.broken:
            raise BrokenSample(self.keys[index], "truncated")
        return {"image": np.zeros((1, 2, 2), np.uint8)}


@pytest.mark.parametrize(("broken", "told"), [("ac", "ac"), ("abc", "a")])
def test_where_nothing_can_be_read_one_fault_is_told_for_all(broken, told):
    faults: list[str] = []
    preprocess = Preprocess((2, 2), 1, (0.0, 255.0), (0.5,), (0.25,))
    on_fault = lambda fault: faults.append(fault.path)  # noqa: E731
    loader = StreamedLoader(Pictures(broken), preprocess, torch.device("cpu"), 0, on_fault, workers=0)
    task = SimpleNamespace(evaluator=lambda _: SimpleNamespace(update=lambda *_: None))
    assert measure(task, nn.Identity(), loader, 1, torch.float32)[1] == 3 - len(broken)
    assert "".join(faults) == told
    assert loader.on_fault is on_fault
