"""What the pixels of masks mean: class numbers, or colours of classes, and which of the two where both are possible.

A palette has numbers and colours. Where both name classes and differ, it was either made by quantising colours, or its
colours mean nothing; all masks of a set together tell which.

Shapes: H, W height and width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from maecli.data.file_reading import MaskPixels
from maecli.modalities.pictures.masks.files import Colour, Numbered

VOID, WIDE_VOID = 255, 65_535
"""The number of pixels that are not judged: borders in VOC, padding. WIDE_VOID where class numbers go beyond a byte."""

Palette = Sequence[Colour]
Pixels = MaskPixels
WHITE = (255, 255, 255)


def class_palette(num_classes: int) -> tuple[Colour, ...]:
    """Return VOC's colours (RGB) of the classes 0 to `num_classes` - 1, distinct for up to 65,536.

    Bit b of each triple of the number's bits becomes bit 7 - b of red, green and blue: the VOC devkit's colour map.
    """
    numbers = np.arange(num_classes)
    colours = np.zeros((num_classes, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * bit + channel)) & 1) << (7 - bit)
    return tuple((int(r), int(g), int(b)) for r, g, b in colours)


VOID_COLOUR = class_palette(256)[VOID]
"""(224, 224, 192), as VOC draws its borders."""
WIDE_VOID_COLOUR = (252, 248, 248)
"""The colour of `WIDE_VOID`: (224, 224, 192) is a class's there."""


def void_of(num_classes: int, first: int = 0) -> int:
    """Return the number that is not judged in masks of so many classes, whose numbers begin with `first`."""
    return VOID if first + num_classes <= VOID else WIDE_VOID


@dataclass(frozen=True)
class MaskCode:
    """How the masks of a set are to be read, beyond the number and the colours of their classes."""

    own_colours: bool = False
    """Whether a person gave the colours; else they are VOC's, which a mask of other colours need not have."""
    background: int | None = None
    """The class of pixels that are transparent; without one they are not judged."""
    void_colour: Colour = VOID_COLOUR
    foreground: int | None = None
    """A number that means class 1, whatever else it would mean."""
    palettes: Pixels = "auto"
    """What counts in palettes where both name classes; auto: neither, such a mask is broken."""
    greys: Pixels = "auto"
    """The same of grey masks whose values may be class colours."""
    first: int = 0
    """The number of class 0 in files; smaller numbers are not judged."""


@dataclass(frozen=True)
class Evidence:
    """What one mask of numbers says for reading its numbers, and for reading their colours."""

    kind: Literal["palettes", "greys", "colour"]
    by_number: Mapping[int, int | None]
    """Each number that occurs → its class, or `VOID`; None where it has none."""
    by_colour: Mapping[int, int | None]
    colours: Mapping[int, Colour]
    counts: Mapping[int, int]
    own: bool
    void: int = VOID

    @property
    def numbers_fit(self) -> bool:
        return None not in self.by_number.values()

    @property
    def colours_fit(self) -> bool:
        return None not in self.by_colour.values() and (self.kind != "greys" or self.own)

    @property
    def unlike(self) -> list[int]:
        """The numbers whose colour is that of another class."""
        return [i for i, q in self.by_colour.items() if q is not None and q != self.by_number[i]]

    @property
    def contradictory(self) -> bool:
        return self.numbers_fit and self.colours_fit and bool(self.unlike)

    @property
    def mixed(self) -> bool:
        """Whether a palette without all its classes' colours has some at other numbers than theirs, as mixed edges do.

        Of colours that are VOC's a single one says nothing, nor does grey.
        """
        if self.kind != "palettes" or self.colours_fit or not self.numbers_fit:
            return False
        telling = [i for i in self.unlike if self.own or len(set(self.colours[i])) > 1]
        return len(telling) > (0 if self.own else 1)

    def choose(self, pixels: Pixels) -> Mapping[int, int | None] | None:
        """Return the reading that is right, numbers → classes; None where it cannot be told."""
        if self.kind == "colour":
            something = any(q not in (None, 0, self.void) for q in self.by_number.values())
            return self.by_number if not self.colours_fit and self.numbers_fit and something else self.by_colour
        if pixels != "auto":
            return self.by_number if pixels == "numbers" else self.by_colour
        if self.contradictory or self.mixed:
            return None
        return self.by_colour if self.colours_fit and not self.numbers_fit else self.by_number

    def both(self) -> str:
        """Return what the two readings are, by the most frequent number in which they differ."""
        number = max(self.unlike, key=lambda i: self.counts[i])
        readings = (self.by_number[number], self.by_colour[number])
        by_number, by_colour = ("not judged" if q == self.void else f"class {q}" for q in readings)
        shown = f"number {number} has the colour {self.colours[number]}"
        return f"{shown}: by numbers it is {by_number}, by colours {by_colour}"


class Legend:
    """The classes of numbers and of colours."""

    def __init__(self, num_classes: int, palette: Palette, code: MaskCode) -> None:
        self.num_classes, self.palette, self.code = num_classes, palette, code
        self.void = void = void_of(num_classes, code.first)
        self.clear = void if code.background is None else code.background
        self.numbers = dict.fromkeys(range(code.first), void) | {void: void}
        self.numbers |= {code.first + i: i for i in range(num_classes)}
        self.colours = {code.void_colour: void} | {colour: i for i, colour in reversed([*enumerate(palette)])}
        if code.foreground is not None:
            self.numbers[code.foreground] = 1
            self.colours.setdefault((code.foreground,) * 3, 1)

    def evidence(self, mask: Numbered, kind: Literal["palettes", "greys", "colour"]) -> Evidence:
        """Return what a mask says for each reading."""
        judged = mask.numbers if mask.opaque is None else mask.numbers[mask.opaque]
        counts = np.bincount(judged.ravel(), minlength=self.void + 1)
        used = np.flatnonzero(counts).tolist()
        shown = {i: (i, i, i) for i in used} if mask.colours is None else mask.colours
        numbers = dict(self.numbers)
        if kind == "greys" and self.code.own_colours and self.colours.get(WHITE, self.void) != self.void:
            numbers.pop(self.void, None)  # white is a class
        clear = dict.fromkeys(mask.clear, self.clear)
        by_number = {i: numbers.get(i, clear.get(i)) for i in used}
        by_colour = {i: clear.get(i, self.colours.get(shown.get(i, (0, 0, 0)))) for i in used}
        colours = {i: shown.get(i, (0, 0, 0)) for i in used}
        own = self.code.own_colours or self.code.foreground is not None
        return Evidence(kind, by_number, by_colour, colours, {i: int(counts[i]) for i in used}, own, self.void)


def settled(code: MaskCode, masks: Iterable[Evidence]) -> tuple[MaskCode, Evidence | None]:
    """Return how to read a set of which these are some masks, and one of them that leaves it open, if so."""
    some = list(masks)
    for kind in ("palettes", "greys"):
        those = [each for each in some if each.kind == kind]
        contradictory = [each for each in those if each.contradictory]
        if not contradictory or getattr(code, kind) != "auto":
            continue
        pixels = _pixels(those, code.own_colours and kind == "palettes")
        if pixels == "auto":
            return code, contradictory[0]
        code = replace(code, palettes=pixels) if kind == "palettes" else replace(code, greys=pixels)
    return code, None


def _pixels(masks: Sequence[Evidence], own_palettes: bool) -> Pixels:
    """Return what counts in masks of which some can be read in both ways.

    Numbers that have no class, have one colour here and another there, or have 0 beside the colour of class 0, are
    those of a quantiser.
    """
    colours: dict[int, Colour] = {}
    several = any(colours.setdefault(i, colour) != colour for each in masks for i, colour in each.colours.items())
    moved = any(each.by_colour[i] == 0 for each in masks if each.contradictory for i in each.unlike)
    only_colours = any(each.colours_fit and not each.numbers_fit for each in masks)
    if only_colours or (masks[0].kind == "palettes" and (several or moved)):
        return "colours"
    if any(each.numbers_fit and not each.colours_fit for each in masks):
        return "auto" if own_palettes else "numbers"
    return "colours" if own_palettes else "auto"
