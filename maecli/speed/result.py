"""What was measured of several forms side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maecli.speed.process import Memory
from maecli.speed.turns import Timing, unrest


@dataclass(frozen=True)
class Row:
    """One form, measured."""

    name: str
    num_bytes: int
    """Of its file, or of its weights."""
    memory: Memory
    latency: Timing
    """At batch 1."""
    throughput: Timing
    """At a larger batch."""

    def record(self, first: Row) -> dict[str, Any]:
        """Return it as plain values, beside the first row."""
        return {
            "name": self.name,
            "file_bytes": self.num_bytes,
            "memory": {**asdict(self.memory), "added": self.memory.added},
            "latency": self.latency.record(first.latency),
            "throughput": self.throughput.record(first.throughput),
        }


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    cpu: str
    instructions: Sequence[str]
    """Those that say how fast it multiplies matrices."""
    cores: int
    threads: int
    """That each form used."""
    device: str
    """Of PyTorch, in words; files run on the CPU."""
    load: float | None
    """How many processes wanted a core before, on average over a minute; None where the system does not say."""


@dataclass(frozen=True)
class BenchResult:
    """What was measured; every ratio is to the first row."""

    rows: Sequence[Row]
    machine: Machine
    versions: Mapping[str, str]
    inputs: Mapping[str, str]
    """What went into each run or file, in words."""
    left_out: Mapping[str, str]
    """What was not measured, and why."""

    @property
    def note(self) -> str:
        """A sentence where the machine was not at rest; else nothing."""
        load = self.machine.load
        wanted = "" if load is None else f" ({load:.1f} processes wanted its {self.machine.cores} cores before this)"
        return unrest((timing for row in self.rows for timing in (row.latency, row.throughput)), wanted)

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": asdict(self.machine),
            "versions": dict(self.versions),
            "inputs": dict(self.inputs),
            "rows": [row.record(self.rows[0]) for row in self.rows],
            "left_out": dict(self.left_out),
            "note": self.note,
        }
