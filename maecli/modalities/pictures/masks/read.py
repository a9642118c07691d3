"""Masks: one class number per pixel, in files and as colours. Pillow is loaded when a file is read or written.

Shapes: H, W height and width, Q classes.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.files import reading
from maecli.modalities.pictures.masks.code import (
    VOID,
    VOID_COLOUR,
    Evidence,
    Legend,
    MaskCode,
    Palette,
    Pixels,
    class_palette,
    settled,
    void_of,
)
from maecli.modalities.pictures.masks.files import MASK_SUFFIXES, Coloured, Numbered, open_mask
from maecli.modalities.pictures.read import MAX_PIXELS

__all__ = [
    "MASK_SUFFIXES",
    "VOID",
    "VOID_COLOUR",
    "MaskCode",
    "MaskSurvey",
    "Palette",
    "Pixels",
    "class_palette",
    "mask_png",
    "read_mask",
    "settle_masks",
    "void_of",
]

PLAIN = MaskCode()
NUM_NAMED, MOST_COUNTED = 4, 10_000
"""Colours of classes that are named where another one is found, and of the others that are counted."""
HIDDEN = "mask is transparent all over, above pixels that differ; save it without transparency"


def read_mask(
    path: Path, num_classes: int, palette: Palette, *, max_pixels: int = MAX_PIXELS, code: MaskCode = PLAIN
) -> np.ndarray:
    """Return a mask (H, W) of class numbers: uint8, 255 = void; where that is a class's number uint16, 65535 = void.

    Takes files without loss (PNG, TIFF, BMP, GIF, WebP, Netpbm, `.npy`) whose pixels are the numbers, in grey, in a
    palette, or in three equal channels; or the colours of `palette`, or void's, in a palette or in RGB. A palette whose
    numbers and colours both name classes, and not the same, is read as `code` says. What is transparent is the
    background. Raises `BrokenSample` with the rule that is broken: a damaged file, too many pixels, a number without a
    class, a colour without a class, a palette that can be read in two ways.
    """
    mask, legend = _opened(path, max_pixels), Legend(num_classes, palette, code)
    if isinstance(mask, Coloured):
        grey = _as_grey(mask)
        if grey is None:
            return _from_colours(path, mask, legend)
        return _from_numbers(path, grey, legend, legend.evidence(grey, "colour"))
    return _from_numbers(path, mask, legend, legend.evidence(mask, _kind(mask)))


def _dtype(legend: Legend) -> type[np.unsignedinteger]:
    return np.uint8 if legend.void == VOID else np.uint16


@dataclass(frozen=True)
class MaskSurvey:
    """What some masks say of how to read all."""

    code: MaskCode
    problem: str = ""
    """Why it stays open, in words: which mask can be read in two ways."""
    transparent: bool = False
    """Whether some of them have transparent pixels."""


def settle_masks(
    paths: Iterable[Path], palette: Palette, code: MaskCode, *, max_pixels: int = MAX_PIXELS
) -> MaskSurvey:
    """Return how to read a set of masks by some of them; broken ones say nothing."""
    legend, transparent = Legend(len(palette), palette, code), False
    seen: list[tuple[Path, Evidence]] = []
    for path in paths:
        try:
            mask = _opened(path, max_pixels)
        except BrokenSample:
            continue
        transparent |= mask.transparent
        if isinstance(mask, Numbered):
            seen.append((path, legend.evidence(mask, _kind(mask))))
    code, open_ = settled(code, [each for _, each in seen])
    problem = next((f"{path}: its {each.both()}" for path, each in seen if each is open_), "")
    return MaskSurvey(code, problem, transparent)


def _opened(path: Path, max_pixels: int) -> Numbered | Coloured:
    if not path.exists():
        raise BrokenSample(str(path), "no such mask")
    with reading(path), path.open("rb") as file:
        return open_mask(file, max_pixels)


def _kind(mask: Numbered) -> Literal["palettes", "greys"]:
    return "greys" if mask.grey else "palettes"


def _as_grey(mask: Coloured) -> Numbered | None:
    """Return a mask in colour that has none, (H, W), else None."""
    numbers = np.empty(mask.size, np.uint8)
    opaque: np.ndarray | None = None
    for rows, pixels, seen in mask.bands():
        shown = pixels if seen is None else pixels[seen]
        if (shown[..., 0] != shown[..., 1]).any() or (shown[..., 0] != shown[..., 2]).any():
            return None
        numbers[rows] = pixels[..., 0]
        if seen is not None:
            opaque = np.empty(mask.size, bool) if opaque is None else opaque
            opaque[rows] = seen
    return Numbered(numbers, None, opaque) if opaque is None or opaque.any() else None


def _from_numbers(path: Path, mask: Numbered, legend: Legend, evidence: Evidence) -> np.ndarray:
    code = legend.code
    classes = evidence.choose(code.palettes if evidence.kind == "palettes" else code.greys)
    if classes is None:
        what = evidence.both()
        raise BrokenSample(str(path), f"mask can be read in two ways: its {what}")
    unknown = Counter({i: evidence.counts[i] for i, q in classes.items() if q is None})
    if unknown:
        colours = evidence.kind == "colour" or (evidence.kind == "palettes" and classes is evidence.by_colour)
        raise _without_class(path, legend, unknown, evidence if colours else None)
    table = np.full(max([legend.void, *classes]) + 1, legend.clear, _dtype(legend))
    for number, of in classes.items():
        table[number] = legend.clear if of is None else of
    read = table[mask.numbers]
    _check_seen(path, mask.opaque, mask.numbers)
    if mask.opaque is not None:
        read[~mask.opaque] = legend.clear
    return read


def _check_seen(path: Path, opaque: np.ndarray | None, values: np.ndarray) -> None:
    """Raise `BrokenSample` for a mask that is transparent all over, and shows something underneath."""
    if opaque is not None and not opaque.any() and (values != values[:1, :1]).any():
        raise BrokenSample(str(path), HIDDEN)


def _without_class(path: Path, legend: Legend, unknown: Counter[int], evidence: Evidence | None) -> BrokenSample:
    if evidence is not None:
        colours = Counter({evidence.colours[i]: num for i, num in unknown.items()})
        return _unknown_colours(path, legend, colours)
    [(number, _)] = unknown.most_common(1)
    others = f"; {len(unknown)} such numbers in {unknown.total():,} pixels" if len(unknown) > 1 else ""
    return BrokenSample(
        str(path),
        f"mask has the number {number}; classes are {legend.code.first} to "
        f"{legend.code.first + legend.num_classes - 1}, and {legend.void} is void{others}",
    )


def _unknown_colours(path: Path, legend: Legend, unknown: Counter[tuple[int, int, int]]) -> BrokenSample:
    [(colour, num)], palette = unknown.most_common(1), legend.palette
    known = ", ".join(map(str, palette[:NUM_NAMED])) + (", …" if len(palette) > NUM_NAMED else "")
    others = f" and {len(unknown) - 1} more in {unknown.total() - num:,}" if len(unknown) > 1 else ""
    edges = "; smooth edges mix colours: draw and resize masks without smoothing" if others else ""
    return BrokenSample(
        str(path),
        f"mask has the colour {colour}, which no class has; those of the classes 0, 1, … are {known}: use them, or "
        f"write class numbers ({num:,} pixel{'s' * (num != 1)} of it{others}{edges})",
    )


def _from_colours(path: Path, mask: Coloured, legend: Legend) -> np.ndarray:
    weights = np.array([1 << 16, 1 << 8, 1])
    known = np.array([*legend.colours], np.int64) @ weights
    order = np.argsort(known)
    numbers, known = np.array([*legend.colours.values()], _dtype(legend))[order], known[order]
    read, unknown = np.empty(mask.size, _dtype(legend)), Counter[tuple[int, int, int]]()
    nothing_seen, below = True, set[int]()
    for rows, pixels, seen in mask.bands():
        codes = pixels.astype(np.int64) @ weights  # (h, W)
        where = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        wrong = known[where] != codes
        read[rows] = numbers[where]
        if seen is None or seen.any():
            nothing_seen = False
        else:
            below.update(codes[:1, :1].ravel().tolist(), codes[codes != codes[0, 0]][:1].tolist())
        if seen is not None:
            wrong &= seen
            read[rows][~seen] = legend.clear
        if wrong.any() and len(unknown) < MOST_COUNTED:
            found, nums = np.unique(codes[wrong], return_counts=True)
            for each, num in zip(found.tolist(), nums.tolist(), strict=True):
                unknown[each >> 16, each >> 8 & 255, each & 255] += num
    if nothing_seen and len(below) > 1:
        raise BrokenSample(str(path), HIDDEN)
    if unknown:
        raise _unknown_colours(path, legend, unknown)
    return read


def mask_png(mask: np.ndarray, palette: Palette, first: int = 0) -> bytes:
    """Return a PNG of a mask (H, W) that `read_mask` reads: class numbers from `first` in a palette, or in 16-bit grey.

    The latter is for numbers beyond 254.
    """
    from PIL import Image

    height, width = mask.shape
    void = void_of(len(palette), first)
    if first:
        mask = np.where(mask < len(palette), mask + np.uint16(first), void)
    if void != VOID:
        image = Image.frombytes("I;16", (width, height), np.ascontiguousarray(mask, "<u2").tobytes())
    else:
        image = Image.frombytes("P", (width, height), np.ascontiguousarray(mask, np.uint8).tobytes())
        colours = [*[(0, 0, 0)] * first, *palette, *[(0, 0, 0)] * (VOID - first - len(palette)), VOID_COLOUR]
        image.putpalette([value for colour in colours for value in colour])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
