from __future__ import annotations

import socket
import threading

import pytest
import torch

from maecli.loading.parcels import Parcel, pack, receive


def through(parcel):
    ours, theirs = socket.socketpair()

    def send():
        for part in pack(parcel):
            theirs.sendall(part)
        theirs.close()

    thread = threading.Thread(target=send)
    thread.start()
    got = receive(ours)
    thread.join()
    with pytest.raises(EOFError):
        receive(ours)
    ours.close()
    return got


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24, dtype=torch.uint8).view(2, 3, 4),
        torch.tensor(7),
        torch.zeros(0, 3, 8, 8, dtype=torch.uint8),
        torch.tensor([True, False]),
        torch.tensor([1.5, float("nan")], dtype=torch.bfloat16),
        torch.arange(6.0).view(2, 3).t(),
        torch.arange(1_000_000, dtype=torch.int32),  # more than a socket holds
    ],
    ids=["uint8", "number", "empty", "bool", "bfloat16", "transposed", "large"],
)
def test_a_tensor_arrives_with_its_dtype_shape_and_bits(tensor):
    parcel = through(Parcel({"image": tensor, "other": torch.ones(1)}, ["a.png", None]))
    assert list(parcel.tensors) == ["image", "other"]
    assert parcel.rest == ["a.png", None]
    got = parcel.tensors["image"]
    assert (got.dtype, got.shape) == (tensor.dtype, tensor.shape)
    assert got.contiguous().view(-1).view(torch.uint8).equal(tensor.contiguous().view(-1).view(torch.uint8))


def test_half_a_parcel_is_the_end_and_not_waited_for():
    ours, theirs = socket.socketpair()
    whole = b"".join(pack(Parcel({"image": torch.ones(100)}, None)))
    theirs.sendall(whole[:-1])
    theirs.close()
    with pytest.raises(EOFError):
        receive(ours)
    ours.close()
