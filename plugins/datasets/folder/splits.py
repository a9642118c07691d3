"""Which pictures are for training, for choosing and for testing: what is given, and what is cut from train."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli import api

from .index import NO_STRATUM, Index

ClassesShown = Mapping[str, frozenset[int]]
"""Picture → the classes that its mask shows; empty where that was not looked at."""


TRAIN, UNKNOWN = api.SPLIT_NAMES.index("train"), -1
"""Numbers of splits."""


def split_ids(
    root: Path, index: Index, val_share: float, test_share: float, shown: ClassesShown
) -> dict[api.SplitName, NDArray[np.int64]]:
    """Return the positions in `index.keys` of each split: given ones first, the missing ones cut from train."""
    numbers = [api.SPLIT_NAMES.index(name) for name in index.splits.distinct]
    split_of = _spread(index, np.array([*numbers, UNKNOWN], np.int8)[index.splits.codes])
    train = np.flatnonzero(split_of == TRAIN)
    if not len(train):
        there = sorted(api.SPLIT_NAMES[number] for number in np.unique(split_of).tolist())
        raise api.DataError(
            f"{root} has pictures for {' and '.join(there)}, but none for train; "
            "add a folder train/, or point --root at the folder that holds all the pictures; if these folders are "
            "classes, give --set dataset.layout=classes"
        )
    serves = index.labelled | index.masked
    cuttable = train[serves[train]] if serves.any() else train
    keys = index.keys.take(cuttable)
    strata = [None if number == NO_STRATUM else number for number in index.strata[cuttable].tolist()]
    cut = api.cut(
        keys,
        val_share=0.0 if "val" in index.fixed_splits else val_share,
        test_share=0.0 if "test" in index.fixed_splits else test_share,
        labels=[_shown_by(*each, shown) for each in zip(keys, strata, strict=True)] if shown else strata,
        groups=_groups(index, cuttable),
    )
    split_of[train] = UNKNOWN
    for name, ids in cut.items():
        split_of[cuttable[np.array(ids, np.int64)]] = api.SPLIT_NAMES.index(name)
    split_of = _spread(index, split_of)
    return {name: np.flatnonzero(split_of == number) for number, name in enumerate(api.SPLIT_NAMES)}


def _shown_by(key: str, stratum: int | None, shown: ClassesShown) -> frozenset[Hashable]:
    """Return all that a picture is stratified by: its label, whether it has a mask, and the classes in this."""
    return frozenset([("stratum", stratum), *(("mask", number) for number in shown.get(key, ()))])


def _groups(index: Index, ids: NDArray[np.int64]) -> list[str | None] | None:
    """Return the group of each of some pictures; None where there is none at all."""
    if not index.groups:
        return None
    return [None if code < 0 else index.groups.distinct[code] for code in index.groups.codes[ids].tolist()]


def _spread(index: Index, split_of: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return every picture's split (N,): its own unless that is `UNKNOWN`, else that of its group, else train."""
    groups = index.groups.codes
    of_group = np.full(len(index.groups.distinct) + 1, TRAIN, np.int8)  # the last one is that of pictures without
    known = (split_of != UNKNOWN) & (groups >= 0)
    of_group[groups[known]] = split_of[known]
    return np.where(split_of != UNKNOWN, split_of, of_group[groups])


def split_origin(index: Index, val_share: float, test_share: float, shown: ClassesShown) -> str:
    """Return the data card's sentence on where the splits come from."""
    fixed = [name for name in api.SPLIT_NAMES if name in index.fixed_splits]
    origins = [f"{', '.join(fixed)}: given by folders or {api.pictures.LABELS_FILE}"] if fixed else []
    shares = (("val", val_share), ("test", test_share))
    cut = [f"{name} ({share:g})" for name, share in shares if name not in fixed and share > 0]
    if cut:
        kinds = [*(["class"] if index.classes else []), *(["the classes in masks"] if shown else [])]
        how = f"stratified by {' and by '.join(kinds)}" if kinds else "regardless of content"
        if 0 < len(shown) < len(index.masks):
            how += f", of which {len(shown):,} of {len(index.masks):,} were looked at"
        how += ", of pictures with a mask only" if index.masks and not index.classes else ""
        how += ", groups kept together" if index.groups else ""
        origins.append(f"{' and '.join(cut)} cut from train with the fixed seed {api.SPLIT_SEED}, {how}")
    return "; ".join(origins) or "everything is train"
