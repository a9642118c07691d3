"""The page of `mae eda`, its drawings and tables, from plain findings and samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard, ends_of
from maecli.eda.examples import Example, Gallery
from maecli.eda.findings import Findings, Histogram, Masks, Overlap, Pair, Statistics
from maecli.modalities.study import Bars, Curves
from maecli.reports import charts
from maecli.reports.grids import picture_grid
from maecli.reports.numbers import format_value
from maecli.reports.overlays import ClassStyle, blend
from maecli.reports.page import Points, Section
from maecli.results import Drawing, Table
from maecli.text import capitalised, number_of

MAX_LISTED_PAIRS = 100
MAX_LISTED_GROUPS = 100
MAX_LISTED_VALUES = 200
"""Channels or cells of a split in a table."""
WIDE, WIDE_IN_A_ROW = 1.6, 3
"""Width / height from which fewer drawings stand in a row, and how many, so that lines are seen."""
WHOLE_FROM, WHOLE_UP_TO = 1e4, 1e12
"""Values that are written without a fraction or an exponent."""
MAX_RANGES = 4
"""Ranges of values that a sentence names."""
COPIES_PX = 640
"""Width of the drawing of copies, in PNG pixels."""

Cell = str | int | float


def eda_sections(findings: Findings, gallery: Gallery) -> list[Section]:
    """Return everything that there is to show, in the order of the page."""
    by_class = bool(findings.labels) or any(title for title, _ in gallery.classes)
    return [
        Section("What to know", [Points(findings.advice)] if findings.advice else ["Nothing stands out."]),
        Section(findings.words.many.capitalize(), [*_samples(findings)]),
        Section("Values", [*_values(findings)]),
        *_study(findings),
        Section("Targets", [*_targets(findings)]),
        Section("Classes" if by_class else "Examples", [*_classes(findings, gallery)]),
        Section("Masks", [*_masks(findings, gallery)]),
        Section("Boxes", [*_boxes(findings)]),
        Section("As the model sees them", [*_augmented(findings, gallery)]),
        Section("Copies", [*_copies(findings, gallery)]),
        Section("Files that break a rule", [*_faults(findings)]),
    ]


def describe(findings: Findings) -> str:
    """Return one sentence about a data set."""
    num = sum(samples.num for samples in findings.pictures.values())
    splits = ", ".join(f"{samples.num:,} {name}" for name, samples in findings.pictures.items())
    parts = [f"{findings.words.count(num)} ({splits})"]
    if findings.card.classes:
        parts.append(number_of(findings.card.num_classes, "class", "classes"))
    if findings.masks:
        parts.append(number_of(sum(masks.num for masks in findings.masks.values()), "mask"))
    if findings.boxes:
        parts.append(number_of(sum(sum(boxes.objects) for boxes in findings.boxes.values()), "box", "boxes"))
    if not findings.is_annotated:
        parts.append("no labels")
    return f"{findings.card.title}: {', '.join(parts)}."


def _samples(findings: Findings) -> Iterator[str | Drawing | Table]:
    card, words = findings.card, findings.words
    channels = number_of(card.channels, "channel")
    lows, highs = ends_of(card.value_range)
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in zip(lows, highs, strict=True))
    values = f"values {ranges}" if len(lows) <= MAX_RANGES else f"{len(lows)} ranges of values, which are listed below"
    yield f"{channels} of {card.dtype}, {values}. Splits: {card.split_origin}."
    rows: list[tuple[Cell, ...]] = []
    for name, samples in findings.pictures.items():
        sizes = samples.sizes
        lengths = [_by(axes) for axes in (sizes.smallest, sizes.median, sizes.largest)] if sizes else ["", "", ""]
        rows.append((name, samples.num, *lengths, sizes.num_distinct if sizes else 0, samples.num_broken))
    columns = ("split", words.many, "smallest", "median", "largest", "sizes", "unreadable")
    yield Table(title=f"Sizes: {words.lengths}", columns=columns, rows=tuple(rows))
    common = {name: samples.sizes.common for name, samples in findings.pictures.items() if samples.sizes is not None}
    if (
        len(words.axes) == charts.AXES_OF_SIZES
        and len({size for counted in common.values() for size, _ in counted}) > 1
    ):
        caption = f"Sizes of the {words.many}; a disc's area is the number of {words.many} of that size."
        yield Drawing(name="sizes", caption=caption, png=charts.sizes(common, words.axes, f"{words.part}s"))
    notes = [
        *filter(None, [card.reading]),
        *_counted(card.converted),
        *_counted(card.left_out, "left out: "),
        *card.notes,
    ]
    if notes:
        yield "\n\n".join(f"{capitalised(note)}." for note in notes)


def _counted(counts: Mapping[str, int], before: str = "") -> Iterator[str]:
    yield from (f"{before}{num:,} {what}" for what, num in counts.items())


def _values(findings: Findings) -> Iterator[str | Drawing | Table]:
    card, words = findings.card, findings.words
    for name, statistics in findings.values.items():
        yield _statistics_table(f"Values of {name}, in units of the data", statistics)
    names = [each.name for each in next(iter(findings.values.values()), ())]
    facts = [card.mean, card.std, *ends_of(card.value_range)]
    if {len(fact) for fact in facts} <= {1, len(names)}:
        rows = zip(names, *(fact * (len(names) // len(fact)) for fact in facts), strict=True)
        yield Table(
            title="What the card tells of train, and of the range",
            columns=("of", "mean", "standard deviation", "0 is", "1 is"),
            rows=tuple((name, *(_number(value) for value in values)) for name, *values in rows)[:MAX_LISTED_VALUES],
        )
    caption = f"Share of each {words.one} that is missing."
    yield from _chart(findings.missing, "missing", caption, f"missing of a {words.one}", unit="share")


def _study(findings: Findings) -> Iterator[Section]:
    """Yield what the modality shows of all samples together, a section for each topic."""
    for topic in findings.study.topics if findings.study is not None else ():
        yield Section(topic.title, [*topic.text, *topic.tables, *map(_drawn, topic.charts)])


def _drawn(chart: Curves | Bars) -> Drawing:
    if isinstance(chart, Bars):
        bars = {name: charts.Mark(length, length, length) for name, length in chart.lengths.items()}
        png = charts.bars_chart(bars, chart.x_label, chart.unit)
    else:
        points = {name: [(x, math.nan if y is None else y) for x, y in line] for name, line in chart.points.items()}
        png = charts.curves(points, chart.x_label, chart.y_label, borders=chart.borders)
    return Drawing(name=chart.name, caption=chart.caption, png=png)


def _targets(findings: Findings) -> Iterator[Table]:
    for name, statistics in findings.targets.items():
        yield _statistics_table(f"Numbers to predict, of {name}", statistics)


def _statistics_table(title: str, statistics: Sequence[Statistics]) -> Table:
    """Return a row for each of the first channels, cells or targets."""
    listed = statistics[:MAX_LISTED_VALUES]
    first = f" (the first {len(listed):,} of {len(statistics):,})" if len(listed) < len(statistics) else ""
    with_missing, with_outside = any(each.missing for each in statistics), any(each.outside for each in statistics)
    rows: list[tuple[Cell, ...]] = []
    for each in listed:
        moments = (each.min, each.mean, each.max, each.std)
        row: list[Cell] = [each.name, *("" if value is None else _number(value) for value in moments)]
        row += [format_value(each.missing, "share")] if with_missing else []
        row += [format_value(each.outside, "share")] if with_outside else []
        rows.append(tuple(row))
    columns = ["of", "least", "mean", "greatest", "standard deviation"]
    columns += ["missing"] if with_missing else []
    columns += ["out of range"] if with_outside else []
    return Table(title=title + first, columns=tuple(columns), rows=tuple(rows))


def _classes(findings: Findings, gallery: Gallery) -> Iterator[str | Drawing | Table]:
    card = findings.card
    if findings.labels:
        panels = {name: labels.present for name, labels in findings.labels.items()}
        several = "; a sample may have several" if card.multi_label else ""
        yield Drawing(
            name="class frequencies",
            caption=f"Samples of each class, by split{several}.{_shortened_note(card.classes)}",
            png=charts.class_panels(card.classes, panels),
        )
        yield _per_class("Samples of each class", card.classes, [*panels.items()])
        unsure = [(name, labels.not_judged) for name, labels in findings.labels.items()]
        if any(sum(counts) for _, counts in unsure):
            yield _per_class("Samples that are not judged for a class", card.classes, unsure)
    if gallery.classes:
        rows = [*_rows(gallery.classes)]
        those = "those of each class" if any(title for title, _ in rows) else "all of them"
        yield Drawing(
            name="samples per class",
            caption=f"Training samples, evenly spaced among {those}.",
            png=picture_grid(
                [[sample.image for sample in samples] for _, samples in rows],
                [""] * max(len(samples) for _, samples in rows),
                [title for title, _ in rows],
            ),
        )


def _rows(classes: Sequence[tuple[str, Sequence[Example]]]) -> Iterator[tuple[str, Sequence[Example]]]:
    """Yield the samples under their titles, of wide drawings only a few in a row."""
    wide = any(sample.image.shape[2] > WIDE * sample.image.shape[1] for _, samples in classes for sample in samples)
    for title, samples in classes:
        in_a_row = WIDE_IN_A_ROW if wide else len(samples)
        for start in range(0, len(samples), in_a_row):
            yield title if start == 0 else "", samples[start : start + in_a_row]


def _masks(findings: Findings, gallery: Gallery) -> Iterator[Drawing | Table]:
    card = findings.mask_card
    if card is None or not findings.masks:
        return
    parts, many = f"{findings.words.part}s", findings.words.many
    constants = sorted({card.mask_classes[masks.constant] for masks in findings.masks.values()})
    yield Table(
        title=f"What predicting {' or '.join(constants)} everywhere scores",
        columns=("split", "masks", "pixel accuracy", "mIoU", f"void {parts}"),
        rows=tuple((name, masks.num, *_constant_scores(masks)) for name, masks in findings.masks.items()),
    )
    name, masks = next(iter(findings.masks.items()))
    panels: dict[str, Sequence[float]] = {many: masks.images, "regions": masks.objects}
    panels[parts] = [pixels / max(1, sum(masks.pixels)) for pixels in masks.pixels]
    yield Drawing(
        name="mask class frequencies",
        caption=f"Classes of the masks of {name}, by {many}, connected regions and {parts}, in the colours of the "
        f"masks.{_shortened_note(card.mask_classes)}",
        png=charts.class_panels(card.mask_classes, panels, card.mask_palette, frozenset({parts})),
    )
    columns: list[tuple[str, Sequence[Cell]]] = []
    for split, counts in findings.masks.items():
        total = max(1, sum(counts.pixels))
        shares = [format_value(pixels / total, "share") for pixels in counts.pixels]
        columns += [(f"{split}: {many}", counts.images), ("regions", counts.objects), (parts, shares)]
    yield _per_class("Classes of the masks", card.mask_classes, columns)
    yield from _chart(
        findings.objects.foreground, "foreground", "Share of each mask that is an object.", "foreground", unit="share"
    )
    yield from _chart(
        findings.objects.region_areas,
        "region areas",
        f"Share of the {findings.words.one} that each connected region of a class covers.",
        "area of a region",
        scale="log",
        unit="share",
    )
    style = _style(card)
    pairs = [(sample.key, sample.image, sample.mask) for sample in gallery.first if sample.mask is not None]
    if pairs:
        yield Drawing(
            name="masks",
            caption=f"The first {many} of train with their masks, and these over them.",
            png=picture_grid(
                [[image, style.colours()[mask], blend(image, mask, style)] for _, image, mask in pairs],
                [findings.words.one, "mask", "both"],
                [f"{key}: {_class_names(mask, card)}" for key, _, mask in pairs],
            ),
        )
    objects = [(sample.key, sample.image, sample.objects) for sample in gallery.first if sample.objects is not None]
    if objects:
        yield Drawing(
            name="masks",
            caption=f"The first {many} of train, and what their masks call an object: the rest is covered.",
            png=picture_grid(
                [[image, shown] for _, image, shown in objects],
                [findings.words.one, "its objects"],
                [key for key, *_ in objects],
            ),
        )


def _boxes(findings: Findings) -> Iterator[Drawing | Table]:
    classes, objects, one, many = findings.card.classes, findings.objects, findings.words.one, findings.words.many
    if not findings.boxes:
        return
    rows = [(name, boxes.num, sum(boxes.objects)) for name, boxes in findings.boxes.items()]
    yield Table(title="Annotated boxes", columns=("split", many, "boxes"), rows=tuple(rows))
    name, boxes = next(iter(findings.boxes.items()))
    yield Drawing(
        name="box class frequencies",
        caption=f"Classes of the boxes of {name}, by {many} and objects.{_shortened_note(classes)}",
        png=charts.class_panels(classes, {many: boxes.images, "objects": boxes.objects}),
    )
    columns: list[tuple[str, Sequence[Cell]]] = []
    for split, counts in findings.boxes.items():
        columns += [(f"{split}: {many}", counts.images), ("objects", counts.objects)]
    yield _per_class("Classes of the boxes", classes, columns)
    yield from _chart(objects.per_image, f"objects per {one}", f"Boxes of each {one}.", "boxes")
    covered = f"Share of its {one} that each box covers."
    yield from _chart(objects.areas, "box areas", covered, "area of a box", scale="log", unit="share")
    aspects = "Width / height of each box."
    yield from _chart(objects.aspects, "box aspect ratios", aspects, "width / height", scale="log2")


def _augmented(findings: Findings, gallery: Gallery) -> Iterator[str | Drawing]:
    if not gallery.augmented:
        return
    card = findings.mask_card
    titles = ["as it is"]
    columns: list[list[NDArray[Any]]] = [[sample.image for sample in gallery.first]]
    for augmented in gallery.augmented:
        yield f"{capitalised(augmented.by)}: {augmented.how}."
        titles.append(augmented.by)
        columns.append([sample.image for sample in augmented.examples])
        masks = [sample.mask for sample in augmented.examples if sample.mask is not None]
        if card is not None and len(masks) == len(augmented.examples):
            titles.append("its mask")
            columns.append([_style(card).colours()[mask] for mask in masks])
        objects = [sample.objects for sample in augmented.examples if sample.objects is not None]
        if objects and len(objects) == len(augmented.examples):
            titles.append("its objects")
            columns.append(objects)
    yield Drawing(
        name="augmented",
        caption="The same samples as training gives them to the model, at its size. They differ in every epoch.",
        png=picture_grid([*zip(*columns, strict=True)], titles, [sample.key for sample in gallery.first]),
    )


def _copies(findings: Findings, gallery: Gallery) -> Iterator[str | Drawing | Table]:
    duplicates, many, part = findings.duplicates, findings.words.many, findings.words.part
    if duplicates is None:
        return
    near = duplicates.num_compared > 0
    yield f"Exact copies have equal {part}s." + ("" if near else " Near copies were not looked for.")
    if near:
        yield (
            "Near copies have perceptual hashes (63 bits of the cosine transform) that "
            f"differ in at most {duplicates.max_distance} bits, and correlate by {duplicates.min_similarity:g} or more "
            f"as grey pictures of 32 × 32. {duplicates.num_compared:,} {many} were compared in this way; those of one "
            "colour, and exact copies of another, were not. Mirrored and strongly cropped copies are not found."
        )
    yield f"The splits compared are those of the {many} alone, which pretraining follows."
    if not duplicates.pairs:
        yield "No copies were found."
        return
    yield _overlap_table(f"{many.capitalize()} that have a copy", duplicates.overlaps, many, near)
    for kind, copies in findings.copies_by.items():
        across = [overlap for overlap in copies.overlaps if overlap.split != overlap.other]
        how = "which share copies" if across else "without copies across them"
        yield f"The {many} with {kind} follow other splits, {how}."
        if across:
            yield _overlap_table(
                f"{many.capitalize()} with {kind} that have a copy in another of their splits", across, many, near
            )
            yield _pair_table(
                f"Pairs across the splits of {many} with {kind}",
                [pair for pair in copies.pairs if pair.first.split != pair.second.split][:MAX_LISTED_PAIRS],
            )
    if findings.contradictions:
        yield _contradiction_table(findings)
    if gallery.copies:
        pairs = [[first.image, second.image] for _, first, second in gallery.copies]
        yield Drawing(
            name="copies",
            caption="The first pairs: those across splits before those within, exact before near.",
            png=picture_grid(pairs, ["", ""], [_pair_title(pair) for pair, _, _ in gallery.copies], COPIES_PX),
        )
    listed = duplicates.pairs[:MAX_LISTED_PAIRS]
    yield _pair_table(f"The first {len(listed):,} of {duplicates.num_exact + duplicates.num_near:,} pairs", listed)


def _overlap_table(title: str, overlaps: Sequence[Overlap], many: str, near: bool) -> Table:
    columns = (f"{many} of", "with a copy in", "exact", "near", "all but identical")
    rows = tuple((count.split, count.other, count.exact, count.near, count.very_near) for count in overlaps)
    shown = len(columns) if near else 3
    return Table(title=title, columns=columns[:shown], rows=tuple(row[:shown] for row in rows))


def _pair_table(title: str, pairs: Sequence[Pair]) -> Table:
    return Table(
        title=title,
        columns=("kind", "split", "key", "split", "key", "similarity"),
        rows=tuple(
            (pair.kind, pair.first.split, pair.first.key, pair.second.split, pair.second.key, pair.similarity)
            for pair in pairs
        ),
    )


def _contradiction_table(findings: Findings) -> Table:
    words, contradictions = findings.words, findings.contradictions
    return Table(
        title=f"{words.many.capitalize()} that are equal {words.part} by {words.part} and labelled differently: the "
        "first one with each label",
        columns=("group", "split", "key", "label"),
        rows=tuple(
            (number, place.split, place.key, label)
            for number, group in enumerate(contradictions[:MAX_LISTED_GROUPS], start=1)
            for place, label in zip(group.pictures, group.labels, strict=True)
        ),
    )


def _faults(findings: Findings) -> Iterator[Table]:
    if findings.faults:
        rows = tuple((fault.path, fault.reason) for fault in findings.faults)
        yield Table(title=f"{len(rows):,} found", columns=("file", "rule that it breaks"), rows=rows)


def _style(card: DataCard) -> ClassStyle:
    return ClassStyle(card.mask_classes, card.mask_palette, card.background, card.void)


def _class_names(mask: NDArray[np.uint8], card: DataCard) -> str:
    """Return the classes that a mask shows, but the background."""
    numbers = [i for i in np.unique(mask).tolist() if i < len(card.mask_classes) and i != card.background]
    return ", ".join(card.mask_classes[i] for i in numbers)


def _constant_scores(masks: Masks) -> list[str]:
    void = masks.void_pixels / max(1, masks.void_pixels + sum(masks.pixels))
    return [format_value(share, "share") for share in (masks.constant_accuracy, masks.constant_miou, void)]


def _per_class(title: str, classes: Sequence[str], columns: Sequence[tuple[str, Sequence[Cell]]]) -> Table:
    """Return a row per class, under the titles of the columns."""
    rows = tuple(zip(classes, *(values for _, values in columns), strict=True))
    return Table(title=title, columns=("class", *(name for name, _ in columns)), rows=rows)


def _chart(
    counted: Histogram | None, name: str, caption: str, x_label: str, scale: charts.Scale = "linear", unit: str = ""
) -> Iterator[Drawing]:
    if counted is not None:
        yield Drawing(name=name, caption=caption, png=charts.histogram(counted, x_label, scale, unit))


def _pair_title(pair: Pair) -> str:
    how = "exact" if pair.kind == "exact" else f"near ({pair.similarity:.3f})"
    return f"{how}: {pair.first.key} ({pair.first.split}), {pair.second.key} ({pair.second.split})"


def _shortened_note(classes: Sequence[str]) -> str:
    return f" The {charts.MAX_BARS} most frequent of {len(classes)}." if len(classes) > charts.MAX_BARS else ""


def _number(value: float) -> str:
    """Return a value with four digits, of a large one the whole part."""
    return f"{value:,.0f}" if WHOLE_FROM <= abs(value) < WHOLE_UP_TO else f"{value:.4g}"


def _by(lengths: Sequence[float]) -> str:
    return " × ".join(f"{length:g}" for length in lengths)
