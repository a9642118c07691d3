"""What a launcher (torchrun, srun) tells a process of its place among the others. Imports no torch."""

from __future__ import annotations

import _thread
import contextlib
import hashlib
import os
import re
import signal
import sys
import time
from pathlib import Path

EXIT_CODE = "MAE_EXIT_CODE_FILE"
"""Environment: where `mae --devices` finds with which exit code its processes ended, so that it starts none anew."""
ALIVE_S = 1.0
"""How often a process looks whether its launcher is still there."""

_STARTED = time.monotonic()


def num_processes() -> int:
    """Return how many processes work together, by what torchrun, or srun with `MASTER_ADDR`, says; else 1."""
    _from_slurm()
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def end_with_launcher() -> None:
    """Let SIGTERM, which saves, end this process once the torchrun that started it is gone, which else it outlives."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _thread.start_new_thread(_watch, (os.getppid(),))


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(ALIVE_S)
    os.kill(os.getpid(), signal.SIGTERM)


def note_begun() -> None:
    """Note for the processes that torchrun starts anew that this command began its run, or was let go on with it."""
    if (note := _note()) is not None:
        # where it cannot be written they refuse to go on, which is the safe side
        with contextlib.suppress(OSError), note.open("x", encoding="utf-8") as file:
            file.write(str(_STARTED))


def has_begun() -> bool:
    """Whether this command began its run before torchrun, this very one, started its processes anew."""
    return (note := _note()) is not None and note.exists()


def first_started() -> float | None:
    """Return when torchrun first started this command, where it began its run then, by `time.monotonic()`."""
    with contextlib.suppress(OSError, ValueError):
        if (note := _note()) is not None:
            return float(note.read_text(encoding="utf-8"))
    return None


def _note() -> Path | None:
    """Return the file that is there once this command has begun.

    It lies in the folder that torchrun makes for itself on each machine, FOLDER/attempt_N/RANK/error.json, since
    neither its run id nor its count of restarts tells one start of it from another.
    """
    error_file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not error_file:
        return None
    command = hashlib.sha256("\0".join(sys.argv).encode("utf-8", "surrogateescape")).hexdigest()
    return Path(error_file).absolute().parents[2] / f"mae-has-begun-{command[:16]}"


def _from_slurm() -> None:
    """Set what torchrun would, where srun starts a process for each task and `MASTER_ADDR` says where they meet.

    A script of sbatch is one process, though it has the number of tasks of its job and is itself the first of them:
    what begins with SLURM_STEP is of srun alone.
    """
    theirs = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    if "RANK" in os.environ or not {"MASTER_ADDR", *theirs} <= os.environ.keys():
        return
    for name, slurm in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), theirs, strict=True):
        os.environ[name] = os.environ[slurm]
    on_nodes = re.findall(r"(\d+)(?:\(x(\d+)\))?", os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""))  # 2(x3),1
    numbers = [num for num, times in on_nodes for _ in range(int(times or 1))]
    with contextlib.suppress(LookupError):
        os.environ["LOCAL_WORLD_SIZE"] = numbers[int(os.environ.get("SLURM_NODEID", "0"))]
    os.environ.setdefault("MASTER_PORT", "29500")
