"""Which pictures are for training, for choosing and for testing: what is given, and what is cut from train."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path

from maecli import api

from .index import Index

ClassesShown = Mapping[str, frozenset[int]]
"""Picture → the classes that its mask shows; empty where that was not looked at."""


def split_keys(
    root: Path, index: Index, val_share: float, test_share: float, shown: ClassesShown
) -> dict[api.SplitName, list[str]]:
    """Return the keys of each split: given ones first, the missing ones cut from train."""
    split_of = _spread(index, {key: split for key, split in index.splits.items() if key in index.infos})
    train = [key for key, split in split_of.items() if split == "train"]
    if not train:
        raise api.DataError(
            f"{root} has pictures for {' and '.join(sorted(set(split_of.values())))}, but none for train; "
            "add a folder train/, or point --root at the folder that holds all the pictures; if these folders are "
            "classes, give --set dataset.layout=classes"
        )
    serves = index.labels.keys() | index.masks.keys()
    cuttable = [key for key in train if key in serves] if serves else train
    cut = api.cut(
        cuttable,
        val_share=0.0 if "val" in index.fixed_splits else val_share,
        test_share=0.0 if "test" in index.fixed_splits else test_share,
        labels=[_strata(index, key, shown) for key in cuttable] if shown else [index.stratum(key) for key in cuttable],
        groups=[index.groups.get(key) for key in cuttable],
    )
    places = {cuttable[i]: split for split, ids in cut.items() for i in ids}
    split_of = _spread(index, {key: split for key, split in split_of.items() if split != "train"} | places)
    return {name: [key for key in index.infos if split_of[key] == name] for name in api.SPLIT_NAMES}


def _strata(index: Index, key: str, shown: ClassesShown) -> frozenset[Hashable]:
    """Return all that a picture is stratified by: its label, whether it has a mask, and the classes in this."""
    return frozenset([("stratum", index.stratum(key)), *(("mask", number) for number in shown.get(key, ()))])


def _spread(index: Index, split_of: Mapping[str, api.SplitName]) -> dict[str, api.SplitName]:
    """Return every picture's split: its own, else that of its group, else train."""
    split_of_group = {index.groups[key]: split for key, split in split_of.items() if key in index.groups}
    return {key: split_of.get(key) or split_of_group.get(index.groups.get(key, ""), "train") for key in index.infos}


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
