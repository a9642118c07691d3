"""From an exported file back to what works: its record, its task, and the file in place of the task's module."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maecli.errors import PluginError, SpecError
from maecli.exporting.file_module import FEATURES, FileEncoder, FileModule
from maecli.exporting.format import ExportFormat
from maecli.exporting.model import RECORD
from maecli.exporting.raw import RawInput
from maecli.registry import Registry
from maecli.text import shortened
from maecli.training.checkpoint import MODEL, Checkpoint
from maecli.training.task import Task

ROOT_LEFT_OUT = "root_left_out"
"""The entry of a record that says whether the run's data were given by an absolute path."""


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

    def check_root(self) -> None:
        """Raise SpecError where the data of its run cannot be found by what it records."""
        if self.metadata().get(ROOT_LEFT_OUT):
            raise SpecError(
                f"{self.path} does not say where its run's data lie, for files name no folders; give --root"
            )


def exported_file(path: Path, registry: Registry) -> ExportedFile | None:
    """Return the file that a path names, if it ends as a format does whose files hold a graph.

    Raises SpecError for a path where nothing is, MaeError where a module is missing that reads the file.
    """
    path = path.expanduser()
    if not path.exists() and path.name != MODEL:  # a run's may be asked for by the name that its checkpoint has
        raise SpecError(f"{path} does not exist; give a run directory, a checkpoint folder or an exported file")
    plugin = _format_of(path, registry)
    if plugin is None:
        return None
    plugin.check_modules(f"reading {path}")
    return ExportedFile(path, plugin=plugin)


def refuse_exported_file(path: Path, registry: Registry, wanted: str = "weights") -> None:
    """Raise SpecError for an exported file where `weights` are wanted, or a `run`."""
    if _format_of(path.expanduser(), registry) is None:
        return
    if wanted == "run":
        raise SpecError(f"{path} is an exported file; give its run")
    raise SpecError(
        f"{path} is an exported file, whose weights are within its graph; give its run, or what mae export wrote of it "
        "in a format of weights"
    )


def _format_of(path: Path, registry: Registry) -> type[ExportFormat] | None:
    """Return the format with a graph that a file is of, by the end of its name; None for other files and folders."""
    if not path.is_file():
        return None
    for name in registry.names("export"):
        with suppress(PluginError):  # whoever named it would be told
            plugin = registry.export(name)
            if plugin.holds_graph and plugin.suffix and path.name.endswith(plugin.suffix):
                return plugin
    return None


def file_module(file: ExportedFile, task: Task[Any], module: Any) -> FileModule:
    """Return a file in place of the module that a task built. Raises SpecError where it answers something else."""
    graph: Mapping[str, Any] = file.metadata().get("graph", {})
    if not graph.get("can_be_measured"):
        outputs = ", ".join(graph.get("outputs", {})) or "nothing"
        raise SpecError(f"{file.path} gives {outputs}, by which task {task.name} cannot be done; give its run instead")
    run, raw = file.plugin.load(file.path), RawInput.of(task.preprocess, task.card, task.own_size)
    made = FileModule(run, raw, graph.get("module_output", ""), module.encoder)
    name = made.module_output or next(iter(graph["outputs"]))
    _check_answer(file, task, lambda x: made.answers(x)[name])
    return made


def file_encoder(file: ExportedFile, task: Task[Any], module: Any) -> FileEncoder:
    """Return a file in place of the encoder of a task's module. Raises SpecError where it gives no features."""
    outputs: Mapping[str, Any] = file.metadata().get("graph", {}).get("outputs", {})
    if FEATURES not in outputs:
        raise SpecError(f"{file.path} gives {', '.join(outputs) or 'nothing'}, and no features; give its run instead")
    raw = RawInput.of(task.preprocess, task.card, task.own_size)
    made = FileEncoder(file.plugin.load(file.path), raw, module.encoder)
    _check_answer(file, task, lambda x: made(x)[:, 0], made.embed_dim)
    return made


@torch.no_grad()
def _check_answer(
    file: ExportedFile, task: Task[Any], answer: Callable[[Tensor], Tensor], width: int | None = None
) -> None:
    """Raise SpecError where a file does not take or give what it records, or answers at another width."""
    x = torch.zeros(1, task.preprocess.in_chans, *task.preprocess.img_size)
    other = f"{file.path} is not the network that it records to be"
    try:
        made = answer(x)
    except Exception as error:  # those of what runs a file have no common base
        reason = f"it gives no {error}" if isinstance(error, KeyError) else shortened(" ".join(str(error).split()), 200)
        raise SpecError(f"{other}: {reason}; export its run again") from error
    if width is not None and made.shape != (1, width):
        raise SpecError(f"{other}: it answers {tuple(made.shape)} where {width} are wanted; export its run again")
