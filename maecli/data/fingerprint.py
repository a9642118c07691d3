"""What the samples of a split are, in a few kilobytes: enough to tell later whether they are still the same.

Files count by size and content, and say when they were changed last; tensors in memory by their bytes. Nothing is
decoded, except a few samples of a data set that names no files. What comes out is the same on every platform, and
whatever the number of threads.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from maecli.data.sample import Split, TensorSplit
from maecli.data.sample_files import NO_FILE, UNREADABLE, files_of, hashes_of, states_of
from maecli.data.tally import PRIME, Names, Tally, short_hash
from maecli.errors import BrokenSample

NUM_SAMPLED = 64
"""Files whose hashes are kept one by one, so that one can be named where many were replaced."""
SAMPLED_BYTES, SAMPLED_LETTERS = 256 << 20, 4096
"""Of the sampled files, and of their names, all together."""
ALL_FILES, ALL_BYTES = 4096, 64 << 20
"""A split of no more files and bytes is read whole."""
TENSOR_BYTES = 1 << 30
"""Of a larger tensor, rows at even distances are read."""
WHOLE = "all "
"""Before the name of its field, where no row was left out all the same."""
NUM_BLOCKS = 512
"""Parts that a tensor is hashed in."""
NUM_THREADS = 8

Kind = Literal["files", "tensors", "samples"]
"""What was looked at: the files that samples come from, tensors in memory, or samples as they are decoded."""


class Fingerprint(BaseModel):
    """What is kept of a split, in plain values."""

    model_config = ConfigDict(frozen=True, strict=True)

    version: Literal[1] = 1
    kind: Kind
    num_parts: int = Field(ge=0)
    """How many files, or samples where these were looked at."""
    names: Tally
    """Of the samples, with what stands for their names as the numbers."""
    facts: dict[str, Tally]
    """Of all parts: `sizes`, `contents` and `labels`; or the fields of tensors."""
    times: str | None = None
    """Digest of when files were changed last."""
    sampled: dict[str, str] = Field(default_factory=dict)
    """File, or sample, to the hash of its content."""

    @classmethod
    def read(cls, recorded: object) -> Fingerprint | None:
        """Return a fingerprint from plain values, None where they are none that this version knows."""
        try:
            return cls.model_validate(recorded)
        except ValidationError:
            return None


@dataclass
class Look:
    """What a split holds now: its fingerprint, and what it was made of."""

    kind: Kind
    names: Names
    num_parts: int = 0
    facts: dict[str, tuple[Names, list[int]]] = field(default_factory=dict)
    times: str | None = None
    sampled: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(
            kind=self.kind,
            num_parts=self.num_parts,
            names=self.names.tally(self.names.marks),
            facts={fact: names.tally(numbers) for fact, (names, numbers) in self.facts.items()},
            times=self.times,
            sampled=self.sampled,
        )

    @property
    def parts(self) -> Sequence[str]:
        """The names of all files, or of samples where these were looked at."""
        return self.facts["sizes"][0].names if self.kind == "files" else self.names.names

    def changed(self, fact: str, before: Tally) -> list[str]:
        """Return names of parts that have changed since, as far as they can be told; see `Names.changed`."""
        names, numbers = self.facts[fact]
        return [names.names[i] for i in names.changed(before, numbers)]


def look_at(split: Split, fields: Sequence[str], everything: bool = False, num_threads: int = NUM_THREADS) -> Look:
    """Return what a split, asked for with `fields`, holds now; with `everything` no content is left unread."""
    names = Names(list(split.keys))
    if isinstance(split, TensorSplit):
        return _look_at_tensors(split, names, everything, num_threads)
    chosen = sampled(names)
    file_names, paths = files_of(split)
    files = names if file_names == names.names else Names(file_names)  # what stands for a name is made once
    look = _look_at_files(files, paths, names, everything, num_threads) if paths else Look("samples", names, len(names))
    if not paths:
        _decode(split, look, range(len(names)) if everything else chosen, chosen)
    labels = labels_of(split, chosen if paths and "label" in fields else ())
    if labels is not None:
        look.facts["labels"] = names, labels
    return look


def sampled(names: Names) -> list[int]:
    """Return the positions of at most `NUM_SAMPLED` names, chosen by the names alone."""
    return sorted(range(len(names)), key=names.marks.__getitem__)[:NUM_SAMPLED]


def _look_at_files(files: Names, paths: Sequence[str], names: Names, everything: bool, num_threads: int) -> Look:
    look = Look("files", names, len(paths))
    with ThreadPoolExecutor(num_threads) as pool:  # disks, above all distant ones, answer several questions at once
        sizes, times = states_of(paths, pool)
        few = _affordable(files, sizes)
        whole = everything or (len(paths) <= ALL_FILES and sum(sizes) <= ALL_BYTES)
        hashed = range(len(paths)) if whole else few
        hashes = dict(zip(hashed, hashes_of([(paths[i], sizes[i]) for i in hashed], pool), strict=True))
    look.times = hashlib.blake2b(np.array(times, "<i8").tobytes(), digest_size=16).hexdigest()
    look.sampled = {files.names[i]: hashes[i] for i in few}
    look.facts["sizes"] = files, [size - NO_FILE for size in sizes]
    if whole:
        look.facts["contents"] = files, [_number(hashes[i]) for i in hashed]
    return look


def _affordable(files: Names, sizes: Sequence[int]) -> list[int]:
    """Return the positions of the files to sample, one at least, within bounds of what is read and kept."""
    chosen: list[int] = []
    left, letters = SAMPLED_BYTES, SAMPLED_LETTERS
    for i in sampled(files):
        left, letters = left - max(0, sizes[i]), letters - len(files.names[i])
        if chosen and (left < 0 or letters < 0):
            break
        chosen.append(i)
    return chosen


def _number(content: str) -> int:
    return 0 if content == UNREADABLE else int(content, 16) % PRIME


def labels_of(split: Split, chosen: Sequence[int]) -> list[int] | None:
    """Return a number for each sample's label; where the split tells none, for those at `chosen` by decoding them."""
    label_at: Callable[[int], np.ndarray | None] = split.label
    labels = [label_at(index) for index in range(len(split))] if callable(label_at) else []
    if any(label is not None for label in labels):
        return [_label_number(label) for label in labels]
    if not chosen:
        return None
    decoded = {index: _decoded(split, index) or {} for index in chosen}
    return [_label_number(decoded[i].get("label")) if i in decoded else 0 for i in range(len(split))]


def _label_number(label: np.ndarray | None) -> int:
    if label is None:
        return 0
    array = np.asarray(label)
    if array.ndim == 0 and array.dtype.kind in "biu":
        return (int(array) + 1) % PRIME
    return short_hash(_little(array))


def _decode(split: Split, look: Look, ids: Iterable[int], chosen: Sequence[int]) -> None:
    """Add what samples at `ids` hold, decoded, to a look; those that are not the same twice tell nothing."""
    hashes = {i: each for i in ids if (each := _sample_hash(split, i)) == _sample_hash(split, i)}
    look.sampled = {split.keys[i]: hashes[i] for i in chosen if i in hashes}
    if len(hashes) == len(split):
        look.facts["contents"] = look.names, [_number(hashes[i]) for i in range(len(split))]


def _sample_hash(split: Split, index: int) -> str:
    sample = _decoded(split, index)
    if sample is None:
        return UNREADABLE
    digest = hashlib.blake2b(digest_size=8)
    for name, array in sorted(sample.items()):
        digest.update(f"{name}\n".encode())
        digest.update(_little(np.asarray(array)))
    return digest.hexdigest()


def _little(array: np.ndarray) -> bytes:
    """Return what an array is and holds, in the byte order of most machines."""
    if array.dtype.hasobject:  # whose bytes are addresses
        return f"{array.shape}\n".encode()
    little = array.astype(array.dtype.newbyteorder("<"))
    return f"{little.dtype.str} {little.shape}\n".encode() + little.tobytes()


def _decoded(split: Split, index: int) -> dict[str, Any] | None:
    try:
        return split[index]
    except BrokenSample:
        return None


def _look_at_tensors(split: TensorSplit, names: Names, everything: bool, num_threads: int) -> Look:
    num = min(len(split), NUM_BLOCKS)
    ends = [i * len(split) // num for i in range(num + 1)] if num else [0]
    rows = [slice(begin, end) for begin, end in itertools.pairwise(ends)]
    blocks = Names([_block_name(split.keys[each.start], split.keys[each.stop - 1]) for each in rows])
    look = Look("tensors", names, len(split))
    with ThreadPoolExecutor(num_threads) as pool:
        for name, tensor in sorted(split.tensors.items()):
            stride = max(1, -(-tensor.nbytes // TENSOR_BYTES))
            for step in {stride, 1} if everything else {stride}:
                parts = (tensor[each.start : each.stop : step] for each in rows)
                look.facts[name if step == stride else WHOLE + name] = blocks, list(pool.map(_tensor_number, parts))
    return look


def _block_name(first: str, last: str) -> str:
    return first if first == last else f"one of {first} to {last}"


def _tensor_number(tensor: Tensor) -> int:
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    digest = hashlib.blake2b(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode(), digest_size=8)
    digest.update(data.data)
    return int(digest.hexdigest(), 16) % PRIME
