"""ImageNet's own tables beside its folders: classes of validation pictures that lie flat, and names of classes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from maecli import api
from maecli.api import layouts, pictures

SOLUTION, NAMES = "LOC_val_solution.csv", "LOC_synset_mapping.txt"
COLUMNS = ("ImageId", "PredictionString")
"""Of the solution: the stem of a picture, and `n01751748 111 108 230 365 …`, a class and a box for each object."""
WNID = re.compile(r"n\d{8}")
"""What the folders of classes are called: a synset of WordNet."""
LEVELS = 3
"""Folders above the pictures' in which the tables may lie: they stand beside ILSVRC/Data/CLS-LOC."""
MOST = 2**26
"""Characters of a table; the published ones have 2.2 million."""


@dataclass(frozen=True)
class OfImageNet:
    """What the tables say of a folder's pictures."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Picture → its class, by the name that the classes of train have."""
    said: Sequence[str] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def read_tables(root: Path, layout: layouts.Layout, known: Sequence[str] = ()) -> OfImageNet:
    """Return what the tables add to classes by folders; nothing where the folders are not called as ImageNet's.

    `known` are the classes of a run, by whose names those of the data are called.
    """
    labels = pictures.ByKey.gathered(layout.samples, layout.labels)
    wnids = {label for label in labels.used if WNID.fullmatch(label)}
    if not wnids or len(wnids) < len(labels.used):
        return OfImageNet()
    said, left_out = [], {}
    bare = labels.of.take(np.flatnonzero(labels.codes < 0))
    solution = _beside(root, layout.wrappings, SOLUTION) if bare else None
    if solution is not None:
        of_stem = _solution(solution)
        found = {key: of_stem[stem] for key in bare if (stem := PurePosixPath(key).stem) in of_stem}
        known_of = {key: wnid for key, wnid in found.items() if wnid in wnids}
        labels = labels.updated(known_of)
        said += [f"{len(known_of):,} labels by {SOLUTION}"]
        left_out = {f"of a class in {SOLUTION} that no folder has": len(found) - len(known_of)}
    names = {name[:9]: name for name in known if WNID.match(name)}
    if not known and (table := _beside(root, layout.wrappings, NAMES)):
        names = _names(table)
        said += [f"names of classes by {NAMES}"]
    return OfImageNet(labels.renamed(names), said, left_out)


def _beside(root: Path, places: Sequence[str], name: str) -> Path | None:
    """Return a table in the root, in a folder around all pictures, or above the root."""
    above = list(root.absolute().parents)[:LEVELS]
    return next(
        (path for folder in (*(root / place for place in places), *above) if (path := folder / name).is_file()), None
    )


def _solution(path: Path) -> dict[str, str]:
    """Return the class of each picture, by its stem. Raises `DataError` naming the line."""
    rows = csv.DictReader(_lines(path))
    if not {*COLUMNS} <= {*(rows.fieldnames or ())}:
        raise api.DataError(f"{path}, line 1: no columns {' and '.join(COLUMNS)}; get ImageNet's own, or take it away")
    found: dict[str, str] = {}
    for row in rows:
        stem, wnid = ((row[column] or "").split(" ")[0] for column in COLUMNS)
        if not stem or not WNID.fullmatch(wnid):
            raise api.DataError(
                f"{path}, line {rows.line_num}: {wnid!r} of {stem!r} is no class of ImageNet, such as n01751748"
            )
        if found.setdefault(stem, wnid) != wnid:
            raise api.DataError(f"{path}, line {rows.line_num}: {stem!r} is of {found[stem]} in a line above already")
    return found


def _names(path: Path) -> dict[str, str]:
    """Return `n01440764 tench` of each synset: the first of its names, behind what tells apart two of one name."""
    names: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        wnid, _, words = line.partition(" ")
        name = words.split(",")[0].strip()
        if line.strip() and not (WNID.fullmatch(wnid) and name):
            raise api.DataError(f"{path}, line {number}: not of the form n01440764 tench, Tinca tinca")
        names[wnid] = f"{wnid} {name}"
    return names


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(MOST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise api.DataError(f"{path}: cannot be read ({error})") from error
