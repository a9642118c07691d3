"""A folder of outputs, such as predictions: replaced as a whole when everything new is there, and not before."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from maecli.errors import MaeError, SpecError
from maecli.storage.files import check_links, disk_errors, exchange, temporary_name
from maecli.storage.ledger import HERE, HOME, Ledger, is_bare
from maecli.storage.lock import LOCK, locked

CSV, JSONL, RECORD = "predictions.csv", "predictions.jsonl", "infer.json"
REPORT = "report.html"
FILES = "files"
"""Folder of what was written for each input."""
STAGE = "stage"
"""Name of the folder inside `.mae` that is filled first where no folder can be made beside the outputs."""


@contextlib.contextmanager
def new_outputs(
    out: Path, overwrite: bool, writer: str = "infer", needed: Collection[tuple[str, Path]] = (), **about: Any
) -> Iterator[Path]:
    """Give a folder to fill, which becomes `out` at one stroke; when the block raises, `out` is as it was.

    Its ledger begins with `about`. `needed` are paths that the block reads, each with its flag. Raises SpecError when
    `out` holds anything but earlier outputs of the same `writer`, when it does and `overwrite` is not asked for, or
    when something needed lies in it; Locked when another process writes there.
    """
    check_out(out, overwrite, writer, needed)
    out = out.resolve()  # a link to another disk stays one
    with locked(out):
        check_out(out, overwrite, writer, needed)
        stage = _make_stage(out, writer, about)
        try:
            yield stage
            Ledger(stage, writer).own(*_names(stage))
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        with locked(stage):  # its lock is that of `out` once it has that name
            _put_in_place(stage, out, writer)


def check_out(out: Path, overwrite: bool, writer: str, needed: Collection[tuple[str, Path]] = ()) -> None:
    """Raise SpecError unless outputs of `writer` may be put into `out`, MaeError where a link above leads nowhere."""
    check_links(out.parent)
    if out.exists() and not out.is_dir():
        raise SpecError(f"{out} is a file; choose another --out")
    if not out.exists() or is_bare(out):
        return
    ledger = Ledger(out, writer)
    foreign = ledger.foreign()
    if not ledger.began or foreign:
        what = f"{foreign[0]} and more" if len(foreign) > 1 else "".join(foreign) or "outputs of another kind"
        raise SpecError(f"{out} holds what mae {writer} did not write ({what}), so it stays; use another --out")
    for flag, path in needed:
        if _is_inside(path, out):
            raise SpecError(f"{flag} {path} lies in --out {out}, which would be replaced; use another --out")
    if not overwrite:
        raise SpecError(
            f"{out} holds what mae {writer} wrote already; use another --out, or --overwrite to replace it whole"
        )


def _is_inside(path: Path, folder: Path) -> bool:
    return path.expanduser().resolve().is_relative_to(folder.resolve())


def _make_stage(out: Path, writer: str, about: Mapping[str, Any]) -> Path:
    """Return an empty folder beside `out`, or inside it where it is a disk of its own or its parent is read-only."""
    beside, inside = temporary_name(out), Ledger(out, writer).file.with_name(STAGE)
    for stage in (beside, inside):
        _finish_earlier(stage, out, writer)
    stage = beside if _takes_folders(out, beside) else inside
    with disk_errors(out):
        stage.mkdir(parents=True)
        Ledger(stage, writer).begin(**about)
        shutil.copymode(out, stage)
    return stage


def _takes_folders(out: Path, beside: Path) -> bool:
    """Whether a folder can be made beside `out` that can take its name.

    Not that of the folder which a person works in: their shell would stay in the one that goes.
    """
    if Path.cwd().is_relative_to(out):
        return False
    try:
        beside.mkdir()
        beside.rmdir()
        return out.stat().st_dev == beside.parent.stat().st_dev
    except OSError:
        return False


def _finish_earlier(stage: Path, out: Path, writer: str) -> None:
    """Take back a stage that a killed process left. It may hold what `out` was before: its foreign files go back."""
    ledger = Ledger(stage, writer)
    if not ledger.began:
        with contextlib.suppress(OSError):  # somebody's own, unless it is empty
            stage.rmdir()
        return
    if ledger.paths - {HERE}:
        _retire(stage, out, writer)
    else:  # it was being filled
        shutil.rmtree(stage, ignore_errors=True)


def _names(stage: Path) -> list[str]:
    """Return what a stage holds, as a ledger writes it."""
    paths = [path for path in sorted(stage.rglob("*")) if HOME not in path.relative_to(stage).parts]
    return [path.relative_to(stage).as_posix() + "/" * path.is_dir() for path in paths]


def _put_in_place(stage: Path, out: Path, writer: str) -> None:
    """Let the stage take the name `out`, or move what it holds into it where the folder itself cannot be replaced."""
    with disk_errors(out):
        if stage.parent == out.parent:
            exchange(stage, out)
            _retire(stage, out, writer)
            return
        Ledger(out, writer).remove()
        shutil.copyfile(Ledger(stage, writer).file, Ledger(out, writer).file)  # first: it says what the rest is
        for entry in stage.iterdir():
            if entry.name == HOME:
                continue
            if entry.is_dir() and (out / entry.name).is_dir():  # files of others are in it
                shutil.copytree(entry, out / entry.name, dirs_exist_ok=True)
            else:
                entry.replace(out / entry.name)
        shutil.rmtree(stage, ignore_errors=True)


def _retire(old: Path, new: Path, writer: str) -> None:
    """Move what the writer did not write from the folder `old` to `new`, then remove the rest, which it did.

    Raises MaeError, and removes nothing, where something cannot be moved.
    """
    ledger = Ledger(old, writer)
    ours = {old / path for path in ledger.paths} | {ledger.file, ledger.file.with_name(LOCK)}
    foreign = [entry for entry in sorted(old.rglob("*")) if entry.is_symlink() or not entry.is_dir()]
    for entry in (entry for entry in foreign if entry not in ours):
        try:
            target = _free_place(new, entry.relative_to(old))
            target.parent.mkdir(parents=True, exist_ok=True)
            entry.rename(target)
        except OSError as error:
            raise MaeError(
                f"{new} is replaced, but {entry.relative_to(old)}, which mae did not write, cannot be moved there "
                f"({error.strerror or error}): it lies in {old}"
            ) from error
    ledger.remove()
    for folder in sorted((entry for entry in old.rglob("*") if entry.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # empty ones of a person go with their parents
            folder.rmdir()
    shutil.rmtree(old / HOME, ignore_errors=True)
    old.rmdir()


def _free_place(folder: Path, relative: Path) -> Path:
    """Return a path below a folder where nothing is, as like the wanted one as can be."""
    place = folder
    for part in relative.parts[:-1]:
        place /= part
        if os.path.lexists(place) and not place.is_dir():
            place = _free_name(place)
    return _free_name(place / relative.name)


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}{f' {n}' if n else ''}{path.suffix}") for n in itertools.count())
    return next(name for name in names if not os.path.lexists(name))
