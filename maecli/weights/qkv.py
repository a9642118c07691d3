"""Queries, keys and values, which some keep in layers of their own and we in one."""

from __future__ import annotations

import re

import torch
from torch import Tensor


def join_qkv(tensors: dict[str, Tensor]) -> None:
    """Put queries, keys and values that have layers of their own into one, in place."""
    for first in [name for name in tensors if re.search(r"\.attn\.q\.(weight|bias)$", name)]:
        parts = [first.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if all(name in tensors and tensors[name].shape[1:] == tensors[first].shape[1:] for name in parts):
            tensors[first.replace(".attn.q.", ".attn.qkv.")] = torch.cat([tensors.pop(name) for name in parts])
