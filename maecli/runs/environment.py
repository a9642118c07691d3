"""Where a run happened: versions, device, revision, plugins."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from typing import Any

import torch

from maecli import __version__
from maecli.hardware import describe_device
from maecli.registry import Registry
from maecli.runs.plugins import plugins_used
from maecli.specs import RunSpec

LIBRARIES = ("torch", "numpy", "safetensors", "pydantic", "pillow")


def describe_environment(spec: RunSpec, registry: Registry, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Return what is worth knowing when a run is compared with another."""
    return {
        "mae": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "device": describe_device(device),
        "precision": str(dtype).removeprefix("torch."),
        "git_revision": git_revision(),
        "plugins": plugins_used(spec, registry),
        "command": sys.argv,
    }


def git_revision() -> str | None:
    """Return the revision of the working directory, marked if it has changes; None outside a repository."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
