"""What each folder is: walked from the top down, one level after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from maecli.data.card import SplitName
from maecli.layouts.doubt import Judge
from maecli.layouts.kinds import find_masks, named, shared_rests
from maecli.layouts.layout import Reading, listed
from maecli.layouts.siblings import (
    COPIED,
    DRAWN,
    find_copies,
    find_drawings,
    find_parallel,
    first_is_class,
    has_folders_of_classes,
)
from maecli.layouts.split_folders import Level, find_splits
from maecli.layouts.tree import Folder
from maecli.layouts.words import DATE, LABELLED, MONTH, Name, alike, are_pieces, meaning, words_of

NO_CLASS = ""
NOT_TOLD_APART = "folders in the folders of classes are not told apart"
FEW, SHARE_OF_STRAYS = 3, 0.05


@dataclass(frozen=True)
class Place:
    """What a folder is, by the folders above it and by its own name."""

    folder: Folder
    split: SplitName | None = None
    label: str | None = None
    """The class that a folder names; NO_CLASS where none may do so any more."""
    is_mask: bool = False
    key: str = ""
    """What pictures and their masks have in common: the path without what tells them apart."""
    deep: bool = False
    """Whether folders of splits may still follow below a class."""
    rank: int = 0
    mirror: str | None = None
    """Where the pictures of these masks lie, if it is one folder."""
    around: str = ""
    """The one folder in each of the folders of splits, where these have one and the same."""
    root: str = ""
    """The folder of masks that it lies in."""
    top: bool = True
    """Whether all folders above stand around everything."""


@dataclass
class Found:
    """What the folders are."""

    images: list[Place] = field(default_factory=list)
    masks: list[Place] = field(default_factory=list)
    wrappings: list[str] = field(default_factory=lambda: [""])
    split_folders: dict[str, SplitName] = field(default_factory=dict)
    mask_folders: list[str] = field(default_factory=list)
    image_folders: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    class_notes: list[str] = field(default_factory=list)
    """What is to be said if folders are classes."""
    left: dict[str, list[Folder]] = field(default_factory=dict)
    """Why the files in some folders are neither samples nor masks → these folders."""


class Walk:
    """Goes through the folders of a tree, and notes what each is."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.found = judge, Found()

    def go(self, root: Folder) -> Found:
        stack = [Place(root)]
        while stack:
            place = stack.pop()
            (self.found.masks if place.is_mask else self.found.images).append(place)
            stack += reversed(self.below(place))
        return self.found

    def below(self, place: Place) -> list[Place]:
        """Return what the folders in a folder are."""
        children = list(place.folder.folders.values())
        if not children:
            return []
        if self.judge.choice == "flat":
            return [Place(each, label=NO_CLASS, key=_below(place.key, each.name)) for each in children]
        if place.is_mask:
            return [replace(place, folder=each, key=_below(place.key, _as_key(each.name))) for each in children]
        if around := self._around(place):
            return around
        names = {each.name: meaning(each.name) for each in children}
        rests = shared_rests(names.values())
        masks = {each.name for each in find_masks(place.folder, names, rests, self.judge)}
        images = (
            {name for name, what in names.items() if what.kind == "image" and what.rest in rests} if masks else set()
        )
        parallel = None if masks else self._parallel(place, children, names)
        if parallel:
            images, masks = {parallel[0].name}, {parallel[1].name}
        left = self._leave(place, masks, images)
        rest = [each for each in children if each.name not in masks and each.name not in left]
        level = self._splits(place, rest, names, rests)
        placed = self._masks(place, masks, images, names, level)
        if images:
            self._note_images(place, images)
        pictures = self._pictures(place, rest, images, level, rests, bool(masks))
        if parallel:
            pictures = [replace(each, key=place.key) if each.folder is parallel[0] else each for each in pictures]
        return placed + pictures

    def _parallel(
        self, place: Place, children: Sequence[Folder], names: Mapping[str, Name]
    ) -> tuple[Folder, Folder] | None:
        if place.label is not None or self.judge.choice not in ("auto", "masks") or len(children) < 2:
            return None
        return find_parallel(children, names, self.judge, _first_level(place))

    def _leave(self, place: Place, masks: set[str], images: set[str]) -> set[str]:
        """Note the folders whose files are made of those beside them, and return their names."""
        if place.label is not None or self.judge.choice not in ("auto", "masks", "splits"):
            return set()
        drawn = find_drawings(place.folder, masks, images)
        copied = [each for each in find_copies(place.folder) if each not in drawn]
        for why, folders in ((DRAWN, drawn), (COPIED, copied)):
            if folders:
                self.found.left.setdefault(why, []).extend(folders)
        return {each.name for each in (*drawn, *copied)}

    def _around(self, place: Place) -> list[Place]:
        """Return the folder that stands around everything else; nothing if there is none."""
        folder = place.folder
        inner = max(folder.folders.values(), key=lambda each: each.total)
        strays = folder.total - inner.total
        what = meaning(inner.name)
        if (place.split is None and what.split and not what.rest) or place.label:
            return []
        if place.split and what.kind == "mask" and not what.rest and not what.split and not strays:
            self.found.mask_folders.append(inner.path)
            return [replace(place, folder=inner, is_mask=True, rank=what.rank, root=inner.path, top=False)]
        if strays and not (place.top and self._stands_out(folder, inner, strays)):
            return []
        if strays:
            self.found.said.append(f"{inner.path}/ holds the data, the {strays:,} beside it are unlabelled")
        if place.top:
            self.found.wrappings.append(f"{inner.path}/")
        own_word = _is_image_folder(inner.name) or (place.split and _as_key(inner.name) == f"<{place.split}>")
        own_word = own_word or bool(place.split and alike(inner.name) == alike(folder.name))
        if not place.top and not own_word and inner.name != place.around:
            return []
        others = [each for each in folder.folders.values() if each is not inner]
        key = place.key if place.top else _below(place.key, _as_key(inner.name))
        return [
            replace(place, folder=inner, key=key),
            *(Place(each, label=NO_CLASS, key=each.name, top=False) for each in others),
        ]

    def _stands_out(self, folder: Folder, inner: Folder, strays: int) -> bool:
        """Whether a folder holds the data, and what lies beside it is a stray figure or two."""
        flat = all(not each.folders for each in folder.folders.values() if each is not inner)
        few = strays <= max(FEW, SHARE_OF_STRAYS * inner.total) and 2 * strays < inner.total
        if not flat or not few or len(inner.folders) < 2:
            return False
        meanings = [what for name in inner.folders if not (what := meaning(name)).rest]
        splits, kinds = {what.split for what in meanings}, {what.kind for what in meanings}
        certain = ("train" in splits and len(splits - {None}) > 1) or {"image", "mask"} <= kinds
        return certain or len(folder.folders) == 1

    def _splits(
        self, place: Place, children: Sequence[Folder], names: Mapping[str, Name], rests: Collection[tuple[str, ...]]
    ) -> Level:
        if place.split is not None or (place.label is not None and not place.deep):
            return Level({})
        level = find_splits(place.folder, children, names, rests, self.judge)
        self.found.split_folders |= dict(level.splits)
        self.found.said += level.said
        return level

    def _masks(
        self, place: Place, masks: set[str], images: set[str], names: Mapping[str, Name], level: Level
    ) -> list[Place]:
        """Return the folders of masks."""
        placed = []
        for name in sorted(masks):
            folder, what = place.folder.folders[name], names[name]
            self.found.mask_folders.append(folder.path)
            beside = [each for each in images if names[each].split == what.split]
            mirror = place.folder.folders[beside[0]].path if len(beside) == 1 else None
            key = _below(place.key, f"<{what.split}>" if what.split else "")
            placed.append(
                replace(
                    place,
                    folder=folder,
                    is_mask=True,
                    key=key,
                    rank=what.rank,
                    mirror=mirror,
                    root=folder.path,
                    top=False,
                )
            )
        return placed

    def _note_images(self, place: Place, images: set[str]) -> None:
        self.found.image_folders += [place.folder.folders[name].path for name in sorted(images)]

    def _pictures(
        self,
        place: Place,
        children: Sequence[Folder],
        images: set[str],
        level: Level,
        rests: Collection[tuple[str, ...]],
        has_masks: bool,
    ) -> list[Place]:
        """Return the folders that hold pictures."""
        placed = []
        unlabelled = []
        if self._are_dates(place, children):
            place = replace(place, label=NO_CLASS)
        beside_pool = _beside_a_pool(place, children)
        others = [each for each in children if each.name not in beside_pool]
        is_class = self._are_classes(place, others, images, level, has_masks)
        around = _common_folder([each for each in children if each.name in level.splits])
        deep = is_class and self._splits_follow(children)
        for each in children:
            name, what = each.name, meaning(each.name)
            alone = has_masks and not images and len(children) == 1
            part = (
                ""
                if alone and not what.split
                else _as_key(name, known=what.rest in rests and (name in images or name in level.splits))
            )
            here = replace(place, folder=each, key=_below(place.key, part), top=False, deep=deep)
            if name in level.splits:
                label = level.labels.get(name, place.label)
                here = replace(here, split=level.splits[name], label=label, deep=False, around=around)
            elif name in images or name in beside_pool or (level.pass_through and name in level.around):
                here = replace(here, label=place.label)
            elif (
                (level.splits and name not in level.around)
                or (what.kind == "pool" and place.label is None)
                or (has_masks and images and place.label is None)
            ):
                here = replace(here, label=NO_CLASS)
                unlabelled.append(each)
            elif is_class or (self.judge.choice == "last-folder" and place.label != NO_CLASS):
                here = replace(here, label=name)
            placed.append(here)
        if unlabelled:
            self.found.said.append(f"{listed([f'{each.path}/' for each in unlabelled])} without labels")
        return placed

    def _are_dates(self, place: Place, children: Sequence[Folder]) -> bool:
        """Whether folders say when their pictures were taken, and not what they show."""
        if place.label is not None or self.judge.choice not in ("auto", "masks") or not _are_dates(children):
            return False
        self.found.said.append(f"folders of dates such as {children[0].path}/ are no classes")
        return True

    def _are_classes(
        self, place: Place, children: Sequence[Folder], images: set[str], level: Level, has_masks: bool
    ) -> bool:
        """Whether the folders of a level are classes, those apart that have another meaning."""
        if place.label is not None or self.judge.choice == "splits-flat":
            return False
        through = level.around if level.pass_through else ()
        own = [each for each in children if each.name not in {*level.splits, *images, *through}]
        if self.judge.choice in ("classes", "last-folder", "classes-splits"):
            if self.judge.choice == "classes" and has_folders_of_classes(own):
                self.found.class_notes.append(NOT_TOLD_APART)
            return True
        if not own or (has_masks and not images and len(own) == 1 and not place.folder.files):
            return False
        if all(_is_image_folder(each.name) for each in own) or (
            len(own) > 1 and are_pieces([each.name for each in own])
        ):
            if any(each.folders for each in own) and not _is_image_folder(own[0].name):
                self.found.class_notes.append(f"{named(own)} taken for pieces of one set")
            return False
        if self._splits_follow(own) and self._classes_follow(own):
            return self._first_is_class(own)
        if not level.splits and len(own) > 1 and not first_is_class(own, self.judge, _first_level(place)):
            return False
        if has_folders_of_classes(own):
            self.found.class_notes.append(NOT_TOLD_APART)
        return True

    def _splits_follow(self, children: Sequence[Folder]) -> bool:
        """Whether folders of splits stand in each of some folders."""
        if self.judge.choice in ("classes", "flat") or len(children) < 2:
            return False
        known = set[SplitName | None]()
        for each in children:
            splits = {what.split for name in each.folders if not (what := meaning(name)).rest and what.kind is None}
            if not splits or None in splits or each.files:
                return False
            known |= splits
        return "train" in known and len(known) > 1

    def _classes_follow(self, children: Sequence[Folder]) -> bool:
        return any(len(split.folders) > 1 for each in children for split in each.folders.values())

    def _first_is_class(self, children: Sequence[Folder]) -> bool:
        """Whether folders that hold folders of splits with classes are classes themselves."""
        what = f"{named(children)} hold folders of splits, and these hold folders"
        readings = {
            "splits": "data sets, whose classes are the folders below those of the splits",
            "classes-splits": "classes, whose splits are the folders in them",
        }
        return self.judge.settle(what, readings, "classes-splits") == "classes-splits"  # type: ignore[arg-type]


def _first_level(place: Place) -> Reading:
    """Return the reading by which the folders in a folder are classes."""
    return "splits" if place.split else "classes"


def _beside_a_pool(place: Place, children: Sequence[Folder]) -> set[str]:
    """Return the folders that are called labelled and stand beside one that is called unlabelled: they are no class."""
    if place.label is not None or not any(meaning(each.name).kind == "pool" for each in children):
        return set()
    return {each.name for each in children if LABELLED.issuperset(words_of(each.name))}


def _common_folder(folders: Sequence[Folder]) -> str:
    """Return the name of the one folder that lies in each of some folders, if they have one and the same."""
    names = {each.only.name if each.only else "" for each in folders}
    return names.pop() if len(names) == 1 and len(folders) > 1 else ""


def _is_image_folder(name: str) -> bool:
    what = meaning(name)
    return what.kind == "image" and what.strong and not what.rest


def _are_dates(folders: Sequence[Folder]) -> bool:
    """Whether folders are called by days or months, or by years that hold months."""
    if not folders or not all(DATE.fullmatch(each.name) for each in folders):
        return False
    if any(len(each.name) > len("2021") for each in folders):
        return True
    months = [name for each in folders for name in each.folders]
    return bool(months) and all(MONTH.fullmatch(name.lower()) or DATE.fullmatch(name) for name in months)


def _below(key: str, name: str) -> str:
    return f"{key}/{name}" if key and name else key or name


def _as_key(name: str, known: bool = False) -> str:
    """Return what of a folder's name pictures and their masks have in common; `known`: whatever else it says."""
    what = meaning(name)
    if what.rest and not known:
        return name
    if what.split:
        return f"<{what.split}>"
    return "" if what.kind in ("image", "mask") else name
