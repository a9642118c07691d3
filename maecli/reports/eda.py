"""The page of `mae eda`, its metrics and tables, from plain findings and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from maecli.data.card import DataCard
from maecli.eda.findings import Contradiction, Findings, Histogram, Masks, Overlap, Pair
from maecli.eda.shown import Gallery
from maecli.reports import charts
from maecli.reports.grids import picture_grid
from maecli.reports.numbers import format_value
from maecli.reports.overlays import ClassStyle, blend
from maecli.reports.page import Points, Section, render_report
from maecli.results import Drawing, Table

MAX_LISTED_PAIRS = 100
MAX_LISTED_GROUPS = 100
TINY, COLUMN, COPIES_PX = 64, 240, 640
"""PNG pixels."""


def eda_sections(findings: Findings, gallery: Gallery) -> list[Section]:
    """Return everything that there is to show, in the order of the page."""
    sections = [
        Section("What to know", [Points(findings.advice)] if findings.advice else ["Nothing stands out."]),
        Section("Pictures", [*_pictures(findings)]),
        Section("Classes", [*_classes(findings, gallery)]),
        Section("Masks", [*_masks(findings, gallery)]),
        Section("Boxes", [*_boxes(findings)]),
        Section("As the model sees them", [*_augmented(findings, gallery)]),
        Section("Copies", [*_copies(findings, gallery)]),
        Section("Files that break a rule", [*_faults(findings)]),
    ]
    return [section for section in sections if section.content]


def eda_pictures(sections: Sequence[Section]) -> list[Drawing]:
    """Return the pictures of the sections, to be written as files too."""
    return [item for section in sections for item in section.content if isinstance(item, Drawing)]


def render_eda(
    findings: Findings,
    sections: Sequence[Section],
    *,
    spec_yaml: str = "",
    environment: Mapping[str, Any] | None = None,
    next_commands: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page as HTML."""
    num = sum(pictures.num for pictures in findings.pictures.values())
    splits = ", ".join(f"{pictures.num:,} {name}" for name, pictures in findings.pictures.items())
    parts = [f"{num:,} pictures ({splits})"]
    if findings.card.classes:
        parts.append(f"{findings.card.num_classes} classes")
    if findings.masks:
        parts.append(f"{sum(masks.num for masks in findings.masks.values()):,} masks")
    if findings.boxes:
        parts.append(f"{sum(sum(boxes.objects) for boxes in findings.boxes.values()):,} boxes")
    return render_report(
        f"What is in {findings.dataset}",
        f"{findings.card.title}: {', '.join(parts)}.",
        sections,
        spec_yaml=spec_yaml,
        environment=environment,
        next_commands=next_commands,
    )


def _pictures(findings: Findings) -> Iterator[str | Drawing | Table]:
    card = findings.card
    channels = "1 channel" if card.channels == 1 else f"{card.channels} channels"
    low, high = card.value_range
    about = f"{channels} of {card.dtype}, values {low:g} to {high:g}. Splits: {card.split_origin}."
    yield about
    rows: list[tuple[str | int | float, ...]] = []
    for name, pictures in findings.pictures.items():
        sizes = pictures.sizes
        three = ["", "", ""] if sizes is None else [_by(each) for each in (sizes.smallest, sizes.median, sizes.largest)]
        rows.append((name, pictures.num, *three, sizes.num_distinct if sizes else 0, pictures.num_broken))
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
        yield _class_table("Samples of each class", card.classes, panels)
        unsure = {name: labels.not_judged for name, labels in findings.labels.items()}
        if any(map(sum, unsure.values())):
            yield _class_table("Samples that are not judged for a class", card.classes, unsure)
    if gallery.classes:
        columns = max(len(shown) for _, shown in gallery.classes)
        blank = np.ones((1, 8, 8), np.float32)
        rows = [[*(each.image for each in shown), *[blank] * (columns - len(shown))] for _, shown in gallery.classes]
        yield Drawing(
            name="samples per class",
            caption="Training samples, evenly spaced among those of each class.",
            png=picture_grid(rows, [""] * columns, [title for title, _ in gallery.classes]),
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
    yield _mask_table(findings, card)
    yield from _chart(
        findings.objects.foreground, "foreground", "Share of each mask that is an object.", "foreground", share=True
    )
    yield from _chart(
        findings.objects.region_areas,
        "region areas",
        "Share of the picture that each connected region of a class covers.",
        "area of a region",
        scale="log",
        share=True,
    )
    if pairs := [shown for shown in gallery.first if shown.mask is not None]:
        yield Drawing(
            name="image-mask pairs",
            caption="The first image–mask pairs of train: picture, mask, and one over the other.",
            png=picture_grid(
                [
                    [shown.image, _style(card).colours()[shown.mask], blend(shown.image, shown.mask, _style(card))]
                    for shown in pairs
                    if shown.mask is not None
                ],
                ["picture", "mask", "both"],
                [f"{shown.key}: {_named(shown.mask, card)}" for shown in pairs],
            ),
        )


def _boxes(findings: Findings) -> Iterator[Drawing | Table]:
    classes, found = findings.card.classes, findings.objects
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
    yield _box_table(findings)
    yield from _chart(found.per_image, "objects per image", "Boxes of each picture.", "boxes")
    yield from _chart(
        found.areas, "box areas", "Share of its picture that each box covers.", "area of a box", scale="log", share=True
    )
    yield from _chart(found.aspects, "box aspect ratios", "Width / height of each box.", "width / height", scale="log2")


def _augmented(findings: Findings, gallery: Gallery) -> Iterator[str | Drawing]:
    if not gallery.augmented:
        return
    card = findings.mask_card
    titles = ["as it is"]
    columns: list[list[NDArray[Any]]] = [[shown.image for shown in gallery.first]]
    for augmented in gallery.augmented:
        yield f"{augmented.by[:1].upper()}{augmented.by[1:]}: {augmented.how}."
        titles.append(augmented.by)
        columns.append([enlarged(shown.image) for shown in augmented.shown])
        if card is not None and all(shown.mask is not None for shown in augmented.shown):
            titles.append("its mask")
            columns.append(
                [
                    enlarged(_style(card).colours()[shown.mask].transpose(2, 0, 1) / 255, Resampling.NEAREST)
                    for shown in augmented.shown
                    if shown.mask is not None
                ]
            )
    yield Drawing(
        name="augmented",
        caption="The same samples as training gives them to the model, at its size. They differ in every epoch.",
        png=picture_grid([*zip(*columns, strict=True)], titles, [shown.key for shown in gallery.first]),
    )


def _copies(findings: Findings, gallery: Gallery) -> Iterator[str | Drawing | Table]:
    found = findings.duplicates
    if found is None:
        return
    yield (
        f"Exact copies have equal pixels. Near copies have perceptual hashes (63 bits of the cosine transform) that "
        f"differ in at most {found.max_distance} bits, and correlate by {found.min_similarity:g} or more as grey "
        f"pictures of 32 × 32. {found.num_compared:,} pictures were compared in this way; those of one colour, and "
        "exact copies of another, were not. Mirrored and strongly cropped copies are not found. The splits compared "
        "are those of the pictures alone, which pretraining follows."
    )
    if not found.pairs:
        yield "No copies were found."
        return
    yield _overlap_table("Pictures that have a copy", found.overlaps)
    for kind, copies in findings.copies_by.items():
        across = [each for each in copies.overlaps if each.split != each.other]
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
            png=picture_grid(pairs, ["", ""], [_told(pair) for pair, _, _ in gallery.copies], COPIES_PX),
        )
    listed = found.pairs[:MAX_LISTED_PAIRS]
    yield _pair_table(f"The first {len(listed):,} of {found.num_exact + found.num_near:,} pairs", listed)


def _overlap_table(title: str, overlaps: Sequence[Overlap]) -> Table:
    return Table(
        title=title,
        columns=("pictures of", "with a copy in", "exact", "near", "all but identical"),
        rows=tuple((each.split, each.other, each.exact, each.near, each.very_near) for each in overlaps),
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


def enlarged(image: NDArray[Any], how: Resampling = Resampling.BICUBIC) -> NDArray[np.float32]:
    """Return a picture (C, H, W) in [0, 1] that fills its column, if it is of middling size.

    Small ones are shown as crisp squares, which need no help.
    """
    height, width = image.shape[1:]
    if not TINY < max(height, width) < COLUMN:
        return np.asarray(image, np.float32)
    factor = COLUMN / max(height, width)
    size = round(width * factor), round(height * factor)
    planes = [Image.fromarray(np.asarray(plane, np.float32)).resize(size, how) for plane in image]
    return np.clip(np.stack([np.asarray(plane) for plane in planes]), 0, 1)


def _style(card: DataCard) -> ClassStyle:
    return ClassStyle(card.mask_classes, card.mask_palette, card.background)


def _named(mask: NDArray[np.uint8] | None, card: DataCard) -> str:
    shown = [] if mask is None else [i for i in np.unique(mask).tolist() if i < len(card.mask_classes)]
    return ", ".join(card.mask_classes[i] for i in shown if i != card.background)


def _constant_scores(masks: Masks) -> tuple[str, str, str]:
    void = masks.void_pixels / max(1, masks.void_pixels + sum(masks.pixels))
    shares = (masks.constant_accuracy, masks.constant_miou, void)
    accuracy, miou, unjudged = (format_value(share, "share") for share in shares)
    return accuracy, miou, unjudged


def _mask_table(findings: Findings, card: DataCard) -> Table:
    """Return a row per class with its images, connected regions and share of the judged pixels in each split."""
    columns = ["class"]
    cells: list[list[str | int | float]] = [[name] for name in card.mask_classes]
    for name, masks in findings.masks.items():
        columns += [f"{name}: images", "regions", "pixels"]
        total = max(1, sum(masks.pixels))
        for i, row in enumerate(cells):
            row += [masks.images[i], masks.objects[i], format_value(masks.pixels[i] / total, "share")]
    return Table(title="Classes of the masks", columns=tuple(columns), rows=tuple(map(tuple, cells)))


def _box_table(findings: Findings) -> Table:
    """Return a row per class with its images and boxes in each split."""
    columns = ["class"]
    cells: list[list[str | int | float]] = [[name] for name in findings.card.classes]
    for name, boxes in findings.boxes.items():
        columns += [f"{name}: images", "objects"]
        for i, row in enumerate(cells):
            row += [boxes.images[i], boxes.objects[i]]
    return Table(title="Classes of the boxes", columns=tuple(columns), rows=tuple(map(tuple, cells)))


def _class_table(title: str, classes: Sequence[str], per_split: Mapping[str, Sequence[int]]) -> Table:
    rows: list[tuple[str | int | float, ...]] = [
        (each, *(counts[i] for counts in per_split.values())) for i, each in enumerate(classes)
    ]
    return Table(title=title, columns=("class", *per_split), rows=tuple(rows))


def _chart(
    found: Histogram | None, name: str, caption: str, x_label: str, scale: charts.Scale = "linear", share: bool = False
) -> Iterator[Drawing]:
    if found is not None:
        yield Drawing(name=name, caption=caption, png=charts.histogram(found, x_label, scale, "share" if share else ""))


def _told(pair: Pair) -> str:
    how = "exact" if pair.kind == "exact" else f"near ({pair.similarity:.3f})"
    return f"{how}: {pair.first.key} ({pair.first.split}), {pair.second.key} ({pair.second.split})"


def _shortened_note(classes: Sequence[str]) -> str:
    return f" The {charts.MAX_BARS} most frequent of {len(classes)}." if len(classes) > charts.MAX_BARS else ""


def _by(lengths: Sequence[float]) -> str:
    return " × ".join(f"{length:g}" for length in lengths)
