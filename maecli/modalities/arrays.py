"""Arrays of numbers: `.npy` files, which are believed no more than they hold, and the few dtypes that samples have."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from maecli.errors import BrokenSample

MAX_NPY_HEADER = 10_000
"""Bytes that describe an array: NumPy's own bound, tested before they are read."""


def npy_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and dtype of a `.npy` file whose numbers are all there. Raises `BrokenSample`."""
    length = int.from_bytes(file.read(12)[8:12], "little")  # of the header; version 1 has two bytes for it
    file.seek(0)
    version = np.lib.format.read_magic(file)
    if (length % 2**16 if version == (1, 0) else length) > MAX_NPY_HEADER:
        raise BrokenSample(file.name, f"damaged file: its header is longer than {MAX_NPY_HEADER:,} bytes")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    given_dtype(dtype, file.name)
    if os.fstat(file.fileno()).st_size - file.tell() < math.prod(shape) * dtype.itemsize:
        raise BrokenSample(file.name, "truncated file")
    return shape, dtype


def npy_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of a `.npy` file. Raises `BrokenSample`, or whatever NumPy raises on a damaged one."""
    with path.open("rb") as file:
        return npy_header(file)[0]


def read_npy(path: Path, most: int) -> np.ndarray:
    """Return a `.npy` file of at most so many numbers, in the dtype of `given_dtype`. Raises as `npy_shape` does."""
    with path.open("rb") as file:
        shape, dtype = npy_header(file)
        if math.prod(shape) > most:
            raise BrokenSample(str(path), f"holds {math.prod(shape):,} numbers, more than {most:,}")
        file.seek(0)
        return as_given(np.load(file, allow_pickle=False), given_dtype(dtype, str(path)))


def given_dtype(dtype: np.dtype, name: str) -> str:
    """Return the dtype that numbers of `dtype` are read as: few kinds, which torch has too.

    Raises `BrokenSample` for what is not numbers.
    """
    match dtype.kind, dtype.itemsize:
        case ("b", _) | ("u", 1):
            return "uint8"
        case ("u", 2):
            return "uint16"
        case ("i", 1 | 2):
            return "int16"
        case ("i", 4):
            return "int32"
        case ("u" | "i" | "f", _):
            return "float32"
    raise BrokenSample(name, f"holds {'Python objects' if dtype.hasobject else dtype}, not plain numbers")


def as_given(pixels: np.ndarray, dtype: str) -> np.ndarray:
    """Return the numbers as `given_dtype` says, the array itself if it is so already; truths become 0 and 255."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is looked for later
        return np.ascontiguousarray(pixels * np.uint8(255) if pixels.dtype == bool else pixels, dtype=dtype)
