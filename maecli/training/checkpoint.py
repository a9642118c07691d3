"""Checkpoints: safetensors only, whole or not there, with pointers to the last and the best.

checkpoints/step-000800/model.safetensors    the weights to use; metadata: spec, data card, format version
checkpoints/step-000800/state.safetensors    what resuming needs besides: optimizer, raw weights, counters
checkpoints/last, checkpoints/best           names of such folders
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from maecli.errors import MaeError
from maecli.specs import FORMAT_VERSION
from maecli.storage.files import new_folder, sync, write_text

MODEL, STATE = "model.safetensors", "state.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A finished checkpoint folder."""

    path: Path

    @property
    def step(self) -> int:
        return int(self.path.name.removeprefix("step-"))

    def metadata(self, file: str = MODEL) -> dict[str, Any]:
        """Return what is recorded beside the tensors: `spec`, `card`, `task`, … Raises MaeError if unreadable."""
        path = self.path / file
        try:
            with safe_open(path, framework="pt") as opened:
                recorded = opened.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise MaeError(f"{path} cannot be read as a checkpoint: {error}") from error
        if "mae" not in recorded:
            raise MaeError(f"{path} was not written by mae: it carries no spec")
        metadata: dict[str, Any] = json.loads(recorded["mae"])
        if metadata["format_version"] > FORMAT_VERSION:
            raise MaeError(
                f"{path} has format {metadata['format_version']}, this mae reads up to {FORMAT_VERSION}; update it"
            )
        return metadata

    def tensors(self, file: str = MODEL) -> dict[str, Tensor]:
        """Return the tensors of a file, on the CPU."""
        path = self.path / file
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise MaeError(f"{path} cannot be read as a checkpoint: {error}") from error


class CheckpointFolder:
    """The `checkpoints/` of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pointed(self, pointer: str) -> Checkpoint | None:
        """Return the checkpoint that `last` or `best` names, or None if there is none yet."""
        try:
            name = (self.path / pointer).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        checkpoint = Checkpoint(self.path / name)
        if not checkpoint.path.is_dir():
            raise MaeError(f"{self.path / pointer} names {name}, which is not there")
        return checkpoint

    def save(
        self,
        step: int,
        model: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        metadata: Mapping[str, Any],
        counters: Mapping[str, Any],
        best: bool,
    ) -> Checkpoint:
        """Write a checkpoint, then point to it, then remove those that nothing points to.

        Until the pointer is replaced the one before stays the last: being killed here loses nothing.
        """
        target = self.path / f"step-{step:06d}"
        with new_folder(target) as folder:
            _write(folder / MODEL, model, metadata)
            _write(folder / STATE, state, counters)
        self.point("last", target.name)
        if best:
            self.point("best", target.name)
        self._remove_unused()
        return Checkpoint(target)

    def point(self, pointer: str, name: str) -> None:
        """Let `last` or `best` name a checkpoint that is there."""
        write_text(self.path / pointer, name + "\n")
        sync(self.path)  # before what it named until now is removed

    def _remove_unused(self) -> None:
        kept = {pointed.path for name in ("last", "best") if (pointed := self.pointed(name))}
        for folder in self.path.glob("step-*"):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        for leftover in self.path.glob(".step-*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    packed = {"mae": json.dumps({"format_version": FORMAT_VERSION, **metadata})}
    try:
        save_file(whole, path, packed)
        path.chmod(path.parent.stat().st_mode & 0o666)  # it writes files that nobody else may read
    except SafetensorError as error:  # it wraps what the system said
        full = "No space left" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
