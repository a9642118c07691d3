"""Which axis of the arrays of a folder holds their channels: what all of them together say, and not each by itself.

An array (a, b, c) is a picture of b × c pixels with a channels (chw), or of a × b with c (hwc).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from maecli import api
from maecli.api import pictures

Shape = tuple[int, ...]
Layout = Literal["hwc", "chw"]

USUAL = 16
"""Channels up to which a picture may have as many as its shorter side has pixels; above, less than half as many."""
COLOURS = 4
"""Channels that pictures have of any proportions."""


class Undecided(ValueError):
    """Two readings are as likely as each other."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        first, middle, last = shape
        readings = f"{first}×{middle} pixels of {last} channels (hwc) or {middle}×{last} pixels of {first} (chw)"
        super().__init__(f"{shape} may be {readings}")


def settled(
    root: Path, headers: pictures.Headers, layout: pictures.NpyLayout, channels: int | None
) -> tuple[pictures.Headers, pictures.NpyLayout]:
    """Return the headers of a set as its arrays are read together, and what that is for most of them.

    Raises DataError naming an array that can be read in two ways.
    """
    shapes: Counter[Shape] = Counter()
    for info, num in headers.counts():
        if info.shape:
            shapes[info.shape] += num
    if layout != "auto" or not shapes:
        return headers, layout
    try:
        layouts = layouts_of(shapes, channels)
    except Undecided as error:
        shape = error.shape
        raise api.DataError(
            f"the array {headers.first(lambda info: info.shape == shape)} in {root} {error}, and the other arrays do "
            "not tell; say which with --set dataset.npy_layout=hwc or chw, or with dataset.channels"
        ) from error
    votes: Counter[pictures.NpyLayout] = Counter()
    for shape, num in shapes.items():
        votes[layouts[shape]] += num
    return headers.read_as([_read_as(info, layouts) for info in headers.infos]), votes.most_common(1)[0][0]


def _read_as(info: pictures.PictureInfo, layouts: Mapping[Shape, Layout]) -> pictures.PictureInfo:
    if not info.shape:
        return info
    layout = layouts[info.shape]
    sides = info.shape[1:] if layout == "chw" else info.shape[:-1]
    return replace(info, size=(sides[0], sides[1]), channels=num_channels(info.shape, layout))


def layouts_of(shapes: Mapping[Shape, int], channels: int | None) -> dict[Shape, Layout]:
    """Return how shapes of three axes are read, each of so many arrays, in a set of `channels`, None if not known.

    Known channels decide. Else pictures differ in size and not in channels, have fewer channels than pixels on a side,
    and are not much longer than wide. Raises `Undecided` for a shape that can be read in two ways.
    """
    by_form = {shape: _by_form(shape) for shape in shapes}
    if channels is not None:
        fitting = {shape: channels in (shape[0], shape[-1]) for shape in shapes}
        decided = {shape: _by_channels(shape, {channels}) for shape in shapes if fitting[shape]}
        others: dict[Shape, Layout] = {shape: by_form[shape] or "hwc" for shape in shapes if not fitting[shape]}
        return others | _filled({shape: shapes[shape] for shape in decided}, decided, {channels})
    if (constant := _constant_axis(shapes)) is not None and not _speaks_against(by_form, constant):
        return dict.fromkeys(shapes, constant)
    channels_of = {num_channels(shape, layout) for shape, layout in by_form.items() if layout is not None}
    return _filled(shapes, by_form, channels_of)


def num_channels(shape: Shape, layout: Layout) -> int:
    """Return how many channels such an array has."""
    return shape[0] if layout == "chw" else shape[-1]


def _by_channels(shape: Shape, channels: Collection[int]) -> Layout | None:
    first, last = shape[0] in channels, shape[-1] in channels
    return None if first == last else "chw" if first else "hwc"


def _by_form(shape: Shape) -> Layout | None:
    """Return the only reading in which there are few channels, unless the other one has far better proportions."""
    sides: dict[Layout, Shape] = {"chw": shape[1:], "hwc": shape[:-1]}
    likely: list[Layout] = [layout for layout in sides if _few(num_channels(shape, layout), min(sides[layout]))]
    if len(likely) != 1:
        return None
    layout = likely[0]
    other: Layout = "hwc" if layout == "chw" else "chw"
    num, shorter = num_channels(shape, layout), min(sides[layout])
    clear = num <= COLOURS and num * COLOURS <= shorter
    return layout if clear or _elongation(sides[layout]) <= _elongation(sides[other]) else None


def _few(channels: int, shorter: int) -> bool:
    return channels <= shorter and (channels <= USUAL or 2 * channels < shorter)


def _elongation(sides: Shape) -> float:
    return max(sides) / min(sides)


def _constant_axis(shapes: Collection[Shape]) -> Layout | None:
    """Return which axis has one length in all shapes while the other end has several."""
    firsts, lasts = {shape[0] for shape in shapes}, {shape[-1] for shape in shapes}
    if (len(firsts) == 1) == (len(lasts) == 1):
        return None
    return "chw" if len(firsts) == 1 else "hwc"


def _speaks_against(by_form: Mapping[Shape, Layout | None], constant: Layout) -> bool:
    """Whether all shapes look like pictures in the other layout, of one to four channels or one height or width.

    Such sets are of colours with alpha and without, or of pictures of one size with other numbers of channels.
    """
    one_length = len({shape[1] for shape in by_form}) == 1
    return all(
        layout is not None and layout != constant and (one_length or num_channels(shape, layout) <= COLOURS)
        for shape, layout in by_form.items()
    )


def _filled(
    shapes: Mapping[Shape, int], decided: Mapping[Shape, Layout | None], channels: Collection[int]
) -> dict[Shape, Layout]:
    """Return layouts also of those shapes that did not decide: by others' channels, or as most others are."""
    made = {shape: decided[shape] or _by_channels(shape, channels) for shape in shapes}
    votes: Counter[Layout] = Counter()
    for shape, layout in made.items():
        if layout is not None:
            votes[layout] += shapes[shape]
    rest = [shape for shape, layout in made.items() if layout is None]
    odd = sum(shapes[shape] for shape in rest if not {shape[0], shape[-1]} <= {*channels})
    (most, num), *others = [*votes.most_common(), ("hwc", 0)]
    if rest and (num <= odd or others == [] or others[0][1] == num):
        raise Undecided(rest[0])
    return {shape: layout or most for shape, layout in made.items()}
