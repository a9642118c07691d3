"""Charts as SVG in a page: in its colours, light or dark, in its type, and harmless whoever wrote them.

A chart's PNG notes it as SVG, drawn for a wide column and for a narrow one, and says in words what it shows, so that
whoever keeps or mails the PNG keeps all of it. A page takes these; the PNG is for who opens it by itself.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

WIDE, NARROW, SEEN = "mae:svg", "mae:svg-narrow", "Description"
"""Keys of what a PNG notes; the last one is the PNG standard's own."""
MOST_LETTERS = 500_000
"""Of an SVG: a page holds several."""

_ELEMENTS = frozenset({"svg", "g", "path", "text", "tspan", "use", "defs", "clipPath", "rect", "image"})
_NUMBERS = re.compile(r"[-+\d.eE, ()a-zA-Z\n]*")
_ATTRIBUTES: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("viewBox", "d", "x", "y", "width", "height", "transform", "preserveAspectRatio"), _NUMBERS),
    "id": re.compile(r"[\w.-]+"),
    "clip-path": re.compile(r"url\(#[\w.-]+\)"),
    "href": re.compile(r"#[\w.-]+|data:image/png;base64,[A-Za-z0-9+/=\s]*"),
}
_PROPERTIES = re.compile(
    r"fill|stroke|(fill-|stroke-)?opacity|stroke-(width|dasharray|dashoffset|linecap|linejoin|miterlimit)"
    r"|font-(size|weight)|text-anchor|image-rendering"
)
_VALUE = re.compile(r"[#\w.,% -]+|var\(--[\w-]+\)")
_FRACTION = re.compile(r"-?\d+\.\d+")
_ONE_AT_A_TIME = threading.Lock()
"""matplotlib's settings belong to the process."""


@dataclass(frozen=True)
class Chart:
    """A chart as a page shows it."""

    wide: str
    narrow: str
    """Empty where it cannot be narrower."""
    seen: str
    """What it shows, in words."""


def to_svg(figure: Figure, colours: Mapping[str, str]) -> str:
    """Return a figure as SVG without its letters' shapes; `colours` names the variable of a page for each #rrggbb.

    Empty where it would be too large for a page.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer, paper = io.BytesIO(), _visible_paper(figure)
    for patch in paper:
        patch.set_visible(False)  # a page has its own, which may show at the side that there is more to see
    with _ONE_AT_A_TIME, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mae"}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        dpi = figure.dpi
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
        figure.dpi = dpi  # which it sets to 72
    for patch in paper:
        patch.set_visible(True)
    written = buffer.getvalue().decode("utf-8")
    _, _, element = written.partition("<svg")
    drawn = _written(ElementTree.fromstring(f"<svg{element}"), colours=colours)
    return drawn if len(drawn) <= MOST_LETTERS else ""


def _visible_paper(figure: Figure) -> list[Patch]:
    """Return the grounds of a figure and of its axes that are drawn."""
    return [patch for patch in (figure.patch, *(axes.patch for axes in figure.axes)) if patch.get_visible()]


def read_chart(info: Mapping[Any, Any]) -> Chart | None:
    """Return the chart that a PNG's notes hold; None without one, and where it is not as `to_svg` writes it."""
    wide, narrow, seen = (info.get(key, "") for key in (WIDE, NARROW, SEEN))
    if not all(isinstance(text, str) and len(text) <= MOST_LETTERS for text in (wide, narrow, seen)):
        return None
    if not wide or "<!" in wide or "<!" in narrow:  # declarations are where XML is dangerous
        return None
    return Chart(wide, narrow, seen)


def inline(svg: str, prefix: str, attributes: Mapping[str, str]) -> str:
    """Return an SVG as an element of a page, of what is harmless alone; empty where it is no SVG.

    Its ids begin with `prefix`, since a page has several; `attributes` are the element's further ones.
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return ""
    return _written(root, prefix, attributes) if _name(root.tag) == "svg" else ""


def _written(
    root: ElementTree.Element,
    prefix: str = "",
    attributes: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
) -> str:
    used = {link for each in root.iter() for link in _links(each)}
    kept = _Kept(prefix, frozenset(used), colours or {})
    own = {key: value for key, value in kept.attributes(root).items() if key == "viewBox"}
    return f"<svg{_attributes(own | dict(attributes or {}))}>{kept.content(root)}</svg>"


@dataclass(frozen=True)
class _Kept:
    """What is kept of an SVG: elements, attributes and properties that are known to be harmless."""

    prefix: str
    used: frozenset[str]
    """Ids that something refers to."""
    colours: Mapping[str, str]

    def element(self, element: ElementTree.Element) -> str:
        name = _name(element.tag)
        if name not in _ELEMENTS or name == "svg":
            return ""
        attributes, content = self.attributes(element), self.content(element)
        if name == "g" and not attributes:
            return content
        text = escape(element.text or "", quote=False) if name in ("text", "tspan") else ""
        return f"<{name}{_attributes(attributes)}>{text}{content}</{name}>"

    def content(self, element: ElementTree.Element) -> str:
        return "".join(map(self.element, element))

    def attributes(self, element: ElementTree.Element) -> dict[str, str]:
        found = {_name(key): value.strip() for key, value in element.attrib.items()}
        kept = {key: value for key, value in found.items() if key in _ATTRIBUTES and _ATTRIBUTES[key].fullmatch(value)}
        if (id_ := kept.pop("id", "")) in self.used:
            kept["id"] = self.prefix + id_
        for key in kept.keys() & {"d", "x", "y", "width", "height"}:
            kept[key] = " ".join(_FRACTION.sub(_rounded, kept[key]).split())
        if kept.get("transform", "").startswith("rotate(-0 "):
            del kept["transform"]
        for key in kept.keys() & {"href", "clip-path"}:
            kept[key] = kept[key].replace("#", f"#{self.prefix}", 1) if not kept[key].startswith("data:") else kept[key]
        if style := ";".join(self._style(found.get("style", ""))):
            kept["style"] = style
        return kept

    def _style(self, style: str) -> Iterator[str]:
        for declaration in style.split(";"):
            name, value = (part.strip() for part in (*declaration.partition(":")[::2],))
            if _PROPERTIES.fullmatch(name) and _VALUE.fullmatch(value):
                variable = self.colours.get(value.lower())
                yield f"{name}:{f'var(--{variable})' if variable else value}"


def _links(element: ElementTree.Element) -> Iterator[str]:
    for key, value in element.attrib.items():
        if _name(key) in ("href", "clip-path"):
            yield value.removeprefix("url(").removesuffix(")").removeprefix("#")


def _name(tag: str) -> str:
    """Return a name without its namespace."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
