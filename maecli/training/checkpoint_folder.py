"""The checkpoints of a run, whole or not there, with pointers to the last, the one before it, and the best.

checkpoints/step-000800/                 see `checkpoint`
checkpoints/last, previous, best         names of such folders, with the checksums of what their files record
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from torch import Tensor

from maecli.errors import MaeError
from maecli.storage.documents import read_text
from maecli.storage.files import disk_errors, new_folder, sync, temporary_name, write_text
from maecli.storage.ledger import Ledger
from maecli.training.checkpoint import (
    CALIBRATION,
    MODEL,
    STATE,
    Checkpoint,
    DamagedCheckpoint,
    Snapshot,
    shards_of,
    write_tensors,
)

_STEP = re.compile(r"step-\d{6,}")
_POINTER_BYTES = 4096
POINTERS = "best", "previous", "last"
LEAST_KEPT = 2
"""Checkpoints that stay: the last, and one to go on from where that is damaged."""


class CheckpointFolder:
    """The `checkpoints/` of a run. What it removes are steps that the run's ledger says mae wrote."""

    def __init__(self, path: Path, ledger: Ledger | None = None) -> None:
        self.path = path
        self.ledger = ledger or Ledger(path.parent, "run")
        self._not_best: set[str] = set()
        """Names of the checkpoints that were saved by this, and not as the best."""

    def pointed(self, pointer: str) -> Checkpoint | None:
        """Return the checkpoint that `last`, `previous` or `best` names, or None if there is none yet.

        Raises DamagedCheckpoint when the pointer names none.
        """
        file = self.path / pointer
        try:
            text = read_text(file, _POINTER_BYTES)
        except FileNotFoundError:
            return None
        except MaeError as error:
            raise DamagedCheckpoint(str(error)) from error
        name, *lines = text.splitlines() or [""]
        if not _STEP.fullmatch(name):
            raise DamagedCheckpoint(f"{file} is damaged: it names no checkpoint")
        checkpoint = Checkpoint(self.path / name, dict(line.split(" ", 1) for line in lines if line.count(" ") == 1))
        if not (checkpoint.path / MODEL).is_file():
            raise DamagedCheckpoint(f"{file} names {name}, which is not there")
        return checkpoint

    def current(self, pointer: str) -> Checkpoint:
        """Return what `last` or `best` names; where the pointer `last` is damaged, the newest checkpoint, with a note.

        Raises MaeError when there is none yet, DamagedCheckpoint when the pointer names none.
        """
        try:
            checkpoint = self.pointed(pointer)
        except DamagedCheckpoint as error:
            steps = self.steps() if pointer == "last" else []
            if not steps:
                raise
            return dataclasses.replace(steps[0], note=f"{error}; the newest checkpoint is taken, {steps[0].path}")
        if checkpoint is None:
            raise MaeError(f"{self.path.parent} has no {pointer} checkpoint yet")
        return checkpoint

    def steps(self) -> list[Checkpoint]:
        """Return the checkpoints that are there, the newest first, each as a pointer tells if one does."""
        told = {each.path: each for each in self._told()}
        found = [each for each in self.path.glob("step-*") if _STEP.fullmatch(each.name) and (each / MODEL).is_file()]
        ordered = sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)
        return [told.get(path, Checkpoint(path)) for path in ordered]

    def _told(self) -> Iterator[Checkpoint]:
        for pointer in POINTERS:
            with contextlib.suppress(DamagedCheckpoint):
                if (checkpoint := self.pointed(pointer)) is not None:
                    yield checkpoint

    def newest_good(self) -> tuple[Checkpoint | None, list[str]]:
        """Return the last checkpoint that is what was saved, or None, and what is wrong with those after it."""
        problems: list[str] = []
        try:
            last = self.pointed("last")
        except DamagedCheckpoint as error:
            problems.append(str(error))
            last = None
        for checkpoint in self.steps():
            if last is not None and checkpoint.step > last.step:
                continue  # a kill came before it was pointed to
            try:
                checkpoint.check()
            except DamagedCheckpoint as error:
                problems.append(str(error))
            else:
                return checkpoint, problems
        return None, problems

    def save(self, snapshot: Snapshot, best: bool = False, keep: int = LEAST_KEPT) -> Checkpoint:
        """Write a checkpoint, then point to it, then remove those that are neither the best nor of the newest `keep`.

        Until the pointer is replaced the one before stays the last: being killed here loses nothing.
        """
        with self.staged(snapshot.step) as folder:
            checksums = {
                MODEL: write_tensors(folder / MODEL, snapshot.model, snapshot.metadata),
                STATE: write_tensors(folder / STATE, snapshot.state, snapshot.counters),
            }
        return self.finish(snapshot.step, checksums, best, keep)

    @contextlib.contextmanager
    def staged(self, step: int, shards: Collection[str] = ()) -> Iterator[Path]:
        """Give a folder to write a checkpoint to, which takes its place at the end; `shards`: names of such files."""
        target = self._folder_of(step)
        place = f"{self.path.name}/"
        for name in (temporary_name(target).name, target.name):
            folder = f"{place}{name}/"
            self.ledger.claim(place, folder, folder + MODEL, folder + STATE)
            for below in (f"{folder}{shards_of(Path(file))}/" for file in (MODEL, STATE) if shards):
                self.ledger.claim(below, *(below + shard for shard in shards))
        self.ledger.sync()
        with new_folder(target) as temporary:
            yield temporary

    def finish(self, step: int, checksums: Mapping[str, str], best: bool, keep: int = LEAST_KEPT) -> Checkpoint:
        """Point to a checkpoint that is written; remove those that are neither the best nor of the newest `keep`.

        Where a pointer is damaged, any checkpoint that was not saved by this may be what it named, so these stay.
        """
        before, saved = self._last_or_none(), Checkpoint(self._folder_of(step), checksums)
        if before is not None and before.path != saved.path:
            self.point("previous", before)
        self.point("last", saved)
        if best:
            self.point("best", saved)
        (self._not_best.discard if best else self._not_best.add)(saved.path.name)
        self._remove_unused(saved, keep)
        return saved

    def _folder_of(self, step: int) -> Path:
        return self.path / f"step-{step:06d}"

    def calibrate(self, checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> None:
        """Keep what a task learnt of the outputs of a checkpoint's weights; nothing where it learnt nothing."""
        if tensors:
            self.ledger.claim(f"{self.path.name}/{checkpoint.path.name}/{CALIBRATION}")
            checkpoint.write_calibration(tensors)

    def _last_or_none(self) -> Checkpoint | None:
        try:
            return self.pointed("last")
        except DamagedCheckpoint:
            return None

    def point(self, pointer: str, checkpoint: Checkpoint) -> None:
        """Let `last`, `previous` or `best` name a checkpoint that is there."""
        self.ledger.claim(f"{self.path.name}/{pointer}")
        checksums = checkpoint.expected or checkpoint.checksums()
        lines = [checkpoint.path.name, *(f"{file} {checksum}" for file, checksum in checksums.items())]
        write_text(self.path / pointer, "\n".join(lines) + "\n")
        with disk_errors(self.path):
            sync(self.path)  # before what it named until now is removed

    def _remove_unused(self, last: Checkpoint, keep: int) -> None:
        named = self._named()
        newest = [checkpoint.path.name for checkpoint in self.steps() if checkpoint.step <= last.step]
        kept = {*(named or ()), *newest[: max(keep, LEAST_KEPT)]}
        for path in self.ledger.paths:
            place, _, name = path.rstrip("/").rpartition("/")
            unused = name not in kept and (named is not None or name in self._not_best)
            if path.endswith("/") and place == self.path.name and unused:
                self.ledger.remove(path)

    def _named(self) -> set[str] | None:
        """Return the names of the checkpoints that pointers name; None where that cannot be told of one of them."""
        try:
            found = [checkpoint for pointer in POINTERS if (checkpoint := self.pointed(pointer)) is not None]
            if any(each.expected and each.expected != each.checksums() for each in found):
                return None
        except DamagedCheckpoint:
            return None
        return {checkpoint.path.name for checkpoint in found}
