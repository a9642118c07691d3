"""What `torch.save` wrote, read without running anything in it.

A `.pth` is a pickle, a program that may call any function. torch's restricted reader admits tensors and plain
containers. Training runs keep more beside their weights: arguments, paths, numbers of numpy, configurations. For the
names listed here something inert stands in, which keeps a value as text, a number or a dictionary, or its kind alone;
the classes themselves are neither imported nor called. Whatever else a file calls for is refused by name.
"""

from __future__ import annotations

import argparse
import datetime
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

from maecli.errors import MaeError

MAX_PICKLE_BYTES = 64 * 2**20
"""Of the list of tensors in an archive of torch.save: 100 bytes for each, and what a training run keeps beside them."""
AGAIN = "it may be cut short: fetch it again"
_REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
_NUMBER = re.compile(r"[biufc](\d+)")
_DICTIONARIES = (
    "collections.defaultdict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "addict.addict.Dict",
    "easydict.EasyDict",
    "fvcore.common.config.CfgNode",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    "munch.Munch",
    "yacs.config.CfgNode",
)
"""Dictionaries with other names."""
_KINDS = (
    *(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "range", "slice", "str", "tuple")),
    "datetime.timezone",
    "decimal.Decimal",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    *(f"omegaconf.nodes.{name}Node" for name in ("Any", "Boolean", "Enum", "Float", "Integer", "Path", "String")),
    "typing.Any",
    "uuid.UUID",
)
"""What is known by its kind alone."""


class Inert:
    """Something of which its kind alone is kept: whatever it is made of is passed over."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class Array(Inert):
    """An array of numpy's, of which shape and type are kept."""

    shape: tuple[int, ...] = ()
    code = ""

    def __setstate__(self, state: object) -> None:
        match state:
            case (_, tuple(shape), _Type(code=code), *_) if all(type(length) is int for length in shape):
                self.shape, self.code = shape, code

    def __str__(self) -> str:
        return f"array {'×'.join(map(str, self.shape))} of {self.code}" if self.code else "array"


class _Type(Inert):
    """A type of numpy's numbers, as numpy writes it: `f8`, and the order of its bytes."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code, self.order = str(code)[:20], "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]


class _Entries:
    """A dictionary of another name becomes a plain one."""

    def __new__(cls, *_: object) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


class _Text:
    """A text of another class becomes a plain one."""

    def __new__(cls, text: object = "", *_: object) -> str:  # type: ignore[misc]
        return text if isinstance(text, str) else ""


def _scalar(kind: object, data: object = b"") -> object:
    """Return a number, truth or text of numpy's as one of Python's."""
    if not isinstance(kind, _Type) or not isinstance(data, bytes):
        return "scalar"
    if (found := _NUMBER.fullmatch(kind.code)) and len(data) == int(found[1]) <= 8:
        return np.frombuffer(data, kind.order + kind.code)[0].item()
    if kind.code.startswith("U"):
        return data.decode("utf-32-le" if kind.order == "<" else "utf-32-be", errors="replace").rstrip("\0")
    return f"scalar of {kind.code}"


def _array(*_: object) -> Array:
    return Array()


def _path(*parts: str) -> str:
    return str(PurePosixPath(*parts))


def _windows_path(*parts: str) -> str:
    return str(PureWindowsPath(*parts))


def _date(value: object, *_: object) -> str:
    return str(datetime.date(value))  # type: ignore[arg-type, call-arg]


def _datetime(value: object, *_: object) -> str:
    return str(datetime.datetime(value))  # type: ignore[arg-type, call-arg]


def _timedelta(*parts: int) -> str:
    return str(datetime.timedelta(*parts))


def _stand_ins() -> list[tuple[Callable[..., Any], str]]:
    """Return what stands in for which name."""
    found: dict[str, Callable[..., Any]] = {
        "argparse.Namespace": argparse.Namespace,
        "types.SimpleNamespace": argparse.Namespace,
        "builtins.frozenset": frozenset,
        "datetime.date": _date,
        "datetime.datetime": _datetime,
        "datetime.timedelta": _timedelta,
        "numpy.dtype": _Type,
        "numpy.ndarray": Array,
        "torch.torch_version.TorchVersion": _Text,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found |= {f"{module}.scalar": _scalar, f"{module}._reconstruct": _array}
    for module in ("pathlib", "pathlib._local"):
        found |= {f"{module}.{name}": _path for name in ("Path", "PosixPath", "PurePath", "PurePosixPath")}
        found |= {f"{module}.{name}": _windows_path for name in ("WindowsPath", "PureWindowsPath")}
    found |= dict.fromkeys(_DICTIONARIES, _Entries)
    found |= {name: type(name.rpartition(".")[2], (Inert,), {}) for name in _KINDS}
    return [(stand_in, name) for name, stand_in in found.items()]


STAND_INS = _stand_ins()


def load_pickle(path: Path, zipped: bool) -> Any:
    """Return what `torch.save` wrote; of an archive the tensors are left on the disk until they are used.

    Raises MaeError for what is damaged, and for what calls for more than tensors, plain containers and the names here.
    """
    try:
        named = _named_in(_pickles(path) if zipped else _beginning(path))
        with warnings.catch_warnings(), torch.serialization.safe_globals(named):
            warnings.simplefilter("ignore")  # of a TorchScript archive, which is refused by an exception too
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
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
        raise unreadable(path, error) from error


def _named_in(data: bytes) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return what stands in for names that a pickle may hold: torch goes over all that is admitted at every step."""
    return [(kind, name) for kind, name in STAND_INS if name.rpartition(".")[2].encode() + b"\n" in data]


def _pickles(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".pkl"))


def _beginning(path: Path) -> bytes:
    """Return where a file without an archive holds its pickles; its tensors' values follow them."""
    with path.open("rb") as file:
        return file.read(MAX_PICKLE_BYTES)


def unreadable(path: Path, error: Exception) -> MaeError:
    return MaeError(
        f"{path} is neither safetensors nor a file of torch.save that can be read without running it "
        f"({type(error).__name__}); {AGAIN}, or save its state dict alone"
    )
