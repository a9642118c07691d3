"""Which file is the mask of which picture, by their names and the folders that they lie in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from maecli.layouts.doubt import Judge
from maecli.layouts.layout import SECOND, SEVERAL, Reading
from maecli.layouts.tree import Folder
from maecli.layouts.walk import Place
from maecli.layouts.words import LOSSLESS, LOSSY, Mark, alike, base_of_image, core_of, mark_of

HALF, NEARLY_ALL, SOME = 0.5, 0.9, 0.1
FEW_TWINS = 3
"""So many pictures of one name in two formats are no accident."""
OTHER_DRAWING = "other drawings of the masks that are used"


@dataclass
class Pairs:
    """Which picture has which mask, and what is in the way of a pair."""

    masks: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Mask → why it is that of no picture."""
    spare: list[str] = field(default_factory=list)
    """Masks beside a better one of the same picture."""
    marks: list[str] = field(default_factory=list)
    """How masks beside their pictures are marked."""
    ranks: dict[str, int] = field(default_factory=dict)

    def add(self, picture: str, mask: str, rank: int) -> None:
        """Note a pair; of two masks the one of the lower rank stays."""
        other = self.masks.get(picture)
        if other is None:
            self.masks[picture] = mask
        elif rank == self.ranks[other] == 0:
            self.reasons[mask] = f"{SECOND} of {picture}, beside {other}"
        else:
            keep, spare = (mask, other) if rank < self.ranks[other] else (other, mask)
            self.masks[picture] = keep
            self.spare.append(spare)
        self.ranks[mask] = rank


@dataclass(frozen=True)
class Marked:
    """A file that is named as the mask of another in its folder."""

    path: str
    mark: Mark
    picture: str | None


def full(folder: Folder, name: str) -> str:
    return f"{folder.path}/{name}" if folder.path else name


def stem_of(name: str) -> str:
    return name.rpartition(".")[0] or name


def marked_files(places: Iterable[Place], certain: Collection[str]) -> list[Marked]:
    """Return the files that are named as masks of others beside them; `certain` ones are samples in any case."""
    found: list[Marked] = []
    for place in places:
        marks = {name: mark for name in place.folder.files if (mark := mark_of(stem_of(name)))}
        if not marks:
            continue
        pictures: dict[str, str] = {}
        for name in place.folder.files:
            if name not in marks:
                stem = stem_of(name)
                pictures.setdefault(base_of_image(stem), name)
                pictures[stem] = name
        direct = all(mark.base in pictures for mark in marks.values())
        cores = {} if direct else _unique_cores(name for name in place.folder.files if name not in marks)
        for name, mark in marks.items():
            path, picture = full(place.folder, name), pictures.get(mark.base)
            if picture is None and cores:
                picture = cores.get(core_of(stem_of(name)))
            if path not in certain:
                found.append(Marked(path, mark, full(place.folder, picture) if picture else None))
    return found


def _unique_cores(names: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Return what only one of some names has, beside words for pictures and masks, with that name."""
    found: dict[tuple[str, ...], str | None] = {}
    for name in names:
        core = core_of(stem_of(name))
        found[core] = None if core in found or not core else name
    return {core: name for core, name in found.items() if name}


def beside(marked: Sequence[Marked], num: int, judge: Judge, otherwise: Reading) -> list[Marked]:
    """Return those of the marked files, of `num` in all, that are masks. Raises `DataError` where that is in doubt."""
    certain = [each for each in marked if each.mark.certain and each.mark.rank < 2]
    paired = [each for each in certain if each.picture]
    if not paired:
        return _uncertain(marked, num, judge)
    share = len(paired) / len(certain)
    if share < HALF and judge.choice != "masks":
        if share < SOME:
            return []
        mark = paired[0].mark.text
        what = f"{len(paired):,} of {len(certain):,} files with {mark} in their names lie beside the file of that name"
        readings: dict[Reading, str] = {
            "masks": f"masks ({len(certain) - len(paired):,} are left out, their pictures are not there)",
            otherwise: "pictures, all of them",
        }
        if judge.settle(what, readings, otherwise) != "masks":
            return []
    marks = {each.mark.text.lower() for each in paired}
    drawings = [each for each in marked if each.mark.rank == 2 and each.picture]
    return [
        *certain,
        *drawings,
        *(each for each in marked if not each.mark.certain and each.mark.text.lower() in marks),
    ]


def twins(places: Iterable[Place], taken: Collection[str], judge: Judge, otherwise: Reading) -> list[tuple[str, str]]:
    """Return pictures with files of the same name beside them that may hold masks: `1.jpg` with `1.png`.

    Raises `DataError` where nearly all have one, since these may as well be copies in another format.
    """
    found: list[tuple[str, str]] = []
    num = 0
    for place in places:
        if sum(name.lower().endswith(LOSSY) for name in place.folder.files) in (0, len(place.folder.files)):
            continue
        lossy = {stem_of(name): name for name in place.folder.files if name.lower().endswith(LOSSY)}
        others = [name for name in place.folder.files if name.lower().endswith(LOSSLESS)]
        others = [name for name in others if full(place.folder, name) not in taken]
        num += len(others)
        pairs = ((lossy[stem], name) for name in others if (stem := stem_of(name)) in lossy)
        found += [(full(place.folder, picture), full(place.folder, name)) for picture, name in pairs]
    if len(found) < FEW_TWINS or len(found) < NEARLY_ALL * num:
        return []
    what = f"{len(found):,} files have another of the same name beside them, such as {found[0][0]} and {found[0][1]}"
    readings: dict[Reading, str] = {"masks": "pictures and their masks", otherwise: "pictures, all of them"}
    return found if judge.settle(what, readings, otherwise) == "masks" else []


def _uncertain(marked: Sequence[Marked], num: int, judge: Judge) -> list[Marked]:
    """Return files that are marked by a word such as `_L` or `_label`, if nearly all pictures have one."""
    those = [each for each in marked if each.mark.rank < 2 and not each.mark.certain]
    paired = [each for each in those if each.picture]
    enough = len(paired) >= NEARLY_ALL * len(those) and len(paired) >= HALF * (num - len(marked))
    return [each for each in those if each.picture] if paired and (enough or judge.choice == "masks") else []


def pair(pictures: Sequence[Place], masks: Sequence[Place], taken: frozenset[str], pairs: Pairs) -> None:
    """Pair the files in folders of masks with those in folders of pictures; `taken` files are no pictures.

    By the same path but for the words that tell the folders apart; then but for a mark in the name, case and blanks,
    or for the folder of a split; by what is left of names without words for pictures and masks; and where nothing has a
    pair so, by names that only one picture and one mask have.
    """
    if not masks:
        return
    exact = _by_name(pictures, taken, lambda key, stem: (key, stem))
    rest = [
        (place, name)
        for place in masks
        for name in sorted(place.folder.files)
        if not _match(exact.get((place.key, stem_of(name)), []), place, name, place.rank, pairs)
    ]
    if not rest:
        return
    loose = _by_name(pictures, taken, lambda key, stem: (alike(key), alike(base_of_image(stem))))
    apart = _by_name(pictures, taken, lambda key, stem: (_without_split(key), alike(base_of_image(stem))))
    cores = _by_name(pictures, taken, lambda key, stem: (alike(key), " ".join(core_of(stem))))
    left = []
    for place, name in rest:
        mark = mark_of(stem_of(name))
        base = alike(base_of_image(mark.base if mark else stem_of(name)))
        found = loose.get((alike(place.key), base)) or apart.get((_without_split(place.key), base)) or []
        if not found and (core := " ".join(core_of(stem_of(name)))):
            found = cores.get((alike(place.key), core), [])
        if not _match(found, place, name, place.rank + (mark.rank if mark else 0), pairs):
            left.append((place, name))
    if left and not pairs.masks:
        left = _by_unique_names(pictures, taken, left, pairs)
    stems = {alike(stem_of(name)) for place in pictures for name in place.folder.files} if left else set()
    alone = {place.folder.path for place in pictures if len(place.folder.files) == 1}
    for place, name in left:
        pairs.reasons[full(place.folder, name)] = (
            SEVERAL if _is_one_of_several(place, stems, alone) else _no_picture(place, name, pairs)
        )


def _by_name(pictures, taken, key_of) -> dict[tuple[str, str], list[str]]:  # type: ignore[no-untyped-def]
    found: dict[tuple[str, str], list[str]] = {}
    for place in pictures:
        for name in place.folder.files:
            if (path := full(place.folder, name)) not in taken:
                found.setdefault(key_of(place.key, stem_of(name)), []).append(path)
    return found


def _without_split(key: str) -> str:
    return "/".join(part for part in alike(key).split("/") if not part.startswith("<"))


def _match(candidates: Sequence[str], place: Place, name: str, rank: int, pairs: Pairs) -> bool:
    """Note a mask with its picture, or why it has too many; False if there is none."""
    path = full(place.folder, name)
    if len(candidates) > 1:
        pairs.reasons[path] = f"mask of {len(candidates)} pictures: {' and '.join(candidates[:3])}; rename one of them"
    elif candidates:
        pairs.add(candidates[0], path, rank)
    return bool(candidates)


def _by_unique_names(
    pictures: Sequence[Place], taken: frozenset[str], left: Sequence[tuple[Place, str]], pairs: Pairs
) -> list[tuple[Place, str]]:
    named = _by_name(pictures, taken, lambda key, stem: ("", alike(base_of_image(stem))))
    bases: dict[str, list[tuple[Place, str]]] = {}
    for place, name in left:
        mark = mark_of(stem_of(name))
        bases.setdefault(alike(mark.base if mark else stem_of(name)), []).append((place, name))
    still = []
    for base, those in bases.items():
        found = named.get(("", base), [])
        if len(those) == len(found) == 1:
            _match(found, *those[0], those[0][0].rank, pairs)
        else:
            still += those
    return still


def _is_one_of_several(place: Place, stems: set[str], alone: set[str]) -> bool:
    """Whether a folder of masks is called as a picture, or lies beside the folder of a single one."""
    if len(place.folder.files) < 2:
        return False
    return place.mirror in alone or (place.folder.path != place.root and alike(place.folder.name) in stems)


def _no_picture(place: Place, name: str, pairs: Pairs) -> str:
    if place.mirror is None:
        return "mask without a picture: no picture is named like it"
    inner = place.folder.path[len(_root_of(place)) :]
    return f"mask without a picture: there is no {place.mirror}{inner}/{stem_of(name)}.*"


def _root_of(place: Place) -> str:
    """Return the folder of masks that a place lies in."""
    return place.root or place.folder.path


def folders_of(pairs: Mapping[str, str], folders: Sequence[str]) -> list[str]:
    """Return those of the folders that hold the mask of a picture."""
    used = {mask.rpartition("/")[0] for mask in pairs.values()}
    return [folder for folder in folders if any(place == folder or place.startswith(f"{folder}/") for place in used)]
