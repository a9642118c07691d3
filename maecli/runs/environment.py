"""Where a run happened: versions, device, revision, plugins."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import torch

from maecli import __version__
from maecli.hardware import describe_device
from maecli.registry import Registry
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
        "plugins": _plugins(spec, registry),
        "command": sys.argv,
    }


def _plugins(spec: RunSpec, registry: Registry) -> list[dict[str, str]]:
    used: Iterable[tuple[Any, str]] = [
        ("dataset", spec.dataset.name),
        ("task", spec.task.name),
        ("model", spec.model.name),
        *(("tracker", name) for name in spec.trackers),
    ]
    listings = [registry.listing(kind, name) for kind, name in used]
    return [
        {"kind": each.kind, "name": each.name, "package": each.package, "version": each.version} for each in listings
    ]


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
