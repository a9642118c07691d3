"""Files of weights, read without running anything in them: safetensors, and what `torch.save` writes.

A checkpoint of a training run may hold the tensors of several models, each in an entry of its own, at any depth.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from maecli.errors import MaeError, SpecError
from maecli.storage.documents import read_json
from maecli.text import some
from maecli.weights.bounds import ABSURD, MAX_TENSORS
from maecli.weights.file_names import CONFIG, FOLDER_FILES, KNOWN_AS, PIXELS_CONFIG, SUFFIXES
from maecli.weights.hub import fetch
from maecli.weights.hub_names import hub_name
from maecli.weights.implementations import encoders_in
from maecli.weights.pickles import AGAIN, MAX_PICKLE_BYTES, Array, load_pickle, unreadable
from maecli.weights.shards import INDEX, check_whole, read_index

CONTAINERS = ("model", "state_dict", "model_state_dict", "module")
"""Entries of a training checkpoint that hold the model's tensors, by frequency."""
MAX_HEADER_BYTES = 1 << 24
"""Of a safetensors file."""
MAX_TEXT, MAX_DEPTH = 10_000, 4
"""Characters of a text, and levels of containers in containers, that are told of what lies beside tensors."""
MAX_LEVELS, MAX_LIST = 6, 16
"""Levels of entries in entries that are looked through for tensors, and the longest list that is."""


@dataclass(frozen=True)
class WeightFile:
    """The named tensors of a file, on the CPU, and what lies beside them."""

    path: Path
    kind: Literal["safetensors", "torch"]
    tensors: dict[str, Tensor]
    under: str = ""
    """The entry that holds the tensors, with those above it: `state_dict.teacher`."""
    beside: dict[str, Any] = field(default_factory=dict)
    """What else the file says, as plain values: the metadata of safetensors, the other entries of a checkpoint."""
    config: dict[str, Any] = field(default_factory=dict)
    """The `config.json` of a folder of Hugging Face's."""
    pixels: dict[str, Any] = field(default_factory=dict)
    """Its `preprocessor_config.json`."""
    parts: Mapping[str, dict[str, Tensor]] = field(default_factory=dict)
    """Every entry that holds named tensors; by default the one above."""
    encoder: str = ""
    """The name of the encoder that was chosen, empty where nothing stands before the names of its tensors."""

    def __post_init__(self) -> None:
        if not self.parts:
            object.__setattr__(self, "parts", {self.under: self.tensors})

    @property
    def source(self) -> str:
        """What `--init` names it by."""
        return f"{self.path}#{self.encoder}" if self.encoder else str(self.path)


def split_choice(path: Path) -> tuple[Path, str]:
    """Return the file that `FILE#teacher` names, and `teacher`; a file whose name has a # in it is itself.

    Of a name of the hub it is the folder that its weights were fetched into.
    """
    if (name := hub_name(path)) is not None:
        return fetch(name).folder, name.choice
    path = path.expanduser()
    text = str(path)
    at = len(text)
    while not path.exists() and (at := text.rfind("#", 0, at)) > 0:
        if Path(text[:at]).exists():
            return Path(text[:at]), text[at + 1 :]
    return path, ""


def find_weights(path: Path) -> Path:
    """Return the file that a path means: itself, or the weights in a folder. Raises SpecError when there is none."""
    path = path.expanduser()
    if path.is_dir():
        for name in FOLDER_FILES:
            if (path / name).is_file():
                return path / name
        raise SpecError(f"{path} is neither a run directory nor a folder with {KNOWN_AS}{_other_weights(path)}")
    if not path.is_file():
        raise SpecError(f"{path} does not exist; give a run directory, a checkpoint folder or a file of weights")
    check_whole(path)
    return path


def _other_weights(folder: Path) -> str:
    """Return what else of a folder could be meant."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)
    return f"; it has {some(names)}, of which one can be given" if names else ""


def read_weights(path: Path) -> WeightFile:
    """Return what a file, or a folder of Hugging Face's, holds.

    The format is told by the first bytes, not by the name. Raises SpecError when nothing is there, MaeError for a file
    that is damaged, holds no named tensors, or calls for more than tensors and plain containers.
    """
    path = find_weights(path)
    in_folder = path.name in FOLDER_FILES
    config, pixels = (_read_config(path.parent / name) if in_folder else {} for name in (CONFIG, PIXELS_CONFIG))
    file = _read_shards(path) if path.name.endswith(INDEX) else _read_file(path)
    return dataclasses.replace(file, config=config, pixels=pixels)


def _read_shards(path: Path) -> WeightFile:
    """Return the tensors that an index names, in the order of the index. Raises MaeError where a file lacks one."""
    tensors: dict[str, Tensor] = {}
    kinds = set()
    for shard, names in read_index(path).items():
        file = _read_file(shard)
        kinds.add(file.kind)
        missing = [name for name in names if name not in file.tensors]
        if missing:
            raise MaeError(f"{shard} lacks {some(missing)}, which {path.name} places there; fetch both again")
        tensors |= {name: file.tensors[name] for name in names}
    return WeightFile(path, "torch" if "torch" in kinds else "safetensors", tensors)


def _read_file(path: Path) -> WeightFile:
    start = _first_bytes(path)
    if _is_safe(start):
        beside = dict(read_metadata(path))
        with _safe_errors(path):
            return WeightFile(path, "safetensors", load_file(path), beside=beside)
    _check_fetched(path, start)
    zipped = start.startswith(b"PK")
    if zipped:
        _check_records(path)
    loaded = load_pickle(path, zipped=zipped)
    parts = _parts_of(loaded)
    if not parts:
        raise MaeError(f"{path} holds no named tensors; save a state dict: torch.save(model.state_dict(), path)")
    under = next((name for name in (*CONTAINERS, "") if name in parts), None)
    if under is None:
        under = max(parts, key=lambda name: len(parts[name]))
    of_models = [name for name, tensors in parts.items() if name == under or encoders_in(tensors)]
    for name in of_models:
        _check_tensors(path, parts[name])
    models = {name.split(".")[0] for name in of_models}
    others = {_name(key): value for key, value in loaded.items() if not isinstance(value, Tensor)}
    beside = {name: _plain(value) for name, value in others.items() if name not in models}
    return WeightFile(path, "torch", parts[under], under, beside, parts=parts)


def _check_fetched(path: Path, start: bytes) -> None:
    """Raise MaeError for what stands in the place of weights that were not fetched."""
    if start.startswith(b"version h"):
        raise MaeError(f"{path} is a pointer of Git LFS and not the weights; fetch them by git lfs pull")
    if start.lstrip().lower().startswith((b"<!doc", b"<html")):
        raise MaeError(f"{path} is a web page and not weights; fetch the file itself")


def _check_records(path: Path) -> None:
    """Raise MaeError unless the records of an archive are stored as they are, which is how torch.save stores them.

    A compressed one could be a thousand times as large as the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, struct.error) as error:
        raise unreadable(path, error) from error
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise MaeError(f"{path} holds compressed records, which torch.save does not write; {AGAIN}")
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
    if path.name.endswith(INDEX) or not _is_safe(_first_bytes(path)):
        return {}
    with path.open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
    if MAX_HEADER_BYTES < num_bytes < path.stat().st_size:
        raise MaeError(f"{path} lists its tensors in {num_bytes:,} bytes, more than {MAX_HEADER_BYTES:,}; {ABSURD}")
    with _safe_errors(path), safe_open(path, framework="pt") as opened:
        metadata, num_tensors = opened.metadata() or {}, len(opened.keys())
    if num_tensors > MAX_TENSORS:
        raise MaeError(f"{path} lists {num_tensors:,} tensors, more than {MAX_TENSORS:,}; {ABSURD}")
    return metadata


def _is_safe(start: bytes) -> bool:
    return start[8:9] == b"{"


@contextlib.contextmanager
def _safe_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # besides its own errors, those of torch for a type of numbers that it lacks
        raise MaeError(f"{path} cannot be read as safetensors ({_first_line(error)}); {AGAIN}") from error


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise MaeError(f"{path} cannot be read: {error.strerror or error}") from error
    if not start:
        raise MaeError(f"{path} is empty; {AGAIN}")
    return start


def _parts_of(loaded: Any) -> dict[str, dict[str, Tensor]]:
    """Return the named tensors of every entry that has some, by the names of the entries that lead there."""
    parts: dict[str, dict[str, Tensor]] = {}
    level: list[tuple[str, Any]] = [("", loaded)] if isinstance(loaded, Mapping) else []
    seen = {id(loaded)}
    for _ in range(MAX_LEVELS):
        below = []
        for under, entries in level:
            items = entries.items() if isinstance(entries, Mapping) else enumerate(entries)
            tensors = {_name(key): value.detach() for key, value in items if isinstance(value, Tensor)}
            if tensors and isinstance(entries, Mapping):
                parts.setdefault(under, tensors)
            for key, value in entries.items() if isinstance(entries, Mapping) else enumerate(entries):
                if _may_hold_tensors(value) and id(value) not in seen:
                    seen.add(id(value))
                    below.append((f"{under}.{_name(key)}" if under else _name(key), value))
        level = below
    return parts


def _may_hold_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and len(value) <= MAX_LIST)


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
    if isinstance(value, Array):
        return str(value)
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
