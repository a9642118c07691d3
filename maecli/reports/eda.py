"""The page of `mae eda`, its drawings and tables, from plain findings and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard, ends_of
from maecli.eda.examples import Gallery
from maecli.eda.findings import Contradiction, Findings, Histogram, Masks, Overlap, Pair
from maecli.reports import charts
from maecli.reports.grids import picture_grid
from maecli.reports.numbers import format_value
from maecli.reports.overlays import ClassStyle, blend
from maecli.reports.page import Points, Section
from maecli.results import Drawing, Table

MAX_LISTED_PAIRS = 100
MAX_LISTED_GROUPS = 100
COPIES_PX = 640
"""Width of the drawing of copies, in PNG pixels."""

Cell = str | int | float


def eda_sections(findings: Findings, gallery: Gallery) -> list[Section]:
    """Return everything that there is to show, in the order of the page."""
    return [
        Section("What to know", [Points(findings.advice)] if findings.advice else ["Nothing stands out."]),
        Section("Pictures", [*_pictures(findings)]),
        Section("Classes", [*_classes(findings, gallery)]),
        Section("Masks", [*_masks(findings, gallery)]),
        Section("Boxes", [*_boxes(findings)]),
        Section("As the model sees them", [*_augmented(findings, gallery)]),
        Section("Copies", [*_copies(findings, gallery)]),
        Section("Files that break a rule", [*_faults(findings)]),
    ]


def describe(findings: Findings) -> str:
    """Return one sentence about a data set."""
    num = sum(pictures.num for pictures in findings.pictures.values())
    splits = ", ".join(f"{pictures.num:,} {name}" for name, pictures in findings.pictures.items())
    parts = [f"{num:,} pictures ({splits})"]
    if findings.card.classes:
        parts.append(f"{findings.card.num_classes} classes")
    if findings.masks:
        parts.append(f"{sum(masks.num for masks in findings.masks.values()):,} masks")
    if findings.boxes:
        parts.append(f"{sum(sum(boxes.objects) for boxes in findings.boxes.values()):,} boxes")
    return f"{findings.card.title}: {', '.join(parts)}."


def _pictures(findings: Findings) -> Iterator[str | Drawing | Table]:
    card = findings.card
    channels = "1 channel" if card.channels == 1 else f"{card.channels} channels"
    lows, highs = ends_of(card.value_range)
    values = ", ".join(f"{low:g} to {high:g}" for low, high in zip(lows, highs, strict=True))
    yield f"{channels} of {card.dtype}, values {values}. Splits: {card.split_origin}."
    rows: list[tuple[Cell, ...]] = []
    for name, pictures in findings.pictures.items():
        sizes = pictures.sizes
        lengths = [_by(axes) for axes in (sizes.smallest, sizes.median, sizes.largest)] if sizes else ["", "", ""]
        rows.append((name, pictures.num, *lengths, sizes.num_distinct if sizes else 0, pictures.num_broken))
    columns = ("split", "pictures", "smallest", "median", "largest", "sizes", "unreadable")
    yield Table(title="Sizes are height × width, each axis by itself", columns=columns, rows=tuple(rows))
    common = {name: pictures.sizes.common for name, pictures in findings.pictures.items() if pictures.sizes is not None}
    if len({size for counted in common.values() for size, _ in counted if len(size) == 2}) > 1:
        caption = "Sizes of the pictures; a disc's area is the number of pictures of that size."
        yield Drawing(name="sizes", caption=caption, png=charts.sizes(common))
    yield Table(
        title="Mean and standard deviation of the training pictures, of a range of 0 to 1",
        columns=("channel", "mean", "standard deviation"),
        rows=tuple((str(i), mean, std) for i, (mean, std) in enumerate(zip(card.mean, card.std, strict=True))),
    )
    if card.notes:
        yield "\n\n".join(f"{note[:1].upper()}{note[1:]}." for note in card.notes)


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
        yield Drawing(
            name="samples per class",
            caption="Training samples, evenly spaced among those of each class.",
            png=picture_grid(
                [[sample.image for sample in samples] for _, samples in gallery.classes],
                [""] * max(len(samples) for _, samples in gallery.classes),
                [title for title, _ in gallery.classes],
            ),
        )


def _masks(findings: Findings, gallery: Gallery) -> Iterator[Drawing | Table]:
    card = findings.mask_card
    if card is None or not findings.masks:
        return
    constants = sorted({card.mask_classes[masks.constant] for masks in findings.masks.values()})
    yield Table(
        title=f"What predicting {' or '.join(constants)} everywhere scores",
        columns=("split", "masks", "pixel accuracy", "mIoU", "void pixels"),
        rows=tuple((name, masks.num, *_constant_scores(masks)) for name, masks in findings.masks.items()),
    )
    name, masks = next(iter(findings.masks.items()))
    panels: dict[str, Sequence[float]] = {"images": masks.images, "regions": masks.objects}
    panels["pixels"] = [pixels / max(1, sum(masks.pixels)) for pixels in masks.pixels]
    yield Drawing(
        name="mask class frequencies",
        caption=f"Classes of the masks of {name}, by images, connected regions and pixels, in the colours of the "
        f"masks.{_shortened_note(card.mask_classes)}",
        png=charts.class_panels(card.mask_classes, panels, card.mask_palette, frozenset({"pixels"})),
    )
    columns: list[tuple[str, Sequence[Cell]]] = []
    for split, counts in findings.masks.items():
        total = max(1, sum(counts.pixels))
        shares = [format_value(pixels / total, "share") for pixels in counts.pixels]
        columns += [(f"{split}: images", counts.images), ("regions", counts.objects), ("pixels", shares)]
    yield _per_class("Classes of the masks", card.mask_classes, columns)
    yield from _chart(
        findings.objects.foreground, "foreground", "Share of each mask that is an object.", "foreground", unit="share"
    )
    yield from _chart(
        findings.objects.region_areas,
        "region areas",
        "Share of the picture that each connected region of a class covers.",
        "area of a region",
        scale="log",
        unit="share",
    )
    style = _style(card)
    pairs = [(sample.key, sample.image, sample.mask) for sample in gallery.first if sample.mask is not None]
    if pairs:
        yield Drawing(
            name="image-mask pairs",
            caption="The first image–mask pairs of train: picture, mask, and one over the other.",
            png=picture_grid(
                [[image, style.colours()[mask], blend(image, mask, style)] for _, image, mask in pairs],
                ["picture", "mask", "both"],
                [f"{key}: {_class_names(mask, card)}" for key, _, mask in pairs],
            ),
        )


def _boxes(findings: Findings) -> Iterator[Drawing | Table]:
    classes, objects = findings.card.classes, findings.objects
    if not findings.boxes:
        return
    rows = [(name, boxes.num, sum(boxes.objects)) for name, boxes in findings.boxes.items()]
    yield Table(title="Annotated boxes", columns=("split", "pictures", "boxes"), rows=tuple(rows))
    name, boxes = next(iter(findings.boxes.items()))
    yield Drawing(
        name="box class frequencies",
        caption=f"Classes of the boxes of {name}, by images and objects.{_shortened_note(classes)}",
        png=charts.class_panels(classes, {"images": boxes.images, "objects": boxes.objects}),
    )
    columns: list[tuple[str, Sequence[Cell]]] = []
    for split, counts in findings.boxes.items():
        columns += [(f"{split}: images", counts.images), ("objects", counts.objects)]
    yield _per_class("Classes of the boxes", classes, columns)
    yield from _chart(objects.per_image, "objects per image", "Boxes of each picture.", "boxes")
    covered = "Share of its picture that each box covers."
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
        yield f"{augmented.by[:1].upper()}{augmented.by[1:]}: {augmented.how}."
        titles.append(augmented.by)
        columns.append([sample.image for sample in augmented.examples])
        masks = [sample.mask for sample in augmented.examples if sample.mask is not None]
        if card is not None and len(masks) == len(augmented.examples):
            titles.append("its mask")
            columns.append([_style(card).colours()[mask] for mask in masks])
    yield Drawing(
        name="augmented",
        caption="The same samples as training gives them to the model, at its size. They differ in every epoch.",
        png=picture_grid([*zip(*columns, strict=True)], titles, [sample.key for sample in gallery.first]),
    )


def _copies(findings: Findings, gallery: Gallery) -> Iterator[str | Drawing | Table]:
    duplicates = findings.duplicates
    if duplicates is None:
        return
    yield (
        "Exact copies have equal pixels. Near copies have perceptual hashes (63 bits of the cosine transform) that "
        f"differ in at most {duplicates.max_distance} bits, and correlate by {duplicates.min_similarity:g} or more as "
        f"grey pictures of 32 × 32. {duplicates.num_compared:,} pictures were compared in this way; those of one "
        "colour, and exact copies of another, were not. Mirrored and strongly cropped copies are not found. The splits "
        "compared are those of the pictures alone, which pretraining follows."
    )
    if not duplicates.pairs:
        yield "No copies were found."
        return
    yield _overlap_table("Pictures that have a copy", duplicates.overlaps)
    for kind, copies in findings.copies_by.items():
        across = [overlap for overlap in copies.overlaps if overlap.split != overlap.other]
        how = "which share copies" if across else "without copies across them"
        yield f"The pictures with {kind} follow other splits, {how}."
        if across:
            yield _overlap_table(f"Pictures with {kind} that have a copy in another of their splits", across)
            yield _pair_table(
                f"Pairs across the splits of pictures with {kind}",
                [pair for pair in copies.pairs if pair.first.split != pair.second.split][:MAX_LISTED_PAIRS],
            )
    if findings.contradictions:
        yield _contradiction_table(findings.contradictions)
    if gallery.copies:
        pairs = [[first.image, second.image] for _, first, second in gallery.copies]
        yield Drawing(
            name="copies",
            caption=f"The first {len(pairs)} pairs: those across splits before those within, exact before near.",
            png=picture_grid(pairs, ["", ""], [_pair_title(pair) for pair, _, _ in gallery.copies], COPIES_PX),
        )
    listed = duplicates.pairs[:MAX_LISTED_PAIRS]
    yield _pair_table(f"The first {len(listed):,} of {duplicates.num_exact + duplicates.num_near:,} pairs", listed)


def _overlap_table(title: str, overlaps: Sequence[Overlap]) -> Table:
    return Table(
        title=title,
        columns=("pictures of", "with a copy in", "exact", "near", "all but identical"),
        rows=tuple((count.split, count.other, count.exact, count.near, count.very_near) for count in overlaps),
    )


def _pair_table(title: str, pairs: Sequence[Pair]) -> Table:
    return Table(
        title=title,
        columns=("kind", "split", "picture", "split", "picture", "similarity"),
        rows=tuple(
            (pair.kind, pair.first.split, pair.first.key, pair.second.split, pair.second.key, pair.similarity)
            for pair in pairs
        ),
    )


def _contradiction_table(contradictions: Sequence[Contradiction]) -> Table:
    return Table(
        title="Pictures that are equal pixel by pixel and labelled differently: the first one with each label",
        columns=("group", "split", "picture", "label"),
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
    return ClassStyle(card.mask_classes, card.mask_palette, card.background)


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


def _by(lengths: Sequence[float]) -> str:
    return " × ".join(f"{length:g}" for length in lengths)
