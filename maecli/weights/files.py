"""Files of weights, read without running anything in them: safetensors, and what `torch.save` writes.

A `.pth` is a pickle, a program that may call any function. torch's restricted reader admits tensors and plain
containers; one class is added, `argparse.Namespace`, which the training checkpoints of the official MAE hold under
`args`. Whatever else a file calls for is refused by name, and nothing of it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from maecli.errors import MaeError, SpecError
from maecli.storage.documents import read_json

CONFIG, PIXELS_CONFIG = "config.json", "preprocessor_config.json"
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
"""What a folder of Hugging Face's calls its weights; `config.json` beside them describes the model, and
`preprocessor_config.json` what is done to its pictures."""
CONTAINERS = ("model", "state_dict", "model_state_dict", "module")
"""Entries of a training checkpoint that hold the model's tensors, by frequency."""
MAX_PICKLE_BYTES = 64 * 2**20
"""Of the list of tensors in an archive of torch.save: 100 bytes for each, and what a training run keeps beside them."""
MAX_TEXT, MAX_DEPTH = 10_000, 4
"""Characters of a text, and levels of containers in containers, that are told of what lies beside tensors."""
_REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
_AGAIN = "it may be cut short: fetch it again"


@dataclass(frozen=True)
class WeightFile:
    """The named tensors of a file, on the CPU, and what lies beside them."""

    path: Path
    kind: Literal["safetensors", "torch"]
    tensors: dict[str, Tensor]
    under: str = ""
    """The entry that holds the tensors, where there are several."""
    beside: dict[str, Any] = field(default_factory=dict)
    """What else the file says, as plain values: the metadata of safetensors, the other entries of a checkpoint."""
    config: dict[str, Any] = field(default_factory=dict)
    """The `config.json` of a folder of Hugging Face's."""
    pixels: dict[str, Any] = field(default_factory=dict)
    """Its `preprocessor_config.json`."""


def find_weights(path: Path) -> Path:
    """Return the file that a path means: itself, or the weights in a folder. Raises SpecError when there is none."""
    path = path.expanduser()
    if path.is_dir():
        for name in FOLDER_FILES:
            if (path / name).is_file():
                return path / name
        parts = " (it is split into parts, which are not read)" if list(path.glob("*.index.json")) else ""
        raise SpecError(f"{path} is neither a run directory nor a folder with {' or '.join(FOLDER_FILES)}{parts}")
    if not path.is_file():
        raise SpecError(f"{path} does not exist; give a run directory, a checkpoint folder or a file of weights")
    return path


def read_weights(path: Path) -> WeightFile:
    """Return what a file, or a folder of Hugging Face's, holds.

    The format is told by the first bytes, not by the name. Raises SpecError when nothing is there, MaeError for a file
    that is damaged, holds no named tensors, or calls for more than tensors and plain containers.
    """
    path = find_weights(path)
    in_folder = path.name in FOLDER_FILES
    config, pixels = (_read_config(path.parent / name) if in_folder else {} for name in (CONFIG, PIXELS_CONFIG))
    start = _first_bytes(path)
    if _is_safe(start):
        beside = dict(read_metadata(path))
        with _safe_errors(path):
            return WeightFile(path, "safetensors", load_file(path), beside=beside, config=config, pixels=pixels)
    zipped = start.startswith(b"PK")
    if zipped:
        _check_records(path)
    loaded = _load_torch(path, mapped=zipped)
    under, tensors = _tensors_of(loaded)
    if not tensors:
        raise MaeError(f"{path} holds no named tensors; save a state dict: torch.save(model.state_dict(), path)")
    _check_tensors(path, tensors)
    entries = loaded if under else {}
    beside = {_name(key): _plain(value) for key, value in entries.items() if key != under}
    return WeightFile(path, "torch", tensors, under, beside, config, pixels)


def _check_records(path: Path) -> None:
    """Raise MaeError unless the records of an archive are stored as they are, which is how torch.save stores them.

    A compressed one could be a thousand times as large as the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, struct.error) as error:
        raise _unreadable(path, error) from error
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise MaeError(f"{path} holds compressed records, which torch.save does not write; {_AGAIN}")
        if record.filename.endswith(".pkl") and record.file_size > MAX_PICKLE_BYTES:
            raise MaeError(f"{path} lists its tensors in more than {MAX_PICKLE_BYTES:,} bytes, so it is no state dict")


def _check_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise MaeError for a tensor without plain values of its own in the file."""
    num_bytes = path.stat().st_size
    for name, tensor in tensors.items():
        kind = "nested" if tensor.is_nested else "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
        if kind != "strided":
            raise MaeError(f"{path}: {name} is a {kind} tensor, not plain numbers; save its dense values")
        if tensor.numel() * tensor.element_size() > num_bytes:
            raise MaeError(
                f"{path}: {name} is said to hold {tensor.numel():,} numbers, more than the file has; save it by "
                "tensor.contiguous().clone()"
            )


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, nothing for another one. Raises MaeError when it is damaged."""
    if not _is_safe(_first_bytes(path)):
        return {}
    with _safe_errors(path), safe_open(path, framework="pt") as opened:
        return opened.metadata() or {}


def _is_safe(start: bytes) -> bool:
    return start[8:9] == b"{"


@contextlib.contextmanager
def _safe_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # besides its own errors, those of torch for a type of numbers that it lacks
        raise MaeError(f"{path} cannot be read as safetensors ({_first_line(error)}); {_AGAIN}") from error


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise MaeError(f"{path} cannot be read: {error.strerror or error}") from error
    if not start:
        raise MaeError(f"{path} is empty; {_AGAIN}")
    return start


def _load_torch(path: Path, mapped: bool) -> Any:
    """Return what `torch.save` wrote; `mapped` leaves the tensors on the disk until they are used."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # of a TorchScript archive, which is refused by an exception too
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a damaged file makes it raise almost anything
        text = str(error)
        if found := _REFUSED.search(text):
            raise MaeError(
                f"{path} calls for {found[1]}, which weights do not need: refused, and nothing of the file was run; "
                "save its state dict alone, as safetensors or by torch.save(model.state_dict(), path)"
            ) from error
        if "TorchScript" in text:
            raise MaeError(
                f"{path} is a TorchScript archive, which is a program; save its state dict instead, by "
                "torch.save(model.state_dict(), path)"
            ) from error
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> MaeError:
    return MaeError(
        f"{path} is neither safetensors nor a file of torch.save that can be read without running it "
        f"({type(error).__name__}); {_AGAIN}, or save its state dict alone"
    )


def _tensors_of(loaded: Any) -> tuple[str, dict[str, Tensor]]:
    """Return the entry of a loaded checkpoint that holds the model, "" for the whole, and its tensors."""
    if not isinstance(loaded, Mapping):
        return "", {}
    for under in (*CONTAINERS, ""):
        held = loaded.get(under) if under else loaded
        if isinstance(held, Mapping):
            tensors = {_name(name): value.detach() for name, value in held.items() if isinstance(value, Tensor)}
            if tensors:
                return under, tensors
    return "", {}


def _name(key: object) -> str:
    """Return a name that can be written in UTF-8; pickles know strings that cannot, and keys that are no strings."""
    text = key if isinstance(key, str) else str(key) if type(key) in (int, bool) else type(key).__name__
    return text.encode("utf-8", errors="backslashreplace").decode()


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value that JSON can hold; of large or foreign ones their kind."""
    if isinstance(value, str):
        return _name(value) if len(value) <= MAX_TEXT else f"text of {len(value):,} characters"
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < MAX_DEPTH and isinstance(value, argparse.Namespace):
        return {_name(key): _plain(each, depth + 1) for key, each in vars(value).items()}
    if depth < MAX_DEPTH and isinstance(value, (list, tuple)) and len(value) <= 8:
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, (Mapping, list, tuple)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = finite_json(read_json(path))
    except FileNotFoundError:
        return {}
    return config if isinstance(config, dict) else {}


def finite_json(value: Any) -> Any:
    """Return a value that JSON held, NaN and infinity as text, and all text such that UTF-8 can hold it."""
    if isinstance(value, str):
        return _name(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {_name(key): finite_json(each) for key, each in value.items()}
    return [finite_json(each) for each in value] if isinstance(value, list) else value
