"""What headers, folders and `labels.csv` say of the pictures of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from maecli import api
from maecli.api import pictures

from .agreement import agree
from .masks import CLASSES_FILE, IMAGES_FOLDER, MASKS_FOLDER, pair_masks
from .names import check_groups, folder_labels, folder_splits


@dataclass(frozen=True)
class Index:
    """What headers, folders and `labels.csv` say of the pictures."""

    infos: dict[str, pictures.PictureInfo]
    """The sound pictures, sorted by key."""
    channels: int
    dtype: str
    labels: dict[str, str]
    splits: dict[str, api.SplitName]
    groups: dict[str, str]
    ignored: Counter[str]
    paired: bool
    """Whether `images/` and `masks/` are there."""
    masks: dict[str, str]
    """Picture → its mask."""
    unpaired: Sequence[api.Fault]
    """Of files below `masks/` that are no picture's mask."""

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.labels.values())))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Each labelled picture's position in `classes`."""
        position = {label: i for i, label in enumerate(self.classes)}
        return {key: position[label] for key, label in self.labels.items()}

    def stratum(self, key: str) -> int | None:
        """Return a number for pictures that have the same label, and a mask or not; None for those without either."""
        if key not in self.labels and key not in self.masks:
            return None
        return 2 * self.numbers.get(key, -1) + (key in self.masks)

    @cached_property
    def fixed_splits(self) -> frozenset[api.SplitName]:
        return frozenset(self.splits.values())


def read_index(
    root: Path, channels: int | None, max_pixels: int, npy_layout: pictures.NpyLayout, faults: set[api.Fault]
) -> Index:
    """Read all headers, and join them with labels, given splits and groups; broken pictures go to `faults`."""
    paired = (root / IMAGES_FOLDER).is_dir() and (root / MASKS_FOLDER).is_dir()
    keys, masks, ignored = _find(root, paired)
    rows = pictures.read_labels(root / pictures.LABELS_FILE, frozenset(keys))
    infos = pictures.probe_pictures(root, keys, faults, max_pixels=max_pixels, npy_layout=npy_layout)
    channels, dtype = agree(root, infos, channels)
    infos = pictures.convertible(infos, channels, dtype, faults)
    if not infos:
        first = min(faults)
        raise api.DataError(
            f"none of the {len(keys)} pictures in {root} can be used; {first.path}, for one: {first.reason}"
        )
    pairing = pair_masks([key for key in keys if paired and key.startswith(f"{IMAGES_FOLDER}/")], masks)
    inner = {key: key.removeprefix(f"{IMAGES_FOLDER}/") if paired else key for key in keys}
    labels, splits, groups = folder_labels(inner), folder_splits(inner), dict[str, str]()
    if rows is not None:
        if any(row.label for row in rows.values()):
            labels = {key: row.label for key, row in rows.items() if row.label}
        splits |= {key: row.split for key, row in rows.items() if row.split is not None}
        groups = {key: row.group for key, row in rows.items() if row.group}
        check_groups(root / pictures.LABELS_FILE, splits, rows)
    labels = {key: label for key, label in labels.items() if key in infos}
    with_mask = {key: mask for key, mask in pairing.masks.items() if key in infos}
    return Index(infos, channels, dtype, labels, splits, groups, ignored, paired, with_mask, pairing.faults)


def _find(root: Path, paired: bool) -> tuple[list[str], list[str], Counter[str]]:
    """Return the keys of all files that are named as pictures, those of masks, and the suffixes of the others."""
    if not root.is_dir():
        raise api.DataError(f"{root} is not a folder; point --root at the one that holds your pictures")
    files = [path for path in pictures.find_files(root) if path not in (pictures.LABELS_FILE, CLASSES_FILE)]
    masks = [path for path in files if paired and path.startswith(f"{MASKS_FOLDER}/")]
    files = [path for path in files if not paired or not path.startswith(f"{MASKS_FOLDER}/")]
    keys = [path for path in files if pictures.is_picture(path)]
    if not keys:
        raise api.DataError(
            f"no pictures in {root}: none of its {len(files)} files ends in "
            f"{', '.join(sorted(pictures.PICTURE_SUFFIXES))}; point --root at the one that holds your pictures"
        )
    return keys, masks, Counter(PurePosixPath(path).suffix.lower() for path in files if not pictures.is_picture(path))
