"""Checkpoints of a run whose encoder stays as it is: they hold what learns, and name the weights they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from maecli.training.checkpoint import MODEL, STATE, Checkpoint, Snapshot, checksum_of_tensors
from maecli.training.checkpoint_folder import LEAST_KEPT, CheckpointFolder
from maecli.training.loop.learner import RAW

BASE = "base"
"""The entry of a checkpoint's record that names the weights which it leaves out, see `Base.record`."""


@dataclass(frozen=True)
class Base:
    """Weights that no step changes."""

    source: str
    """The checkpoint or the file that has them."""
    tensors: Mapping[str, Tensor]
    """By their names in the module, on the CPU."""

    @cached_property
    def record(self) -> dict[str, Any]:
        return {"source": self.source, "checksum": checksum_of_tensors(self.tensors), "tensors": sorted(self.tensors)}

    def without(self, tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
        """Return the other ones of tensors whose names begin with `prefix`."""
        return {name: tensor for name, tensor in tensors.items() if name.removeprefix(prefix) not in self.tensors}

    def beside(self, tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
        """Return tensors together with these, whose names get `prefix`."""
        return {prefix + name: tensor for name, tensor in self.tensors.items()} | dict(tensors)


@dataclass(frozen=True)
class CheckpointOnBase(Checkpoint):
    """A checkpoint with the weights that it leaves out: its tensors are those of the whole module."""

    base: Base = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, checkpoint: Checkpoint, base: Base) -> CheckpointOnBase:
        whole = cls(checkpoint.path, checkpoint.expected, checkpoint.note, base=base)
        whole._beside.update(checkpoint._beside)
        return whole

    def tensors(self, file: str = MODEL) -> dict[str, Tensor]:
        own = super().tensors(file)
        if file == STATE:  # without an average it has no weights
            return self.base.beside(own, RAW) if any(name.startswith(RAW) for name in own) else own
        return self.base.beside(own) if BASE in self.metadata(file) else own


class FolderOnBase(CheckpointFolder):
    """The checkpoints of a run that leave out the weights of a base."""

    def __init__(self, folder: CheckpointFolder, base: Base) -> None:
        super().__init__(folder.path, folder.ledger)
        self.base = base

    def pointed(self, pointer: str) -> Checkpoint | None:
        checkpoint = super().pointed(pointer)
        return CheckpointOnBase.of(checkpoint, self.base) if checkpoint is not None else None

    def save(self, snapshot: Snapshot, best: bool = False, keep: int = LEAST_KEPT) -> Checkpoint:
        own = replace(
            snapshot,
            model=self.base.without(snapshot.model),
            state=self.base.without(snapshot.state, RAW),
            metadata={**snapshot.metadata, BASE: self.base.record},
        )
        return super().save(own, best, keep)
