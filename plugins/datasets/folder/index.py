"""What headers, folders and `labels.csv` say of the pictures of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from posixpath import commonpath

import numpy as np
from numpy.typing import NDArray

from maecli import api
from maecli.api import layouts, pictures
from maecli.api.pictures import CLASS_FILES

from .agreement import agree
from .arrays import settled
from .colours import grey_below
from .imagenet import read_tables
from .names import check_groups

NO_LABEL, NO_STRATUM = -1, -2


@dataclass(frozen=True)
class Index:
    """What headers, folders and `labels.csv` say of the N sound pictures, sorted by key: a few bytes of each."""

    headers: pictures.Headers
    channels: int
    dtype: str
    npy_layout: pictures.NpyLayout
    """How most arrays of three axes are read."""
    labels: pictures.ByKey[str]
    splits: pictures.ByKey[api.SplitName]
    fixed_splits: frozenset[api.SplitName]
    """Those that are given, if only for pictures that cannot be read."""
    groups: pictures.ByKey[str]
    masks: dict[str, str]
    """Picture → its mask."""
    layout: layouts.Layout
    table: Path | None
    """The table that names labels, splits or groups, if there is one."""
    left_out: Mapping[str, int]
    """Why files that are like pictures are not read → how many."""
    said: str
    """What was read of it, in words."""
    said_of_imagenet: Sequence[str] = ()
    """What was read of ImageNet's own tables, in words."""

    @property
    def keys(self) -> pictures.Keys:
        return self.headers.of

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted(self.labels.used))

    @cached_property
    def unpaired(self) -> Sequence[api.Fault]:
        """Of masks that are no picture's."""
        return [api.Fault(path, reason) for path, reason in self.layout.unpaired.items()]

    @cached_property
    def numbers(self) -> NDArray[np.int32]:
        """Each picture's position (N,) in `classes`, or `NO_LABEL`."""
        position = {label: i for i, label in enumerate(self.classes)}
        places = [position.get(label, NO_LABEL) for label in self.labels.distinct]
        return np.array([*places, NO_LABEL], np.int32)[self.labels.codes]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which pictures (N,) have a label."""
        return self.numbers != NO_LABEL

    @cached_property
    def masked(self) -> NDArray[np.bool_]:
        """Which pictures (N,) have a mask."""
        if not self.masks:
            return np.zeros(len(self.keys), bool)
        return np.fromiter((key in self.masks for key in self.keys), bool, len(self.keys))

    @cached_property
    def has_table_labels(self) -> bool:
        """Whether classes come from a table, so that folders name none."""
        if self.table is None:
            return False
        labels, of_folders = self.labels, pictures.ByKey.gathered(self.keys, self.layout.labels)
        numbers = {name: i for i, name in enumerate(labels.distinct)}
        theirs = np.array([*(numbers.get(name, NO_LABEL) for name in of_folders.distinct), NO_LABEL], np.int32)
        return bool(((labels.codes != NO_LABEL) & (labels.codes != theirs[of_folders.codes])).any())

    @cached_property
    def strata(self) -> NDArray[np.int32]:
        """A number (N,) for pictures of the same label, and with a mask or not; `NO_STRATUM` for those without both."""
        return np.where(self.labelled | self.masked, 2 * self.numbers + self.masked, NO_STRATUM)


def read_index(
    root: Path,
    channels: int | None,
    max_pixels: int,
    files: pictures.FileReading,
    faults: set[api.Fault],
    reading: layouts.Reading = "auto",
    similar: pictures.Similar = "refuse",
    dtype: str | None = None,
    split_folders: Mapping[str, api.SplitName] | None = None,
    glance: int | None = None,
    known: Sequence[str] = (),
) -> Index:
    """Read all headers, and join them with labels, given splits and groups; broken pictures go to `faults`.

    `known` are the classes of a run that the pictures are for. With `glance` so many headers stand for all.
    """
    found = _find(root)
    table, rows = _read_table(root, found.pictures, similar)
    layout = _read_layout(found, reading, rows, split_folders or {})
    rows = _of_samples(table, rows, layout.samples)
    headers = _headers(root, layout, max_pixels, files, faults, glance)
    headers, npy_layout = settled(root, headers, files.npy_layout, channels)
    channels, dtype = agree(root, headers, channels, dtype)
    headers = pictures.convertible(headers, channels, dtype, faults)
    if not headers:
        first = min(faults)
        raise api.DataError(
            f"none of the {len(layout.samples)} pictures in {root} can be used; {first.path}, for one: {first.reason}"
        )
    keys, of_imagenet = headers.of, read_tables(root, layout, known)
    labels: Mapping[str, str] = of_imagenet.labels or layout.labels
    splits = pictures.ByKey.gathered(layout.samples, layout.splits)
    if table is not None:
        faults.update(rows.faults)
        labels = rows.labels or labels
        splits = splits.updated(rows.splits)
        check_groups(table, splits, rows)
    return Index(
        *(headers, channels, dtype, npy_layout),
        labels=pictures.ByKey.gathered(keys, labels),
        splits=pictures.ByKey.gathered(keys, splits),
        fixed_splits=frozenset(splits.used),
        groups=pictures.ByKey.gathered(keys, rows.groups),
        masks={key: mask for key, mask in layout.masks.items() if key in headers},
        layout=layout,
        table=table,
        left_out={**found.left_out(), **of_imagenet.left_out},
        said=rows.reading,
        said_of_imagenet=of_imagenet.said,
    )


def _headers(
    root: Path,
    layout: layouts.Layout,
    max_pixels: int,
    files: pictures.FileReading,
    faults: set[api.Fault],
    glance: int | None,
) -> pictures.Headers:
    """Return the headers of the sound pictures.

    Of more than a `glance`, those of so many that lie at even distances are dealt out among all, unless there are
    masks, which are as large as their own pictures.
    """

    def probe(keys: Sequence[str]) -> pictures.Headers:
        npy_layout, tiff_pages = files.npy_layout, files.tiff_pages
        return pictures.probe_pictures(
            root, keys, faults, max_pixels=max_pixels, npy_layout=npy_layout, tiff_pages=tiff_pages
        )

    keys, num = pictures.Keys.of(layout.samples), len(layout.samples)
    if glance is None or not is_glanced_at(layout, glance):
        return probe(keys)
    some = probe(keys.take(np.arange(glance) * num // glance))
    if not some:
        return some
    dealt = np.arange(num) * len(some) // num
    return pictures.Headers(keys, some.sizes[dealt], some.kinds[dealt], some.infos)


def is_glanced_at(layout: layouts.Layout, glance: int | None) -> bool:
    """Whether some headers stand for all."""
    return glance is not None and len(layout.samples) > glance and not layout.masks


def _find(root: Path) -> pictures.FoundPictures:
    """Return what lies in a folder. Raises DataError without a picture."""
    if not root.is_dir():
        unpack = "unpack it if it is an archive, and " if root.is_file() else ""
        raise api.DataError(f"{root} is not a folder; {unpack}point --root at the one that holds your pictures")
    found = pictures.search_pictures(root)
    if not found.pictures:
        raise api.DataError(
            f"no pictures in {root}: {found.what_is_there()}; point --root at the folder that holds your pictures "
            f"({', '.join(sorted(pictures.PICTURE_SUFFIXES))})"
        )
    return found


def _read_table(root: Path, keys: pictures.Keys, similar: pictures.Similar) -> tuple[Path | None, pictures.LabelRows]:
    """Return the table of labels in the folder, or in one that holds all pictures, and its rows by picture."""
    base = commonpath([keys[0], keys[-1]]) if len(keys) > 1 else ""
    steps = base.split("/") if base else []
    for place in ("/".join(steps[:depth]) for depth in range(len(steps) + 1)):
        table, start = pictures.find_labels(root / place), f"{place}/" if place else ""
        if table is None:
            continue
        below = keys.behind(np.full(len(keys), len(start.encode("utf-8", "surrogateescape")))) if start else keys
        rows = pictures.read_labels(table, below, similar=similar)
        if rows is not None:
            return table, rows.renamed(keys)
    return None, pictures.LabelRows.gathered({})


def _read_layout(
    found: pictures.FoundPictures,
    reading: layouts.Reading,
    rows: pictures.LabelRows,
    split_folders: Mapping[str, api.SplitName],
) -> layouts.Layout:
    """Return what the files are; a table that names labels and splits leaves no doubt of these."""
    has_labels = bool(rows.labels)
    lists, where = (*pictures.LABELS_FILES, *CLASS_FILES), str(found.root)
    layout = layouts.read_layout(
        *((path for path in found.files if path.rpartition("/")[2].lower() not in lists), found.is_one, reading),
        where=where,
        certain=rows.keys(),
        lenient=has_labels and bool(rows.splits),
        is_grey=grey_below(found.root),
        split_folders=split_folders,
        classes_are_told=has_labels,
    )
    if missing := sorted(split_folders.keys() - set(layout.split_folders)):
        raise api.DataError(
            f"dataset.split_folders names {missing[0]}, but {where} has no folder of this name where folders of splits "
            "stand; write the name of the folder alone, as in {prueba: test}"
        )
    return layout


def _of_samples(table: Path | None, rows: pictures.LabelRows, samples: Sequence[str]) -> pictures.LabelRows:
    """Return the rows by the keys of samples. Raises DataError for one of a picture that is none."""
    by_sample = rows.at(pictures.Keys.of(samples))
    if len(by_sample) < len(rows):
        # 0 is no line: that of keys that stand in none
        line = int(np.setdiff1d(rows.lines[rows.lines.nonzero()], by_sample.lines).min())
        raise api.DataError(
            f"{table}, line {line}: {rows.in_line(line)!r} is read as a mask, a drawing or a copy; leave it out of the "
            "table, or choose another reading of the folders with --set dataset.layout=flat"
        )
    return by_sample
