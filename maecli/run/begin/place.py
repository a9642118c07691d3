"""Where a run goes unless told otherwise, and which run `--resume` goes on with.

runs/VERB-DATA[-TASK]      DATA: the data set, or the folder of a person where it reads anyone's
runs/VERB-DATA[-TASK]-2    the next number, where the first belongs to other data or to another spec
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from maecli.errors import MaeError, SpecError
from maecli.registry import Registry
from maecli.run.data.paths import INIT, absolute, place_of
from maecli.run.directory import RunDirectory, runs_dir
from maecli.run.open import make_dataset
from maecli.run.weights.pixels import brought_along
from maecli.schema import CHANGEABLE_ON_RESUME, RunSpec
from maecli.spec.layers import difference
from maecli.spec.recipes import UNCHOSEN
from maecli.spec.validate import validate
from maecli.storage.ledger import Ledger
from maecli.storage.names import file_name
from maecli.storage.shareable import shareable


class Earlier(NamedTuple):
    """A run that is there, and its spec with the keys that are newer than it."""

    run: RunDirectory
    spec: RunSpec
    data: str
    """See `data_mark`."""


def run_directory(
    spec: RunSpec, registry: Registry, overwrite: bool = False, time_s: float | None = None
) -> RunDirectory:
    """Return where a new run goes: `out`, else the first directory of its name that is not another run's.

    `time_s` is what a person gave for its plan: a plan for another time is another spec.
    That of a run with these data and this spec comes first, and with `overwrite` then that of the only run with these
    data: `RunDirectory.check_free` says whether it may be replaced. Raises SpecError where several could be.
    """
    if spec.out is not None:
        return RunDirectory(spec.out)
    first = runs_dir() / _name(spec, data_name(spec, registry))
    earlier = list(_earlier([first], registry))
    ours = [one for one in earlier if one.data == data_mark(spec, registry)]
    same = next((one.run for one in ours if one.run.time_s == time_s and _same_spec(one, spec, registry)), None)
    if same is not None or not (ours and overwrite):
        return same or _free(first, [one.run.path for one in earlier])
    if len(ours) > 1:
        raise SpecError(f"--overwrite could replace {_named(ours, 'or')}, runs on these data; name one by --out")
    return ours[0].run


def run_to_resume(
    spec: RunSpec, registry: Registry, over: Callable[[RunDirectory], RunSpec], same: bool = False
) -> RunDirectory | None:
    """Return the run with the data and the spec of `spec`, what was asked for in full; None where there is none.

    Else it is the run whose own spec holds what was asked for, which `over` lays over it; else the only one with these
    data, whatever else differs, unless it has to be the `same`. Raises SpecError where several runs would do.
    """
    names = _name(spec, data_name(spec, registry)), _name(spec, spec.dataset.name)  # as folders were not named at first
    earlier = list(_earlier([runs_dir() / name for name in dict.fromkeys(names)], registry))
    ours = [one for one in earlier if one.data == data_mark(spec, registry)]
    ours = ours or [one for one in earlier if _is_moved(one.spec, spec, registry)]
    matches = [one for one in ours if _same_spec(one, spec, registry)]
    matches = matches or [one for one in ours if _holds(one, over, registry)]
    if len(matches) > 1:
        raise SpecError(
            f"--resume could go on with {_named(matches, 'or')}, since these data and this spec fit each of them; name "
            "one by --out"
        )
    if same and not matches:
        return None
    if not matches and len(ours) > 1:
        raise SpecError(
            f"{_named(ours, 'and')} are runs on these data, and none was begun with this spec; name the one to go on "
            "with by --out"
        )
    return (matches or ours)[0].run if ours else None


def eda_directory(spec: RunSpec, registry: Registry) -> Path:
    """Return where the page about the data of a spec goes: the first directory of its name without those of others."""
    if spec.out is not None:
        return spec.out
    first, data = runs_dir() / f"eda-{data_name(spec, registry)}", data_mark(spec, registry)
    there = {path: Ledger(path, "eda").about.get("data") for path in _numbered(first)}
    same = next((path for path, of in there.items() if of == data), None)
    return same or _free(first, [path for path, of in there.items() if of not in (None, data)]).path


def data_mark(spec: RunSpec, registry: Registry) -> str:
    """Return what tells data from others: the data set, and with one that reads anyone's folder, that folder."""
    name = spec.dataset.name
    named_by_root = registry.dataset(name).named_by_root
    return str(shareable(f"{name} {_root(spec, registry).resolve()}")) if named_by_root else name


def data_name(spec: RunSpec, registry: Registry) -> str:
    """Return what the data are called in the name of a directory: as the data set, or a person's folder or file."""
    if not registry.dataset(spec.dataset.name).named_by_root:
        return spec.dataset.name
    root = absolute(_root(spec, registry))
    return file_name(root.stem if root.is_file() else root.name) or spec.dataset.name


def output_name(run: Path) -> str:
    """Return a run in the name of what is made of it: its own name, after those of the folders of runs that hold it."""
    place, root = run.resolve(), runs_dir().resolve()
    return "-".join(place.relative_to(root).parts) if root in place.parents else place.name


def changes(
    begun: Mapping[str, Any], spec: Mapping[str, Any], registry: Registry, left_out: Collection[str] = ()
) -> list[str]:
    """Return `key: old -> new` for what is not as a run was begun, of all that `--resume` must not change."""
    whole = validate(dict(begun), spec["verb"], registry)  # fills in keys that are newer than the run
    ignored = CHANGEABLE_ON_RESUME.union(left_out)
    return difference(shareable(whole.model_dump(mode="json")), shareable(spec), ignored)


def _name(spec: RunSpec, data: str) -> str:
    return "-".join([spec.verb, data, *([] if spec.verb == "pretrain" else [spec.task.name])])


def _earlier(places: Iterable[Path], registry: Registry) -> Iterator[Earlier]:
    """Yield the runs at these places, or there with a number, whose spec can be read and understood."""
    for path in itertools.chain.from_iterable(map(_numbered, places)):
        run = RunDirectory(path)
        with contextlib.suppress(MaeError):
            begun = run.spec(lambda _: None)
            spec = validate(begun | {"trackers": []}, begun["verb"], registry)
            yield Earlier(run, spec, data_mark(spec, registry))


def _numbered(first: Path) -> list[Path]:
    """Return the folders of a name, and of that name with a number from 2 on, in that order."""
    pattern = re.compile(rf"{re.escape(first.name)}(?:-([1-9][0-9]*))?")
    found = [(match, path) for path in first.parent.glob("*") if (match := pattern.fullmatch(path.name))]
    numbers = {path: int(match[1] or 1) for match, path in found if match[1] != "1"}
    return sorted(numbers, key=numbers.__getitem__)


def _free(first: Path, others: Collection[Path]) -> RunDirectory:
    """Return the first place without another's run. What is no run at all is left to `check_free` to refuse."""
    if first not in others:
        return RunDirectory(first)
    places = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(run for run in map(RunDirectory, places) if run.is_free)


def _is_moved(begun: RunSpec, spec: RunSpec, registry: Registry) -> bool:
    """Whether the data of a run are not where they were when it began, so that they may be these."""
    return begun.dataset.name == spec.dataset.name and not _root(begun, registry).exists()


def _root(spec: RunSpec, registry: Registry) -> Path:
    return make_dataset(spec.dataset, registry, spec.paths).root


def _same_spec(earlier: Earlier, spec: RunSpec, registry: Registry) -> bool:
    """Whether a run was begun with a spec, and with its weights to start from."""
    begun = earlier.spec
    if begun.verb != spec.verb or _start(begun) != _start(spec):
        return False
    old, new = (one.model_dump(mode="json") for one in (begun, spec))
    return not changes(old, new, registry, _left_open(earlier, spec))


def _left_open(earlier: Earlier, spec: RunSpec) -> set[str]:
    """Return the keys that nobody chooses in a spec, and that the data or the machine decide, as a plan measures it."""
    left = {key for key in earlier.run.planned if spec.sources.get(key) in UNCHOSEN}
    left |= {f"data.{key}" for key in brought_along(spec)}  # of the same weights, fitted to the channels of the data
    if "model.name" in left:
        options = {f"model.{name}" for one in (earlier.spec, spec) for name in one.model.options}
        left |= {key for key in options if spec.sources.get(key) in UNCHOSEN}
    return left


def _holds(earlier: Earlier, over: Callable[[RunDirectory], RunSpec], registry: Registry) -> bool:
    """Whether the spec of a run holds all that was asked for."""
    with contextlib.suppress(SpecError):
        return _same_spec(earlier, over(earlier.run), registry)
    return False


def _start(spec: RunSpec) -> Path | None:
    """Return where the weights are that a run starts from."""
    init = place_of(INIT, spec.init, spec.paths)
    return init and absolute(init).resolve()


def _named(runs: Sequence[Earlier], word: str) -> str:
    *most, last = (str(one.run) for one in runs)
    return f"{', '.join(most)} {word} {last}"
