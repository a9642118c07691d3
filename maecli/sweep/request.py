"""From what a person asked for to a sweep and its directory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from maecli.errors import SpecError
from maecli.registry import Registry
from maecli.run.directory import runs_dir
from maecli.spec.resolve import flatten, parse_sets
from maecli.sweep.address import Words
from maecli.sweep.definition import Sweep, find_tree, make_sweep, parse_grid, parse_seeds
from maecli.sweep.plan import file_name
from maecli.sweep.run import stored_tree


def request_sweep(
    registry: Registry,
    words: Words,
    *,
    recipe: str | None = None,
    config: Path | None = None,
    grid: Sequence[str] = (),
    seeds: str | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
    out: Path | None = None,
    resume: bool = False,
) -> tuple[Sweep, Path]:
    """Return the sweep that a recipe or file and the command line amount to, and where it goes.

    To go on with a sweep nothing has to be repeated but its directory: what is given lies over the sweep that is
    there; an axis of the grid takes the place of the one of the same key. Raises SpecError when nothing says what
    varies.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    tree = find_tree(registry, recipe, config)
    out = out.expanduser() if out is not None else None
    if not tree and resume and out is not None:
        tree = stored_tree(out)
    if not tree and not grid and not given:
        raise SpecError(
            "nothing says what to sweep over: give --grid KEY=VALUE,VALUE with --dataset, a --recipe or a --config "
            "file; mae recipes lists what is shipped"
        )
    settings = dict(flatten(_mapping(tree, "settings"))) | dict(flatten(parse_sets(sets))) | given
    axes = parse_grid(grid)
    asked = {words.short.get(key, key) for key in axes}
    kept = {key: values for key, values in _mapping(tree, "grid").items() if words.short.get(key, key) not in asked}
    tree |= {"settings": settings, "grid": kept | axes}
    if seeds is not None:
        tree["seeds"] = parse_seeds(seeds)
    tree |= dict.fromkeys(without, False)
    if "finetune" in without:
        tree.pop("arms", None)
    name = str(tree.get("name") or given.get("dataset.name") or "unnamed")
    sweep = make_sweep(tree | {"name": file_name(name)})
    return sweep, out or runs_dir() / f"sweep-{sweep.name}"


def _mapping(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a part of the section. Raises SpecError when it is no mapping."""
    part = tree.get(key) or {}
    if not isinstance(part, Mapping):
        raise SpecError(f"sweep.{key} must be a YAML mapping")
    return part
