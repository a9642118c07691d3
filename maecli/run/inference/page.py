"""The page of an inference: from the few predictions that were chosen to pictures, sentences and tables.

Shapes: h, w of a drawing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.sample import Split
from maecli.errors import BrokenSample, Fault
from maecli.least import Least
from maecli.modalities.known_masks import KnownMasks
from maecli.modalities.modality import Modality
from maecli.outputs.chosen import Choice, Chosen
from maecli.outputs.mask_totals import ACCURACY, IOU, MaskTotals
from maecli.outputs.numbers import Numbers
from maecli.outputs.sentences import Unit, findings, warning
from maecli.outputs.summary import TRUTH, Summary
from maecli.reports.grids import as_rgb
from maecli.reports.overlays import ClassStyle, blend
from maecli.reports.predictions import Card, Group, Legend, Picture, drawing_of, picture_of, render_predictions
from maecli.results import Drawing, Table
from maecli.run.inference.held_out import HeldOut
from maecli.text import capitalised

if TYPE_CHECKING:
    from PIL import Image

SIDE, SMALL_SIDE = 320, 160
"""Pixels of the longer side of pictures: 160 CSS pixels on a screen of two pixels each, and those of a class."""
MOST_CLASSES, MOST_ROWS = 50, 300
"""Classes of which samples are shown, and rows of the table of all."""
MOST_FAULTS = 200
NONE = "(none)"


@dataclass(frozen=True)
class Predictions:
    """All that a page of predictions is made from."""

    title: str
    out: Path
    """The folder that the page will lie in: links start there."""
    split: Split
    card: DataCard
    """Of the samples, as files are read."""
    modality: Modality
    summary: Summary
    masks: MaskTotals | None
    known: KnownMasks | None
    choice: Choice
    numbers: Numbers
    drawings: Sequence[Drawing]
    faults: Collection[Fault]
    held_out: HeldOut
    notes: Sequence[str]
    """What is to be said of the files that are handed back."""
    about: Sequence[tuple[str, str]]

    @property
    def unit(self) -> Unit:
        return Unit(self.modality.one, self.modality.unit)

    @cached_property
    def style(self) -> ClassStyle:
        return ClassStyle(self.card.mask_classes, self.card.mask_palette, self.card.background, self.card.void)


def predictions_page(made: Predictions) -> str:
    """Return the page as HTML."""
    found = [*findings(made.summary, made.masks, made.unit), *made.notes]
    told = [warning(made.summary, made.masks, made.unit), *made.held_out.shortfalls()]
    return render_predictions(
        made.title,
        [f"{capitalised(sentence)}." for sentence in found or [made.unit.of(made.summary.num)]],
        " ".join(f"{capitalised(sentence)}." for sentence in told if sentence),
        list(_parts(made)),
        about=made.about,
        faults=list(islice(made.faults, MOST_FAULTS)),
        num_faults=len(made.faults),
    )


def _parts(made: Predictions) -> Iterator[Group | Table | Legend | Picture]:
    choice, tried = made.choice, made.held_out.table()
    if tried is not None:
        yield tried
    if made.masks is not None and made.masks.num:
        yield from _of_masks(made, made.masks)
    elif made.summary.answer is not None and made.summary.num:
        if choice.mistakes.num:
            yield Group(_counted("Mistakes", choice.mistakes), "The most certain first.", _cards(made, choice.mistakes))
        if choice.uncertain.num:
            note = "Those whose answer lies nearest to another one."
            yield Group(_counted("Least certain", choice.uncertain, made.unit), note, _cards(made, choice.uncertain))
        yield from _of_classes(made)
    else:
        if made.numbers.columns:
            yield _table_of_numbers(made)
        for drawing in made.drawings:
            picture = drawing_of(drawing.png, drawing.name.replace("-", " "))
            yield Picture(picture.src, picture.alt, drawing.caption)


def _counted(title: str, those: Least[Chosen], unit: Unit | None = None) -> str:
    """Return a title with how many are shown, and of how many."""
    all_of_them = unit.of(those.num) if unit is not None else f"{those.num:,}"
    shown = len(those.things)
    return f"{title} ({f'{shown:,} of ' if shown < those.num else ''}{all_of_them})"


def _of_masks(made: Predictions, masks: MaskTotals) -> Iterator[Group | Table | Legend]:
    """Yield pictures beside their masks, those that agree least first, and a table of the classes."""
    choice, iou = made.choice, masks.overlap.iou if masks.overlap is not None else None
    there = {name: share for name, share in masks.shares.items() if share or name in (iou or {})}
    yield _table_of_masks(made, there, iou)
    yield Legend(_colours(made, there))
    if choice.disagreements.num:
        note = "Those whose mask agrees least with the true one, by their mean IoU, come first."
        yield Group(
            _counted("Largest disagreements", choice.disagreements, made.unit), note, _cards(made, choice.disagreements)
        )
    if choice.masks.num:
        title = "Without a known mask" if choice.disagreements.num else "Predicted masks"
        yield Group(_counted(title, choice.masks, made.unit), "", _cards(made, choice.masks))


def _table_of_masks(made: Predictions, shares: Mapping[str, float], iou: Mapping[str, float] | None) -> Table:
    """Return the share of pixels of the classes that are there, the largest first, and their IoU where it is known."""
    part = f"share of {made.modality.part}s"
    rows = [
        (name, f"{share:.2%}", *([f"{iou[name]:.1%}" if name in iou else "n/a"] if iou is not None else []))
        for name, share in sorted(shares.items(), key=lambda each: -each[1])[:MOST_ROWS]
    ]
    num = len(made.card.mask_classes) - len(shares)
    title = f"Classes, the largest first; {num:,} more are neither predicted nor there" if num else "Classes"
    return Table(title=title, columns=("class", part, *(("IoU",) if iou is not None else ())), rows=tuple(rows))


def _colours(made: Predictions, classes: Collection[str]) -> list[tuple[str, str]]:
    """Return the colour of each of the classes, empty for the one that is left clear."""
    colours = made.style.colours()
    numbers = [i for i, name in enumerate(made.card.mask_classes) if name in classes][:MOST_CLASSES]
    return [(made.card.mask_classes[i], "" if i == made.card.background else _hex(colours[i])) for i in numbers]


def _of_classes(made: Predictions) -> Iterator[Group | Table]:
    """Yield a table of the classes, the most frequent first, and a few samples of each."""
    counts = made.summary.counts.most_common()
    rows = tuple((name or NONE, f"{num:,}", f"{num / made.summary.num:.1%}") for name, num in counts[:MOST_ROWS])
    title = (
        "Classes, as predicted"
        if len(counts) <= MOST_ROWS
        else f"The {MOST_ROWS} most frequent of {len(counts):,} classes"
    )
    yield Group("By class", "", [])
    yield Table(title=title, columns=("class", made.unit.many, "share"), rows=rows)
    for name, num in counts[:MOST_CLASSES]:
        if name in made.choice.by_class:
            those = made.choice.by_class[name]
            yield Group(f"{name or NONE} ({num:,})", "", _cards(made, those, large=False), large=False, level=3)


def _table_of_numbers(made: Predictions) -> Table:
    columns = ("column", "mean", "lowest", "of", "highest", "of")
    rows = tuple(
        (name, f"{each.mean:.4g}", f"{each.lowest[0]:.4g}", each.lowest[1], f"{each.highest[0]:.4g}", each.highest[1])
        for name, each in made.numbers.columns.items()
    )
    return Table(title="Numbers of predictions.csv", columns=columns, rows=rows)


def _cards(made: Predictions, those: Least[Chosen], large: bool = True) -> list[Card]:
    gone = {fault.path for fault in made.faults}
    return [card for each in those.things if each.key not in gone and (card := _card(made, each, large))]


def _card(made: Predictions, chosen: Chosen, large: bool) -> Card | None:
    """Return a prediction with its pictures; None where its sample cannot be read any more."""
    pictures = _pictures(made, chosen, SIDE if large else SMALL_SIDE)
    row, answer = chosen.row, made.summary.answer
    said = str(row[answer.column]) if answer is not None else ""
    truth = str(row[TRUTH]) if TRUTH in row else ""
    files = made.split.files(chosen.index)
    return Card(
        name=chosen.key,
        href=link(files[0], made.out) if files else "",
        pictures=pictures,
        said=said.replace(";", ", ") or (NONE if made.masks is None else f"nothing but {_clear(made.card)}"),
        truth=truth.replace(";", ", ") or NONE,
        wrong=TRUTH in row and truth != said,
        certainty=_certainty(chosen, made, with_margin=large),
        unsure=answer is not None and row.get(answer.unsure) is True,
    )


def _clear(card: DataCard) -> str:
    return card.mask_classes[card.background] if card.background is not None else "no class"


def _certainty(chosen: Chosen, made: Predictions, with_margin: bool) -> str:
    """Return how sure an answer is, or how well a mask agrees, in words."""
    row, answer = chosen.row, made.summary.answer
    if IOU in row:
        return f"mean IoU {row[IOU]:.1%}, {row[ACCURACY]:.1%} of the {made.modality.part}s right"
    if answer is None:
        return ""
    columns = [("", answer.probability), *([("margin ", answer.margin)] if with_margin else [])]
    return ", ".join(f"{what}{row[column]:.1%}" for what, column in columns if column in row)


def _pictures(made: Predictions, chosen: Chosen, side: int) -> list[Picture]:
    """Return a sample's drawing, and beside it its true and its predicted mask, or how the prediction was drawn."""
    if chosen.drawing is not None:
        return [drawing_of(chosen.drawing, chosen.key)]
    try:
        image = made.split.small(chosen.index, side)
        drawn = made.modality.draw(made.card.in_units(np.asarray(image)))
    except (BrokenSample, OSError):
        return []
    picture = _fitted(as_rgb(drawn), side)
    if chosen.mask is None:
        return [picture_of(picture, chosen.key)]
    shown = [picture_of(picture, chosen.key, made.modality.one)]
    truth = _truth(made, chosen.key)
    for title, mask in (("truth", truth), ("prediction", chosen.mask)):
        if mask is not None:
            pixels = np.asarray(picture).transpose(2, 0, 1)  # (3, h, w), as drawings are, also of one row
            over = blend(pixels, _resized(mask, picture.size), made.style)
            shown.append(picture_of(_image(over), f"{title} of {chosen.key}", title))
    return shown


def _truth(made: Predictions, key: str) -> NDArray[Any] | None:
    if made.known is None or key not in made.known.files:
        return None
    try:
        return made.known.read(made.known.files[key])
    except BrokenSample:
        return None


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels)


def _fitted(pixels: NDArray[np.uint8], side: int) -> Image.Image:
    """Return a picture whose longer side is no longer than `side`."""
    image = _image(pixels)
    image.thumbnail((side, side))
    return image


def _resized(mask: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return a mask (h, w) at another size (width, height), by its nearest cells."""
    rows, columns = (
        np.minimum((np.arange(length) + 0.5) * have // length, have - 1).astype(np.int64)
        for length, have in zip(size[::-1], mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _hex(colour: NDArray[np.uint8]) -> str:
    return "#" + bytes(colour.tolist()).hex()


def link(file: Path, folder: Path) -> str:
    """Return a link from a page in `folder` to a file: relative, or whole where they are on different disks."""
    target, start = Path(os.path.abspath(file)), Path(os.path.abspath(folder))  # noqa: PTH100  # links stay
    try:
        return quote(os.fsencode(Path(os.path.relpath(target, start)).as_posix()))
    except ValueError:
        return target.as_uri()
