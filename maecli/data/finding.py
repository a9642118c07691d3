"""Finding files: every file under a folder, in an order that does not change."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Set
from pathlib import Path
from typing import Literal

from maecli.storage.ledger import HERE, HOME, written_paths

OLDER_RUN = frozenset({"spec.yaml", "checkpoints"})
OLDER_PREDICTIONS = frozenset({"infer.json", "predictions.jsonl", "predictions.csv", "skipped.csv"})
WHOLE = "./*"
"""Stands for all that a folder of before there were ledgers holds."""


def find_files(root: Path) -> list[str]:
    """Return every file under `root` as a sorted list of relative POSIX paths.

    Names that begin with a dot are left out, and what mae wrote: runs and predictions below a folder of pictures are
    not among its data, nor is what `mae embed` put beside them. Links to folders are followed after all real folders,
    and no folder is entered twice, so loops end. Links that lead nowhere are returned: opening them tells why.
    """
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    ours: set[str] = set()
    folders, links = [""], list[str]()
    while folders or links:
        if not folders:
            folders.append(links.pop(0))
        folder = folders.pop()
        status = (root / folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        written = _written_by_mae(root / folder, {entry.name for entry in entries})
        if folder and WHOLE in written:
            continue
        if folder or HERE not in written:  # what mae made as a whole is data to whoever names it
            ours |= {f"{folder}/{path}" if folder else path for path in written}
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or path in ours:
                continue
            match _kind(entry):
                case "folder":
                    (links if entry.is_symlink() else folders).append(path)
                case "file":
                    files.append(path)
    return sorted(files)


def _written_by_mae(folder: Path, names: Set[str]) -> Set[str]:
    """Return what mae wrote into a folder of these entries; all of it for a run of before this was noted."""
    written = written_paths(folder) if HOME in names else frozenset()
    older = (names >= OLDER_RUN and _is_older_run(folder)) or names >= OLDER_PREDICTIONS
    return {WHOLE} if not written and older else written


def _is_older_run(folder: Path) -> bool:
    """Whether a folder with the names of a run's parts has the spec of one."""
    try:
        with (folder / "spec.yaml").open("rb") as file:
            return re.search(rb"^verb: (pretrain|finetune)\b", file.read(65536), re.MULTILINE) is not None
    except OSError:
        return False


def _kind(entry: os.DirEntry[str]) -> Literal["folder", "file", "other"]:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "file" if entry.is_symlink() else "other"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"
