"""Where the paths of a run lead: as they were given, and where they led when the run began.

A spec keeps both. From another folder, or for another process with another `MAE_DATA`, the place where the run began is
taken; where there is nothing any more, as on another machine, the path as it was given, and that is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from maecli.data.dataset import default_data_dir
from maecli.plugin_options import Options
from maecli.schema import ResolvedPath
from maecli.weights.hub_names import hub_name

INIT, EXTEND, ROOT = "init", "extend", "dataset.root"
Say = Callable[[str], None]
O = TypeVar("O", bound=Options)  # noqa: E741


def as_located(options: O, paths: Sequence[ResolvedPath], say: Say) -> O:
    """Return the options of a data set with each path where it leads; `paths` is what the spec recorded.

    What leads where it was given stays as it was given.
    """
    changes = {}
    for name in type(options).model_fields:
        value, key = getattr(options, name), f"dataset.{name}"
        located = place_of(key, value, paths, say) if key == ROOT else _each(value, key, paths, say)
        if located != value:
            changes[name] = located
    return options.model_copy(update=changes) if changes else options


def place_of(key: str, given: Path | None, paths: Sequence[ResolvedPath], say: Say = lambda _: None) -> Path | None:
    """Return where a path of the spec leads, itself where it leads there from here; None is the default folder.

    `say` is told which of two places is taken, and when the path leads elsewhere than when the run began.
    """
    if given is not None and key == INIT and hub_name(given) is not None:
        return given  # it is the same everywhere
    recorded = next((Path(one.resolved) for one in paths if (one.key, one.given) == (key, _text(given))), None)
    if recorded is None:
        return given.expanduser() if given is not None and str(given).startswith("~") else given
    then, here = recorded.expanduser(), absolute(given or default_data_dir())
    if then == here:
        return given
    what = f"{key} {given}" if given is not None else f"{key} by default"
    if _is_there(then):
        if _is_there(here) and not _same(then, here):
            say(f"{what}: {then} is taken, where it led when the run began, and not {here}")
        return then
    if _is_there(here):
        say(f"{what}: {then}, where it led when the run began, is not there, so {here} is taken")
        return here
    return given if given is None else then


def resolved_paths(
    options: Options, starts: Mapping[str, Path | None], paths: Sequence[ResolvedPath]
) -> tuple[ResolvedPath, ...]:
    """Return what a spec records: where each path that was not given in full leads now.

    `starts` is what the run starts from, by the keys `init` and `extend`.
    """
    entries = [("dataset." + name, path) for name in type(options).model_fields for path in _in(getattr(options, name))]
    root = getattr(options, "root", None)
    default = [(ROOT, None)] if root is None and "root" in type(options).model_fields else []
    record: list[ResolvedPath] = []
    for key, given in [*entries, *default, *((key, path) for key, path in starts.items() if path is not None)]:
        if key == INIT and hub_name(given) is not None:
            continue
        place = absolute(place_of(key, given, paths) or default_data_dir())
        if _text(given) == str(place) or (given is None and not _is_there(place)):
            continue
        record.append(ResolvedPath(key=key, given=_text(given), resolved=str(place)))
    return tuple(dict.fromkeys(record))


def absolute(path: Path) -> Path:
    """Return a path in full; links stay, since where they lead is for whoever set them to say."""
    full = path.expanduser().absolute()
    normal = Path(os.path.normpath(full))
    return normal if normal == full or not _is_there(full) or _same(normal, full) else full  # .. behind a link


def _each(value: Any, key: str, paths: Sequence[ResolvedPath], say: Say) -> Any:
    """Return an option's value with each path in it where it leads."""
    if isinstance(value, Path):
        return place_of(key, value, paths, say)
    if isinstance(value, Mapping):
        return {name: _each(part, key, paths, say) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_each(part, key, paths, say) for part in value)
    return value


def _in(value: Any) -> Iterator[Path]:
    """Yield the paths in an option's value."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _in(part)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _is_there(path: Path) -> bool:
    """Whether there is something, also for an `init` that names a part of a file, as in FILE#teacher."""
    return os.path.exists(path) or os.path.exists(os.fspath(path).rpartition("#")[0])  # noqa: PTH110  # False for any error


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
