"""Which of the folders beside each other hold pictures, and which their masks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from maecli.layouts.doubt import Judge
from maecli.layouts.tree import Folder
from maecli.layouts.words import (
    LOSSY,
    MASKS,
    NEGATIONS,
    NEUTRAL,
    Name,
    base_of_image,
    mark_of,
    words_of,
)

NEARLY_ALL, HALF = 0.9, 0.5


def shared_rests(names: Iterable[Name]) -> frozenset[tuple[str, ...]]:
    """Return the other words that siblings of different meanings have in common: `A_Train_Input`, `A_Test_Input`."""
    meanings: dict[tuple[str, ...], set[tuple[object, object]]] = {}
    for name in names:
        if name.split or name.kind in ("image", "mask"):
            meanings.setdefault(name.rest, set()).add((name.split, name.kind))
    return frozenset(rest for rest, found in meanings.items() if not rest or len(found) > 1)


@dataclass(frozen=True)
class Evidence:
    """How the names of files in a folder of masks compare with those of pictures."""

    paired: float
    """Share of the masks that are named as a picture."""
    covered: float
    """Share of the pictures that a mask is named as."""
    marked: bool
    """Whether masks are marked as such in their names, and pictures are not."""
    other_ending: bool
    """Whether no mask ends as a picture does."""

    @property
    def clear(self) -> bool:
        return self.marked or self.other_ending


def compare(masks: Sequence[Folder], pictures: Sequence[Folder], beside: Collection[str]) -> Evidence:
    """Compare all files below some folders with those below others, and with files `beside` them."""
    names = [name for folder in pictures for inner in folder for name in inner.files] + list(beside)
    stems, endings = set[str](), set[str]()
    for name in names:
        stem, _, ending = name.rpartition(".")
        stems.update((stem, base_of_image(stem)))
        endings.add(ending.lower())
    found, own_endings, num, marked = set[str](), set[str](), 0, 0
    num_paired = 0
    for folder in masks:
        for inner in folder:
            for name in inner.files:
                stem, _, ending = name.rpartition(".")
                mark = mark_of(stem)
                num += 1
                own_endings.add(ending.lower())
                base = stem if stem in stems else mark.base if mark else stem
                if base in stems:
                    num_paired += 1
                    marked += base != stem
                    found.add(base)
    return Evidence(
        num_paired / max(1, num),
        len(found) / max(1, len(names)),
        marked > HALF * num,
        endings.isdisjoint(own_endings),
    )


def find_masks(
    folder: Folder, names: Mapping[str, Name], rests: Collection[tuple[str, ...]], judge: Judge
) -> list[Folder]:
    """Return those of the folders in `folder` that hold masks. Raises `DataError` where that is in doubt."""
    inner = folder.folders
    masks = [inner[name] for name, what in names.items() if what.kind == "mask" and what.rest in rests]
    loose = [inner[name] for name, what in names.items() if what.kind == "mask" and what.rest not in rests]
    if (not masks and not loose) or any(_denies_a_mask(name) for name in inner):
        return []
    images = [inner[name] for name, what in names.items() if what.kind == "image" and what.rest in rests]
    known = {each.name for each in (*masks, *loose, *images)}
    others = [each for name, each in inner.items() if name not in known]
    neutral = bool(others) and all(set(words_of(each.name)) <= NEUTRAL for each in others)
    splits = [each for each in others if names[each.name].split and names[each.name].rest in rests]
    if any(names[each.name].strong for each in images):
        found = masks
    elif images or (neutral and not folder.files):
        images = images or others
        found = masks if masks and compare(masks, images, ()).paired >= HALF else []
    elif splits:
        found = masks
    elif others:
        found = _beside_others(folder, masks, others, names, judge)
    else:
        found = _beside_files(folder, masks, judge)
    pictures = [*images, *others]
    if loose and pictures:
        found += [each for each in loose if _is_clear(compare([each], pictures, ()), images)]
    return found


def _denies_a_mask(name: str) -> bool:
    """Whether a folder is a class beside one called mask: `no_mask`, `without_mask`, `unmasked`."""
    words = words_of(name)
    return any(no in NEGATIONS and word in MASKS for no, word in pairwise(words)) or words[-1:] in (
        ["unmasked"],
        ["nomask"],
        ["unmask"],
    )


def _is_clear(evidence: Evidence, images: Sequence[Folder]) -> bool:
    return evidence.paired >= NEARLY_ALL and (evidence.clear or bool(images))


def _beside_others(
    folder: Folder, masks: list[Folder], others: list[Folder], names: Mapping[str, Name], judge: Judge
) -> list[Folder]:
    """Return the folders of masks beside folders whose names say nothing: those may be classes, as may be these."""
    if not masks or all(name.lower().endswith(LOSSY) for each in masks for inner in each for name in inner.files):
        return []
    evidence = compare(masks, others, folder.files)
    strong = all(names[each.name].strong for each in masks)
    if evidence.paired >= NEARLY_ALL and (strong or evidence.clear):
        return masks
    if evidence.paired >= HALF and strong:
        return masks
    if judge.choice == "masks":
        return masks
    if evidence.paired < NEARLY_ALL or evidence.covered < HALF:
        return []
    what, beside = named(masks), named(others)
    readings = {"masks": f"masks of the pictures in {beside}", "classes": f"a class beside {beside}"}
    chosen = judge.settle(f"{what} holds files of the same names as {beside}", readings, "classes")  # type: ignore[arg-type]
    return masks if chosen == "masks" else []


def _beside_files(folder: Folder, masks: list[Folder], judge: Judge) -> list[Folder]:
    """Return the folders of masks in a folder of pictures."""
    if not masks or not folder.files:
        return []
    if judge.choice == "masks" or compare(masks, [], folder.files).paired >= HALF:
        return masks
    if len(folder.files) * 10 < sum(each.total for each in masks):
        return []
    what = f"{named(masks)} is named as a folder of masks, but none of the files beside it has its mask there"
    if compare(masks, [], folder.files).paired:
        what = f"{named(masks)} is named as a folder of masks, but few of the files beside it have a mask there"
    readings = {"masks": "masks, to be left out", "flat": "pictures like the others"}
    chosen = judge.settle(what, readings, "flat")  # type: ignore[arg-type]
    return masks if chosen == "masks" else []


def named(folders: Iterable[Folder]) -> str:
    """Return the names of folders as a person reads them."""
    names = [f"{folder.path}/" for folder in folders]
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
