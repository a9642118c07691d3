"""From what a person asks for to the spec of the run: where `--init` and `--resume` come in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from maecli.errors import SpecError
from maecli.registry import Registry
from maecli.run.begin.extend import longer
from maecli.run.begin.place import run_to_resume
from maecli.run.directory import SPEC, RunDirectory
from maecli.run.exported.file import refuse_exported_file
from maecli.run.plugins_used import missing_packages
from maecli.run.weights.from_hub import pinned
from maecli.run.weights.initial import offered_spec
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import Layer
from maecli.spec.recipes import read_config
from maecli.spec.resolve import resolve


def request(ask: Ask, registry: Registry) -> RunSpec:
    """Return the spec of the run that is asked for.

    To resume, what is asked for is laid over the spec of the run that is there, so that nothing has to be repeated; a
    difference shows when the run starts.

    Raises PluginError naming the package to install when the run of `--init`, or the one to resume, or that of the
    spec file used a plugin that is not installed, and no other is chosen.
    """
    return pinned(_request(ask, registry))


def _request(ask: Ask, registry: Registry) -> RunSpec:
    if ask.resume and ask.resume_or_start:
        raise SpecError("--resume goes on with a run and --resume-or-start begins it where none is; give one of them")
    init, extend = ask.flags.get("init"), ask.flags.get("extend")
    if init and extend:
        raise SpecError("--extend trains a run longer and --init starts another one from its encoder; give one of them")
    base = longer(Path(extend), ask.verb) if extend else None
    if init:
        refuse_exported_file(Path(init), registry)
    offer = offered_spec(Path(init)) if init else None
    with missing_packages(_settings_of(ask), ask.config), missing_packages(offer or {}, init):
        if not ask.may_resume:
            return resolve(ask, registry, offer, base)
        if ask.flags.get("out"):
            run = RunDirectory(Path(ask.flags["out"]).expanduser())
        else:
            fresh = resolve(ask, registry, offer, base)
            found = (
                RunDirectory(fresh.out)
                if fresh.out
                else run_to_resume(fresh, registry, partial(_over, ask, registry), ask.resume_or_start)
            )
            if found is None:
                return fresh
            run = found
        if not run.is_run or (not (run.path / SPEC).exists() and not run.checkpoints.steps()):  # killed before both
            return resolve(ask, registry, offer, base)
    stored = run.spec(lambda _: None)
    if stored.get("verb") != ask.verb:
        raise SpecError(f"{run} is a run of mae {stored.get('verb')}, not of mae {ask.verb}")
    with missing_packages(stored, run):
        return _over(ask, registry, run)


def _over(ask: Ask, registry: Registry, run: RunDirectory) -> RunSpec:
    """Return the spec of a run with what is asked for laid over it."""
    ask = dataclasses.replace(ask, flags={**ask.flags, "out": str(run)})
    return resolve(ask, registry, base=Layer.of(f"spec of {run}", run.spec(lambda _: None)))


def _settings_of(ask: Ask) -> Mapping[str, Any]:
    """Return what a spec file says; what is wrong with it shows when it is resolved."""
    try:
        return read_config(ask.config, ask.verb) if ask.config is not None else {}
    except SpecError:
        return {}
