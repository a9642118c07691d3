"""Numbers by name, kept as one digest, with sums that tell which name's number became another.

The names are shared out among a few groups. A group keeps the sums of its numbers v and of m·v, where m stands for the
name, modulo a prime. If one number of a group changes, by d, the sums change by d and by m·d, whose quotient is m. With
m itself as the number of each name, the same finds a name that was added. Source: Minsky, Trachtenberg and Zippel 2003,
"Set reconciliation with nearly optimal communication complexity", IEEE Trans. Inf. Theory 49, of which this is the case
of one difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

PRIME = 2**61 - 1
NUM_GROUPS = 8
HEX_DIGITS = 16
"""Of one sum: those of a number below 2**64."""


class Tally(BaseModel):
    """What is kept of numbers by name, however many there are."""

    model_config = ConfigDict(frozen=True)

    digest: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Decides whether all numbers are the same, in the same order."""
    sums: str = Field(pattern=rf"^[0-9a-f]{{{2 * NUM_GROUPS * HEX_DIGITS}}}$")
    """Two per group, in hexadecimal digits."""


class Names:
    """Names in order, which numbers are given for."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def marks(self) -> list[int]:
        """The number m, below the prime, that stands for each name."""
        return [short_hash(name.encode("utf-8", "surrogatepass")) for name in self.names]

    def tally(self, numbers: Sequence[int]) -> Tally:
        """Return the tally of a number for each name, from 0 up to the prime."""
        digest = hashlib.blake2b(np.array(numbers, "<u8").tobytes(), digest_size=16)
        sums = "".join(f"{each:0{HEX_DIGITS}x}" for pair in self._sums(numbers) for each in pair)
        return Tally(digest=digest.hexdigest(), sums=sums)

    def changed(self, before: Tally, numbers: Sequence[int]) -> list[int]:
        """Return positions of names whose numbers are not those of a tally: those alone to have changed in a group.

        None may be found: that all are the same is what the digests tell.
        """
        by_mark = {mark: i for i, mark in enumerate(self.marks)}
        positions = []
        for group, now in enumerate(self._sums(numbers)):
            digits = before.sums[2 * group * HEX_DIGITS :]
            was = int(digits[:HEX_DIGITS], 16), int(digits[HEX_DIGITS : 2 * HEX_DIGITS], 16)
            change, weighted = ((n - w) % PRIME for n, w in zip(now, was, strict=True))
            mark = weighted * pow(change, -1, PRIME) % PRIME if change else -1
            if mark % NUM_GROUPS == group and mark in by_mark:
                positions.append(by_mark[mark])
        return sorted(positions)

    def _sums(self, numbers: Sequence[int]) -> list[tuple[int, int]]:
        plain, weighted = [0] * NUM_GROUPS, [0] * NUM_GROUPS
        for mark, number in zip(self.marks, numbers, strict=True):
            group = mark % NUM_GROUPS
            plain[group] += number
            weighted[group] += mark * number
        return [(p % PRIME, w % PRIME) for p, w in zip(plain, weighted, strict=True)]


def short_hash(data: bytes) -> int:
    """Return a number below the prime that stands for some bytes."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") % PRIME
