"""What a JSON file says of volumes: nnU-Net's `dataset.json`, and the lists of the Medical Segmentation Decathlon and
MONAI."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from maecli import api
from maecli.api import volumes

NAMES = ("dataset.json", "dataset_0.json")
"""What is looked for, in this order."""
MAX_BYTES = 2**23
"""Of a file: the paths of 50,000 volumes with masks."""
MOST_CLASSES = 2**15
"""Numbers that masks have room for."""
LISTS: Mapping[str, api.SplitName] = {"training": "train", "validation": "val", "test": "test"}
KEYS = frozenset({"training", "channel_names", "labels"})
"""One of these is in each such file."""
NUMBERED = "_0000"


@dataclass(frozen=True)
class Described:
    """What a file says."""

    path: Path
    cases: Mapping[volumes.Case, api.SplitName] | None = None
    """The volumes that are listed; None: they are those of the folders."""
    classes: Mapping[int, str] = field(default_factory=dict)
    void: int | None = None
    """The number of voxels that are not judged."""
    channels: tuple[str, ...] = ()
    """Their names, such as CT."""
    endings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_ct(self) -> bool | None:
        """Whether values are Hounsfield units; None where nothing is said."""
        return None if not self.channels else all(name.lower().strip() == "ct" for name in self.channels)


def find_description(root: Path, name: str = "") -> Path | None:
    """Return the file below a root that describes it: the one of this name, or of a usual one."""
    if name:
        if not (root / name).is_file():
            raise api.DataError(f"{root / name} does not exist, and dataset.description names it")
        return root / name
    return next((root / each for each in NAMES if (root / each).is_file()), None)


def read_description(path: Path) -> Described:
    """Return what a file says. Raises DataError naming it for what is none of the known forms."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise api.DataError(f"{path} is larger than {MAX_BYTES:,} bytes, which no list of volumes is")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise api.DataError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(content, dict) or not KEYS & content.keys():
        raise api.DataError(f"{path} is no description of volumes: it has none of {', '.join(sorted(KEYS))}")
    classes, void, notes = _classes(path, content.get("labels") or {})
    named = content.get("channel_names") or content.get("modality") or {}
    channels = tuple(str(name) for _, name in sorted(named.items())) if isinstance(named, dict) else (str(named),)
    cases = dict(_listed(path, content)) if isinstance(content.get("training"), list) else None
    endings: tuple[str, ...] = ()
    if "channel_names" in content:
        endings = tuple(f"_{number:04d}" for number in range(len(channels)))
    elif cases is not None:
        cases, endings = _as_numbered(path.parent, cases, len(channels))
    return Described(path, cases, classes, void, channels, endings, (*notes, *_folds(content)))


def _classes(path: Path, labels: Any) -> tuple[dict[int, str], int | None, tuple[str, ...]]:
    """Return the names of numbers, the number of what is not judged, and what to know of these.

    nnU-Net has names → numbers, others have numbers → names.
    """
    pairs: Any = labels.items() if isinstance(labels, dict) else enumerate(labels) if isinstance(labels, list) else ()
    classes: dict[int, str] = {}
    void, regions = None, list[str]()
    for key, value in pairs:
        if isinstance(value, list):
            regions.append(str(key))
            continue
        name, number = (key, value) if isinstance(value, int) else (value, key)
        try:
            number = int(number)
        except (TypeError, ValueError, OverflowError) as error:
            raise api.DataError(f"{path}: labels has {key!r:.80}: {value!r:.80}; one of them is a number") from error
        if str(name).lower() == "ignore":
            void = number
        elif number >= MOST_CLASSES:
            raise api.DataError(f"{path}: labels has the number {number:,}, and there is room for {MOST_CLASSES:,}")
        elif number < 0 or classes.setdefault(number, str(name)) != str(name):
            raise api.DataError(f"{path}: labels names the number {number} twice, or a number below 0")
    about = f"regions of several numbers ({', '.join(regions)}) are no classes here: numbers count"
    return classes, void, (about,) if regions else ()


def _folds(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to know of folds that lists of MONAI deal volumes to."""
    entries = content["training"] if isinstance(content.get("training"), list) else ()
    folds = {str(entry["fold"]) for entry in entries if isinstance(entry, dict) and "fold" in entry}
    if (num := len(folds)) > 1:
        yield f"the list deals its volumes to {num} folds, which are not followed; --folds {num} deals them anew"


def _listed(path: Path, content: Mapping[str, Any]) -> Iterator[tuple[volumes.Case, api.SplitName]]:
    """Yield the volumes of the lists. Raises DataError for an entry that is none."""
    for name, split in LISTS.items():
        entries = content.get(name)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            entry = entry if isinstance(entry, dict) else {"image": entry}
            images, mask = entry.get("image"), entry.get("label")
            images = [images] if isinstance(images, str) else images
            mask = mask[0] if isinstance(mask, list) and len(mask) == 1 else mask
            known = isinstance(images, list) and images and all(isinstance(image, str) for image in images)
            if not known or not isinstance(mask, str | None):
                raise api.DataError(f"{path}: entry {number} of {name} names no file as its image")
            assert images is not None
            keys = [_below(path, each) for each in images]
            yield volumes.Case(tuple(keys), None if mask is None else _below(path, mask)), split


def _below(path: Path, name: str) -> str:
    """Return how a list names a file, relative to the list, as a key. Raises DataError where it leads out of there."""
    key, root = posixpath.normpath(name.replace("\\", "/")), path.parent.absolute().as_posix()
    key = key.removeprefix(f"{root.rstrip('/')}/")
    if key.startswith("/") or key.split("/")[0] == ".." or PureWindowsPath(name).drive:
        way_out = "link or copy it into it, and name it relative to the list"
        raise api.DataError(f"{path}: names {name!r:.200}, which lies out of the folder of the list; {way_out}")
    return key


def _is_there(path: Path) -> bool:
    """Whether a path exists; one that no disk takes does not."""
    return os.path.exists(path)  # noqa: PTH110  Path.exists raises for such


def _as_numbered(
    root: Path, cases: Mapping[volumes.Case, api.SplitName], num: int
) -> tuple[dict[volumes.Case, api.SplitName], tuple[str, ...]]:
    """Return the volumes with the files of their channels, where lists name them without _0000, as nnU-Net had them."""
    first = next(iter(cases), None)
    if first is None or len(first.images) != 1 or _is_there(root / first.key):
        return dict(cases), ()
    endings = tuple(f"_{number:04d}" for number in range(max(1, num)))
    stem = volumes.stem_of(first.key)
    if not _is_there(root / f"{stem}{NUMBERED}{first.key[len(stem) :]}"):
        return dict(cases), ()
    made = {}
    for case, split in cases.items():
        stem = volumes.stem_of(case.key)
        made[volumes.Case(tuple(stem + ending + case.key[len(stem) :] for ending in endings), case.mask)] = split
    return made, endings
