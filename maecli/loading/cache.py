"""Decoded samples in memory that processes share, so that none decodes what another has.

They lie in a file without a name, whose pages are memory (Linux's memfd) or, elsewhere, a temporary file's. It is
written by `pwrite`: where memory or disk runs out that is an error to handle, while a process that writes to mapped
memory, as in /dev/shm, is killed by SIGBUS. Reading is through a mapping, without a copy.

Who looks up a slot, or changes one, holds a POSIX record lock for that moment. The kernel takes it from a process that
ends, however it ends; what that had not finished is not found, as a slot has its length last. Such locks also end when
*any* handle of their file is closed, as a mapping does at its end, so they are on a file of their own.

    slots    (offset, length) of each sample: zeros where there is none, no length while it is being written
    record   length of the head, the head: JSON of [name, dtype, shape] per array; the arrays
    record   …
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import context, reduction
from typing import Any

import numpy as np

from maecli.data.sample import Sample

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SLOT = struct.Struct("<QQ")
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64
"""Of records, and of the arrays in them, in bytes."""


class SampleCache:
    """The first `num_bytes` of decoded samples that are put there, by any process that was given the cache.

    A process is given it by a fork, or as an argument when it is started. Memory is taken as samples come, beside 16
    bytes for each of `num_samples`, and given back when the last process ends that has the cache, or lets go of it and
    of the samples that it got. It is there once, though the system counts what a process has read as that one's too.

    Of the threads of a process one may use it.
    """

    reason: str | None = None
    """Why nothing, or nothing more, is kept, as far as this process knows; None while all is well, or it is full."""

    def __init__(self, num_samples: int, num_bytes: int) -> None:
        self.num_samples, self.num_bytes = num_samples, num_bytes
        self._handles: list[int] = []
        """Of the samples, and of the locks; none where nothing is kept."""
        self._mapped: mmap.mmap | bytes = b""
        weakref.finalize(self, _close, self._handles).atexit = False
        if num_bytes > 0:
            self._open()

    def get(self, index: int) -> Sample | None:
        """Return a sample that was put, as arrays that cannot be written to, None where there is none."""
        if not self._handles:
            return None
        try:
            with self._locked("LOCK_SH"):
                offset, length = self._slot(index)
            if length == 0:
                return None
            if offset + length > len(self._mapped):
                self._mapped = mmap.mmap(self._handles[0], 0, access=mmap.ACCESS_READ)  # all that there is by now
        except OSError as error:
            self.reason = error.strerror or str(error)
            return None
        return _unpack(self._mapped, offset)

    def put(self, index: int, sample: Sample) -> bool:
        """Keep a sample, if it fits and is not there. Return whether it was kept by this."""
        if not self._handles or self.reason is not None or (record := _pack(sample)) is None:
            return False
        length, parts = record
        try:
            begin = self._reserve(index, length)
            if begin is None:
                return False
            for offset, part in parts:
                _write(self._handles[0], part, begin + offset)
            self._set_slot(index, begin, length)
        except OSError as error:
            self.reason = error.strerror or str(error)
            return False
        return True

    def share_kept(self) -> float:
        """Return for which share of the samples there is room, if all are as large as those that were put so far."""
        if not self._handles or self.reason is not None:
            return 0.0
        head = _aligned(self.num_samples * _SLOT.size)
        slots = np.frombuffer(os.pread(self._handles[0], self.num_samples * _SLOT.size, 0), np.uint64).reshape(-1, 2)
        num = np.count_nonzero(slots[:, 1])
        used = os.fstat(self._handles[0]).st_size - head
        return min(1.0, self.num_bytes * num / (used * self.num_samples)) if num else 0.0

    def _open(self) -> None:
        if fcntl is None:
            self.reason = "this system has no record locks"
            return
        try:
            self._handles.append(_nameless_file())
            self._handles.append(_nameless_file())
            os.ftruncate(self._handles[0], self.num_samples * _SLOT.size)
        except OSError as error:
            _close(self._handles)
            self.reason = error.strerror or str(error)

    def _reserve(self, index: int, length: int) -> int | None:
        """Return where there is room for a sample that nobody else has, behind all others; None where there is none."""
        with self._locked("LOCK_EX"):
            begin = _aligned(os.fstat(self._handles[0]).st_size)
            fits = begin + length <= _aligned(self.num_samples * _SLOT.size) + self.num_bytes
            if not fits or self._slot(index) != (0, 0):
                return None
            os.ftruncate(self._handles[0], begin + length)
            self._write_slot(index, begin, 0)
        return begin

    def _set_slot(self, index: int, offset: int, length: int) -> None:
        with self._locked("LOCK_EX"):
            self._write_slot(index, offset, length)

    def _slot(self, index: int) -> tuple[int, int]:
        offset, length = _SLOT.unpack(os.pread(self._handles[0], _SLOT.size, self._slot_at(index)))
        return offset, length

    def _write_slot(self, index: int, offset: int, length: int) -> None:
        _write(self._handles[0], memoryview(_SLOT.pack(offset, length)), self._slot_at(index))

    def _slot_at(self, index: int) -> int:
        if not 0 <= index < self.num_samples:
            raise IndexError(f"sample {index} of {self.num_samples}")
        return index * _SLOT.size

    @contextlib.contextmanager
    def _locked(self, kind: str) -> Iterator[None]:
        fcntl.lockf(self._handles[1], getattr(fcntl, kind))
        try:
            yield
        finally:
            fcntl.lockf(self._handles[1], fcntl.LOCK_UN)

    def __reduce__(self) -> tuple[Callable[..., SampleCache], tuple[Any, ...]]:
        """Go to a process that is being started, the only way that handles go."""
        context.assert_spawning(self)
        handles = [reduction.DupFd(handle) for handle in self._handles]
        return _arrived, (self.num_samples, self.num_bytes, self.reason, handles)


def _arrived(num_samples: int, num_bytes: int, reason: str | None, handles: Sequence[Any]) -> SampleCache:
    cache = SampleCache(num_samples, 0)
    cache.num_bytes, cache.reason = num_bytes, reason
    cache._handles.extend(handle.detach() for handle in handles)
    return cache


def _nameless_file() -> int:
    """Return the handle of an empty file that nobody else can open, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.memfd_create("mae-samples")
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def _close(handles: list[int]) -> None:
    while handles:
        os.close(handles.pop())


def _pack(sample: Sample) -> tuple[int, list[tuple[int, memoryview]]] | None:
    """Return the length of a sample's record and its parts with their offsets; None for what is not plain numbers."""
    arrays = {name: np.asarray(array, order="C") for name, array in sample.items()}
    if any(array.dtype.kind in "OV" for array in arrays.values()):
        return None
    head = json.dumps([(name, array.dtype.str, array.shape) for name, array in arrays.items()]).encode()
    parts = [(0, memoryview(_LENGTH.pack(len(head)) + head))]
    end = _LENGTH.size + len(head)
    for array in arrays.values():
        begin = _aligned(end)
        end = begin + array.nbytes
        if array.nbytes:
            parts.append((begin, array.reshape(-1).view(np.uint8).data))
    return end, parts


def _unpack(mapped: mmap.mmap | bytes, offset: int) -> Sample:
    (length,) = _LENGTH.unpack_from(mapped, offset)
    end = offset + _LENGTH.size + length
    sample = {}
    for name, dtype, shape in json.loads(mapped[end - length : end]):
        array: np.ndarray = np.ndarray(shape, dtype, mapped, min(_aligned(end), len(mapped)))
        end = _aligned(end) + array.nbytes
        sample[name] = array
    return sample


def _write(file: int, part: memoryview, offset: int) -> None:
    while part:
        num = os.pwrite(file, part, offset)
        part, offset = part[num:], offset + num


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
