"""Published batches: records of bytes, or pickles that are read without running anything."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from maecli import api

from .plain_pickle import read_plain_pickle

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
VALUES = math.prod(SHAPE)
MAX_BYTES = 2**30
"""Of a batch; a published one has 31 million."""


def read_python_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 3, 32, 32) uint8 and labels (N,) int64 of a pickled batch.

    Raises `DataError` naming the file and the rule it breaks.
    """
    batch = read_plain_pickle(path)
    data, labels = (batch.get("data"), batch.get("labels")) if isinstance(batch, dict) else (None, None)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (VALUES,):
        raise api.DataError(f"{path}: `data` must be an array of {VALUES:,} bytes per picture")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or len(labels) != len(data):
        raise api.DataError(f"{path}: `labels` must be one whole number for each of the {len(data):,} pictures")
    return _checked(path, data, np.array(labels, dtype=np.int64))


def read_binary_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 3, 32, 32) uint8 and labels (N,) int64 of a batch of the binary version.

    Raises `DataError` naming the file and the rule it breaks.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise api.DataError(f"{path} is larger than {MAX_BYTES:,} bytes, so it is no batch of CIFAR-10")
        records = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise api.DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(records) % (1 + VALUES):
        raise api.DataError(f"{path}: {len(records):,} bytes are no whole number of records of {1 + VALUES:,}")
    records = records.reshape(-1, 1 + VALUES)
    return _checked(path, records[:, 1:], records[:, 0].astype(np.int64))


def _checked(path: Path, data: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise api.DataError(f"{path}: labels must be 0 to {len(CLASSES) - 1}, and there must be some")
    return data.reshape(-1, *SHAPE), labels
