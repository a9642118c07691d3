"""Which files of a folder are volumes, which are their masks, and which are channels of one volume, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maecli.data.files.finding import find_files
from maecli.modalities.volumes import dicom

SUFFIXES = (".nii.gz", ".nii", ".npy", *dicom.SUFFIXES)
MASK_MARKS = ("_seg", "_label", "_mask")
"""How the name of a mask ends that lies beside its volume."""
OF_MASKS = frozenset({"label", "labels", "mask", "masks", "seg", "segs", "segmentation", "segmentations"})
OF_IMAGES = frozenset({"image", "images", "img", "imgs", "volume", "volumes", "scan", "scans"})
"""How folders of masks and of volumes are called, in small letters; tr, ts and val may follow."""
_FOLDER = re.compile(r"(.+?)[_-]?(tr|ts|val)?")
CHANNEL = re.compile(r"_\d{4}")
"""How the name of a channel's file ends, as nnU-Net has it."""

Place = tuple[tuple[str, ...], str, tuple[str, ...]]
"""Folders before that of the volumes or masks, which part that is (tr, ts, val), and the rest of a path."""


@dataclass(frozen=True)
class Pairs:
    """What files are."""

    volumes: Sequence[str]
    masks: Mapping[str, str]
    """Volume → its mask."""
    lone: Sequence[str]
    """Masks of which no volume is there."""


def find_volume_files(root: Path) -> list[str]:
    """Return the files of volumes and masks below a root; of a series of DICOM the first of its slices."""
    found = [path for path in find_files(root) if path.lower().endswith(SUFFIXES)]
    slices = [path for path in found if path.lower().endswith(dicom.SUFFIXES)]
    return sorted({*found} - {*slices} | {*dicom.first_slices(root, slices)}) if slices else found


def stem_of(path: str) -> str:
    """Return a path without its suffix."""
    return next((path[: -len(suffix)] for suffix in SUFFIXES if path.lower().endswith(suffix)), path)


def pair(paths: Sequence[str], endings: Sequence[str] = ()) -> Pairs:
    """Return which of relative paths are masks of which, by their folders or by their names.

    A mask of several files is named without the `endings` that tell these apart.
    """
    stems = {name for path in paths for name in _own_names(path)}
    of_place = {place: path for path in paths if (place := _place_of_mask(path)) is not None}
    of_stem = {stem: path for path in paths if (stem := _stem_of_marked(stem_of(path))) is not None}
    marked = {path for stem, path in of_stem.items() if stem in stems or any(stem + end in stems for end in endings)}
    volumes = [path for path in paths if path not in marked and _place_of_mask(path) is None]
    masks: dict[str, str] = {}
    for path in volumes:
        for name in _names(path, endings):
            found = next((of_place[place] for place in _places(name) if place in of_place), of_stem.get(name))
            if found is not None:
                masks.setdefault(path, found)
    if not volumes:  # a folder of masks that stands for itself
        return Pairs(list(paths), {}, [])
    unpaired = set(of_place.values()) | {path for path in of_stem.values() if path not in marked}
    lone = sorted(unpaired - set(masks.values()))
    return Pairs([path for path in volumes if path not in lone], masks, lone)


def channels_of(paths: Sequence[str], endings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the files of each volume by the first of them, where their names end so; those that do not are left out.

    Files that are not there are named all the same, so that reading says so.
    """
    groups = {}
    for path in paths:
        stem = stem_of(path)
        if stem.endswith(endings[0]):
            base = stem.removesuffix(endings[0])
            groups[path] = tuple(base + ending + path[len(stem) :] for ending in endings)
    return groups


def numbered_channels(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the endings _0000, _0001 … that nnU-Net gives to channels, if those of all paths are such and alike."""
    found: dict[str, set[str]] = {}
    for path in paths:
        stem = stem_of(path)
        if not CHANNEL.fullmatch(stem[-5:]):
            return ()
        found.setdefault(stem[:-5], set()).add(stem[-5:])
    kinds = {tuple(sorted(each)) for each in found.values()}
    alike = kinds.pop() if len(kinds) == 1 else ()
    return alike if alike and alike == tuple(f"_{number:04d}" for number in range(len(alike))) else ()


def _own_names(path: str) -> Iterator[str]:
    """Yield what a volume is called: as its file, and a series of slices as its folder."""
    yield stem_of(path)
    if path.lower().endswith(dicom.SUFFIXES) and "/" in path:
        yield path.rpartition("/")[0]


def _names(path: str, endings: Sequence[str]) -> Iterator[str]:
    """Yield by which names a volume's mask may go."""
    stem = stem_of(path)
    yield from _own_names(path)
    yield from (stem.removesuffix(ending) for ending in endings if stem.endswith(ending))


def _stem_of_marked(stem: str) -> str | None:
    mark = next((mark for mark in MASK_MARKS if stem.lower().endswith(mark)), None)
    return None if mark is None else stem[: -len(mark)]


def kind_of(folder: str) -> tuple[str, str]:
    """Return what a folder's name says, in small letters: of what its files are, and which part (tr, ts, val)."""
    match = _FOLDER.fullmatch(folder.lower())
    return (match[1], match[2] or "") if match else (folder.lower(), "")


def _place_of_mask(path: str) -> Place | None:
    *folders, name = stem_of(path).split("/")
    for at in reversed(range(len(folders))):
        kind, part = kind_of(folders[at])
        if kind in OF_MASKS:
            return tuple(folders[:at]), part, (*folders[at + 1 :], name)
    return None


def _places(stem: str) -> Iterator[Place]:
    """Yield where a volume's mask may lie."""
    *folders, name = stem.split("/")
    for at in reversed(range(len(folders))):
        kind, part = kind_of(folders[at])
        if kind in OF_IMAGES:
            yield tuple(folders[:at]), part, (*folders[at + 1 :], name)
    for at in reversed(range(len(folders) + 1)):
        yield tuple(folders[:at]), "", (*folders[at:], name)
