"""The survey of a data set: every split is gone over once for its samples, and once for each kind of annotation.

It knows the data set by its interface alone, a card, splits, and the fields that a sample can carry; and what a sample
looks like by its modality.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import SPLIT_NAMES, DataCard
from maecli.data.dataset import Dataset
from maecli.data.sample import Places, View
from maecli.eda import histograms
from maecli.eda.annotations import (
    BoxScan,
    LabelScan,
    MaskScan,
    TargetScan,
    scan_boxes,
    scan_labels,
    scan_masks,
    scan_targets,
)
from maecli.eda.contradictions import Row, find_contradictions
from maecli.eda.duplicates import exact_groups, find_duplicates, places
from maecli.eda.findings import Duplicates, Findings, Histogram, Objects, Where, Words
from maecli.eda.parallel import Scan
from maecli.eda.samples import SampleScan, scan_samples, statistics_of
from maecli.errors import DataError, Fault
from maecli.modalities.modality import Modality

Ticks = Callable[[str, int], Callable[[], None]]
"""Told what is gone over and how many there are, gives what is to be called after each."""

Annotation = Literal["labels", "masks"]
BOX_FIELDS = ("boxes", "box_label")
IMAGE, LABEL, MASK, TARGET = ("image",), ("label",), ("mask",), ("target",)


@dataclass
class Survey:
    """Everything that was gone over, by split, and what there is to say of it."""

    findings: Findings
    modality: Modality
    samples: dict[str, SampleScan] = field(default_factory=dict)
    labels: dict[str, LabelScan] = field(default_factory=dict)
    masks: dict[str, MaskScan] = field(default_factory=dict)


def survey(
    dataset: Dataset,
    modality: Modality,
    ticks: Ticks,
    masks_wanted: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Survey:
    """Go over a data set of this modality. Raises DataError when not one sample can be read.

    Masks are gone over if its samples have them. A data set may also make other samples for those who ask for masks;
    `masks_wanted` asks. `say` is told what is begun whose end cannot be foreseen.
    """
    begin = time.monotonic()
    card = dataset.card(IMAGE)
    mask_card = dataset.card(("image", "mask")) if masks_wanted or "mask" in card.fields else None
    words = words_of(modality)
    names = (card.cells, "cell") if modality.per_cell else (card.channel_names, "channel")
    samples = _samples(dataset, card, modality, ticks)
    labels: dict[str, LabelScan] = {}
    masks: dict[str, MaskScan] = {}
    boxes: dict[str, BoxScan] = {}
    targets: dict[str, TargetScan] = {}
    annotated: dict[Annotation, dict[str, Sequence[str]]] = {"labels": {}, "masks": {}}
    for name in SPLIT_NAMES:
        if "label" in card.fields and card.classes:
            split = dataset.split(name, LABEL)
            labels[name] = scan_labels(split, card, ticks(f"labels of {name}", len(split)))
            annotated["labels"][name] = split.keys
        if mask_card is not None:
            split = dataset.split(name, MASK)
            masks[name] = scan_masks(split, mask_card, ticks(f"masks of {name}", len(split)))
            if "mask" in card.fields:
                annotated["masks"][name] = split.keys
        if "target" in card.fields:
            split = dataset.split(name, TARGET)
            targets[name] = scan_targets(split, ticks(f"targets of {name}", len(split)))
        if set(BOX_FIELDS) <= set(card.fields):
            split = dataset.split(name, BOX_FIELDS)
            boxes[name] = scan_boxes(split, ticks(f"boxes of {name}", len(split)))
    groups = exact_groups(samples)
    duplicates = _duplicates(samples, ticks, words.many, groups)
    where = places(samples) if groups else []
    equal = [[where[i] for i in group] for group in groups]
    known = _labels_of([each for group in equal for each in group], labels, annotated["labels"])
    copies_by: dict[Annotation, Duplicates] = {}
    for kind, keys in annotated.items():
        if (moved := regrouped(samples, keys)) is not None:
            copies_by[kind] = _duplicates(moved, ticks, f"{words.many} with {kind}")
    scans: list[Scan] = [*samples.values(), *labels.values(), *targets.values(), *masks.values(), *boxes.values()]
    if not modality.pictorial:
        say(f"looking at the {words.many} of all splits together")
    study = modality.study(dataset.split, card)
    say("checking every file against its rules")
    findings = Findings(
        dataset=card.name,
        card=card,
        mask_card=mask_card,
        words=words,
        pictures={name: scan.summary() for name, scan in samples.items()},
        values={name: scan.statistics(*names) for name, scan in samples.items() if scan.ids},
        missing=_missing(samples),
        targets={
            name: statistics_of(scan.values, card.targets, "target")
            for name, scan in targets.items()
            if scan.values is not None
        },
        labels={name: scan.summary(card.num_classes) for name, scan in labels.items() if scan.rows},
        masks={
            name: counted
            for name, scan in masks.items()
            if mask_card is not None and (counted := scan.summary(mask_card)) is not None
        },
        boxes={name: counts for name, scan in boxes.items() if (counts := scan.summary(card.num_classes)) is not None},
        objects=_objects(masks, mask_card, boxes),
        duplicates=duplicates,
        copies_by=copies_by,
        contradictions=tuple(find_contradictions(equal, known, card.classes)),
        study=study,
        faults=tuple(_all_faults(dataset, scans)),
    )
    seconds = round(time.monotonic() - begin, 1)
    return Survey(findings.model_copy(update={"seconds": seconds}), modality, samples, labels, masks)


def words_of(modality: Modality) -> Words:
    return Words(
        one=modality.one,
        many=modality.unit,
        part=modality.part,
        axes=modality.axis_names,
        recur=modality.recurs,
    )


def _samples(dataset: Dataset, card: DataCard, modality: Modality, ticks: Ticks) -> dict[str, SampleScan]:
    scans: dict[str, SampleScan] = {}
    for name in SPLIT_NAMES:
        split = dataset.split(name, IMAGE)
        scans[name] = scan_samples(split, card, modality, ticks(f"{modality.unit} of {name}", len(split)))
    if not any(scan.ids for scan in scans.values()):
        num = sum(len(scan.split) for scan in scans.values())
        faults = [fault for scan in scans.values() for fault in scan.faults]
        reason = "".join(f"; {fault.path}, for one: {fault.reason}" for fault in faults[:1])
        raise DataError(f"none of the {num:,} {modality.unit} of {card.name} can be read{reason}", faults)
    return scans


def regrouped(samples: Mapping[str, SampleScan], keys: Mapping[str, Sequence[str]]) -> dict[str, SampleScan] | None:
    """Return what was seen of the samples with these keys, by the splits that the keys are given for.

    None where no sample changes its split by it, and where a key does not tell which sample is meant.
    """
    seen = {
        scan.split.keys[index]: (name, index, look)
        for name, scan in samples.items()
        for index, look in zip(scan.ids, scan.looks, strict=True)
    }
    if len(seen) < sum(len(scan.ids) for scan in samples.values()):
        return None
    scans: dict[str, SampleScan] = {}
    for name, names in keys.items():
        members = [seen[key] for key in dict.fromkeys(names) if key in seen]
        split = View(Places.of((samples[home].split, index) for home, index, _ in members))
        scans[name] = SampleScan(split, [look for _, _, look in members], ids=[*range(len(members))])
    moved = any(seen[key][0] != name for name, scan in scans.items() for key in scan.split.keys)
    return scans if moved else None


def _labels_of(
    where: Sequence[Where], labels: Mapping[str, LabelScan], keys: Mapping[str, Sequence[str]]
) -> dict[Where, Row]:
    """Return the labels of samples, which may stand in other splits than the samples alone.

    A key that several splits have means the sample of the same split.
    """
    rows = {
        name: {keys[name][i]: row for i, row in zip(scan.ids, scan.rows, strict=True)} for name, scan in labels.items()
    }
    times = Counter(key for found in rows.values() for key in found)
    anywhere = {key: row for found in rows.values() for key, row in found.items() if times[key] == 1}
    known = {place: rows.get(place.split, {}).get(place.key, anywhere.get(place.key)) for place in where}
    return {place: row for place, row in known.items() if row is not None}


def _missing(samples: Mapping[str, SampleScan]) -> Histogram | None:
    shares = {name: np.array([look.missing for look in scan.looks]) for name, scan in samples.items()}
    return histograms.of_values(shares, histograms.SHARES) if any(each.any() for each in shares.values()) else None


def _duplicates(
    samples: Mapping[str, SampleScan], ticks: Ticks, which: str, groups: Sequence[Sequence[int]] | None = None
) -> Duplicates:
    tick = ticks(f"{which} compared", sum(len(scan.looks) for scan in samples.values()))

    def several(num: int) -> None:
        for _ in range(num):
            tick()

    return find_duplicates(samples, several, groups)


def _objects(masks: dict[str, MaskScan], mask_card: DataCard | None, boxes: dict[str, BoxScan]) -> Objects:
    def joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([np.zeros(0), *parts])

    return Objects(
        foreground=None
        if mask_card is None or mask_card.background is None
        else histograms.of_values(
            {name: scan.foreground(mask_card) for name, scan in masks.items()}, histograms.SHARES
        ),
        region_areas=histograms.of_values(
            {name: scan.region_areas() for name, scan in masks.items()}, histograms.AREAS
        ),
        per_image=histograms.of_counts(
            {name: np.array([float(len(each)) for each in scan.classes]) for name, scan in boxes.items()}
        ),
        areas=histograms.of_values({name: joined(scan.areas) for name, scan in boxes.items()}, histograms.AREAS),
        aspects=histograms.of_values({name: joined(scan.aspects) for name, scan in boxes.items()}, histograms.ASPECTS),
    )


def _all_faults(dataset: Dataset, scans: Sequence[Scan]) -> list[Fault]:
    """Return what the scans met and what the data set itself knows, each once."""
    met = [fault for scan in scans for fault in scan.faults]
    known = [*dataset.all_faults()]
    named = {(PurePosixPath(fault.path).name, fault.reason) for fault in known}
    return list(dict.fromkeys([*known, *(fault for fault in met if _of_another_file(fault) not in named)]))


def _of_another_file(fault: Fault) -> tuple[str, str]:
    """Return the file and the reason of a sample that is broken by one of its files: `masks/1.png: empty file`."""
    file, _, reason = fault.reason.partition(": ")
    return PurePosixPath(file).name, reason
