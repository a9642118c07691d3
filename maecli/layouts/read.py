"""Reads a layout: from the paths below a folder to what each of them is. No file is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from maecli.data.card import SplitName
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
    named, others = _sort_out(paths, is_sample)
    judge = Judge(
        *(where, choice, lenient), is_grey=is_grey, split_folders=split_folders, classes_are_told=classes_are_told
    )
    found = Walk(judge).go(plant(named))
    pairs, taken = _pairs(found, judge, frozenset(certain))
    places = {
        path: place
        for place in found.images
        for name in place.folder.files
        if (path := full(place.folder, name)) not in taken and is_sample(path)
    }
    samples = sorted(places)
    splits = {path: split for path in samples if (split := places[path].split)}
    labels, foreign, joined = _labels(samples, places, splits, judge)
    chosen = choice in ("classes", "last-folder", "classes-splits")
    if not chosen and (why := _why_no_classes(labels, foreign, splits, bool(pairs.masks))):
        labels, foreign, joined = {}, {}, [why]
    joined += found.class_notes if (labels and not chosen) or choice == "classes" else []
    masks_in = [f"{place.folder.path}/" for place in found.masks]
    return Layout(
        samples=samples,
        splits=splits,
        labels=labels,
        masks={path: pairs.masks[path] for path in samples if path in pairs.masks},
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


def _sort_out(paths: Iterable[str], is_sample: Callable[[str], bool]) -> tuple[list[str], Mapping[str, int]]:
    """Return the files that are named as samples or as masks, and the endings of the others."""
    named, others = [], Counter[str]()
    for path in paths:
        if is_sample(path) or path.lower().endswith(LOSSLESS):
            named.append(path)
        else:
            name = path.rpartition("/")[2]
            others["." + name.rpartition(".")[2].lower() if "." in name else ""] += 1
    return named, others


def _pairs(found: Found, judge: Judge, certain: frozenset[str]) -> tuple[Pairs, frozenset[str]]:
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
    samples: Sequence[str], places: Mapping[str, Place], splits: Mapping[str, SplitName], judge: Judge
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return the class of each sample, those of folders that are no class, and what was made of like names."""
    labels = {path: label for path in samples if (label := places[path].label)}
    by_split: dict[SplitName | None, set[str]] = {}
    for path, label in labels.items():
        by_split.setdefault(splits.get(path), set()).add(label)
    names, said = _joined(by_split, judge)
    labels = {path: names.get(label, label) for path, label in labels.items()}
    foreign: dict[str, str] = {}
    if "train" in splits.values():
        classes = {label for path, label in labels.items() if splits.get(path, "train") == "train"}
        foreign = {path: label for path, label in labels.items() if label not in classes}
        labels = {path: label for path, label in labels.items() if label in classes}
    return (labels, foreign, said) if len(set(labels.values())) > 1 else ({}, {}, [])


def _extra(pairs: Pairs, found: Found) -> dict[str, int]:
    """Return why files are neither samples nor masks, with their number."""
    extra = {OTHER_DRAWING: len(pairs.spare)} if pairs.spare else {}
    for why, folders in found.left.items():
        places = listed(sorted(f"{each.path}/" for each in folders))
        extra[f"{why}, in {places}"] = sum(each.total for each in folders)
    return extra


def _why_no_classes(
    labels: Mapping[str, str], foreign: Mapping[str, str], splits: Mapping[str, SplitName], with_masks: bool
) -> str:
    """Return why the folders are hardly classes: a folder for each picture, patients, cities; nothing if they may be.

    `with_masks`: whether pictures have masks.
    """
    num = len(set(labels.values()))
    if labels and (num == len(labels) if with_masks else num > FEW_CLASSES and NEARLY_ALL * len(labels) <= num):
        return "folders of a single picture are no classes"
    if with_masks and foreign and all(splits.get(path, "train") == "train" for path in labels):
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
