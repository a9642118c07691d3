"""The checksums of the samples of a shard, which its last member holds: one damaged picture costs no other one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

SUMS_MEMBER = ".sums"
"""Its name: hidden, so that readers of shards pass it over. It holds a line for each sample, in their order."""


def sample_sum(members: Iterable[tuple[str, Iterable[bytes]]]) -> str:
    """Return 16 letters that differ for other members of a sample: names, and contents in pieces."""
    state = hashlib.blake2b(digest_size=8)
    for name, pieces in members:
        state.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        for piece in pieces:
            state.update(piece)
    return state.hexdigest()
