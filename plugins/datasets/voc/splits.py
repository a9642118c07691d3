"""Which pictures are for training, for choosing and for testing: the official lists, and what is cut from them."""

from __future__ import annotations

from collections.abc import Sequence

from maecli import api

from .devkit import Devkit
from .layout import Family
from .objects import OF_OBJECTS


def families_of(devkit: Devkit, fields: Sequence[str]) -> tuple[Family, ...]:
    """Return the folders of lists that samples with `fields` follow."""
    if "mask" in fields:
        return ("Segmentation",)
    if "label" in fields or OF_OBJECTS & {*fields}:
        return ("Main",)
    return devkit.families or ("Main",)


def split_ids(devkit: Devkit, families: Sequence[Family], val_share: float) -> dict[api.SplitName, list[str]]:
    """Return the ids of each split, sorted; test goes before val, and val before train."""
    parts = [_family_parts(devkit, family, val_share) for family in families]
    test = {key for part in parts for key in part["test"]}
    val = {key for part in parts for key in part["val"]} - test - devkit.secret
    train = {key for part in parts for key in part["train"]} - test - val - devkit.secret
    return {"train": sorted(train), "val": sorted(val), "test": sorted(test)}


def _family_parts(devkit: Devkit, family: Family, val_share: float) -> dict[api.SplitName, Sequence[str]]:
    lists = devkit.lists(family)
    if devkit.year == 2007:
        return {"train": lists["train"], "val": lists["val"], "test": lists.get("test", ())}
    train = lists["train"]
    cut = api.cut(train, val_share=val_share)
    return {
        "train": [train[i] for i in cut["train"]],
        "val": [train[i] for i in cut["val"]],
        "test": lists["val"],
    }


def split_origin(devkit: Devkit, families: Sequence[Family], val_share: float) -> str:
    """Return the data card's sentence on where the splits come from."""
    year, where = devkit.year, " and ".join(f"ImageSets/{family}" for family in families)
    if year == 2007:
        origin = f"{where}: the official train, val and test lists"
    else:
        origin = (
            f"{where}: test is the official val list, because the labels of VOC {year}'s test list are not "
            f"public; val is a cut ({val_share:g}) of the official train list with the fixed "
            f"seed {api.SPLIT_SEED}, regardless of content; train is the rest"
        )
    if len(families) > 1:
        origin += "; a picture in several is in test before val, and in val before train"
    return origin
