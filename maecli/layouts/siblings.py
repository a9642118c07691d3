"""What folders beside each other have in common: files of the same names, folders of the same names, copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from maecli.layouts.doubt import Judge
from maecli.layouts.kinds import HALF, NEARLY_ALL, named
from maecli.layouts.layout import Reading, listed
from maecli.layouts.split_folders import class_folders
from maecli.layouts.tree import Folder
from maecli.layouts.words import (
    DATE,
    DRAWINGS,
    EXTRA,
    LOSSLESS,
    LOSSY,
    MONTH,
    NEUTRAL,
    OVERLAYS,
    PIECES,
    Name,
    alike,
    meaning,
    words_of,
)

MANY, FEW_FILES, NUM_PEEKED = 8, 3, 8
"""Folders beside each other that are more are classes; so few files have the same names by accident."""
DRAWN, COPIED = "drawings of the same pictures", "copies of the files beside them"


def find_parallel(
    children: Sequence[Folder], names: Mapping[str, Name], judge: Judge, otherwise: Reading
) -> tuple[Folder, Folder] | None:
    """Return a folder of pictures and that of their masks, of which neither is named so.

    Raises `DataError` for folders whose files have the same names, and are of two kinds: these may be classes as well,
    by the reading `otherwise`.
    """
    groups: dict[object, list[Folder]] = {}
    for each in children:
        if names[each.name].kind not in ("mask", "pool") and not set(words_of(each.name)) & EXTRA:
            groups.setdefault(names[each.name].split, []).append(each)
    for group in groups.values():
        if 1 < len(group) <= MANY:
            kinds = {each.path: _kind(each, judge) for each in group if _has_rival(each, group)}
            for one, other in combinations([each for each in group if each.path in kinds], 2):
                found = _differ(kinds[one.path], kinds[other.path])
                if found and _same_files(one, other):
                    how, masks = found
                    masks = masks if len(group) == 2 and len(groups) == 1 else None
                    return _settled(one, other, how, masks, judge, otherwise)
    return None


def _has_rival(folder: Folder, group: Sequence[Folder]) -> bool:
    """Whether another folder has nearly as many files."""
    return any(_are_as_many(folder, each) for each in group if each is not folder)


def _are_as_many(one: Folder, other: Folder) -> bool:
    return min(one.total, other.total) >= max(FEW_FILES, NEARLY_ALL * max(one.total, other.total))


def _settled(
    one: Folder, other: Folder, how: str, masks: Folder | None, judge: Judge, otherwise: Reading
) -> tuple[Folder, Folder] | None:
    readings: dict[Reading, str] = {otherwise: "classes"}
    if masks is not None:
        pictures = other if masks is one else one
        readings = {"masks": f"pictures in {named([pictures])} and their masks in {named([masks])}", **readings}
    outside = "several pictures of the same things (point --root at one of the two folders)"
    chosen = judge.settle(f"{named([one, other])} hold files of the same names, {how}", readings, otherwise, outside)
    return (pictures, masks) if chosen == "masks" and masks is not None else None


def _same_files(one: Folder, other: Folder) -> bool:
    """Whether the files of two folders have the same names but for their endings, and for the names of the folders."""
    if not _are_as_many(one, other):
        return False
    stems = set(_stems(one))
    return sum(stem in stems for stem in _stems(other)) >= NEARLY_ALL * max(len(stems), other.total)


def _stems(folder: Folder) -> Iterator[str]:
    marks = (f"_{folder.name.lower()}", f"-{folder.name.lower()}")
    for inner in folder:
        place = inner.path[len(folder.path) :]
        for name in inner.files:
            stem = name.rpartition(".")[0] or name
            yield f"{place}/{stem[: -len(marks[0])] if stem.lower().endswith(marks) else stem}"


@dataclass(frozen=True)
class _Kind:
    """What the files of a folder are."""

    folder: Folder
    endings: frozenset[str]
    grey: bool | None
    """Whether none of some files is in colour, or all are; None where that is mixed, or not known."""

    @property
    def may_be_masks(self) -> bool:
        return all(f".{ending}" in LOSSLESS for ending in self.endings)

    @property
    def is_lossy(self) -> bool:
        return all(f".{ending}" in LOSSY for ending in self.endings)


def _kind(folder: Folder, judge: Judge) -> _Kind:
    endings = frozenset(name.rpartition(".")[2].lower() for name in _names(folder))
    paths = (f"{inner.path}/{name}" for inner in folder for name in inner.files)
    step = max(1, folder.total // NUM_PEEKED)
    grey = {judge.is_grey(path) for path in islice(paths, 0, step * NUM_PEEKED, step)}
    return _Kind(folder, endings, grey.pop() if len(grey) == 1 else None)


def _differ(one: _Kind, other: _Kind) -> tuple[str, Folder | None] | None:
    """Return how the files of two folders differ, and which may be masks; None where nothing says that they do."""
    if {one.grey, other.grey} == {True, False}:
        masks = one if one.grey else other
        how = f"without colours in {named([masks.folder])} and in colour in the other"
    elif one.endings.isdisjoint(other.endings) and one.endings | other.endings != {"jpg", "jpeg"}:
        masks = other if one.is_lossy else one
        how = " and ".join(f".{min(each.endings)} in {named([each.folder])}" for each in (one, other))
        if one.is_lossy == other.is_lossy:
            return how, None
    else:
        return None
    return how, masks.folder if masks.may_be_masks else None


def _names(folder: Folder) -> Iterator[str]:
    return (name for inner in folder for name in inner.files)


def shared_folders(children: Sequence[Folder]) -> Sequence[str]:
    """Return the names of folders that stand in most of some folders, and are most of what stands there."""
    inner = [[alike(name) for name in class_folders(each) if _may_be_class(name)] for each in children if each.folders]
    if len(inner) < 2 or 2 * len(inner) < len(children):
        return ()
    counts = Counter(name for names in inner for name in set(names))
    common = {name for name, num in counts.items() if num > 1 and num >= HALF * len(inner)}
    if len(common) < 2 or sum(len(common.intersection(names)) for names in inner) < HALF * sum(map(len, inner)):
        return ()
    shown: dict[str, str] = {}
    for each in children:
        shown |= {alike(name): name for name in class_folders(each) if alike(name) not in shown}
    return sorted(shown[name] for name in common)


def _may_be_class(name: str) -> bool:
    what = meaning(name)
    return not (what.split or what.kind or PIECES.fullmatch(name) or DATE.fullmatch(name) or _is_month(name))


def _is_month(name: str) -> bool:
    return not name.isdigit() and MONTH.fullmatch(name.lower()) is not None


def has_folders_of_classes(children: Sequence[Folder]) -> bool:
    """Whether folders hold folders that may tell their pictures apart."""
    return any(sum(map(_names_more, class_folders(each))) > 1 for each in children)


def _names_more(name: str) -> bool:
    return _may_be_class(name) and not name.isdigit()


def first_is_class(children: Sequence[Folder], judge: Judge, otherwise: Reading) -> bool:
    """Whether folders that hold folders of the same names are classes. Raises `DataError` where that is in doubt."""
    shared = shared_folders(children)
    if not shared or judge.classes_are_told:
        return True
    what = f"{named(children)} hold folders of the same names ({listed(shared)})"
    readings: dict[Reading, str] = {
        otherwise: "classes, which the folders in them do not tell apart",
        "last-folder": "parts of one set, whose classes are the folders in them",
    }
    outside = f"splits (--set dataset.split_folders='{{{children[0].name}: train, {children[1].name}: test}}')"
    more = "or point --root at one of them alone"
    return judge.settle(what, readings, otherwise, "" if otherwise == "splits" else outside, more) == otherwise


def find_drawings(folder: Folder, masks: set[str], images: set[str]) -> list[Folder]:
    """Return the folders of what was drawn of pictures that lie beside them: overlays, predictions, maps of heat."""
    others = [each for name, each in folder.folders.items() if name not in masks and name not in images]
    named_so = [each for each in others if _says_drawing(each.name)]
    pictures = [folder.folders[name] for name in sorted(images)] or [each for each in others if each not in named_so]
    found = []
    for each in others if masks and images else named_so:
        words = set(words_of(each.name))
        if each in named_so and masks and words <= OVERLAYS:
            found.append(each)
        elif words & EXTRA - DRAWINGS or words <= NEUTRAL or meaning(each.name).split or meaning(each.name).kind:
            continue
        elif (masks or words & OVERLAYS) and _share_of(each, pictures, folder.files) >= NEARLY_ALL:
            found.append(each)
    return found


def _says_drawing(name: str) -> bool:
    words = {word for word in words_of(name) if not word.isdigit()}
    return bool(words & DRAWINGS) and not words & {"no", "not", "without"}


def _share_of(drawings: Folder, pictures: Sequence[Folder], beside: Sequence[str]) -> float:
    """Return which share of some files is named as a picture, but for a word that says that it is drawn."""
    stems = {name.rpartition(".")[0] for each in pictures if each is not drawings for name in _names(each)}
    stems |= {name.rpartition(".")[0] for name in beside}
    found = [name.rpartition(".")[0] for name in _names(drawings)]
    return sum(stem in stems or undrawn(stem) in stems for stem in found) / max(1, len(found))


def undrawn(stem: str) -> str:
    """Return a file's name without a word at its end that says that it is drawn: `7_overlay` → `7`."""
    base = stem.rstrip("0123456789").rstrip("_- ") if stem[-1:].isdigit() and "_" in stem else stem
    for at in range(len(base) - 1, 0, -1):
        if base[at] in "_-. ":
            return base[:at] if base[at + 1 :].lower() in DRAWINGS else stem
    return stem


def find_copies(folder: Folder) -> list[Folder]:
    """Return the folders that hold copies of what lies beside them: `set/train/`, and `set/set/train/`."""
    copies = []
    for each in folder.folders.values():
        inner = [(copy, folder.folders[name]) for name, copy in each.folders.items() if name in folder.folders]
        inner = [(copy, own) for copy, own in inner if own is not each]
        num = sum(copy.total for copy, _ in inner)
        if (
            len(inner) < 2
            or meaning(each.name).split
            or num < NEARLY_ALL * max(each.total, *(own.total for _, own in inner))
        ):
            continue
        same = sum(_num_same(copy, own) for copy, own in inner)
        if same >= NEARLY_ALL * num:
            copies.append(each)
    return copies


def _num_same(one: Folder, other: Folder) -> int:
    """Return how many paths below two folders are the same."""
    num = 0
    stack = [(one, other)]
    while stack:
        here, there = stack.pop()
        num += len(set(here.files).intersection(there.files))
        stack += [(inner, there.folders[name]) for name, inner in here.folders.items() if name in there.folders]
    return num
