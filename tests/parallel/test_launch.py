"""What `--devices` asks for, and what a launcher tells a process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import typer
from torch.distributed.elastic.multiprocessing.api import SignalException

from maecli import cli, hardware
from maecli.cli.ask.devices import without_devices
from maecli.errors import Interrupted, SpecError
from maecli.hardware import choose_device, gpu_of, processes_here
from maecli.parallel.environment import EXIT_CODE, first_started, has_begun, note_begun, num_processes
from maecli.parallel.launch import chosen, launch
from maecli.parallel.world import Processes


def test_devices_are_a_number_or_names(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert chosen("3") == (3, None)
    assert chosen("cuda:0,cuda:2") == (2, "0,2")


def test_devices_are_those_of_the_gpus_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7c,5")
    assert chosen("cuda:2,cuda:1") == (2, "5,GPU-7c")
    with pytest.raises(SpecError, match=r"names more than the GPUs of CUDA_VISIBLE_DEVICES=4,GPU-7c,5"):
        chosen("cuda:0,cuda:3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(SpecError, match="names more than the GPUs of CUDA_VISIBLE_DEVICES="):
        chosen("cuda:0")


@pytest.mark.parametrize(("num", "local_rank", "gpu"), [(4, 3, 3), (1, 3, 0), (0, 3, None), (2, 3, None), (1, 0, 0)])
def test_a_process_takes_the_gpu_of_its_number_or_the_one_that_it_sees(monkeypatch, launched, num, local_rank, gpu):
    launched(RANK="3", LOCAL_WORLD_SIZE="4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num)
    assert gpu_of(local_rank) == gpu


def test_a_gpu_of_its_own_is_one_for_each(monkeypatch, launched):
    launched(RANK="3", LOCAL_WORLD_SIZE="4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SpecError, match=r"^4 processes want a GPU each, and this machine has 1;"):
        choose_device("cuda")
    monkeypatch.setattr(hardware, "_has_own_gpu", True)
    assert [choose_device(name) for name in ("cuda", "cuda:0")] == [torch.device("cuda"), torch.device("cuda:0")]


def test_one_named_gpu_is_none_for_several_processes(monkeypatch, launched):
    launched(RANK="0", LOCAL_WORLD_SIZE="2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda") == torch.device("cuda")
    with pytest.raises(SpecError, match=r"^device 'cuda:0' is one, and 2 processes want a GPU each;"):
        choose_device("cuda:0")


def test_nccl_waits_longer_than_gloo_which_is_to_notice(monkeypatch):
    waits: list[float] = []

    class Backend:
        def _set_default_timeout(self, timeout):
            waits.append(timeout.total_seconds())

    class Group:
        def _get_backend(self, device):
            assert device == torch.device("cuda")
            return Backend()

    monkeypatch.setattr(dist, "new_group", lambda timeout: waits.append(timeout.total_seconds()) or Group())
    monkeypatch.setattr(dist, "get_backend_config", lambda group: "cpu:gloo,cuda:nccl")
    Processes(0, 2, hang_s=60)
    assert waits[2:] == [60, 600]


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


def test_they_are_refused_in_json_too(mae, monkeypatch):
    typed = ("pretrain", "--devices", "9x", "--json")
    monkeypatch.setattr("sys.argv", ["mae", *typed])
    outcome = mae(*typed)
    assert (outcome.exit_code, outcome.json["exit_code"]) == (2, 2)


def test_what_was_typed_is_handed_on_but_for_devices():
    typed = ["pretrain", "--devices", "2", "--root", "a b", "--devices=3", "--device", "cpu"]
    assert without_devices(typed) == ["pretrain", "--root", "a b", "--device", "cpu"]


@pytest.fixture
def launched(monkeypatch):
    """Return a function that sets what a launcher says."""
    for name in (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "TORCHELASTIC_ERROR_FILE",
    ):
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


def test_tasks_of_srun_work_together_where_they_know_where_to_meet(launched):
    of_job = {"SLURM_NTASKS": "16", "SLURM_NTASKS_PER_NODE": "8", "SLURM_TASKS_PER_NODE": "8(x2)"}
    launched(SLURM_PROCID="11", SLURM_LOCALID="1", SLURM_NODEID="3", **of_job)
    launched(SLURM_STEP_NUM_TASKS="12", SLURM_STEP_TASKS_PER_NODE="4,3(x2),2")
    assert num_processes() == 1
    launched(MASTER_ADDR="node1")
    assert (num_processes(), processes_here()) == (12, 2)


def test_a_script_of_sbatch_is_one_process(launched):
    launched(SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_NTASKS="16", MASTER_ADDR="node1")
    assert num_processes() == 1


def test_only_verbs_that_share_work_wait_for_other_processes(launched, monkeypatch, capsys):
    launched(RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="1")
    monkeypatch.setattr("sys.argv", ["mae", "inspect", "nowhere"])
    assert cli._run() == 0  # of the second, and without the first
    assert capsys.readouterr() == ("", "")
    launched(RANK="0")
    assert cli._run() == 2
    options = {name: {option for each in command.params for option in each.opts} for name, command in verbs().items()}
    assert {name for name in options if "--devices" in options[name]} | {"demo", "sweep"} == cli.SHARED


def verbs() -> dict[str, Any]:
    return typer.main.get_command(cli.app).commands


def test_a_command_has_begun_only_under_the_torchrun_that_it_began_under(launched, monkeypatch, tmp_path):
    def begun(where: str, *words: str) -> bool:
        (tmp_path / where).mkdir(parents=True, exist_ok=True)
        launched(TORCHELASTIC_ERROR_FILE=str(tmp_path / where / "error.json"), TORCHELASTIC_RUN_ID="one")
        monkeypatch.setattr("sys.argv", ["mae", *words])
        return has_begun()

    assert not begun("first/attempt_0/0", "pretrain")
    assert first_started() is None
    note_begun()
    began = first_started()
    assert began is not None
    assert 0 < began < time.monotonic()
    monkeypatch.setattr("maecli.parallel.environment._STARTED", time.monotonic())
    note_begun()
    assert begun("first/attempt_0/1", "pretrain")
    assert begun("first/attempt_1/0", "pretrain")
    assert first_started() == began, "the time of --max-time goes on"
    assert not begun("first/attempt_1/0", "finetune")
    assert not begun("second/attempt_1/0", "pretrain")
    launched(TORCHELASTIC_ERROR_FILE="")
    note_begun()
    assert not has_begun()


@pytest.mark.parametrize("noted", [None, 3])
def test_a_signal_while_processes_start_anew_is_an_interruption_unless_the_first_ended_before(monkeypatch, noted):
    def elastic_launch(*_):
        def stopped(*_):
            if noted is not None:
                Path(os.environ[EXIT_CODE]).write_text(str(noted))
            raise SignalException("told to stop", signal.SIGTERM)

        return stopped

    monkeypatch.setenv(EXIT_CODE, "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", elastic_launch)
    monkeypatch.setattr("logging.disable", lambda _: None)
    if noted is not None:
        assert launch("2", ["pretrain"]) == noted
        return
    with pytest.raises(Interrupted, match="interrupted; what was saved before is kept"):
        launch("2", ["pretrain"])


def test_what_the_launcher_notes_is_gone_when_it_ends(monkeypatch, tmp_path):
    def elastic_launch(config, _):
        config.logs_specs.reify({0: {}})
        return lambda *_: None

    monkeypatch.setenv(EXIT_CODE, "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", elastic_launch)
    monkeypatch.setattr("logging.disable", lambda _: None)
    assert launch("2", ["pretrain"]) == 0
    assert list(tmp_path.iterdir()) == []
