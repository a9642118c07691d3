"""Which of a person's own samples a run was trained on: what is measured on those says nothing of new ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from maecli.data.files.sample_files import UNREADABLE, content_hash, in_threads
from maecli.data.fingerprint import ALL_FILES, SHORT, Fingerprint
from maecli.data.views.members import read_members
from maecli.errors import MaeError
from maecli.registry import Registry
from maecli.run.directory import CHECKPOINTS, SPLITS
from maecli.run.open import make_dataset
from maecli.run.restore import Restored
from maecli.storage.tables import cell_text


def trained_on(restored: Restored, registry: Registry, root: Path, keys: Sequence[str]) -> frozenset[str]:
    """Return those samples, by their keys below a folder, that a run was trained on, as far as can be told.

    They are known by where they lie, and elsewhere by what the run remembers of the contents of its files.
    """
    checkpoint, spec = restored.checkpoint, restored.spec
    if checkpoint.path.parent.name != CHECKPOINTS:
        return frozenset()
    train = frozenset[str]()
    try:
        members = read_members(checkpoint.path.parent.parent / SPLITS)
        train = frozenset((members or {}).get("train", ()))
        data = make_dataset(spec.dataset, registry, spec.paths)
        here, there = root.resolve(), data.root.resolve()
        there = there.parent if there.is_file() else there  # keys begin with its name
        related = here.is_relative_to(there) or there.is_relative_to(here)
        if related and members is None:
            split = data.split("train", restored.task.fields)
            files = {os.path.realpath(path) for i in range(len(split)) for path in split.files(i)[:1]}
            return frozenset(key for key in keys if os.path.realpath(_file(here, key)) in files)
        if related:
            return _by_place(here, there, keys, train)
    except (MaeError, OSError, ValueError):  # the data need not be there
        pass
    fingerprint = Fingerprint.read((checkpoint.metadata().get("samples") or {}).get("train"))
    return _by_content(root, keys, train, fingerprint) if fingerprint is not None else frozenset()


def _file(root: Path, key: str) -> Path:
    """Return the file of a sample: `path`, or `path#part`."""
    file = root / key
    return file if "#" not in key or os.path.lexists(file) else root / key.rpartition("#")[0]


def _by_place(here: Path, there: Path, keys: Sequence[str], train: frozenset[str]) -> frozenset[str]:
    """Return the keys below `here` of samples that are members of a data set `there`, of which one holds the other."""
    if here.is_relative_to(there):
        below = here.relative_to(there).as_posix()
        before = "" if below == "." else f"{below}/"
        return frozenset(key for key in keys if cell_text(before + key) in train)
    before = f"{there.relative_to(here).as_posix()}/"
    inside = [key for key in keys if key.startswith(before)]
    return frozenset(key for key in inside if cell_text(key.removeprefix(before)) in train)


def _by_content(root: Path, keys: Sequence[str], train: frozenset[str], fingerprint: Fingerprint) -> frozenset[str]:
    """Return the keys of files that have the name and the content of a file that was trained on, wherever it lay.

    Where the run remembers the contents of some files only, and all of these are the same here, others below the same
    folders are too.
    """
    if fingerprint.kind != "files":
        return frozenset()
    known = {digest for digest in fingerprint.hashes.values() if digest != UNREADABLE}
    names = {path.rpartition("/")[2] for path in fingerprint.hashes}
    likely = [key for key in keys if key.rpartition("/")[2] in names][:ALL_FILES]
    hashes = in_threads(content_hash, [os.fspath(root / key) for key in likely])
    same = frozenset(key for key, digest in zip(likely, hashes, strict=True) if digest[:SHORT] in known)
    compared = {key for key in likely if key in fingerprint.hashes}
    if not fingerprint.complete and compared and compared <= same:
        return same | {key for key in keys if cell_text(key) in train}
    return same
