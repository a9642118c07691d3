"""How much memory is free: of the machine, and of the cgroups that a process is in."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from maecli import memory
from maecli.memory import allowed_bytes, forget_peak_bytes, free_bytes, peak_bytes, resident_bytes

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A process in the cgroup jobs/one, of which a file stands for each number."""
    (tmp_path / "cgroup").write_text("0::/jobs/one\n")
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "fs")

    def limit(group: str, most: str, used: int, cached: int = 0) -> None:
        folder = tmp_path / "fs" / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("max", most), ("current", str(used)), ("stat", f"anon 1\ninactive_file {cached}\n")):
            (folder / f"memory.{name}").write_text(text)

    return limit


@needs_proc
def test_the_narrowest_group_decides_and_caches_of_files_are_free(groups):
    groups("jobs/one", "1000", 600, cached=100)
    assert free_bytes() == 500
    assert free_bytes(num_processes=2) == 250
    groups("jobs", "900", 800)
    assert free_bytes() == 100
    groups("jobs", "700", 800)
    assert free_bytes() == 0


@needs_proc
def test_groups_of_version_1_are_counted_too(groups, tmp_path):
    (tmp_path / "cgroup").write_text("3:cpu,cpuacct:/jobs\n2:memory:/jobs/one\n0::/\n")
    folder = tmp_path / "fs/memory/jobs/one"
    folder.mkdir(parents=True)
    numbers = {"limit_in_bytes": "1000", "usage_in_bytes": "600", "stat": "cache 9\ntotal_inactive_file 100\n"}
    for name, text in numbers.items():
        (folder / f"memory.{name}").write_text(text)
    assert free_bytes() == 500
    (folder / "memory.limit_in_bytes").write_text(str(2**63 - 4096))  # without a limit
    assert free_bytes() > 2**20


@needs_proc
def test_groups_without_a_limit_leave_it_to_the_machine(groups):
    without = free_bytes()
    groups("jobs/one", "max", 600)
    assert without is not None
    assert free_bytes() > 2**20


@pytest.mark.parametrize(
    ("data", "space", "left"),
    [("unlimited", "unlimited", None), ("unlimited", 3222, 150), (1094, 3222, 70), ("unlimited", 3000, 0)],
)
def test_the_limits_of_a_process_are_known(tmp_path, monkeypatch, data, space, left):
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    (tmp_path / "status").write_text("VmSize:\t  3 kB\nVmData:\t  1 kB\n")
    rows = [("Limit", "Soft Limit"), ("Max data size", data), ("Max address space", space)]
    (tmp_path / "limits").write_text("\n".join(f"{name:<26}{soft:<21}unlimited  bytes" for name, soft in rows))
    assert allowed_bytes() == left


def used_pages(num_bytes: int) -> mmap.mmap:
    """Return memory that goes back to the system when it is closed, whatever is done with memory that is freed."""
    held = mmap.mmap(-1, num_bytes)
    for place in range(0, num_bytes, 4096):
        held[place] = 1
    return held


@needs_proc
def test_the_peak_of_a_process_is_measured_anew():
    held = used_pages(64 * 2**20)
    assert peak_bytes() >= resident_bytes() > 64 * 2**20
    high = peak_bytes()
    held.close()
    forget_peak_bytes()
    assert peak_bytes() < high


@needs_proc
def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it():
    held = used_pages(256 * 2**20)
    code = "from maecli.memory import peak_bytes; print(peak_bytes())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    held.close()
    assert 2**20 < peak < 2**27
