"""Where a run happened: versions, device, revision, plugins."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from maecli import __version__
from maecli.hardware import describe_device
from maecli.registry import Registry
from maecli.run.plugins_used import plugins_used
from maecli.schema import RunSpec

LIBRARIES = ("torch", "numpy", "safetensors", "pydantic", "pillow")


def describe_environment(
    spec: RunSpec, registry: Registry, device: torch.device, dtype: torch.dtype, num_processes: int = 1
) -> dict[str, Any]:
    """Return what is worth knowing when a run is compared with another."""
    return {
        "mae": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "device": describe_device(device),
        "processes": num_processes,
        "precision": str(dtype).removeprefix("torch."),
        "git_revision": git_revision(),
        "plugins": [used._asdict() for used in plugins_used(spec, registry)],
        "command": sys.argv,
    }


def git_revision() -> str | None:
    """Return the revision of the working directory, marked if it has changes; None outside a repository.

    The repository may be a stranger's, whose settings and hooks name programs: none of them is run. Where settings
    define a filter, which comparing files would run, changes are not looked for.
    """
    revision = _ask_git("rev-parse", "--verify", "--quiet", "HEAD")
    if not revision:
        return None
    filters = _ask_git("config", "--name-only", "--get-regexp", r"^filter\.")
    changes = _ask_git(*STATUS) if filters == "" else None
    return f"{revision}-dirty" if changes else revision


STATUS = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
SAFE = ("--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""No pager, no refreshing of the index, which has a hook of its own, no monitor of files, no hooks."""
SECONDS = 5.0


def _ask_git(*words: str) -> str | None:
    """Return what git prints; None when it has no answer, empty where it finds nothing.

    A program of that name in the current folder is not git.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())
    git = shutil.which("git", path=path)
    if git is None:
        return None
    # What GIT_* variables say is about another repository; missing objects are not fetched, which may run programs.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"PATH": path, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    try:
        process = subprocess.run(
            [git, *SAFE, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    is_empty = words[0] == "config" and process.returncode == 1
    return process.stdout.strip() if process.returncode == 0 or is_empty else None
