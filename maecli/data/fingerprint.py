"""What the samples of a split are, in a few kilobytes: enough to tell later whether they are still the same.

Files count by size and content, and say when they were changed last; tensors in memory by their bytes. Nothing is
decoded, except a few samples of a data set that names no files. What comes out is the same on every platform, and
whatever the number of threads.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from maecli.data.files.sample_files import UNREADABLE, SampleFiles, content_hash, files_of, in_threads, states_of
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.data.views.keys import Keys, are_sorted
from maecli.errors import BrokenSample

ALL_FILES, ALL_BYTES = 4096, 64 << 20
"""A split of no more files and bytes is read whole."""
NUM_SAMPLED, SAMPLED_BYTES = 64, 256 << 20
"""Files, and their bytes, that are read of a larger one."""
KEPT_BYTES = 48 << 10
"""Of names and hashes that are kept of one split."""
SHORT = 8
"""Hexadecimal digits of a hash that is kept beside a name."""
HASHED_AT_ONCE = 1 << 14
"""Values whose texts are held at a time."""
TENSOR_BYTES, ROWS_AT_ONCE = 1 << 30, 64
"""Of a larger tensor, rows at even distances are read."""
WHOLE = "all "
"""Before the name of its field, where no row was left out all the same."""

Kind = Literal["files", "tensors", "samples"]
"""What was looked at: the files that samples come from, tensors in memory, or samples as they are decoded."""


class Fingerprint(BaseModel):
    """What is kept of a split, in plain values."""

    model_config = ConfigDict(frozen=True, strict=True)

    version: Literal[2] = 2
    kind: Kind
    num_samples: int = Field(ge=0)
    num_parts: int = Field(ge=0)
    """How many files, or samples where these were looked at."""
    names: str
    """Digest of the names of the samples, in order."""
    sorted_names: str
    facts: dict[str, str]
    """Digests, in order, of `sizes`, `contents` and `labels` of all parts; or of the fields of tensors."""
    times: str | None = None
    """Digest of when files were changed last."""
    hashes: dict[str, str] = Field(default_factory=dict)
    """File, or sample, to the hash of its content: of as many as there is room for, to name what changed."""

    @classmethod
    def read(cls, recorded: object) -> Fingerprint | None:
        """Return a fingerprint from plain values, None where they are none that this version knows."""
        try:
            return cls.model_validate(recorded)
        except ValidationError:
            return None

    @property
    def complete(self) -> bool:
        """Whether the hash of every part is kept by its name."""
        return len(self.hashes) == self.num_parts


def fingerprint_of(split: Split, fields: Sequence[str], everything: bool = False) -> Fingerprint:
    """Return the fingerprint of a split, asked for with `fields`; with `everything` no content is left unread."""
    keys, files = split.keys, files_of(split)
    times, hashes = None, dict[str, str]()
    kind: Kind = "files" if files.paths else "samples"
    if files.paths:
        facts, times, hashes = _file_facts(files, everything)
    elif isinstance(split, TensorSplit):
        kind, facts = "tensors", _tensor_facts(split, everything)
    else:
        facts, hashes = _sample_facts(split, keys, everything)
    if labels := _labels(split, keys, decoded=bool(files.paths) and "label" in fields):
        facts["labels"] = labels
    return Fingerprint(
        kind=kind,
        num_samples=len(keys),
        num_parts=len(files.paths) or len(keys),
        names=digest_of(keys),
        sorted_names=digest_of(keys if are_sorted(keys) else sorted(keys)),
        facts=facts,
        times=times,
        hashes=hashes,
    )


def digest_of(values: Sequence[object] | NDArray[np.int64]) -> str:
    """Return one hash of texts or numbers in their order."""
    return _digest(values, len(values))


def _digest(values: Iterable[object], num: int) -> str:
    """Return the hash of so many values, of which a few are held at a time."""
    digest, rest = hashlib.blake2b(str(num).encode(), digest_size=8), iter(values)
    while part := list(itertools.islice(rest, HASHED_AT_ONCE)):
        digest.update("\n".join(["", *map(str, part)]).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _kept(names: Sequence[str], sizes: Sequence[int] | NDArray[np.int64], whole: bool) -> list[int]:
    """Return the positions of parts to keep a hash of, chosen by their names: a sample unless the `whole` is read."""
    kept: list[int] = []
    read = letters = 0
    for i in _in_line(names) if whole else _first_in_line(names):
        read, letters = read + max(0, int(sizes[i])), letters + len(ascii(names[i])) + 2 * SHORT
        if kept and (letters > KEPT_BYTES or (read > SAMPLED_BYTES and not whole)):
            break
        kept.append(i)
    return kept


def _in_line(names: Sequence[str]) -> Iterable[int]:
    """Return all positions in an order that follows from the names, and looks random."""
    hashes = bytearray().join(map(_place, names))
    return map(int, np.argsort(np.frombuffer(hashes, ">u8"), kind="stable"))


def _first_in_line(names: Sequence[str]) -> list[int]:
    """Return the first `NUM_SAMPLED` positions of that order, of which no more are held."""
    places = ((_place(name), i) for i, name in enumerate(names))
    return [i for _, i in heapq.nsmallest(NUM_SAMPLED, places)]


def _place(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _file_facts(files: SampleFiles, everything: bool) -> tuple[dict[str, str], str, dict[str, str]]:
    """Return digests of the sizes of all files, and of the contents where all are read; of times; and hashes."""
    paths, names, before = files
    sizes, times = states_of(paths, before).T
    whole = everything or (len(paths) <= ALL_FILES and int(sizes.sum()) <= ALL_BYTES)
    kept = _kept(names, sizes, whole)
    contents = Keys.of(in_threads(content_hash, paths if whole else paths.take(kept), before))
    facts = {"sizes": digest_of(sizes)}
    if whole:
        facts["contents"] = digest_of(contents)
    known = zip(kept, contents.take(kept) if whole else contents, strict=True)
    hashes = {names[i]: content[:SHORT] for i, content in reversed([*known])}  # of two files of one name the first
    return facts, digest_of(times), hashes


def _sample_facts(split: Split, keys: Sequence[str], everything: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Return what decoded samples hold; those that are not the same twice tell nothing."""
    kept = _kept(keys, np.zeros(len(keys), np.int64), everything)
    ids = range(len(keys)) if everything else sorted(kept)
    contents = {i: content for i in ids if (content := _sample_hash(split, i)) == _sample_hash(split, i)}
    facts = {"contents": digest_of([*contents.values()])} if len(contents) == len(keys) else {}
    return facts, {keys[i]: contents[i][:SHORT] for i in kept if i in contents}


def _sample_hash(split: Split, index: int) -> str:
    sample = _decoded(split, index)
    if sample is None:
        return UNREADABLE
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(sample.items()):
        array = np.asarray(value)
        array = array.astype(array.dtype.newbyteorder("<"))
        digest.update(f"{name}\n{array.dtype.str} {array.shape}\n".encode())
        if not array.dtype.hasobject:  # whose bytes are addresses
            digest.update(array.tobytes())
    return digest.hexdigest()


def _decoded(split: Split, index: int) -> Sample | None:
    try:
        return split[index]
    except BrokenSample:
        return None


def _labels(split: Split, keys: Sequence[str], decoded: bool) -> str | None:
    """Return the digest of all labels; where the split tells none, of those of a few samples if `decoded`."""
    ids: Sequence[int] = range(len(keys))
    if any(split.label(index) is not None for index in ids):
        labels = (split.label(index) for index in ids)
    else:
        ids = _kept(keys, np.zeros(len(keys), np.int64), whole=False) if decoded else []
        labels = ((_decoded(split, index) or {}).get("label") for index in ids)
    return _digest((np.asarray(label).tolist() for label in labels), len(ids)) if ids else None


def _tensor_facts(split: TensorSplit, everything: bool) -> dict[str, str]:
    facts = {}
    for field, tensor in sorted(split.tensors.items()):
        step = max(1, -(-tensor.nbytes // TENSOR_BYTES))
        facts[field] = _tensor_digest(tensor[::step])
        if everything and step > 1:
            facts[WHOLE + field] = _tensor_digest(tensor)
    return facts


def _tensor_digest(tensor: Tensor) -> str:
    digest = hashlib.blake2b(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode(), digest_size=8)
    for start in range(0, len(tensor), ROWS_AT_ONCE):
        rows = tensor[start : start + ROWS_AT_ONCE]  # of which a copy may be made
        digest.update(rows.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
