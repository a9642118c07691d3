"""The forms that a trained model can take, each with what loads it in a process of its own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maecli.data.card import DataCard
from maecli.errors import MaeError, SpecError
from maecli.exporting.format import FLOAT32, ExportFormat
from maecli.exporting.model import RECORD, ExportedModel
from maecli.exporting.raw import RawInput
from maecli.modalities.preprocess import Preprocess
from maecli.registry import Registry, registry
from maecli.run.exported.file import exported_file
from maecli.run.exported.model import exported_model
from maecli.run.open import make_modality
from maecli.speed.process import Load, Step

PYTORCH, COMPILED = "PyTorch", "torch.compile"


@dataclass(frozen=True)
class Form:
    """One thing to be measured."""

    name: str
    load: Load
    num_bytes: int
    """Of its file."""


@dataclass(frozen=True)
class Forms:
    """What there is of one run or file, and what goes into it."""

    name: str
    forms: list[Form]
    raw: RawInput
    left_out: Mapping[str, str]
    """What cannot be made, and why."""


@dataclass(frozen=True)
class Making:
    """How forms are made of a run."""

    folder: Path
    """Empty, for the files."""
    checkpoint: str
    """last or best."""
    base: Path | None
    """Where the weights are that a run of adapters began with, if not where they were."""
    device: str


def made_up(raw: RawInput, num: int) -> np.ndarray:
    """Return random raw samples (num, C, *S), of the size that the model sees."""
    shape = (num, raw.preprocess.in_chans, *raw.preprocess.img_size)
    made: np.ndarray = raw.from_model(torch.randn(shape, generator=torch.Generator().manual_seed(0))).numpy()
    return made


def forms_of(path: Path, registry: Registry, say: Callable[[str], None], how: Making) -> Forms:
    """Return the forms of a run or checkpoint, see `forms_of_run`, or the one that an exported file is."""
    file = exported_file(path, registry)
    if file is None:
        return forms_of_run(path, registry, say, how)
    if how.base is not None:
        raise SpecError(f"--base is for runs of adapters, and {path} has all of its weights; measure it by itself")
    return _forms_of_file(file.path, file.plugin, registry)


def _forms_of_file(path: Path, plugin: type[ExportFormat], registry: Registry) -> Forms:
    """Return the one form of an exported file. Raises SpecError for a file of another tool."""
    try:
        record = json.loads(plugin.metadata(path)[RECORD])
        card = DataCard.model_validate(record["card"])
        preprocess = Preprocess.from_record(record["preprocess"], make_modality(card, registry))
        raw = RawInput.of(preprocess, card, registry.task(record["task"]).own_size)
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(
            f"{path} does not say what goes into it as files of mae export do, so it is not measured"
        ) from error
    return Forms(path.name, [form_of_file(plugin.name, plugin, path)], raw, {})


def forms_of_run(path: Path, registry: Registry, say: Callable[[str], None], how: Making) -> Forms:
    """Return the forms of a run or checkpoint.

    Raises SpecError where its task, or its kind of samples, has no graph.
    """
    model = exported_model(path, registry, say, how.checkpoint, how.base, num_samples=0)
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in model.module.state_dict().values())
    forms = [
        Form(name, partial(load_run, path.absolute(), how.checkpoint, how.base, how.device, cache), num_bytes)
        for name, cache in ((PYTORCH, None), (COMPILED, how.folder / "compiled"))
    ]
    left_out: dict[str, str] = {}
    for name in registry.names("export"):
        try:
            forms += _exported(registry.export(name), model, how.folder)
        except MaeError as error:
            left_out[name] = str(error)
    return Forms(model.name, forms, model.raw, left_out)


def _exported(plugin: type[ExportFormat], model: ExportedModel, folder: Path) -> list[Form]:
    """Write a model in a format, and return what there is of it: nothing of a format that mae cannot run."""
    if not plugin.can_be_run:
        return []
    plugin.check_modules()
    exporter, path = plugin(), folder / f"model{plugin.suffix}"
    exporter.write(model, path)
    forms = [form_of_file(plugin.name, plugin, path)]
    for precision in plugin.precisions:
        if precision != FLOAT32:
            lowered = folder / f"{precision}{plugin.suffix}"
            with suppress(SpecError):  # of a network that has nothing to lower
                exporter.lower(path, lowered, precision)
                forms.append(form_of_file(f"{plugin.name} {precision}", plugin, lowered))
    return forms


def form_of_file(name: str, plugin: type[ExportFormat], path: Path) -> Form:
    return Form(name, partial(load_file, plugin.name, path.absolute()), path.stat().st_size)


def load_run(
    path: Path, checkpoint: str, base: Path | None, device: str, compiled_in: Path | None, threads: int
) -> Step:
    """Return the graph of a run, preprocessing included, on a device; compiled where a folder for that is named."""
    if compiled_in is not None:  # the cache that programs share may hold half a file of one that was killed
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(compiled_in)
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # no CUDA is no news on a CPU
    model = exported_model(path, registry(), lambda _: None, checkpoint, base, num_samples=0)
    graph = model.graph.to(device)
    run = graph if compiled_in is None else torch.compile(graph)

    def step(samples: Tensor) -> object:
        with torch.inference_mode():
            return {name: made.cpu() for name, made in run(samples.to(device)).items()}

    return step


def load_file(format_name: str, path: Path, threads: int) -> Step:
    """Return what an exported file computes."""
    return registry().export(format_name).load(path, threads)
