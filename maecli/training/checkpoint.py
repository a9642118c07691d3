"""One checkpoint: a folder of safetensors files.

step-000800/model.safetensors    the weights to use; metadata: spec, data card, format version
step-000800/state.safetensors    what resuming needs besides: optimizer, raw weights, counters
step-000800/calibration.safetensors    how far outputs are to be believed, where the task can tell; made at the end
step-000800/model/, state/       the tensors of the first two that lay in parts in several processes, see `shards`

Each carries a checksum of its tensors, and one of what is recorded beside them, with those of its shards.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from maecli.errors import MaeError
from maecli.schema import FORMAT_VERSION
from maecli.storage.files import let_others_read, new_file
from maecli.training.shards import read_shards
from maecli.weights.bounds import MAX_TENSORS, check_list

MODEL, STATE, CALIBRATION = "model.safetensors", "state.safetensors", "calibration.safetensors"
RECORD, CHECKSUM = "mae", "mae_checksum"
"""Entries of a file's metadata: what is recorded, as JSON, and its checksum."""
OF_TENSORS = "tensors_checksum"
"""The entry of the record that holds the checksum of the tensors."""
OF_SHARDS = "shards"
"""The entry of the record that holds the checksum of each shard, by its name, where tensors lie in shards."""
_WHOLE_FORMAT = 1
"""Of files without shards, which older versions of mae read too."""
OF_WEIGHTS = "weights_checksum"
"""The entry of a calibration's record that says of which weights it is."""
MAX_IN_STATE = 10 * MAX_TENSORS
"""Tensors of a file of state, which has several for each of the weights."""
UNCHECKED = "{} was written by an older mae and carries no checksum, so damage to it would not show"


class DamagedCheckpoint(MaeError):
    """A checkpoint is not what was saved. Exit code 1."""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint of one step holds."""

    step: int
    model: Mapping[str, Tensor]
    """The weights to use."""
    state: Mapping[str, Tensor]
    """What a restart needs beside."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Recorded with the weights."""
    counters: Mapping[str, Any] = field(default_factory=dict)
    """Recorded with the state."""


@dataclass(frozen=True)
class Checkpoint:
    """A finished checkpoint folder."""

    path: Path
    expected: Mapping[str, str] = field(default_factory=dict, compare=False)
    """File → checksum of its record, as the pointer that named the checkpoint tells."""
    note: str = field(default="", compare=False)
    """What a person should know of how it was found."""
    _beside: dict[str, dict[str, str]] = field(default_factory=dict, init=False, compare=False, repr=False)
    """File → what it holds beside its tensors, as it was last read: a run that trains may remove the files."""

    @property
    def step(self) -> int:
        found = re.fullmatch(r"step-(\d+)", self.path.name)
        return int(found[1]) if found else 0

    def metadata(self, file: str = MODEL) -> dict[str, Any]:
        """Return what is recorded beside the tensors: `spec`, `card`, `task`, …

        Read once: what follows may ask again when the file is gone. Raises DamagedCheckpoint when it is not what was
        written, MaeError when mae did not write it.
        """
        record, _ = self._record(file)
        return {key: value for key, value in record.items() if key not in (OF_TENSORS, OF_SHARDS)}

    def _read_record(self, file: str) -> tuple[dict[str, Any], bool]:
        """Return what is recorded now, and whether a checksum vouches for it."""
        path = self.path / file
        with _reading(path):
            check_list(path, MAX_TENSORS if file == MODEL else MAX_IN_STATE)
            with safe_open(path, framework="pt") as opened:
                beside = opened.metadata() or {}
        record = self._checked(file, beside)
        self._beside[file] = beside
        return record

    def _record(self, file: str) -> tuple[dict[str, Any], bool]:
        """Return what `_read_record` does, of what was read before."""
        return self._checked(file, self._beside[file]) if file in self._beside else self._read_record(file)

    def _checked(self, file: str, beside: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
        """Return what a file records, and whether a checksum vouches for it."""
        path = self.path / file
        if RECORD not in beside:
            raise MaeError(f"{path} was not written by mae: it carries no spec")
        text, checksum = beside[RECORD], beside.get(CHECKSUM)
        if checksum is not None and checksum != checksum_of_record(text):
            raise DamagedCheckpoint(f"{path} is damaged: what it records differs from its checksum")
        if self.expected.get(file, checksum) != checksum:
            raise DamagedCheckpoint(f"{path} is not the file that was saved: its checksum differs from the pointer's")
        record = _parse(text, path)
        if checksum is None and OF_TENSORS in record:
            raise DamagedCheckpoint(f"{path} is damaged: its checksum is missing")
        version = record.get("format_version")
        if not isinstance(version, int) or version < 1:
            raise DamagedCheckpoint(f"{path} is damaged: it records no format version")
        if version > FORMAT_VERSION:
            raise MaeError(f"{path} has format {version}, this mae reads up to {FORMAT_VERSION}; update it")
        return record, checksum is not None

    @property
    def is_checked(self) -> bool:
        """Whether checksums vouch for it; older checkpoints have none."""
        return self._read_record(MODEL)[1]

    def tensors(self, file: str = MODEL) -> dict[str, Tensor]:
        """Return the tensors of a file and of its shards, as wholes on the CPU, once they agree with their checksums.

        Raises as `metadata` does.
        """
        path = self.path / file
        record, _ = self._read_record(file)
        with _reading(path):
            tensors = load_file(path)
        if OF_TENSORS in record and checksum_of_tensors(tensors) != record[OF_TENSORS]:
            raise DamagedCheckpoint(f"{path} is damaged: its tensors differ from their checksum")
        if OF_SHARDS in record:
            with _reading(shards := shards_of(path)):
                tensors |= read_shards(shards, record[OF_SHARDS])
        return tensors

    def checksums(self) -> dict[str, str]:
        """Return what a pointer tells of the files: nothing for older ones, which have none."""
        found = {file: self._checksum(file) for file in (MODEL, STATE)}
        return {file: checksum for file, checksum in found.items() if checksum is not None}

    def _checksum(self, file: str) -> str | None:
        with _reading(self.path / file), safe_open(self.path / file, framework="pt") as opened:
            return (opened.metadata() or {}).get(CHECKSUM)

    def calibration(self) -> dict[str, Tensor]:
        """Return what the task learnt of the outputs of these weights; nothing where it did not, as in older runs.

        Raises as `tensors` does.
        """
        if not (self.path / CALIBRATION).is_file() or self.metadata(CALIBRATION).get(OF_WEIGHTS) != self._checksum(
            MODEL
        ):
            return {}
        return self.tensors(CALIBRATION)

    def write_calibration(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep it beside the weights, of which it notes the checksum: it means nothing beside others."""
        self._beside.pop(CALIBRATION, None)
        with new_file(self.path / CALIBRATION) as temporary:
            write_tensors(temporary, tensors, {OF_WEIGHTS: self._checksum(MODEL)})

    def check(self) -> None:
        """Read both files. Raises DamagedCheckpoint for one that is not what was saved."""
        for file in (MODEL, STATE):
            self.tensors(file)


def shards_of(file: Path) -> Path:
    """Return the folder of the shards of a file."""
    return file.with_suffix("")


def notes_on(checkpoint: Checkpoint) -> list[str]:
    """Return what a person should know of a checkpoint before it is used."""
    notes = [checkpoint.note] if checkpoint.note else []
    return notes if checkpoint.is_checked else [*notes, UNCHECKED.format(checkpoint.path)]


def check_finite(tensors: Mapping[str, Tensor], source: object) -> None:
    """Raise MaeError for weights that are NaN or infinite, naming the first tensor of them."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise MaeError(
                f"{source} holds NaN or infinite weights (first in {name}), so everything it says would be void; take "
                "another checkpoint (--checkpoint best), or train again with a lower --base-lr"
            )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DamagedCheckpoint(f"{path} is not there") from None
    except Exception as error:  # damaged headers make safetensors, and torch behind it, raise almost anything
        reason = " ".join(str(error).split())[:200]
        raise DamagedCheckpoint(f"{path} cannot be read as a checkpoint: {reason}") from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: what it records is not valid JSON") from error
    if not isinstance(record, dict):
        raise DamagedCheckpoint(f"{path} is damaged: it records no JSON object")
    return record


def checksum_of_record(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def checksum_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return one checksum of named tensors on the CPU: names, dtypes, shapes, and the CRC-32 of the bytes of each.

    CRC-32 finds every flipped bit and burst and costs a tenth of the time that writing takes; it is no protection
    against somebody who means it.
    """
    names = sorted(tensors)
    with ThreadPoolExecutor(max_workers=4) as pool:  # zlib lets other threads run
        sums = pool.map(_crc, (tensors[name] for name in names))
        lines = [
            f"{name} {tensors[name].dtype} {list(tensors[name].shape)} {crc:08x}"
            for name, crc in zip(names, sums, strict=True)
        ]
    return hashlib.blake2b("\n".join(lines).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _crc(tensor: Tensor) -> int:
    if tensor.numel() == 0:
        return 0
    numbers: Any = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return zlib.crc32(numbers)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], shards: Mapping[str, str] | None = None
) -> str:
    """Write a file; return the checksum of what it records, which covers those of the tensors and of `shards`."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    record = {"format_version": FORMAT_VERSION if shards else _WHOLE_FORMAT, **metadata}
    record |= {OF_TENSORS: checksum_of_tensors(whole)} | ({OF_SHARDS: shards} if shards else {})
    text = json.dumps(record)
    checksum = checksum_of_record(text)
    try:
        save_file(whole, path, {RECORD: text, CHECKSUM: checksum})
        let_others_read(path)
    except SafetensorError as error:  # it wraps what the system said
        full = "No space left" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
    return checksum
