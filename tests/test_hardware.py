from __future__ import annotations

import os

from maecli.hardware import num_cores


def test_the_cores_are_those_of_the_process_where_the_system_tells_them(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert num_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert num_cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_cores() == 1
