"""What `--devices` asks for, and what a launcher tells a process."""

from __future__ import annotations

import pytest

from maecli.cli.ask.devices import without_devices
from maecli.errors import SpecError
from maecli.hardware import processes_here
from maecli.parallel.environment import is_restarted, num_processes
from maecli.parallel.launch import chosen


def test_devices_are_a_number_or_names():
    assert chosen("3") == (3, None)
    assert chosen("cuda:0,cuda:2") == (2, "0,2")


@pytest.mark.parametrize(
    ("devices", "reason"),
    [
        ("0", "is none of a number, all, and names as cuda:0,cuda:1"),
        ("cpu", "is none of a number"),
        ("0,1", "is none of a number"),
        ("cuda:0,cuda:0", "names a device twice"),
        ("99999999", "is none of a number"),
    ],
)
def test_other_devices_are_refused(devices, reason):
    with pytest.raises(SpecError, match=reason):
        chosen(devices)


def test_what_was_typed_is_handed_on_but_for_devices():
    typed = ["pretrain", "--devices", "2", "--root", "a b", "--devices=3", "--device", "cpu"]
    assert without_devices(typed) == ["pretrain", "--root", "a b", "--device", "cpu"]


@pytest.fixture
def launched(monkeypatch):
    """Return a function that sets what a launcher says."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that what is set is taken back
        monkeypatch.delenv(name)

    def launch(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return launch


def test_a_process_is_alone_unless_a_launcher_says_otherwise(launched):
    assert num_processes() == 1
    launched(WORLD_SIZE="4", LOCAL_WORLD_SIZE="2")  # as a job of something else may have it
    assert (num_processes(), processes_here()) == (1, 1)
    launched(RANK="0")
    assert (num_processes(), processes_here()) == (4, 2)
    assert not is_restarted()
    launched(TORCHELASTIC_RESTART_COUNT="1")
    assert is_restarted()


def test_tasks_of_srun_work_together_where_they_know_where_to_meet(launched):
    launched(SLURM_PROCID="3", SLURM_NTASKS="16", SLURM_LOCALID="3", SLURM_NTASKS_PER_NODE="8")
    assert num_processes() == 1
    launched(MASTER_ADDR="node1")
    assert num_processes() == 16
