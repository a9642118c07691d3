"""What follows from the findings for whoever trains on the data, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from maecli.data.card import SPLIT_NAMES
from maecli.eda.findings import Duplicates, Findings, Statistics
from maecli.measures import wilson_interval
from maecli.text import some

HowFitted = Literal["in proportion", "stretched", "cut"]
"""How samples become the model's size: cut to its proportions and resized, resized as they are, or cut and padded."""

MOSTLY_BACKGROUND = 0.5
IMBALANCED = 5.0
"""Times that the largest class has as many samples as the smallest."""
FEW_SAMPLES = 20
"""Training samples up to which a class counts as tiny."""
LITTLE_TO_PRETRAIN_ON = 1000
FEW_HELD_OUT = 100
"""Samples of val or test below which a share measured there is uncertain by 10 points or more."""
SMALL_OBJECT = 0.01
"""Share of the sample up to which an object counts as small."""
MANY_VOID = 0.02
ALIKE = 0.02
"""Share of train's samples with a near copy in train from which the set's samples count as alike by nature; with an
equal one, where samples may be equal by chance."""

LEAST_ALIKE = 20
"""How many of them it takes at least: a few planted copies in a small set are no nature."""

MOSTLY_MISSING = 0.5
"""Share of a channel's or a cell's values that is missing, above which it is named."""
MANY_OUTSIDE = 0.05
"""Share of its values that lie outside of the card's range, above which it is named: ranges may leave out a few."""

NAMED = 8


def advise(
    findings: Findings, img_size: Sequence[int], how: HowFitted = "in proportion", *, is_part: bool = False
) -> list[str]:
    """Return sentences, the most urgent first; `img_size` is what the model would work at, and `how` it is reached.

    `is_part`: whether a part of the samples was looked at, by which nothing is known to be rare or few.
    """
    sentences = [
        *_on_copies(findings),
        *_on_study(findings),
        *_on_faults(findings),
        *_on_masks(findings),
        *_on_classes(findings, is_part),
        *_on_splits(findings, is_part),
        *_on_sizes(findings, img_size, how),
        *_on_values(findings),
        *_on_boxes(findings, img_size),
    ]
    return list(dict.fromkeys(sentences))


def _on_copies(findings: Findings) -> Iterator[str]:
    if findings.duplicates is None:
        return
    yield from _on_leaks(findings, findings.duplicates, {name: own.num for name, own in findings.pictures.items()})
    for kind, copies in findings.copies_by.items():
        counted = findings.labels if kind == "labels" else findings.masks
        nums = {name: annotated.num for name, annotated in counted.items()}
        yield from _on_leaks(findings, copies, nums, f" with {kind}")
    yield from _on_contradictions(findings)
    recurring = _recurring(findings)
    for overlap in findings.duplicates.overlaps:
        if overlap.split == overlap.other and overlap.exact and not recurring:
            yield (
                f"{overlap.split} holds {overlap.exact:,} {findings.words.many} that occur more than once in it, which "
                "count more than others."
            )


def _recurring(findings: Findings) -> float:
    """Return the share of train's samples that equal another one of train by chance; 0 where equal ones are copies."""
    if findings.duplicates is None or not findings.words.recur or "train" not in findings.pictures:
        return 0.0
    equal = next((own.exact for own in findings.duplicates.overlaps if own.split == own.other == "train"), 0)
    share = equal / max(1, findings.pictures["train"].num)
    return share if share > ALIKE and equal >= LEAST_ALIKE else 0.0


def _on_contradictions(findings: Findings) -> Iterator[str]:
    num = len(findings.contradictions)
    if num:
        one = findings.contradictions[0]
        labels = [f"{place.key} as {label or 'nothing'}" for place, label in zip(one.pictures, one.labels, strict=True)]
        many = findings.words.many
        groups = f"A group of equal {many} is" if num == 1 else f"{num:,} groups of equal {many} are"
        more = f"More {findings.words.part}s would tell them apart; the groups are listed below."
        yield (
            f"{groups} labelled differently, {' and '.join(labels[:2])}{'' if num == 1 else ', for one'}: no model can "
            f"be right on all of them. {more if _recurring(findings) else 'Mend the labels, which are listed below.'}"
        )


def _on_leaks(findings: Findings, duplicates: Duplicates, nums: Mapping[str, int], which: str = "") -> Iterator[str]:
    """Speak of copies across splits of `nums` samples each; `which` says of which samples these are the splits."""
    order: Sequence[str] = SPLIT_NAMES
    many, part = findings.words.many, findings.words.part
    for overlap in duplicates.overlaps:
        if order.index(overlap.split) <= order.index(overlap.other):
            continue
        held_out, other, num = f"{overlap.split}{which}", f"{overlap.other}{which}", nums.get(overlap.split, 0)
        if overlap.exact and (recurring := _recurring(findings)):
            yield (
                f"{overlap.exact:,} of {num:,} {many} of {held_out} {_plural(overlap.exact, 'equals', 'equal')} one of "
                f"{other}, but in {other} itself {recurring:.0%} equal another one: of so few different values they "
                "are alike by chance, and no copies."
            )
        elif overlap.exact:
            are, them = _plural(overlap.exact, "is", "are"), _plural(overlap.exact, "it", "them")
            yield (
                f"{overlap.exact:,} of {num:,} {many} of {held_out} {are} in {other} too, {part} by {part}: metrics on "
                f"{held_out} would be too good; take {them} out of {other}."
            )
        if overlap.near and overlap.other == "train":
            sure = f" ({overlap.very_near:,} all but identical)" if overlap.very_near else ""
            have = _plural(overlap.near, "has", "have")
            copies = f"{overlap.near:,} of {num:,} {many} of {held_out} {have} a near copy in {other}{sure}"
            inside = next((own.near for own in duplicates.overlaps if own.split == own.other == other), 0)
            alike = inside / max(1, nums.get(other, 0))
            if alike > ALIKE and inside >= LEAST_ALIKE:
                certain = f" Those that are all but identical are copies: take them out of {other}."
                yield (
                    f"{copies}, but in {other} itself {alike:.0%} have one: these {many} are alike by nature, so "
                    f"look at the pairs below before you call them copies.{certain if sure else ''}"
                )
            else:
                yield (
                    f"{copies}: look at the pairs below, and take copies out of {other} before you trust metrics on "
                    f"{held_out}."
                )


def _on_study(findings: Findings) -> Iterator[str]:
    if findings.study is not None:
        yield from (finding.told for finding in findings.study.findings)


def _on_faults(findings: Findings) -> Iterator[str]:
    num = len({fault.path for fault in findings.faults})
    if num:
        yield (
            f"{num:,} {_plural(num, 'file breaks', 'files break')} a rule or cannot be read; all are listed below. "
            "Training leaves out what it cannot read, and names it; --strict stops there instead."
        )


def _on_masks(findings: Findings) -> Iterator[str]:
    card = findings.mask_card
    if card is None or not findings.masks:
        return
    split, masks = next(iter(findings.masks.items()))
    name, parts = card.mask_classes[masks.constant], f"{findings.words.part}s"
    if masks.constant_accuracy >= MOSTLY_BACKGROUND:
        yield (
            f"{masks.constant_accuracy:.1%} of the {parts} are {name}: read mIoU, not pixel accuracy. Predicting "
            f"{name} everywhere has that accuracy, and an mIoU of {masks.constant_miou:.1%} ({split})."
        )
    present = [pixels for pixels in masks.pixels if pixels]
    if len(present) > 2 and max(present) >= 100 * min(present):
        rare = card.mask_classes[masks.pixels.index(min(present))]
        yield (
            f"{rare} has {100 * min(present) / sum(present):.2g}% of {split}'s {parts}, and in mIoU every class counts "
            "the same: try --set task.class_weights=effective, or --set task.dice=1."
        )
    total = masks.void_pixels + sum(masks.pixels)
    if masks.void_pixels > MANY_VOID * total:
        void = masks.void_pixels / total
        yield f"{void:.1%} of {split}'s mask {parts} are void: neither loss nor metrics count them."


def _on_classes(findings: Findings, is_part: bool) -> Iterator[str]:
    card, mask_card = findings.card, findings.mask_card
    labels = {name: counts.present for name, counts in findings.labels.items() if sum(counts.present)}
    yield from _on_lacking(card.classes, labels, is_part)
    if "train" in labels:
        counts = [*zip(labels["train"], card.classes, strict=True)]
        yield from _on_frequencies("samples", counts, card.multi_label, is_part)
        yield from _on_imbalance(findings, counts, findings.labels["train"].num)
    if mask_card is not None:
        classes = mask_card.mask_classes
        images = {name: masks.images for name, masks in findings.masks.items() if sum(masks.images)}
        yield from _on_lacking(classes, images, is_part)
        if "train" in images and not (findings.labels and set(card.classes) <= set(classes)):
            numbered = enumerate(zip(images["train"], classes, strict=True))
            objects = [count for number, count in numbered if number != mask_card.background]
            yield from _on_frequencies("masks", objects, True, is_part)
            yield from _on_imbalance(findings, objects, findings.masks["train"].num, "data.sampling")
    if card.multi_label and findings.labels:
        yield f"{findings.words.many.capitalize()} have several labels: read mean average precision, not accuracy."


def _on_lacking(classes: Sequence[str], per_split: Mapping[str, Sequence[int]], is_part: bool) -> Iterator[str]:
    for split, present in per_split.items():
        lacking = [name for name, num in zip(classes, present, strict=True) if num == 0]
        if lacking and is_part:
            yield f"What was looked at of {split} shows no {some(lacking, NAMED)}: rare there, or not there at all."
        elif lacking:
            follows = "a model cannot learn them" if split == "train" else "means over classes leave them out there"
            yield f"The {split} split shows no {some(lacking, NAMED)}: {follows}."


def _on_frequencies(what: str, counts: Sequence[tuple[int, str]], several: bool, is_part: bool) -> Iterator[str]:
    """Speak of how many samples or masks of the training split show each class."""
    used = [(num, name) for num, name in counts if num]
    if len(used) < 2:
        return
    (least, rare), (most, frequent) = min(used), max(used)
    if most >= IMBALANCED * least:
        reading = "the metrics per class" if several else "macro-F1 and recall per class"
        share = "" if several else f" ({most / sum(num for num, _ in used):.1%} of all)"
        yield (
            f"Classes are uneven in train: {most:,} {what} show {frequent}{share}, {least:,} {rare}. Read {reading} "
            "besides the headline."
        )
    few = [name for num, name in used if num <= FEW_SAMPLES]
    if few and not is_part:
        have = _plural(len(few), "has", "have")
        yield f"{some(few, NAMED)} {have} at most {FEW_SAMPLES} {what} in train: little to learn from."


def _on_imbalance(
    findings: Findings, counts: Sequence[tuple[int, str]], num: int, key: str = "task.class_weights"
) -> Iterator[str]:
    """Say what makes rare classes count in training, given how many of `num` samples show each class."""
    used = [(count, name) for count, name in counts if count]
    if len(used) < 2 or max(used)[0] < IMBALANCED * min(used)[0]:
        return
    (least, rare), other = min(used), "data.sampling" if key == "task.class_weights" else "task.class_weights"
    yield (
        f"The rarest class, {rare}, has {least:,} of {num:,} {findings.words.many}: what is learnt leans to the "
        f"frequent ones. To make rare classes count, try --set {key}=balanced, or --set {other}=balanced, not both."
    )


def _on_splits(findings: Findings, is_part: bool) -> Iterator[str]:
    sizes, many = {name: own.num for name, own in findings.pictures.items()}, findings.words.many
    if findings.is_annotated:
        for name, way in (("val", "nothing is left to choose by"), ("test", "nothing is left to measure on")):
            if not sizes.get(name):
                yield f"There is no {name} split: {way}."
            yield from () if is_part else _on_few(findings, name)
    elif num := sum((findings.card.split_sizes if is_part else sizes).values()):
        yield f"There are no labels: {findings.words.count(num)} to pretrain on."
    if is_part:
        return
    train = sizes.get("train", 0)
    if 0 < train < LITTLE_TO_PRETRAIN_ON:
        yield (
            f"train has {findings.words.count(train)}, which is little to pretrain on: add unlabelled ones of the same "
            "kind, or pretrain longer."
        )
    labels = findings.labels.get("train")
    if labels is not None and not findings.card.multi_label and 0 < labels.num < train:
        yield (
            f"{train - labels.num:,} of {train:,} train {many} have no label: pretraining uses them all, fine-tuning "
            f"the {labels.num:,} others."
        )


def _on_few(findings: Findings, name: str) -> Iterator[str]:
    """Caution against metrics from a handful of samples."""
    num, which = findings.pictures[name].num if name in findings.pictures else 0, ""
    if name in findings.labels:
        num, which = findings.labels[name].num, " with a label"
    elif name in findings.masks:
        num, which = findings.masks[name].num, " with a mask"
    if 0 < num < FEW_HELD_OUT:
        low, high = wilson_interval(num // 2, num)
        yield (
            f"{name} has {findings.words.count(num)}{which}: a share measured on so few is sure to "
            f"about ±{50 * (high - low):.0f} points only (95%), so small differences there mean nothing."
        )


def _on_sizes(findings: Findings, img_size: Sequence[int], how: HowFitted) -> Iterator[str]:
    splits, target, words = findings.pictures.values(), _by(img_size), findings.words
    sizes = [own.sizes for own in splits if own.sizes is not None]
    smallest = [min(axis) for axis in zip(*(own.smallest for own in sizes), strict=True)] if sizes else []
    largest = [max(axis) for axis in zip(*(own.largest for own in sizes), strict=True)] if sizes else []
    if smallest != largest:
        axes = words.lengths
        become = {
            "in proportion": f"is cut to the model's proportions and resized to {target}",
            "stretched": f"is resized to {target}, whatever its proportions",
            "cut": f"is cut or filled up to {target}",
        }
        yield (
            f"{words.many.capitalize()} differ in size, from {_by(smallest)} to {_by(largest)} ({axes}); each "
            f"{become[how]}: choose that with --img-size."
        )
    if _enlarged(findings, img_size) and how == "cut":
        yield f"Most {words.many} are smaller than {target}: the rest stays empty, so try a smaller --img-size."
    elif _enlarged(findings, img_size):
        yield (
            f"Most {words.many} are smaller than {target}: resizing them up adds no detail, so try a smaller "
            "--img-size."
        )


def _on_values(findings: Findings) -> Iterator[str]:
    """Speak of samples that hold nothing, and of channels or cells that hold little or what they should not."""
    splits, many = findings.pictures.values(), findings.words.many
    total = sum(own.num - own.num_broken for own in splits)
    grey, flat = sum(own.num_grey for own in splits), sum(own.num_flat for own in splits)
    empty = sum(own.num_empty for own in splits)
    if 0 < grey < total:
        yield f"{grey:,} of {total:,} {many} {_plural(grey, 'is', 'are')} grey in a set of colour."
    elif grey and grey == total:
        yield f"All {many} are grey although they have three channels: one channel would do (dataset.channels)."
    if flat:
        are = _plural(flat, "is", "are")
        yield f"{flat:,} of {total:,} {many} {are} flat, of one value throughout: there is nothing to learn from them."
    if empty:
        yield f"{empty:,} of {total:,} {many} {_plural(empty, 'has', 'have')} no value at all: leave them out."
    for split, statistics in findings.values.items():
        yield from _on_statistics(split, statistics, findings.pictures[split].num - findings.pictures[split].num_broken)


def _on_statistics(split: str, statistics: Sequence[Statistics], num: int) -> Iterator[str]:
    """Speak of channels or cells of a split of `num` readable samples."""
    gone = [each.name for each in statistics if each.num == 0]
    missing = [f"{each.name} ({each.missing:.0%})" for each in statistics if MOSTLY_MISSING < each.missing < 1]
    outside = [f"{each.name} ({each.outside:.1%})" for each in statistics if each.outside > MANY_OUTSIDE]
    constant = [f"{each.name} ({each.min:g})" for each in statistics if num > 1 and each.num and each.min == each.max]
    if gone:
        have, them = _plural(len(gone), "has", "have"), _plural(len(gone), "it", "them")
        done = "learnt" if split == "train" else "measured"
        yield f"{some(gone, NAMED)} {have} no value in {split}: nothing is {done} of {them}."
    if constant:
        yield (
            f"{some(constant, NAMED)} {_plural(len(constant), 'is', 'are')} the same everywhere in {split}: nothing is "
            "learnt from that, so leave it out."
        )
    if missing:
        yield f"{some(missing, NAMED)} {_plural(len(missing), 'is', 'are')} mostly missing in {split}."
    if outside:
        yield (
            f"{some(outside, NAMED)} {_plural(len(outside), 'lies', 'lie')} partly outside of the range that the card "
            f"tells, in {split}: drawings cut that off; look whether units or the range are wrong."
        )


def _on_boxes(findings: Findings, img_size: Sequence[int]) -> Iterator[str]:
    areas = findings.objects.areas or findings.objects.region_areas
    median = None if areas is None else areas.medians.get("train")
    if median is not None and median < SMALL_OBJECT and img_size:
        side = (median * math.prod(img_size)) ** (1 / len(img_size))
        sides = " × ".join([f"{side:.0f}"] * len(img_size))
        larger = "" if _enlarged(findings, img_size) else ", or a larger --img-size"
        yield (
            f"Half of the objects cover less than {median:.2%} of their {findings.words.one}, about {sides} "
            f"{findings.words.part}s at {_by(img_size)}: use small patches{larger}."
        )


def _enlarged(findings: Findings, img_size: Sequence[int]) -> bool:
    """Return whether most training samples are smaller than what the model works at: a larger size shows no more."""
    train = findings.pictures.get("train")
    return train is not None and train.sizes is not None and max(train.sizes.median) < min(img_size, default=0)


def _plural(num: int, one: str, many: str) -> str:
    return one if num == 1 else many


def _by(lengths: Sequence[float]) -> str:
    return "×".join(f"{length:g}" for length in lengths)
