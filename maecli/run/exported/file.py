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
    wanted = dict.fromkeys([*filter(None, [made.module_output]), *graph["outputs"]])
    with torch.no_grad():
        ours = task.export(module.eval())(_nothing_seen(task))
    wanted |= {name: tuple(tensor.shape) for name, tensor in ours.items() if name in wanted}
    _check_answers(file, task, made.answers, wanted)
    return made


def file_encoder(file: ExportedFile, task: Task[Any], module: Any) -> FileEncoder:
    """Return a file in place of the encoder of a task's module. Raises SpecError where it gives no features."""
    outputs: Mapping[str, Any] = file.metadata().get("graph", {}).get("outputs", {})
    if FEATURES not in outputs:
        raise SpecError(f"{file.path} gives {', '.join(outputs) or 'nothing'}, and no features; give its run instead")
    raw = RawInput.of(task.preprocess, task.card, task.own_size)
    made = FileEncoder(file.plugin.load(file.path), raw, module.encoder)
    _check_answers(file, task, lambda x: {FEATURES: made(x)[:, 0]}, {FEATURES: (1, made.embed_dim)})
    return made


def _nothing_seen(task: Task[Any]) -> Tensor:
    """Return a sample (1, C, *S) of zeros, of the size that the model sees."""
    return torch.zeros(1, task.preprocess.in_chans, *task.preprocess.img_size)


@torch.no_grad()
def _check_answers(
    file: ExportedFile,
    task: Task[Any],
    answers: Callable[[Tensor], Mapping[str, Tensor]],
    wanted: Mapping[str, tuple[int, ...] | None],
) -> None:
    """Raise SpecError where a file does not take or give what it records, or in other shapes, where they are known."""
    other = f"{file.path} is not the network that it records to be"
    try:
        made = answers(_nothing_seen(task))
        shapes = {name: tuple(made[name].shape) for name in wanted}
    except Exception as error:  # those of what runs a file have no common base
        reason = f"it gives no {error}" if isinstance(error, KeyError) else shortened(" ".join(str(error).split()), 200)
        raise SpecError(f"{other}: {reason}; export its run again") from error
    for name, shape in shapes.items():
        if wanted[name] not in (None, shape):
            raise SpecError(f"{other}: its {name} are {shape} where {wanted[name]} are wanted; export its run again")
