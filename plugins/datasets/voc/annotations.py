"""Annotations of the objects in a picture: one XML file per picture, in the form of PASCAL VOC."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree  # type: ignore[import-untyped]

from maecli.api import BrokenSample

from .classes import class_of

MAX_BYTES = 2**24
"""Of an annotation: 60,000 objects."""
MAX_NUMBER = 2.0**31
"""Of a coordinate or a size in pixels."""
ROUNDING = 1.0
"""Pixels that a box may reach outside its picture: tools round, and some count from 0."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """One object: what it is, and where."""

    name: str
    box: Box
    """Left, top, right, bottom in pixels, counted from 0, right and bottom exclusive.

    The file counts from 1 and includes both ends, so left = xmin - 1, top = ymin - 1, right = xmax, bottom = ymax.
    """
    difficult: bool = False
    truncated: bool = False

    def is_outside(self, size: tuple[int, int] | None) -> bool:
        """Whether the box reaches outside a picture (H, W) by more than `ROUNDING`, or has no pixel in it."""
        left, top, right, bottom = self.box
        beyond = size is not None and (
            max(right - size[1], bottom - size[0]) > ROUNDING or left >= size[1] or top >= size[0]
        )
        return beyond or min(left, top) < -ROUNDING or min(right, bottom) <= 0

    def clipped(self, size: tuple[int, int]) -> AnnotatedObject:
        """Return the object with its box within a picture (H, W)."""
        left, top, right, bottom = self.box
        return replace(self, box=(max(left, 0), max(top, 0), min(right, size[1]), min(bottom, size[0])))


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one file says of its picture."""

    size: tuple[int, int] | None
    """(H, W) of the picture, if the file gives it."""
    objects: tuple[AnnotatedObject, ...]

    def broken_rules(self, size: tuple[int, int] | None = None) -> Iterator[str]:
        """Yield, in words, every rule that the annotation breaks.

        Objects must be of VOC's classes, and their boxes must hold pixels and lie within the picture, but for
        `ROUNDING`. `size` (H, W) is the picture's own, where it is known; otherwise the annotation's is believed.
        """
        if size is not None and self.size is not None and size != self.size:
            yield f"gives the image {_pixels(self.size)}, but it has {_pixels(size)}, which is taken"
        yield from self.broken_objects(size or self.size)

    def broken_objects(self, size: tuple[int, int] | None) -> Iterator[str]:
        """Yield every rule that an object breaks in a picture of a size (H, W)."""
        for number, thing in enumerate(self.objects, 1):
            if class_of(thing.name) is None:
                yield f"object {number} is of the unknown class {thing.name[:60]!r}"
            left, top, right, bottom = thing.box
            corners = f"xmin {left + 1:g}, ymin {top + 1:g}, xmax {right:g}, ymax {bottom:g}"
            box = f"the box of object {number} ({thing.name[:60]}; {corners})"
            if left >= right or top >= bottom:
                yield f"{box} ends before it begins"
            elif thing.is_outside(size):
                yield f"{box} reaches outside the image{f' of {_pixels(size)}' if size else ''}"


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[1]}×{size[0]} pixels"


def read_annotation(path: Path) -> Annotation:
    """Return what an annotation says, not yet checked against its picture.

    Parts of objects are left out. Raises `BrokenSample` for a file that is no such XML, and for one that declares
    entities, which could be made to fill the memory or to read other files.
    """
    root = _root(path)
    try:
        objects = tuple(_object(element) for element in root.findall("object"))
        return Annotation(_size(root.find("size")), objects)
    except ValueError as error:
        raise BrokenSample(str(path), str(error)) from error


def read_names(path: Path) -> list[tuple[str, bool]]:
    """Return what the objects in a picture are, and whether each is difficult; where they are does not matter.

    Raises `BrokenSample` as `read_annotation` does.
    """
    try:
        return [(_text(each, "name"), _flag(each, "difficult")) for each in _root(path).findall("object")]
    except ValueError as error:
        raise BrokenSample(str(path), str(error)) from error


def _root(path: Path) -> Element:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BrokenSample(str(path), f"cannot be read ({error.strerror})") from error
    if not data:
        raise BrokenSample(str(path), "empty file")
    if len(data) > MAX_BYTES:
        raise BrokenSample(str(path), f"is larger than {MAX_BYTES:,} bytes, so it is no annotation of a picture")
    try:
        root = ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise BrokenSample(str(path), "declares XML entities, which are refused") from error
    except (ParseError, ValueError, LookupError) as error:  # the latter two for encodings
        raise BrokenSample(str(path), f"is not well-formed XML ({error})") from error
    if root.tag != "annotation":
        raise BrokenSample(str(path), f"its root is <{root.tag[:40]}>, not <annotation>")
    return root


def _object(element: Element) -> AnnotatedObject:
    name = _text(element, "name")
    box = element.find("bndbox")
    if box is None:
        raise ValueError(f"an object ({name[:60]}) has no <bndbox>")
    left, top, right, bottom = (_number(box, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return AnnotatedObject(
        name, (left - 1, top - 1, right, bottom), _flag(element, "difficult"), _flag(element, "truncated")
    )


def _size(element: Element | None) -> tuple[int, int] | None:
    if element is None:
        return None
    height, width = int(_number(element, "height")), int(_number(element, "width"))
    return (height, width) if height > 0 and width > 0 else None  # some tools write 0 for unknown


def _text(element: Element, tag: str) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise ValueError(f"a <{element.tag}> has no <{tag}>")
    return text


def _number(element: Element, tag: str) -> float:
    text = _text(element, tag)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MAX_NUMBER:  # nor NaN
        raise ValueError(f"<{tag}> is {text[:40]!r}, not a number of pixels")
    return value


def _flag(element: Element, tag: str) -> bool:
    return (element.findtext(tag) or "0").strip() == "1"
