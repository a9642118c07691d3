"""Copies among samples: exact ones by their values, near ones by a perceptual hash that a closer look confirms.

Near ones are found of what has a thumbnail, as pictures have.

The hash has 63 bits: whether each of the lowest frequencies of the grey picture's cosine transform is above their
median. It stays nearly the same when a picture is compressed, resized or made lighter. Two of its own bits in eight may
differ; of pictures that are unlike each other some do come that near by chance, and so do drawings of a kind, such as
digits. A pair therefore counts only if its thumbnails correlate as well.

Shapes: N samples, B of them in a block, P pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn  # type: ignore[import-untyped]

from maecli.eda.findings import Duplicates, Overlap, Pair, Where
from maecli.eda.samples import SampleScan
from maecli.errors import BrokenSample
from maecli.modalities.pictures.survey import THUMBNAIL
from maecli.modalities.survey import digest_of

MAX_DISTANCE = 8
"""Bits of two hashes that may differ. JPEG at quality 30 changes up to 6, brightness by a fifth up to 10 and mostly 4;
of 4.5 million pairs of unlike photographs one differed in 8 or fewer."""

MIN_SIMILARITY = 0.95
"""Correlation of two thumbnails from which a pair counts; of CIFAR-10's pairs above it none looked at was by chance."""

VERY_SIMILAR = 0.99
"""Correlation of pairs that are all but identical; copies that were only compressed or resized reach it."""

MAX_PAIRS = 1000
"""Pairs that are named; all are counted."""

KEPT_PAIRS = 100_000
BLOCK = 256
CHUNK = 16_384

Flags = NDArray[np.bool_]
"""Which samples have a copy in which split: (N, splits)."""


@dataclass(frozen=True)
class _Copies:
    """Pairs of positions (P, 2) among all samples, with their distance (P,) and similarity (P,)."""

    pairs: NDArray[np.int64]
    distance: NDArray[np.int64]
    similarity: NDArray[np.float32]


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return (N,) hashes of grey thumbnails (N, 32, 32)."""
    hashes = np.zeros(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), CHUNK):
        part = thumbnails[start : start + CHUNK].astype(np.float32)
        low = dctn(part, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(part), 64)
        bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
        bits[:, 0] = False  # the mean brightness
        hashes[start : start + CHUNK] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return hashes


def find_duplicates(
    scans: Mapping[str, SampleScan], tick: Callable[[int], None], groups: Sequence[Sequence[int]] | None = None
) -> Duplicates:
    """Compare all samples of all splits with each other; `tick` is told how many more are done.

    `groups` are their `exact_groups`, if these are known already.
    """
    names = list(scans)
    looks = [look for scan in scans.values() for look in scan.looks]
    splits = np.array([number for number, scan in enumerate(scans.values()) for _ in scan.looks], np.int64)
    where = places(scans)
    groups = exact_groups(scans) if groups is None else groups
    later = {i for group in groups for i in group[1:]}  # hashes of copies would only repeat what is known
    compared = np.array([i for i, look in enumerate(looks) if look.thumbnail is not None and i not in later], np.int64)
    thumbnails = [looks[i].thumbnail for i in compared]
    tick(len(looks) - len(compared))

    exact, near, very_near = np.zeros((3, len(looks), len(names)), bool)  # which has a copy in which split
    for group in groups:
        for i in group:
            exact[i, splits[[j for j in group if j != i]]] = True
    kept: list[_Copies] = []
    num_near = 0
    for block in _near_blocks(np.array(thumbnails, np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL), tick):
        pairs = compared[block.pairs]
        num_near += len(pairs)
        _mark(near, pairs, splits)
        _mark(very_near, pairs[block.similarity >= VERY_SIMILAR], splits)
        kept = _strongest([*kept, _Copies(pairs, block.distance, block.similarity)], splits)

    listed = [
        Pair(kind="exact", first=where[first], second=where[i], distance=0, similarity=1.0)
        for first, *others in groups
        for i in others
    ]
    listed += [
        Pair(kind="near", first=where[a], second=where[b], distance=int(d), similarity=round(float(s), 4))
        for copies in kept
        for (a, b), d, s in zip(copies.pairs, copies.distance, copies.similarity, strict=True)
    ]
    listed.sort(key=lambda pair: (pair.first.split == pair.second.split, pair.kind == "near", -pair.similarity))
    return Duplicates(
        num_compared=len(compared),
        max_distance=MAX_DISTANCE,
        min_similarity=MIN_SIMILARITY,
        num_exact=len(later),
        num_near=num_near,
        overlaps=tuple(_overlaps(names, splits, exact, near, very_near)),
        pairs=tuple(listed[:MAX_PAIRS]),
    )


def places(scans: Mapping[str, SampleScan]) -> list[Where]:
    """Return where the readable samples of all splits are, one after the other."""
    return [Where(split=name, key=scan.split.keys[i]) for name, scan in scans.items() for i in scan.ids]


def exact_groups(scans: Mapping[str, SampleScan]) -> list[list[int]]:
    """Return positions, among the readable samples of all splits, of those whose values are equal; in rising order."""
    everything = [(scan, i, look) for scan in scans.values() for i, look in zip(scan.ids, scan.looks, strict=True)]
    alike: dict[bytes, list[int]] = defaultdict(list)
    for position, (_, _, look) in enumerate(everything):
        alike[look.digest].append(position)
    groups: list[list[int]] = []
    for positions in alike.values():
        if len(positions) < 2:
            continue
        sure: dict[bytes, list[int]] = defaultdict(list)
        for position in positions:
            scan, index, look = everything[position]
            sure[_whole_digest(scan, index) if look.reduced else look.digest].append(position)
        groups += [group for group in sure.values() if len(group) > 1]
    return groups


def _whole_digest(scan: SampleScan, index: int) -> bytes:
    """Return the digest of a sample read at its own size; its key's if that fails, which equals no other."""
    try:
        sample = scan.split[index]
    except BrokenSample as broken:
        return broken.fault.path.encode(errors="surrogateescape")
    return digest_of(sample, sample["image"].shape[1:])


def _near_blocks(thumbnails: NDArray[np.uint8], tick: Callable[[int], None]) -> Iterator[_Copies]:
    """Yield the near pairs (first < second) of grey thumbnails (N, 32, 32), block by block."""
    hashes = perceptual_hashes(thumbnails)
    fine = thumbnails.reshape(len(thumbnails), THUMBNAIL**2)
    coarse = fine.reshape(-1, 16, 2, 16, 2).mean((2, 4), dtype=np.float32).reshape(-1, 256)
    for start in range(0, len(hashes), BLOCK):
        block = hashes[start : start + BLOCK]
        distance = np.bitwise_count(block[:, None] ^ hashes[None, start:])  # (B, N - start)
        rows, columns = np.nonzero(distance <= MAX_DISTANCE)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        # a coarser look is cheaper, and where details agree the whole does too
        likely = _correlations(coarse, start + rows, start + columns) >= MIN_SIMILARITY - 0.02
        rows, columns = rows[likely], columns[likely]
        similarity = _correlations(fine, start + rows, start + columns)
        sure = similarity >= MIN_SIMILARITY
        rows, columns = rows[sure], columns[sure]
        yield _Copies(
            np.stack([start + rows, start + columns], axis=1),
            distance[rows, columns].astype(np.int64),
            similarity[sure],
        )
        tick(len(block))


def _correlations(
    pictures: NDArray[np.generic], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return (P,) correlations of pairs of the rows of `pictures` (N, D), of which none is constant."""
    similarity = np.zeros(len(first), np.float32)
    for start in range(0, len(first), CHUNK):
        a = pictures[first[start : start + CHUNK]].astype(np.float32)
        b = pictures[second[start : start + CHUNK]].astype(np.float32)
        a -= a.mean(1, keepdims=True)
        b -= b.mean(1, keepdims=True)
        scale = np.sqrt(np.einsum("pd,pd->p", a, a) * np.einsum("pd,pd->p", b, b))
        similarity[start : start + CHUNK] = np.einsum("pd,pd->p", a, b) / np.maximum(scale, 1e-6)
    return similarity


def _mark(flags: Flags, pairs: NDArray[np.int64], splits: NDArray[np.int64]) -> None:
    first, second = pairs.T
    flags[first, splits[second]] = True
    flags[second, splits[first]] = True


def _strongest(copies: Sequence[_Copies], splits: NDArray[np.int64]) -> list[_Copies]:
    """Return what is worth keeping, so that a set of a million alike pictures does not fill the memory."""
    if sum(len(block.pairs) for block in copies) <= KEPT_PAIRS:
        return list(copies)
    pairs = np.concatenate([block.pairs for block in copies])
    distance = np.concatenate([block.distance for block in copies])
    similarity = np.concatenate([block.similarity for block in copies])
    within = splits[pairs[:, 0]] == splits[pairs[:, 1]]
    best = np.lexsort((-similarity, within))[: KEPT_PAIRS // 2]
    return [_Copies(pairs[best], distance[best], similarity[best])]


def _overlaps(
    names: Sequence[str], splits: NDArray[np.int64], exact: Flags, near: Flags, very_near: Flags
) -> Iterator[Overlap]:
    """Yield the counts of every pair of splits that share anything."""
    for a, split in enumerate(names):
        inside = splits == a
        for b, other in enumerate(names):
            same, alike = exact[inside, b], near[inside, b]
            counts = same.sum(), (alike & ~same).sum(), (very_near[inside, b] & ~same).sum()
            if any(counts):
                yield Overlap(split=split, other=other, exact=counts[0], near=counts[1], very_near=counts[2])
