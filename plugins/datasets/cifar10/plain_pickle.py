"""Pickled files of plain containers and arrays, read without running anything that they name.

A pickle is a program that may call any function. This reader answers three names itself, those by which numpy writes
an array, and refuses every other; so that not even numpy's own functions are called with a file's arguments.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from maecli.api import DataError

_RECONSTRUCT = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
_NUMBERS = re.compile(r"[?b]1?|[iuf][1248]")
"""Element types that are admitted: truth values, integers and floats."""

MAX_BYTES = 2**30
SLACK = 16
"""How far the numbers under which a pickle remembers things may run ahead of their count."""


class Refused(Exception):
    """What a file calls for and does not get."""


class _Dtype:
    """Stands in for `numpy.dtype`: element type, and byte order, which a state brings."""

    def __init__(self, code: object, *_flags: object) -> None:
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise Refused(f"an array of {code!r}")
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("|", "<", ">", "="):
            raise Refused(f"byte order {order!r}")
        self.order = order


class _Array:
    """Stands in for an array between its making and its state."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, data = state
        if isinstance(data, str):
            data = data.encode("latin1")  # bytes of Python 2
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise Refused("an array that is not plain numbers")
        flat = np.frombuffer(data, np.dtype(dtype.order + dtype.code))
        if not all(isinstance(length, int) and length >= 0 for length in shape) or math.prod(shape) != flat.size:
            raise Refused(f"an array of shape {shape} with {flat.size} elements")
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _RECONSTRUCT:
            return self._array
        if (module, name) == ("numpy", "dtype"):
            return self._dtype
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return self._encode
        raise Refused(f"{module}.{name}")

    # Bound methods, since a file could set attributes of a class.
    def _array(self, *_arguments: object) -> _Array:
        return _Array()

    def _dtype(self, *arguments: Any) -> _Dtype:
        return _Dtype(*arguments)

    def _encode(self, text: str, _encoding: str) -> bytes:
        return text.encode("latin1")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise Refused(f"the outside object {pid!r}")


def read_plain_pickle(path: Path) -> Any:
    """Return what a pickled file holds: dicts, lists, tuples, strings, bytes, numbers and numpy arrays of numbers.

    Strings of Python 2 are read as latin-1. Raises DataError, naming what was called for, when the file needs anything
    else (nothing of it has run then), and when it is truncated or no pickle.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise DataError(f"{path} is larger than {MAX_BYTES:,} bytes; a pickled file of that size is not read")
            _check_memory(file)
            return _plain(_PlainUnpickler(file, encoding="latin1").load(), {})
    except DataError:
        raise
    except Refused as refused:
        raise DataError(
            f"{path} calls for {refused}, which plain data never do; nothing was run: delete the file and fetch "
            "the published one"
        ) from refused
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a broken pickle can raise almost anything
        raise DataError(
            f"{path} is truncated or no pickled file ({type(error).__name__}); fetch another copy"
        ) from error


def _check_memory(file: BinaryIO) -> None:
    """Refuse a program whose numbers for things to remember have gaps: a list as long as the highest would be made."""
    num = 0
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            num += 1
            if not isinstance(argument, int) or not 0 <= argument <= num + SLACK:
                raise Refused(f"memory for {argument} things")
    file.seek(0)


def _plain(value: Any, plain: dict[int, Any]) -> Any:
    """Put arrays in the place of those that stood in for them; what stands in many places is gone over once."""
    if isinstance(value, _Array):
        return value.value
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) not in plain:
        if isinstance(value, dict):
            plain[id(value)] = {key: _plain(item, plain) for key, item in value.items()}
        else:
            plain[id(value)] = type(value)(_plain(item, plain) for item in value)
    return plain[id(value)]
