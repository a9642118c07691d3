"""What a folder's data card tells in words: what was read, what was left out, and what else is to be known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from maecli.api import layouts, pictures

from .index import Index
from .masks import MaskReading
from .other_tables import find_tables

NUM_NAMED = 3


def reading(index: Index, masks: MaskReading | None = None) -> str:
    """Return in one line what was read; of `masks` what is not plain about them."""
    table = index.said if index.has_table_labels else ""
    line = index.layout.reading(len(index.keys), len(index.classes), table=table, names=index.classes)
    if index.table is not None and not table:
        line += f"; splits or groups by {index.said}"
    line = "; ".join([line, *index.said_of_imagenet])
    if masks is not None and (words := masks.words()):
        line += f"; {', '.join(words)}"
    return line


def left_out(index: Index, fields: Sequence[str]) -> dict[str, int]:
    """Return how many sound files are not used, as masks or for lack of what `fields` ask for."""
    layout = index.layout
    counts = {**layout.extra, **index.left_out}
    if "mask" not in fields:
        counts |= layout.unused_masks()
    if "label" in fields:
        foreign = {} if index.has_table_labels else layout.foreign
        foreign = {key: name for key, name in foreign.items() if key in index.headers}
        counts |= layouts.foreign_in_words(foreign, layout.splits)
        lacking = index.keys.take(np.flatnonzero(~index.labelled))
        counts |= _without(index, "a label", (key for key in lacking if key not in foreign))
    if "mask" in fields:
        counts |= _without(index, "a mask", index.keys.take(np.flatnonzero(~index.masked)))
    return {what: num for what, num in counts.items() if num}


def _without(index: Index, what: str, lacking: Iterable[str]) -> dict[str, int]:
    """Return how many pictures lack something, told by their first folders where these are few."""
    around = index.layout.wrappings[-1]
    inner = ((key, key.removeprefix(around)) for key in lacking)
    places = Counter(key[: len(key) - len(path)] + path.split("/")[0] if "/" in path else "" for key, path in inner)
    if len(places) > NUM_NAMED:
        return {f"without {what}": places.total()}
    return {f"without {what}{f', in {place}/' if place else ''}": num for place, num in places.items()}


def notes(index: Index, files: pictures.FileReading, num_measured: int, fields: Sequence[str]) -> Iterator[str]:
    """Yield what else is to be known: of how the range was found, of other files, of what lacks a label or a mask."""
    yield f"mean and std were measured on {num_measured} train pictures chosen by the fixed seed"
    if index.dtype == "uint16":
        used = "whatever the pictures use of it" if files.bits == 16 else f"the {files.bits} bits that the pictures use"
        yield f"16 bits: the range is 0 to {files.most}, {used}; dataset.bits says otherwise"
    elif index.dtype != "uint8":
        yield "value_range is what the measured pictures reach; others may go beyond it"
    if others := index.layout.others:
        kinds = (f"{num} {suffix or 'without suffix'}" for suffix, num in sorted(others.items()))
        yield f"ignored, not pictures: {', '.join(kinds)}"
    num = int(np.count_nonzero(~index.labelled)) if index.classes else 0
    if num and "label" not in fields:
        yield f"{num} {'picture has' if num == 1 else 'pictures have'} no label"
    if index.masks and (bare := index.keys.take(np.flatnonzero(~index.masked))):
        more = f" and {len(bare) - NUM_NAMED} more" if len(bare) > NUM_NAMED else ""
        have = "pictures have" if len(bare) > 1 else "picture has"
        yield f"{len(bare)} {have} no mask: {', '.join(bare[:NUM_NAMED])}{more}"


def why_no_labels(root: Path, index: Index) -> str:
    """Return what to do where no picture has a label."""
    reason = (
        f"no picture in {root} has a label; put the pictures of each class into a folder of their own, or write a "
        f"{pictures.LABELS_FILE} with the columns file and label"
    )
    tables = find_tables(root, index.layout.wrappings, index.keys) if index.table is None else []
    if not tables:
        return reason
    (name, column), *others = tables
    more = f" (as do {len(others)} more)" if others else ""
    return (
        f"{reason}; {name} names pictures in its column {column!r}{more}: if it says their classes, copy it to "
        f"{Path(name).parent / pictures.LABELS_FILE}, and call its columns file and label"
    )
