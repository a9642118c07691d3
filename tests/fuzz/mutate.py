"""Damaged files made of whole ones, the same ones for a seed, and what a reader must make of them."""

from __future__ import annotations

import random
import re
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NUM = 1000
FEW = 200
"""Of readers that take milliseconds for each; `benchmarks/fuzz.py` gives them as many as one wants."""
SECONDS = 2.0
"""What a reader may take for one small input."""
MEMORY = 2 * 2**30
"""Bytes of address space beyond what the process had."""

_EXTREMES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_DIGITS = (b"0", b"-1", b"65536", b"4294967296", b"99999999999999999999", b"1e999", b"nan", b"9" * 5000)


Errors = type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True)
class Reader:
    """Something that reads a file, and what it may raise of a damaged one."""

    name: str
    file: str
    """What the file is called, which may say what it is."""
    read: Callable[[Path], object]
    samples: Sequence[bytes]
    """Whole files, which are read."""
    errors: Errors
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Whole files in the same folder."""

    def survives(self, folder: Path, num: int = NUM, seed: int = 0) -> Counter[str]:
        """Let it read `num` damaged files in a folder; see the function."""
        for name, data in self.beside.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return survives(self.read, self.samples, folder / self.file, self.errors, num, seed)


def mutants(samples: Sequence[bytes], num: int = NUM, seed: int = 0) -> Iterator[bytes]:
    """Yield `num` damaged files, each of one of the samples by one to four changes."""
    chance = random.Random(seed)
    for _ in range(num):
        data = bytearray(chance.choice(samples))
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            data = chance.choice(_CHANGES)(chance, data, samples)
        yield bytes(data)


def _place(chance: random.Random, data: bytearray) -> int:
    """Return a position, in the beginning half of the time: headers are there."""
    return chance.randrange(min(len(data), 64) if chance.random() < 0.5 else len(data)) if data else 0


def _flip(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    if data:
        data[_place(chance, data)] ^= 1 << chance.randrange(8)
    return data


def _overwrite(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    at, size = _place(chance, data), chance.choice((1, 2, 4, 8))
    number = chance.choice(_EXTREMES) % 256**size
    data[at : at + size] = number.to_bytes(size, chance.choice(("little", "big")))
    return data


def _insert(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    at, size = _place(chance, data), chance.choice((2, 4, 8))
    data[at:at] = (chance.choice(_EXTREMES) % 256**size).to_bytes(size, chance.choice(("little", "big")))
    return data


def _cut(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    return data[: _place(chance, data)]


def _remove(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    at = _place(chance, data)
    del data[at : at + chance.randrange(1, 64)]
    return data


def _duplicate(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> bytearray:
    at = _place(chance, data)
    data[at:at] = data[at : at + chance.randrange(1, 256)] * chance.choice((1, 1, 2, 50))
    return data


def _splice(chance: random.Random, data: bytearray, samples: Sequence[bytes]) -> bytearray:
    other = bytearray(chance.choice(samples))
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def _renumber(chance: random.Random, data: bytearray, samples: Sequence[bytes]) -> bytearray:
    """Replace a number that is written in digits."""
    numbers = list(re.finditer(rb"\d+", data))
    if not numbers:
        return _overwrite(chance, data, samples)
    found = chance.choice(numbers)
    data[found.start() : found.end()] = chance.choice(_DIGITS)
    return data


_CHANGES = (_flip, _flip, _overwrite, _overwrite, _insert, _cut, _remove, _duplicate, _splice, _renumber)


@contextmanager
def little_memory(num_bytes: int = MEMORY) -> Iterator[None]:
    """Let this process have no more than so many bytes beyond what it has; asking for more raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def survives(
    read: Callable[[Path], object],
    samples: Sequence[bytes],
    path: Path,
    errors: Errors,
    num: int = NUM,
    seed: int = 0,
) -> Counter[str]:
    """Let a reader read `num` damaged files, written to `path` one after the other; return what came out how often.

    Raises AssertionError for an error that is none of `errors`, and for an input that takes long; it stays at `path`.
    """
    came: Counter[str] = Counter()
    for sample in samples:
        path.write_bytes(sample)
        read(path)
    with little_memory(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, data in enumerate(mutants(samples, num, seed)):
            path.write_bytes(data)
            begin = time.process_time()
            try:
                read(path)
            except errors as error:
                came[type(error).__name__ if str(error).strip() else "without a word"] += 1
            except Exception as error:
                raise AssertionError(f"input {number} of seed {seed}: {type(error).__name__}: {error}") from error
            else:
                came["read"] += 1
            seconds = time.process_time() - begin
            assert seconds < SECONDS, f"input {number} of seed {seed} took {seconds:.1f} s"
    return came
