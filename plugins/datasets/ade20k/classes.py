"""The classes of ADE20K's scene parsing: 150 by name, or those that the list beside the pictures names."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from maecli import api

CLASSES = (
    *("wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet"),
    *("sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water"),
    *("painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk"),
    *("rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box", "column", "signboard"),
    *("chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand"),
    *("path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge"),
    *("bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench", "countertop", "stove"),
    *("palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel", "bus"),
    *("towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television", "airplane"),
    *("dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster"),
    *("stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool"),
    *("stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food"),
    *("step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen"),
    *("blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier"),
    *("crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag"),
)
"""By number, from 1: the first name of each in `objectInfo150.txt`, github.com/CSAILVision/sceneparsing."""
LISTS = ("objectInfo150.txt", "objectInfo150.csv")
"""Published tables of the classes, the columns Idx and Name among others, separated by tabs or by commas."""
MOST = 2**20
"""Characters of such a table."""


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the first name of each class by the table in a folder, or by what was published where there is none.

    Raises `DataError` for a table that numbers its classes otherwise than 1, 2, …, or names one twice.
    """
    path = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    return CLASSES if path is None else read_names(path)


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names of a table, by number from 1; of several in a cell, separated by comma or semicolon, the first.

    Raises `DataError` as `class_names` does.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.read(MOST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise api.DataError(f"{path}: cannot be read ({error})") from error
    rows = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    if not {"Idx", "Name"} <= {*(rows.fieldnames or ())}:
        raise api.DataError(f"{path}, line 1: no columns Idx and Name; take the file away, or get the published one")
    names: list[str] = []
    for row in rows:
        number, name = (row["Idx"] or "").strip(), re.split("[,;]", row["Name"] or "")[0].strip()
        if number != str(len(names) + 1) or not name:
            raise api.DataError(
                f"{path}, line {rows.line_num}: {number!r} {name!r} is not class {len(names) + 1} with its name"
            )
        if name in names:
            raise api.DataError(f"{path}, line {rows.line_num}: {name!r} is class {names.index(name) + 1} already")
        names.append(name)
    if len(names) < 2:
        raise api.DataError(f"{path} names {len(names)} classes; get the published one of {len(CLASSES)}")
    return tuple(names)
