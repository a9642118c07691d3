"""A decoder's tensors under our names, and what has to be known of them to use them.

Shapes: C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class DecoderWeights:
    """The tensors of a decoder, named as in ours, and what they were trained to do."""

    source: str
    tensors: Mapping[str, Tensor]
    patch_size: tuple[int, ...]
    in_chans: int
    grid: tuple[int, ...]
    options: Mapping[str, Any]
    """Of its task, by which such a decoder is built and without which it means something else."""
    num_others: int = 0
    """How many tensors of the file they were."""
    task: str = ""
    """Empty for weights of others."""
    cells: tuple[str, ...] = ()
    """Names of the cells of rows, which its positions stand for."""
