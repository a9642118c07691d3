"""Files of weights, read without running anything in them: safetensors, and what `torch.save` writes.

A `.pth` is a pickle, a program that may call any function. torch's restricted reader admits tensors and plain
containers; one class is added, `argparse.Namespace`, which the training checkpoints of the official MAE hold under
`args`. Whatever else a file calls for is refused by name, and nothing of it runs.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from maecli.errors import MaeError, SpecError

CONFIG, PIXELS_CONFIG = "config.json", "preprocessor_config.json"
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
"""What a folder of Hugging Face's calls its weights; `config.json` beside them describes the model, and
`preprocessor_config.json` what is done to its pictures."""
CONTAINERS = ("model", "state_dict", "model_state_dict", "module")
"""Entries of a training checkpoint that hold the model's tensors, by frequency."""
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
    if start[8:9] == b"{":
        metadata = read_metadata(path)
        try:
            return WeightFile(path, "safetensors", load_file(path), beside=dict(metadata), config=config, pixels=pixels)
        except (OSError, SafetensorError) as error:
            raise MaeError(f"{path} cannot be read as safetensors ({error}); {_AGAIN}") from error
    loaded = _load_torch(path, mapped=start.startswith(b"PK"))
    under, tensors = _tensors_of(loaded)
    if not tensors:
        raise MaeError(f"{path} holds no named tensors; save a state dict: torch.save(model.state_dict(), path)")
    entries = loaded if under else {}
    beside = {str(key): _plain(value) for key, value in entries.items() if key != under}
    return WeightFile(path, "torch", tensors, under, beside, config, pixels)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, nothing for another one. Raises MaeError when it is damaged."""
    if _first_bytes(path)[8:9] != b"{":
        return {}
    try:
        with safe_open(path, framework="pt") as opened:
            return opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise MaeError(f"{path} cannot be read as safetensors ({error}); {_AGAIN}") from error


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
        raise MaeError(
            f"{path} is neither safetensors nor a file of torch.save that can be read without running it "
            f"({type(error).__name__}); {_AGAIN}, or save its state dict alone"
        ) from error


def _tensors_of(loaded: Any) -> tuple[str, dict[str, Tensor]]:
    """Return the entry of a loaded checkpoint that holds the model, "" for the whole, and its tensors."""
    if not isinstance(loaded, Mapping):
        return "", {}
    for under in (*CONTAINERS, ""):
        held = loaded.get(under) if under else loaded
        if isinstance(held, Mapping):
            tensors = {str(name): value.detach() for name, value in held.items() if isinstance(value, Tensor)}
            if tensors:
                return under, tensors
    return "", {}


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; of large or foreign ones their kind."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, argparse.Namespace):
        return {key: _plain(each) for key, each in vars(value).items()}
    if isinstance(value, (list, tuple)) and len(value) <= 8:
        return [_plain(each) for each in value]
    if isinstance(value, (Mapping, list, tuple)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise MaeError(f"{path} cannot be read as JSON: {error}") from error
    return config if isinstance(config, dict) else {}
