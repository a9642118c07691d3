"""`--devices`: the same command in several processes on this machine, by PyTorch's elastic launcher, that of torchrun.

Where one of them dies, all are started anew, and the run goes on from its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from maecli.errors import Interrupted, MaeError, SpecError
from maecli.parallel.environment import EXIT_CODE

MAX_RESTARTS = 3
MOST = 1024


def launch(devices: str, arguments: Sequence[str]) -> int:
    """Run `mae` with the arguments, `--devices` not among them, in a process for each device; return its exit code.

    Raises SpecError for devices that are not there, MaeError where the processes die again and again.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from maecli.hardware import num_cores

    count, names = chosen(devices)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, num_cores() // count)))
    if names is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = names
    logging.disable(logging.ERROR)  # it would tell of restarts by tracebacks, and of signals
    with tempfile.TemporaryDirectory(prefix="mae-devices-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "exit-code"
        os.environ[EXIT_CODE] = str(file)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=MAX_RESTARTS,
            logs_specs=DefaultLogsSpecs(folder),  # what it makes of its own it never takes away
        )
        try:
            elastic_launch(config, sys.executable)("-m", "maecli", *arguments)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            raise MaeError(
                f"process {rank} of {count} died {MAX_RESTARTS + 1} times, the last time {_how(failure.exitcode)}; "
                "what was saved before is kept, and --resume goes on from there"
            ) from error
        except SignalException as stop:
            if (code := _code(file)) is None:  # it came while no process was there to save, and to note a code
                raise Interrupted("interrupted; what was saved before is kept") from stop
            return code
        return _code(file) or 0


def chosen(devices: str) -> tuple[int, str | None]:
    """Return how many processes `--devices` asks for, and CUDA_VISIBLE_DEVICES for them where it names some."""
    if re.fullmatch(r"cuda:\d+(,cuda:\d+)*", devices):
        numbers = [name.removeprefix("cuda:") for name in devices.split(",")]
        if len(set(numbers)) < len(numbers):
            raise SpecError(f"--devices {devices} names a device twice")
        if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
            there = [name for name in visible.split(",") if name]
            if max(map(int, numbers)) >= len(there):
                raise SpecError(f"--devices {devices} names more than the GPUs of CUDA_VISIBLE_DEVICES={visible}")
            numbers = [there[int(number)] for number in numbers]
        return len(numbers), ",".join(numbers)
    if devices == "all":
        import torch

        if num := torch.cuda.device_count():
            return num, None
        raise SpecError("--devices all is for GPUs, and this machine has none; give a number of processes")
    if re.fullmatch(r"[0-9]{1,4}", devices) and 1 <= int(devices) <= MOST:
        return int(devices), None
    raise SpecError(f"--devices {devices!r} is none of a number, all, and names as cuda:0,cuda:1")


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _code(file: Path) -> int | None:
    """Return the exit code that the first process noted, None where it has not."""
    try:
        return int(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
