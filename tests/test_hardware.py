from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from maecli import memory
from maecli.hardware import forget_peak, keep_freed_memory, memory_used, num_cores


def test_the_cores_are_those_of_the_process_where_the_system_tells_them(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert num_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert num_cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_cores() == 1


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc")
def test_the_peak_of_a_run_is_not_that_of_the_one_before():
    keep_freed_memory()
    device = torch.device("cpu")
    held = torch.ones(2**24)
    high = memory_used(device)
    del held
    before = forget_peak(device)
    assert before <= memory_used(device) < high - 2**25


def test_a_peak_that_the_system_keeps_is_of_no_run(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "PROCESS", tmp_path / "without")
    device = torch.device("cpu")
    assert forget_peak(device) is None
    assert memory_used(device) > 2**20
