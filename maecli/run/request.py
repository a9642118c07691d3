"""From what a person asked for to the spec of the run: where `--init` and `--resume` come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from maecli.errors import SpecError
from maecli.registry import Registry
from maecli.run.directory import SPEC, RunDirectory
from maecli.run.initial import offered_spec
from maecli.run.open import default_out
from maecli.run.plugins_used import Used, missing_packages, recorded_in
from maecli.spec.resolve import Asked, Given, Layer, Resolved, read_config, resolve


def request(
    verb: str,
    registry: Registry,
    *,
    resume: bool = False,
    extra: Sequence[Layer] = (),
    **asked: Unpack[Asked],
) -> Resolved:
    """Return the resolved spec of a run.

    To resume, what is given is laid over the spec of the run that is there, so that nothing has to be repeated; a
    difference shows when the run starts. `extra` lies over the file and below `--set`.

    Raises PluginError naming the package to install when the run of `--init`, or the one to resume, or that of the
    spec file used a plugin that is not installed, and no other is chosen.
    """
    flags, config = dict(asked.get("flags") or {}), asked.get("config")
    init = flags.get("init")
    offered = offered_spec(Path(init)) if init else None
    given: Given = {**asked, "init_spec": offered, "extra": extra, "base": None}
    with missing_packages(_recorded_by(config, verb), config), missing_packages(recorded_in(offered or {}), init):
        if not resume:
            return resolve(verb, registry, **given)
        if flags.get("out"):
            run = RunDirectory(Path(flags["out"]).expanduser())
        else:
            fresh = resolve(verb, registry, **given).spec
            run = RunDirectory(fresh.out or default_out(fresh))
        if not run.is_run or (not (run.path / SPEC).exists() and not run.checkpoints.steps()):  # killed before both
            return resolve(verb, registry, **given)
    stored = run.spec(lambda _: None)
    if stored.get("verb") != verb:
        raise SpecError(f"{run} is a run of mae {stored.get('verb')}, not of mae {verb}")
    flags["out"] = str(run)
    with missing_packages(recorded_in(stored), run):
        given["flags"], given["init_spec"], given["base"] = flags, None, Layer(f"spec of {run}", stored)
        return resolve(verb, registry, **given)


def _recorded_by(config: Path | None, verb: str) -> list[Used]:
    """Return the plugins that a spec file records; what is wrong with the file shows when it is resolved."""
    try:
        return recorded_in(read_config(config, verb)) if config is not None else []
    except SpecError:
        return []
