"""`mae bench`: how fast a model answers in each form that it can take."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import torch

from maecli.errors import MaeError
from maecli.hardware import choose_device, cpu_name, describe_device, matrix_instructions, num_cores
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.speed.forms import Form, Forms, Making, forms_of, made_up
from maecli.speed.process import Process
from maecli.speed.result import BenchResult, Machine, Row
from maecli.speed.turns import Racer, in_turn

LIBRARIES = ("torch", "onnxruntime")


def bench(
    paths: Sequence[Path],
    registry: Registry,
    progress: Progress,
    *,
    checkpoint: str = "last",
    base: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    batch_size: int = 16,
    seconds: float = 5.0,
) -> BenchResult:
    """Measure runs in all forms that can be made of them, and exported files, side by side.

    Each form lives in a process of its own, with `threads`, by default one per core; `seconds` go to each of them at
    batch 1, and again at `batch_size`. `base` is where the weights are now that runs of adapters began with. What
    cannot be made or run is left out, with the reason. Raises MaeError where nothing is left, SpecError for what is
    neither a run nor a file of ours.
    """
    where = choose_device(device)
    machine = _machine(where, threads or num_cores())
    with tempfile.TemporaryDirectory(prefix="mae-bench-") as temporary, ExitStack() as stack:
        found = []
        for number, path in enumerate(paths):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            with progress.working(f"making the forms of {path.name}"):
                how = Making(folder, checkpoint, base, str(where))
                found.append(forms_of(path, registry, progress.say, how))
        left_out = {_title(one, name, found): reason for one in found for name, reason in one.left_out.items()}

        def fails(racer: Racer, error: MaeError) -> None:
            left_out[racer.name] = str(error)

        forms: dict[Racer, tuple[Process, Form]] = {}
        for one in found:
            for form in one.forms:
                process = Process(
                    _title(one, form.name, found), form.load, made_up(one.raw, batch_size), machine.threads
                )
                forms[stack.enter_context(process)] = process, form
        latencies = in_turn(list(forms), 1, seconds, fails, progress)
        throughputs = in_turn(list(latencies), batch_size, seconds, fails, progress)
        rows = [
            Row(process.name, form.num_bytes, process.memory(), latencies[racer], throughputs[racer])
            for racer, (process, form) in forms.items()
            if racer in throughputs
        ]
    if not rows:
        raise MaeError("; ".join(f"{name} cannot be measured: {reason}" for name, reason in left_out.items()))
    return BenchResult(rows, machine, _versions(), {one.name: one.raw.describe() for one in found}, left_out)


def _title(one: Forms, form: str, found: Sequence[Forms]) -> str:
    """Return what a row is called: the form, and of several runs or files also which."""
    return f"{one.name}: {form}" if len(found) > 1 else form


def _machine(device: torch.device, threads: int) -> Machine:
    load = None
    with suppress(AttributeError, OSError):  # not on Windows
        load = os.getloadavg()[0]
    return Machine(cpu_name(), matrix_instructions(), num_cores(), threads, describe_device(device), load)


def _versions() -> Mapping[str, str]:
    versions = {}
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
