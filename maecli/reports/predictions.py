"""One self-contained HTML page of predictions: mistakes first, then what is uncertain, then samples of each class.

It is for whoever ran the inference: it links to their files. Pictures are data URIs, so that it can be moved, and what
it shows is chosen before, so that it stays small however many predictions there are.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maecli.errors import Fault
from maecli.reports.page import finished, table_block, template
from maecli.results import Table
from maecli.text import one_line

if TYPE_CHECKING:
    from PIL import Image

CRISP = 40
"""Pixels of a side up to which a picture is enlarged pixel by pixel, and not blurred."""


@dataclass(frozen=True)
class Picture:
    """A picture with what stands above it, such as truth; nothing where it needs no title."""

    src: str
    alt: str
    title: str = ""
    crisp: bool = False


@dataclass(frozen=True)
class Card:
    """One prediction with its pictures."""

    name: str
    """Of its file, in full."""
    href: str
    pictures: Sequence[Picture]
    said: str
    truth: str = ""
    """Where it is known."""
    wrong: bool = False
    certainty: str = ""
    unsure: bool = False
    """Whether the sample is marked as like none of the classes."""


@dataclass(frozen=True)
class Group:
    """Predictions that belong together."""

    title: str
    note: str
    cards: Sequence[Card]
    large: bool = True
    level: int = 2


@dataclass(frozen=True)
class Legend:
    """The classes that masks show, each with its colour as #rrggbb; empty for what is left clear."""

    entries: Sequence[tuple[str, str]]


def render_predictions(
    title: str,
    found: Sequence[str],
    warning: str,
    parts: Sequence[Group | Table | Legend | Picture],
    *,
    about: Sequence[tuple[str, str]],
    faults: Sequence[Fault] = (),
    num_faults: int = 0,
) -> str:
    """Return the page as HTML: what was found, the first sentence large, then its parts in order.

    Names may hold anything a disk takes; `faults` are the first of `num_faults` files that were left out.
    """
    page = template("predictions.html").render(
        title=title,
        found=found,
        warning=warning,
        parts=[(type(part).__name__.lower(), _shown(part)) for part in parts],
        about=about,
        faults=[Fault(one_line(fault.path), one_line(fault.reason)) for fault in faults],
        num_faults=num_faults,
        one_line=one_line,
    )
    return finished(page)


def _shown(part: Group | Table | Legend | Picture) -> Any:
    """Return a part as the template takes it; names of tables and legends stay on one line."""
    if isinstance(part, Legend):
        return Legend([(one_line(text), colour) for text, colour in part.entries])
    if isinstance(part, Table):
        rows = tuple(tuple(one_line(cell) for cell in row) for row in part.rows)
        return table_block(Table(title=part.title, columns=tuple(map(one_line, part.columns)), rows=rows))
    return part


def picture_of(image: Image.Image, alt: str, title: str = "") -> Picture:
    """Return an image as a page holds it: as PNG where that is smaller, else as JPEG."""
    data = {}
    for kind, settings in (("jpeg", {"quality": 82}), ("png", {})):
        buffer = io.BytesIO()
        image.save(buffer, kind.upper(), **settings)
        data[kind] = buffer.getvalue()
        if kind == "jpeg" and max(image.size) > CRISP:
            break  # a photograph
    kind = min(data, key=lambda name: len(data[name]))
    source = f"data:image/{kind};base64,{base64.b64encode(data[kind]).decode('ascii')}"
    return Picture(source, one_line(alt), title, crisp=max(image.size) <= CRISP)


def drawing_of(png: bytes, alt: str) -> Picture:
    """Return a finished PNG as a page holds it."""
    return Picture(f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}", one_line(alt))
