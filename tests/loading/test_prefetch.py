from __future__ import annotations

import contextlib

import pytest
import torch

from maecli.data.batch import Batch
from maecli.data.randomness import Draws
from maecli.errors import Fault
from maecli.loading.prefetch import prefetched

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


class Source:
    """Batches of two samples; knows how many were taken, and whether it was closed."""

    def __init__(self, num, fail_at=None):
        self.num, self.fail_at = num, fail_at
        self.taken, self.closed = 0, False

    def __call__(self):
        try:
            for number in range(self.num):
                if number == self.fail_at:
                    raise RuntimeError("no more")
                self.taken += 1
                tensors = {"image": torch.full((2, 1, 4, 4), number, dtype=torch.uint8), "label": torch.arange(2)}
                yield Batch(tensors, Draws(3, number, torch.arange(2)), ["a", "b"], [Fault("c", "empty")], 0.5)
        finally:
            self.closed = True


def check(batches, device, num):
    count = 0
    for number, batch in enumerate(batches):
        count += 1
        assert {tensor.device for tensor in (*batch.tensors.values(), batch.draws.ids)} == {device}
        assert batch["image"].tolist() == torch.full((2, 1, 4, 4), number).tolist()
        assert (batch["image"].dtype, batch["label"].tolist()) == (torch.uint8, [0, 1])
        assert (batch.draws.seed, batch.draws.epoch, batch.draws.ids.tolist()) == (3, number, [0, 1])
        assert (list(batch.keys), list(batch.faults), batch.progress) == (["a", "b"], [Fault("c", "empty")], 0.5)
    assert count == num


@pytest.mark.parametrize("num", [0, 1, 5])
def test_on_the_cpu_the_batches_come_as_they_are_and_none_is_taken_ahead(num):
    source = Source(num)
    check(prefetched(source(), CPU), CPU, num)
    assert source.closed
    if num:
        source = Source(num)
        batches = prefetched(source(), CPU)
        next(batches)
        assert (source.taken, source.closed) == (1, False)
        batches.close()
        assert source.closed


class Device:
    """CUDA's streams and memory as far as they are used here; notes what was asked of them."""

    def __init__(self, monkeypatch):
        self.calls = []
        self.streams = ["current"]
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream(self, "side"))
        monkeypatch.setattr(torch.cuda, "stream", self.stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream(self, self.streams[-1]))
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda _, stream: self.note(f"keep for {stream.name}"))
        monkeypatch.setattr(Batch, "to", lambda batch, _: self.note(self.copying(batch), batch))

    @contextlib.contextmanager
    def stream(self, stream):
        self.streams.append(stream.name)
        yield
        self.streams.pop()

    def copying(self, batch):
        return f"copy {batch.draws.epoch} on {self.streams[-1]}"

    def note(self, call, result=None):
        self.calls.append(call)
        return result


class Stream:
    def __init__(self, device, name):
        self.device, self.name = device, name

    def record_event(self):
        copies = [call for call in self.device.calls if call.startswith("copy")]
        return f"{copies[-1]} done"

    def wait_event(self, event):
        self.device.calls.append(f"{self.name} waits for {event}")


def test_the_next_copy_begins_before_a_batch_is_handed_over_which_waits_for_its_own_alone(monkeypatch):
    device = Device(monkeypatch)
    for batch in prefetched(Source(3)(), CUDA):
        device.calls.append(f"use {batch.draws.epoch} on {device.streams[-1]}")
    keep = ["keep for current"] * 3  # image, label, ids
    assert device.calls == [
        "copy 0 on side",
        "copy 1 on side",
        "current waits for copy 0 on side done",
        *keep,
        "use 0 on current",
        "copy 2 on side",
        "current waits for copy 1 on side done",
        *keep,
        "use 1 on current",
        "current waits for copy 2 on side done",
        *keep,
        "use 2 on current",
    ]


@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_every_batch_comes_once_though_one_is_taken_ahead(monkeypatch, num):
    Device(monkeypatch)
    source = Source(num)
    assert [batch.draws.epoch for batch in prefetched(source(), CUDA)] == list(range(num))
    assert source.closed


def test_the_source_is_closed_with_it_and_its_error_comes_through(monkeypatch):
    Device(monkeypatch)
    source = Source(5)
    batches = prefetched(source(), CUDA)
    next(batches)
    assert source.taken == 2
    batches.close()
    assert source.closed
    source = Source(5, fail_at=3)
    with pytest.raises(RuntimeError, match="no more"):
        list(prefetched(source(), CUDA))
    assert source.closed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_on_cuda_the_batches_are_whole_and_nothing_waits_for_their_copies():
    check(prefetched(Source(20)(), CUDA), CUDA, 20)
    batches = prefetched(Source(200)(), CUDA)
    next(batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        sums = [torch.square(batch["image"].float()).sum() / 32 for batch in batches]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [round(float(total) ** 0.5) for total in sums] == list(range(1, 200))
