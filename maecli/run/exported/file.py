"""From an exported file back to what works: its record, its task, and the file in place of the task's module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maecli.errors import SpecError
from maecli.exporting.file_module import FileModule
from maecli.exporting.format import ExportFormat
from maecli.exporting.model import RECORD
from maecli.exporting.raw import RawInput
from maecli.registry import Registry
from maecli.training.checkpoint import MODEL, Checkpoint
from maecli.training.task import Task


@dataclass(frozen=True)
class ExportedFile(Checkpoint):
    """A file that mae exported; what it records is what a checkpoint does, and its weights are within its graph."""

    plugin: type[ExportFormat] = field(kw_only=True)

    def metadata(self, file: str = MODEL) -> dict[str, Any]:
        """Return what the file records of its run. Raises SpecError for a file of another tool."""
        text = self.plugin.metadata(self.path).get(RECORD)
        if text is None:
            raise SpecError(f"{self.path} was not written by mae export: it says nothing of a run")
        try:
            return dict(json.loads(text))
        except (ValueError, TypeError) as error:
            raise SpecError(f"{self.path} is damaged: what it records of its run is no JSON object") from error

    @property
    def is_checked(self) -> bool:
        return True

    def calibration(self) -> dict[str, Tensor]:
        try:
            return {
                name: torch.tensor(each["values"], dtype=getattr(torch, each["dtype"]))
                for name, each in self.metadata().get("calibration", {}).items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SpecError(f"{self.path} is damaged: its calibration cannot be read") from error


def exported_file(path: Path, registry: Registry) -> ExportedFile | None:
    """Return the file that a path names, if it ends as a format does whose files hold a graph."""
    if not path.expanduser().is_file():
        return None
    for name in registry.names("export"):
        plugin = registry.export(name)
        if plugin.holds_graph and plugin.suffix and path.name.endswith(plugin.suffix):
            plugin.check_modules()
            return ExportedFile(path.expanduser(), plugin=plugin)
    return None


def file_module(file: ExportedFile, task: Task[Any], module: Any) -> FileModule:
    """Return a file in place of the module that a task built. Raises SpecError where it answers something else."""
    graph: Mapping[str, Any] = file.metadata().get("graph", {})
    if not graph.get("can_be_measured"):
        outputs = ", ".join(graph.get("outputs", {})) or "nothing"
        raise SpecError(f"{file.path} gives {outputs}, by which task {task.name} cannot be done; give its run instead")
    raw = RawInput.of(task.preprocess, task.card, task.own_size)
    return FileModule(file.plugin.load(file.path), raw, graph.get("module_output", ""), module.encoder)
