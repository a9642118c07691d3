"""Named tensors through a socket: they travel as they lie in memory, and whatever goes with them is pickled.

A parcel is a length, a pickle of (names, dtypes, shapes, the rest), and the bytes of each tensor. Both ends belong to
one program and its children: nothing that is unpickled here comes from a file or from anybody else.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

R = TypeVar("R")

_LENGTH = struct.Struct("<Q")


class Parcel(NamedTuple, Generic[R]):
    """Tensors by name, and what goes with them."""

    tensors: Mapping[str, Tensor]
    rest: R


def pack(parcel: Parcel[Any]) -> list[memoryview]:
    """Return the parcel as bytes to send, without a copy of its tensors."""
    whole = {name: tensor.contiguous() for name, tensor in parcel.tensors.items()}
    layout = [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in whole.items()]
    head = pickle.dumps((layout, parcel.rest), protocol=pickle.HIGHEST_PROTOCOL)
    parts = [memoryview(_LENGTH.pack(len(head)) + head)]
    return parts + [_bytes(tensor) for tensor in whole.values() if tensor.nbytes]


def receive(end: socket.socket, pin_memory: bool = False) -> Parcel[Any]:
    """Return the next parcel, in page-locked memory if asked for. Raises EOFError where the sender is gone."""
    length = bytearray(_LENGTH.size)
    _fill(end, memoryview(length))
    head = bytearray(_LENGTH.unpack(length)[0])
    _fill(end, memoryview(head))
    layout, rest = pickle.loads(head)
    tensors = {}
    for name, dtype, shape in layout:
        tensor = torch.empty(shape, dtype=dtype, pin_memory=pin_memory)
        if tensor.nbytes:
            _fill(end, _bytes(tensor))
        tensors[name] = tensor
    return Parcel(tensors, rest)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.view(-1).view(torch.uint8).numpy().data


def _fill(end: socket.socket, view: memoryview) -> None:
    while view:
        try:
            num = end.recv_into(view, len(view), socket.MSG_WAITALL)
        except ConnectionError:
            num = 0  # it is gone, and left something unread
        if num == 0:
            raise EOFError
        view = view[num:]


class ByValue:
    """Carries an object to a process that is not forked, its tensors included: not in shared memory, as torch would."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Callable[[bytes], ByValue], tuple[bytes]]:
        return _unpacked, (pickle.dumps(self.value),)


def _unpacked(packed: bytes) -> ByValue:
    return ByValue(pickle.loads(packed))


def carried(value: Any) -> Any:
    """Return what arrives of a value in another process. Raises whatever pickle raises where nothing can."""
    return pickle.loads(pickle.dumps(value))
