"""The volumes below a folder: by a description, by folders, by names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from maecli import api
from maecli.api import volumes

from .described import Described, find_description, read_description

CSV_OF_CLASSES = ({"id", "index", "number", "num", "label", "value"}, {"name", "class", "class_name", "label_name"})
"""Names of the two columns of a list of classes, in small letters."""
BIDS = re.compile(r"(?:^|/)(sub-[A-Za-z0-9]+)(?:/|_)")
OF_TEST = re.compile(r"(?:^|/)images?[_-]?ts/", re.IGNORECASE)
"""Where challenges put test volumes, whose masks most of them keep."""


@dataclass
class Found:
    """Volumes, before any is opened."""

    cases: list[volumes.Case]
    splits: dict[str, api.SplitName] = field(default_factory=dict)
    """Of volumes, by key, whose split is given."""
    described: Described | None = None
    lone: Sequence[str] = ()
    """Masks without a volume."""
    stray: Sequence[str] = ()
    """Volumes whose names are not those of channels, where others' are."""
    empty: Sequence[str] = ()
    """Folders for masks that hold nothing."""
    endings: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


def find_volumes(root: Path, description: str = "", endings: Sequence[str] = ()) -> Found:
    """Return the volumes of a folder. Raises DataError where there are none."""
    if not root.is_dir():
        raise api.DataError(f"{root} does not exist; give --root the folder that holds your volumes")
    path = find_description(root, description)
    described = read_description(path) if path is not None else None
    if described is not None and described.cases is not None:
        cases = described.cases
        return _without_unlabelled_test(
            Found(
                [*cases],
                {case.key: split for case, split in cases.items() if _gives_splits(cases)},
                described,
                endings=described.endings,
            ),
            [case.key for case, split in cases.items() if split == "test" and case.mask is None],
        )
    paths = volumes.find_volume_files(root)
    if not paths:
        raise api.DataError(
            f"{root} holds no volumes ({', '.join(volumes.SUFFIXES)}), also not in its folders; give --root the folder "
            "that holds yours"
        )
    endings = tuple(endings) or (described.endings if described is not None else ()) or _numbered(paths)
    pairs = volumes.pair(paths, endings)
    files = volumes.channels_of(pairs.volumes, endings) if endings else {path: (path,) for path in pairs.volumes}
    if not files:
        raise api.DataError(f"{root} holds no volume whose name ends with {endings[0]}, as dataset.channels says")
    channels = {path for images in files.values() for path in images}
    found = Found(
        [volumes.Case(images, pairs.masks.get(key)) for key, images in files.items()],
        {key: split for key in files if (split := _split_of(key, key in pairs.masks)) is not None},
        described,
        pairs.lone,
        [path for path in pairs.volumes if path not in channels],
        _empty_folders(root),
        tuple(endings),
    )
    if pairs.masks:
        return _without_unlabelled_test(
            found, [case.key for case in found.cases if case.mask is None and OF_TEST.search(case.key)]
        )
    return found


def _gives_splits(cases: Mapping[volumes.Case, api.SplitName]) -> bool:
    """Whether lists say more than what is there to learn from."""
    return any(split != "train" and case.mask is not None for case, split in cases.items())


def _without_unlabelled_test(found: Found, keys: Sequence[str]) -> Found:
    """Leave out test volumes whose masks a challenge keeps: nothing can be measured by them, nor is it learnt from."""
    if keys:
        gone = {*keys}
        found.cases = [case for case in found.cases if case.key not in gone]
        found.splits = {key: split for key, split in found.splits.items() if key not in gone}
        found.left_out["test volumes without masks, which are not learnt from"] = len(gone)
    if not found.cases:
        raise api.DataError("none of the volumes may be learnt from: all are of test")
    return found


def _numbered(paths: Sequence[str]) -> tuple[str, ...]:
    """Return nnU-Net's endings of channels where names have them and no description says so.

    With masks, which lack them, a single channel counts, too; without, numbers may count volumes.
    """
    images = [path for path in paths if not _is_mask(path)]
    endings = volumes.numbered_channels(images)
    stems = {volumes.stem_of(PurePosixPath(path).name) for path in paths if _is_mask(path)}
    named_alike = any(volumes.stem_of(PurePosixPath(path).name)[:-5] in stems for path in images)
    several = len(endings) > 1 and len(images) > len(endings)
    return endings if endings and (named_alike or several) else ()


def _is_mask(path: str) -> bool:
    return any(part.lower().removesuffix("tr").removesuffix("ts") in volumes.OF_MASKS for part in path.split("/")[:-1])


def _split_of(key: str, masked: bool) -> api.SplitName | None:
    """Return the split that a folder around a volume names; imagesTs does where it has masks."""
    if masked and OF_TEST.search(key):
        return "test"
    words = (folder.lower() for folder in key.split("/")[:-1])
    return next((api.pictures.SPLIT_WORDS[word] for word in words if word in api.pictures.SPLIT_WORDS), None)


def _empty_folders(root: Path) -> list[str]:
    return sorted(
        folder.name
        for folder in root.iterdir()
        if folder.is_dir() and _is_mask(f"{folder.name}/x") and not any(folder.iterdir())
    )


def patient_of(key: str, pattern: str = "") -> str:
    """Return whose volume it is: what a regular expression finds, else BIDS's sub-…, else the volume itself."""
    found = re.search(pattern, key) if pattern else BIDS.search(key)
    if found is None:
        return key
    return found[1] if found.re.groups else found[0]


def find_class_names(root: Path, described: Described | None) -> tuple[str, ...]:
    """Return the names of classes by number, as a file says them; nothing where none does.

    Raises DataError for a list that cannot be read.
    """
    if described is not None and described.classes:
        most = max(described.classes)
        return tuple(described.classes.get(number, _unnamed(number)) for number in range(most + 1))
    if (root / api.pictures.CLASSES_FILE).is_file():
        return api.pictures.read_class_file(root / api.pictures.CLASSES_FILE).names
    for path in sorted(root.glob("*.csv")):
        if _is_list_of_classes(path):
            return api.pictures.read_class_file(path).names
    return ()


def _unnamed(number: int) -> str:
    return f"class {number}" if number else "background"


def unnamed_classes(most: int) -> tuple[str, ...]:
    """Return names for the numbers 0 to `most`, of which nobody said what they are."""
    return tuple(map(_unnamed, range(most + 1)))


def _is_list_of_classes(path: Path) -> bool:
    """Whether a table has a column of numbers and one of names, and so is no table of files and labels."""
    if not path.is_file():  # reading a pipe may never end
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = [cell.strip().lower() for cell in re.split(r"[,;\t]", file.readline(1000))]
    numbers, names = CSV_OF_CLASSES
    return len(header) >= 2 and header[0] in numbers and header[1] in names
