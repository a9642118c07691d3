"""One self-contained HTML page of a run: metrics beside their baselines, pictures, tables, spec, environment.

The page loads nothing: pictures are data URIs, style is inline, there is no script, and its content security
policy forbids the rest. All text is escaped.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from maecli.errors import Fault
from maecli.reports import charts, numbers, vector
from maecli.reports.canvas import encode_png
from maecli.reports.grids import read_grid
from maecli.results import Drawing, Evaluation, Metric, Table
from maecli.storage.shareable import shareable
from maecli.text import capitalised, printable

if TYPE_CHECKING:
    from jinja2 import Template
    from PIL import Image

_CONTENTS_FROM = 4
_LONG_TABLE = 25
_SQUARE = 0.7
"""Height / width from which a chart counts as square."""
_LARGE_PNG = 200_000
"""Bytes from which a picture in full colour is shown as a JPEG: it holds photographs. Its file stays a PNG."""
_NUMBER = re.compile(r"([-+−]?\d[\d.,]*(e[-+]\d+)?(\s?±\s?\d[\d.,]*)?(\s?(%|dB|k|M|MB|GB|s))?|n/a)?")


class Command(NamedTuple):
    """A command to copy, and what it does."""

    command: str
    does: str


class Link(NamedTuple):
    """A page or folder beside the page."""

    text: str
    href: str
    """Relative to the page."""


class Points(NamedTuple):
    """A list of sentences."""

    sentences: Sequence[str]


class Faults(NamedTuple):
    """A list of files that were left out, and why, which opens on a click."""

    faults: Sequence[Fault]


@dataclass(frozen=True)
class Section:
    """A titled part of the page; its content is shown in the given order and may hold further sections.

    A string is text, its paragraphs separated by empty lines. Metrics in succession share one table, commands and
    links in succession one list.
    """

    title: str
    content: Sequence[str | Points | Faults | Evaluation | Metric | Drawing | Table | Link | Command | Section] = ()
    folded: bool = False
    """Whether it opens on a click."""


def render_report(
    title: str,
    lead: str | Sequence[str],
    sections: Sequence[Section] = (),
    *,
    made: Sequence[str] = (),
    spec_yaml: str = "",
    environment: Mapping[str, Any] | None = None,
    faults: Sequence[Fault] = (),
    next_commands: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page as HTML.

    The sentences of `lead` stand first, those of `made`, on how what the page is about was made, last and folded.
    `faults` are of files that were left out; `next_commands` are commands to try and what each does.
    What is empty does not appear. From four sections on, the page starts with a table of contents.
    """
    last = [
        Section("Files left out", [Faults(faults)] if faults else []),
        Section("What to try next", [Command(*command) for command in next_commands]),
    ]
    filled = [section for section in (*sections, *last) if section.content]
    parts = [_part(section, f"section-{number}") for number, section in enumerate(filled, 1)]
    page = template("page.html").render(
        title=title,
        lead=[lead] if isinstance(lead, str) else lead,
        parts=parts,
        with_contents=len(parts) >= _CONTENTS_FROM,
        made=made,
        spec_yaml=spec_yaml.strip(),
        environment=list(_flat(environment or {})),
    )
    return finished(page)


def finished(page: str) -> str:
    """Return a page as it may be passed on: no path names a home, and characters that steer are escapes."""
    return str(shareable(printable(page)))


def drawing_files(sections: Sequence[Section]) -> dict[str, bytes]:
    """Return the drawings that stand in sections, by the names of their files."""
    drawings = [item for section in sections for item in section.content if isinstance(item, Drawing)]
    return {f"{drawing.name.replace(' ', '-')}.png": drawing.png for drawing in drawings}


@functools.cache
def template(name: str) -> Template:
    """Return a template of a page, which escapes all that it is given."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("maecli.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _part(section: Section, anchor: str, level: int = 2) -> dict[str, Any]:
    """Return what the template needs of a section; `level` is its heading's, at most 6 in HTML."""
    blocks: list[dict[str, Any]] = []
    ids = (f"{anchor}-chart-{number}-" for number in count(1))
    for kind, group in groupby(section.content, type):
        blocks += _blocks(kind, list(group), anchor, level, ids)
    return {
        "kind": "section",
        "id": anchor,
        "level": min(level, 6),
        "title": section.title,
        "folded": section.folded,
        "blocks": blocks,
    }


def _blocks(kind: type, items: list[Any], anchor: str, level: int, ids: Iterator[str]) -> list[dict[str, Any]]:
    """Return what the template needs of items of a kind; `ids` begin those of each chart."""
    if issubclass(kind, str):
        return [{"kind": "text", "paragraphs": re.split(r"\n\s*\n", text.strip())} for text in items]
    if issubclass(kind, Section):
        return [_part(item, f"{anchor}-{number}", level + 1) for number, item in enumerate(items, 1)]
    if issubclass(kind, Evaluation):
        return [block for evaluation in items for block in _evaluation(evaluation, ids)]
    if issubclass(kind, Metric):
        return [_metrics(items, "Metrics")]
    if issubclass(kind, Drawing):
        return _beside([_drawing(drawing, ids) for drawing in items])
    if issubclass(kind, Table):
        return [table_block(table) for table in items]
    if issubclass(kind, Points | Faults):
        return [{"kind": kind.__name__.lower(), "entries": item[0]} for item in items]
    if issubclass(kind, Link):
        return [{"kind": "links", "links": items}]
    if issubclass(kind, Command):
        return [{"kind": "commands", "commands": items}]
    raise TypeError(f"a section cannot show a {kind.__name__}")


def _evaluation(evaluation: Evaluation, ids: Iterator[str]) -> Iterator[dict[str, Any]]:
    yield _headline(evaluation.metrics[0], evaluation.samples, ids)
    yield from _beside([_drawing(drawing, ids) for drawing in evaluation.drawings])
    yield _metrics(evaluation.metrics, f"All metrics, {evaluation.samples}")
    if evaluation.notes:
        yield {"kind": "notes", "notes": evaluation.notes}
    yield from map(table_block, evaluation.tables)


def _headline(metric: Metric, samples: str, ids: Iterator[str]) -> dict[str, Any]:
    """Return a metric as one large number, and a chart of what trivial predictors get."""
    chart = _drawing(Drawing(name=metric.label, caption="", png=charts.metric_bars(metric)), ids)
    return {
        "kind": "headline",
        "label": metric.label,
        "value": numbers.format_value(metric.value, metric.unit),
        "interval": numbers.format_interval(metric.interval, metric.unit) if metric.interval else "",
        "samples": samples,
        "direction": "" if metric.better == "higher" else "lower is better",
        "chart": chart if metric.baselines else None,
    }


def _beside(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return drawings, a matrix that is small beside the pictures before it."""
    placed: list[dict[str, Any]] = []
    for block in blocks:
        if placed and _is_flow(placed[-1]) and _is_small_square(block):
            placed[-1] = {"kind": "beside", "blocks": [placed[-1], block]}
        else:
            placed.append(block)
    return placed


def _is_flow(block: Mapping[str, Any]) -> bool:
    """Whether it is pictures that may be broken into rows of any length."""
    return "grid" in block and not block["grid"].columns


def _is_small_square(block: Mapping[str, Any]) -> bool:
    chart = block.get("chart")
    return chart is not None and bool(chart["narrow"]) and chart["height"] > _SQUARE * chart["width"]


def _metrics(metrics: Sequence[Metric], caption: str) -> dict[str, Any]:
    rows = [
        {
            "label": metric.label,
            "value": numbers.format_value(metric.value, metric.unit),
            "interval": numbers.format_interval(metric.interval, metric.unit) if metric.interval else "",
            "baselines": numbers.format_baselines(metric),
            "verdict": numbers.verdict(metric),
            "caution": numbers.caution(metric),
            "note": metric.note,
            "direction": "" if metric.better == "higher" else "lower is better",
        }
        for metric in metrics
    ]
    return {"kind": "metrics", "caption": caption, "rows": rows}


def _drawing(drawing: Drawing, ids: Iterator[str]) -> dict[str, Any]:
    """Return what the template needs of a drawing: its chart, each picture of its grid with texts, or its PNG."""
    from PIL import Image

    name = drawing.name.replace("_", " ").replace("-", " ")
    with Image.open(io.BytesIO(drawing.png)) as image:
        css_pixel = (image.info.get("dpi", (96, 96))[0] or 96) / 96  # of 1/96 inch
        photographs = image.mode == "RGB" and len(drawing.png) > _LARGE_PNG
        block = {"kind": "drawing", "caption": drawing.caption}
        grid, chart = read_grid(image), vector.read_chart(image.info)
        if chart is not None and (shown := _chart(chart, name, ids)):
            width, height = (round(side / css_pixel) for side in image.size)
            return block | {"chart": shown | {"width": width, "height": height}}
        if grid is None:
            return block | {"image": _image(image, css_pixel, photographs, name, drawing.png)}
        cells = []
        for number, cell in enumerate(grid.cells):
            column = grid.columns[number % len(grid.columns)] if grid.columns else ""
            alt = ", ".join(filter(None, [cell.row, column, cell.caption])) or f"{name} {number + 1}"
            cells.append(_image(image.crop(cell.box), css_pixel, photographs, alt) | {"cell": cell})
        return block | {"grid": grid, "cells": cells, "column_width": round(grid.width / css_pixel)}


def _chart(chart: vector.Chart, name: str, ids: Iterator[str]) -> dict[str, Any]:
    """Return a chart's elements for a wide and for a narrow column; nothing where it has none."""
    from markupsafe import Markup

    seen = {"role": "img", "aria-label": capitalised(chart.seen) or name}
    wide, narrow = (
        svg and vector.inline(svg, next(ids), {"class": kind, **seen})
        for kind, svg in (("wide", chart.wide), ("narrow", chart.narrow))
    )
    return {"wide": Markup(wide), "narrow": Markup(narrow)} if wide else {}


def _image(
    image: Image.Image, css_pixel: float, photograph: bool, alt: str, png: bytes | None = None
) -> dict[str, str | int]:
    """Return the attributes of an image; `png` is what it was read from."""
    data = {"png": png or encode_png(image, compress_level=6)}  # `optimize` is slower by more than it is smaller
    if photograph:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85, subsampling=0)  # full colour resolution keeps edges of masks clean
        data["jpeg"] = buffer.getvalue()
    kind = min(data, key=lambda kind: len(data[kind]))
    width, height = (round(side / css_pixel) for side in image.size)
    source = f"data:image/{kind};base64,{base64.b64encode(data[kind]).decode('ascii')}"
    return {"src": source, "width": width, "height": height, "alt": alt}


def table_block(table: Table) -> dict[str, Any]:
    """Return what the template needs of a table: which columns are of numbers, and whether it is long."""
    rows = [[cell if isinstance(cell, str) else numbers.format_value(cell) for cell in row] for row in table.rows]
    numeric = [all(_NUMBER.fullmatch(cell) for cell in column) for column in zip(*rows, strict=True)]
    return {
        "kind": "table",
        "title": table.title,
        "columns": list(zip(table.columns, numeric or [False] * len(table.columns), strict=True)),
        "rows": [list(zip(row, numeric, strict=True)) for row in rows],
        "long": len(rows) > _LONG_TABLE,
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ("plugins.x", "0.1.0") for {"plugins": {"x": "0.1.0"}}; what is not text is written as JSON."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            yield f"{prefix}{key}", ", ".join(value)
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str)
