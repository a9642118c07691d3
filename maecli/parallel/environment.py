"""What a launcher (torchrun, srun) tells a process of its place among the others. Imports no torch."""

from __future__ import annotations

import os

EXIT_CODE = "MAE_EXIT_CODE_FILE"
"""Environment: where `mae --devices` finds with which exit code its processes ended, so that it starts none anew."""


def num_processes() -> int:
    """Return how many processes work together, by what torchrun, or srun with `MASTER_ADDR`, says; else 1."""
    _from_slurm()
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def is_restarted() -> bool:
    """Whether torchrun has started the processes anew, since one of them ended."""
    return num_processes() > 1 and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _from_slurm() -> None:
    """Set what torchrun would, where srun starts a process for each task and `MASTER_ADDR` says where they meet."""
    if "RANK" in os.environ or "MASTER_ADDR" not in os.environ or "SLURM_PROCID" not in os.environ:
        return
    names = {"RANK": "PROCID", "WORLD_SIZE": "NTASKS", "LOCAL_RANK": "LOCALID", "LOCAL_WORLD_SIZE": "NTASKS_PER_NODE"}
    for name, theirs in names.items():
        if (value := os.environ.get(f"SLURM_{theirs}")) is not None:
            os.environ[name] = value
    os.environ.setdefault("MASTER_PORT", "29500")
