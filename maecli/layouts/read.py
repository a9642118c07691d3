"""Reads a layout: from the paths below a folder to what each of them is. No file is opened."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import SplitName
from maecli.data.views.by_key import NONE, ByKey
from maecli.data.views.keys import Keys, are_sorted
from maecli.errors import DataError
from maecli.layouts.doubt import Judge, unknown
from maecli.layouts.kinds import NEARLY_ALL
from maecli.layouts.layout import SAME_NAMES, SECOND, Layout, Reading, in_order, listed
from maecli.layouts.pairs import OTHER_DRAWING, Marked, Pairs, beside, folders_of, full, marked_files, pair, twins
from maecli.layouts.tree import plant
from maecli.layouts.walk import Found, Place, Walk
from maecli.layouts.words import LOSSLESS, LOSSY, alike

NO_MASK = (
    "is a {kind}, in which neighbouring classes bleed into each other; a mask is a PNG, or another file without loss"
)
T = TypeVar("T")

FEW_CLASSES = 3
"""So many classes may have a picture each."""


def read_layout(
    paths: Iterable[str],
    is_sample: Callable[[str], bool],
    choice: Reading = "auto",
    *,
    where: str = "this folder",
    certain: Collection[str] = (),
    lenient: bool = False,
    is_grey: Callable[[str], bool | None] = unknown,
    split_folders: Mapping[str, SplitName] | None = None,
    classes_are_told: bool = False,
) -> Layout:
    """Return what the files below a folder are.

    `is_sample` says whether a file is named as a sample; `certain` ones are, whatever their names say, because a table
    names them. Raises `DataError` naming two readings where both are as likely, and `where`; `lenient`: takes that one
    which leaves no sample out. `is_grey` says of a file whether it is without colours, and is asked for a few where
    names leave a doubt; `split_folders` are splits though their names do not say so; `classes_are_told`: whether a
    table says classes, so that no folder needs to.
    """
    all_paths, others = Keys.of(paths), Counter[str]()
    judge = Judge(
        *(where, choice, lenient), is_grey=is_grey, split_folders=split_folders, classes_are_told=classes_are_told
    )
    found = Walk(judge).go(plant(_sort_out(all_paths, is_sample, others)))
    pairs, taken = _pairs(found, judge, certain)
    samples, place_of = _samples(all_paths, found, taken, is_sample)
    splits: ByKey[SplitName] = _by_sample(samples, place_of, [place.split for place in found.images])
    labels, foreign, joined = _labels(samples, place_of, found.images, judge)
    chosen = choice in ("classes", "last-folder", "classes-splits")
    if not chosen and (why := _why_no_classes(labels, foreign, splits, bool(pairs.masks))):
        (labels, foreign), joined = _no_labels(samples), [why]
    joined += found.class_notes if (labels and not chosen) or choice == "classes" else []
    masks_in = [f"{place.folder.path}/" for place in found.masks]
    return Layout(
        samples=samples,
        splits=splits,
        labels=labels,
        masks={path: pairs.masks[path] for path in samples if path in pairs.masks} if pairs.masks else {},
        unpaired=pairs.reasons,
        foreign=foreign,
        others=others,
        extra=_extra(pairs, found),
        wrappings=found.wrappings,
        split_folders=in_order({name: found.split_folders[name] for name in found.split_folders}),
        mask_folders=folders_of(pairs.masks, found.mask_folders) if masks_in else (),
        image_folders=found.image_folders,
        mask_marks=pairs.marks,
        rivals=_rivals(pairs, found.mask_folders),
        said=tuple(dict.fromkeys([*found.said, *joined])),
    )


def _sort_out(paths: Iterable[str], is_sample: Callable[[str], bool], others: Counter[str]) -> Iterator[str]:
    """Yield the files that are named as samples or as masks, and count the endings of the others."""
    for path in paths:
        if is_sample(path) or path.lower().endswith(LOSSLESS):
            yield path
        else:
            name = path.rpartition("/")[2]
            others["." + name.rpartition(".")[2].lower() if "." in name else ""] += 1


def _samples(
    paths: Keys, found: Found, taken: Collection[str], is_sample: Callable[[str], bool]
) -> tuple[Keys, NDArray[np.int32]]:
    """Return the samples, sorted, and which of the places of pictures each is in."""
    numbers = {place.folder.path: i for i, place in enumerate(found.images)}
    ids, places = array("q"), array("i")
    for i, path in enumerate(paths):
        number = numbers.get(path.rpartition("/")[0])
        if number is not None and path not in taken and is_sample(path):
            ids.append(i)
            places.append(number)
    samples, place_of = paths if len(ids) == len(paths) else paths.take(ids), np.array(places, np.int32)
    if are_sorted(samples):
        return samples, place_of
    order = sorted(range(len(samples)), key=samples.__getitem__)
    return samples.take(order), place_of[order]


def _by_sample(samples: Keys, place_of: NDArray[np.int32], by_place: Sequence[T | None]) -> ByKey[T]:
    """Return what the places of samples say of them; empty or None says nothing."""
    numbers: dict[T, int] = {}
    codes = [numbers.setdefault(said, len(numbers)) if said else NONE for said in by_place]
    return ByKey(samples, np.array([*codes, NONE], np.int32)[place_of], tuple(numbers))


def _pairs(found: Found, judge: Judge, certain: Collection[str]) -> tuple[Pairs, frozenset[str]]:
    """Return which picture has which mask, and all files that are no pictures because they are masks."""
    pairs = Pairs()
    if judge.choice == "flat":
        return pairs, frozenset()
    for place in found.masks:
        lossy = [name for name in place.folder.files if name.lower().endswith(LOSSY)]
        place.folder.files = [name for name in place.folder.files if not name.lower().endswith(LOSSY)]
        if place.rank:
            pairs.spare += [full(place.folder, name) for name in lossy]
        else:
            pairs.reasons |= {full(place.folder, name): NO_MASK.format(kind=_kind(name)) for name in lossy}
    marked = marked_files(found.images, certain)
    otherwise: Reading = "splits" if found.split_folders else "classes"
    num = sum(len(place.folder.files) for place in found.images)
    masks = beside(marked, num, judge, otherwise) if marked else []
    taken = frozenset(each.path for each in masks)
    if not masks and not found.masks:
        doubles = [pair for pair in twins(found.images, certain, judge, otherwise) if pair[1] not in certain]
        taken = frozenset(mask for _, mask in doubles)
        pairs.masks |= dict(doubles)
        pairs.marks += [SAME_NAMES] if doubles else []
    pair(found.images, found.masks, taken, pairs)
    _add_marked(masks, pairs)
    return pairs, taken


def _kind(name: str) -> str:
    """Return what a file of this name is, in words: `JPEG`."""
    ending = name.rpartition(".")[2].upper()
    return {"JPG": "JPEG", "JFIF": "JPEG", "JP2": "JPEG 2000"}.get(ending, ending)


def _rivals(pairs: Pairs, folders: Sequence[str]) -> Sequence[str]:
    """Return the folders that hold masks of the same pictures, if those are most of a folder's."""
    second = {mask: "" for mask, reason in pairs.reasons.items() if reason.startswith(SECOND)}
    rivals = folders_of(dict(zip(second, second, strict=True)), folders)
    if not rivals or len(second) < len(pairs.masks) / 2:
        return ()
    return sorted({*folders_of(pairs.masks, folders), *rivals}) if len(folders) > 1 else ()


def _add_marked(masks: Sequence[Marked], pairs: Pairs) -> None:
    marks = Counter[str]()
    for each in sorted(masks, key=lambda each: (each.mark.rank, len(each.path), each.path)):
        if each.picture is None:
            pairs.reasons[each.path] = f"mask without a picture: there is no {each.mark.base}.* beside it"
        elif each.path.lower().endswith(LOSSY):
            pairs.reasons[each.path] = "mask in a form that loses pixels; save it as PNG"
        else:
            pairs.add(each.picture, each.path, each.mark.rank)
            marks[each.mark.text.rstrip("0123456789").rstrip("_-( ")] += 1
    pairs.marks += [mark or text for (mark, _), text in zip(marks.most_common(2), ("mask", "mask"), strict=False)]


def _labels(
    samples: Keys, place_of: NDArray[np.int32], places: Sequence[Place], judge: Judge
) -> tuple[ByKey[str], ByKey[str], list[str]]:
    """Return the class of each sample, those of folders that are no class, and what was made of like names."""
    used = np.unique(place_of).tolist()
    by_split: dict[SplitName | None, set[str]] = {}
    for place in (places[i] for i in used):
        if place.label:
            by_split.setdefault(place.split, set()).add(place.label)
    names, said = _joined(by_split, judge)
    by_place = [names.get(place.label, place.label) if place.label else None for place in places]
    foreign: list[str | None] = [None] * len(places)
    if any(places[i].split == "train" for i in used):
        classes = {by_place[i] for i in used if places[i].split in ("train", None)}
        foreign = [None if label in classes else label for label in by_place]
        by_place = [label if label in classes else None for label in by_place]
    labels = _by_sample(samples, place_of, by_place)
    if len(labels.used) > 1:
        return labels, _by_sample(samples, place_of, foreign), said
    return *_no_labels(samples), []


def _no_labels(samples: Keys) -> tuple[ByKey[str], ByKey[str]]:
    """Return that no sample has a class, nor lies in a folder that is none."""
    none = ByKey[str](samples, np.full(len(samples), NONE), ())
    return none, none


def _extra(pairs: Pairs, found: Found) -> dict[str, int]:
    """Return why files are neither samples nor masks, with their number."""
    extra = {OTHER_DRAWING: len(pairs.spare)} if pairs.spare else {}
    for why, folders in found.left.items():
        places = listed(sorted(f"{each.path}/" for each in folders))
        extra[f"{why}, in {places}"] = sum(each.total for each in folders)
    return extra


def _why_no_classes(labels: ByKey[str], foreign: ByKey[str], splits: ByKey[SplitName], with_masks: bool) -> str:
    """Return why the folders are hardly classes: a folder for each picture, patients, cities; nothing if they may be.

    `with_masks`: whether pictures have masks.
    """
    num = len(labels.used)
    if labels and (num == len(labels) if with_masks else num > FEW_CLASSES and NEARLY_ALL * len(labels) <= num):
        return "folders of a single picture are no classes"
    of_others = [i for i, split in enumerate(splits.distinct) if split != "train"]
    if with_masks and foreign and not np.isin(splits.codes[labels.codes != NONE], of_others).any():
        return "folders that train alone has are no classes"
    return ""


def _joined(by_split: Mapping[SplitName | None, set[str]], judge: Judge) -> tuple[dict[str, str], list[str]]:
    """Return the name that a class has for all splits, where it is spelt in several ways, and what is to be said.

    Raises `DataError` where two spellings stand beside each other, unless they are single letters.
    """
    spellings: dict[str, list[str]] = {}
    for split in ("train", None, "val", "test"):
        seen: dict[str, str] = {}
        for name in sorted(by_split.get(split, ())):
            if len(name) == 1:
                continue
            other = seen.setdefault(alike(name), name)
            if other != name and judge.choice == "auto" and not judge.lenient:
                raise DataError(
                    f"{judge.where}: the classes {other!r} and {name!r} differ by case, blanks or underscores only; "
                    "rename the folder of one if they are the same, or keep them apart by "
                    f"--set dataset.layout={'splits' if split else 'classes'}"
                )
            known = spellings.setdefault(alike(name), [])
            if name not in known:
                known.append(name)
    doubled = {key for names in by_split.values() for key in _doubles(names)}
    several = {key: names for key, names in spellings.items() if len(names) > 1 and key not in doubled}
    said = [f"{' and '.join(map(repr, names[:2]))} are one class" for names in list(several.values())[:2]]
    said += [f"and {len(several) - 2:,} more classes spelt in several ways"] if len(several) > 2 else []
    return {name: names[0] for names in several.values() for name in names[1:]}, said


def _doubles(names: Iterable[str]) -> list[str]:
    """Return what is alike in several of the names."""
    return [key for key, num in Counter(alike(name) for name in names if len(name) > 1).items() if num > 1]


def foreign_in_words(foreign: Mapping[str, str], splits: Mapping[str, SplitName]) -> dict[str, int]:
    """Return how many samples lie below folders that are no class of train, by their split, naming up to three."""
    found: dict[SplitName, Counter[str]] = {}
    for path, name in foreign.items():
        found.setdefault(splits[path], Counter())[name] += 1
    return {
        f"in {split} under {'a class' if len(names) == 1 else 'classes'} that train has not: {listed(sorted(names))}": (
            names.total()
        )
        for split, names in found.items()
    }
