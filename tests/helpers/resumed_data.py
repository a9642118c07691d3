"""What tests of resumed runs do to the data, and what they look for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkpoint_files import rewrite
from safetensors.torch import load_file
from write_data import write_picture

from maecli.run.checkpoint import find_checkpoint

READING = "reading the contents of all data\n"


def refusal(run: Path, complaint: str) -> tuple[int, str]:
    sentence = f"mae: {run} cannot be resumed: {complaint}; bring back the data, or begin anew with another --out\n"
    return 3, sentence


def replace(path: Path) -> None:
    """Replace a picture by another one, of the same size in bytes and with the same times."""
    state = path.stat()
    write_picture(path, np.full((8, 8, 3), 77, np.uint8))
    path.write_bytes(path.read_bytes().ljust(state.st_size, b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def flip(path: Path, where: int) -> None:
    """Change a bit of a file, and neither its size nor its times."""
    state, data = path.stat(), bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def record(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the last checkpoint records."""
    rewrite(find_checkpoint(run).path / "model.safetensors", change)


def samples_of(run: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = find_checkpoint(run).metadata()["samples"]
    return recorded


def weights(run: Path) -> dict[str, torch.Tensor]:
    path = find_checkpoint(run).path
    return load_file(path / "model.safetensors") | load_file(path / "state.safetensors")


def one_of(run: Path, split: str) -> str:
    """Return a file whose hash was kept of a split."""
    return next(iter(samples_of(run)[split]["hashes"]))


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
