"""Arrays in IDX files, the format of MNIST and of sets that are published like it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from maecli.errors import DataError

MAX_BYTES = 2**30
"""Of an array; the 814,255 pictures of EMNIST are 0.6 of it."""
IdxType = Literal["uint8", "int8", "int16", "int32", "float32", "float64"]
TYPES: Mapping[IdxType, int] = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
"""NumPy's name of a type → its byte in the file."""


def read_idx(path: Path, num_axes: int, dtype: IdxType = "uint8") -> np.ndarray:
    """Return the array of an IDX file, `.gz` or not, which must have that many axes and that type.

    The format: two zero bytes, a byte for the type (`TYPES`), the number of axes, each axis as a big-endian uint32,
    and then exactly as many bytes as these call for, big-endian too. Raises `DataError` naming the file and the rule
    it breaks.
    """
    way_out = "delete it to download it again, or fetch another copy"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic, header = file.read(4), file.read(4 * num_axes)
            expected = bytes([0, 0, TYPES[dtype], num_axes])
            if magic != expected:
                raise DataError(f"{path}: begins with {magic.hex() or 'nothing'}, not with {expected.hex()}; {way_out}")
            shape = np.frombuffer(header.ljust(4 * num_axes, b"\0"), dtype=">u4").astype(np.int64)
            stored = np.dtype(dtype).newbyteorder(">")
            size = int(np.prod(shape, dtype=object)) * stored.itemsize
            if size > MAX_BYTES:
                raise DataError(f"{path}: its header says {size:,} bytes, over {MAX_BYTES:,}; {way_out}")
            data = file.read(size + 1)  # and no more, whatever a compressed file would become
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); {way_out}") from error
    if len(header) < 4 * num_axes or len(data) < size:
        raise DataError(f"{path}: truncated, {len(data)} of {size} bytes of data; {way_out}")
    if len(data) > size:
        raise DataError(f"{path}: more bytes of data than the {size} that its header says; {way_out}")
    return np.frombuffer(bytearray(data), dtype=stored).reshape(shape).astype(dtype, copy=False)
