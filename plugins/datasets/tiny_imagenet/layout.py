"""Which pictures a folder in Tiny ImageNet's layout holds, and the class of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maecli import api

CLASSES, WORDS = "wnids.txt", "words.txt"
TEST_PICTURES, TEST_CLASSES = "val/images", "val/val_annotations.txt"
MAX_CHARACTERS = 2**26
"""Of a list; the longest published one has 2.7 million."""


@dataclass(frozen=True)
class Layout:
    """What files and folders say of the pictures, none of which was opened."""

    root: Path
    """The folder that holds `wnids.txt`."""
    names: tuple[str, ...]
    """What people call the classes."""
    labels: dict[str, int]
    """Picture, as a path below `root`, to the position of its class in `names`."""
    faults: Sequence[api.Fault]
    """Of files, folders and lines."""
    left_out: Mapping[str, int]
    """Why pictures are not used, and how many of them."""


def read_layout(root: Path) -> Layout:
    """Return the classes and pictures of a folder. Raises `DataError` where there is nothing to learn or to judge."""
    wnids = [line.strip() for line in _lines(root / CLASSES) if line.strip()]
    if repeated := [wnid for wnid, num in Counter(wnids).items() if num > 1]:
        raise api.DataError(f"{root / CLASSES} names {repeated[0]} twice; keep one line for each class")
    if not wnids:
        raise api.DataError(f"{root / CLASSES} names no class; write one identifier per line")
    numbers = {wnid: i for i, wnid in enumerate(wnids)}
    reasons: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    labels = _train_labels(root, numbers, reasons, left_out)
    if not labels:
        raise api.DataError(
            f"no picture in {root / 'train'}; those of the class {wnids[0]} belong into train/{wnids[0]}/images: "
            "unpack the whole archive, or point --root at a folder that holds all of it"
        )
    labels |= _test_labels(root, numbers, reasons, left_out)
    faults = [api.Fault(path, reason) for path, reason in reasons.items()]
    return Layout(root, class_names(wnids, read_words(root / WORDS)), labels, faults, left_out)


def _train_labels(
    root: Path, numbers: Mapping[str, int], reasons: dict[str, str], left_out: Counter[str]
) -> dict[str, int]:
    labels: dict[str, int] = {}
    for wnid, number in numbers.items():
        folder = f"train/{wnid}/images"
        names = api.pictures.find_pictures(root / folder) if (root / folder).is_dir() else []
        if not names:
            reasons[folder] = f"holds no picture of the class {wnid}, which {CLASSES} names"
        labels |= {f"{folder}/{name}": number for name in names}
    if (root / "train").is_dir():
        for other in (root / "train").iterdir():
            if other.is_dir() and other.name not in numbers and not other.name.startswith("."):
                reasons[f"train/{other.name}"] = f"is a class that {CLASSES} lacks; its pictures are left out"
                num = len(api.pictures.find_pictures(other))
                left_out[f"in train/ under a class that {CLASSES} lacks: {other.name}"] += num
    return labels


def _test_labels(
    root: Path, numbers: Mapping[str, int], reasons: dict[str, str], left_out: Counter[str]
) -> dict[str, int]:
    """Return the classes of the official validation set; each file and each line that does not fit is a fault."""
    present = set(api.pictures.find_pictures(root / TEST_PICTURES)) if (root / TEST_PICTURES).is_dir() else set()
    labels: dict[str, int] = {}
    classes: dict[str, str] = {}
    for line_number, line in enumerate(_lines(root / TEST_CLASSES), start=1):
        if not line.strip():
            continue
        file, _, rest = line.partition("\t")
        wnid, key = rest.partition("\t")[0].strip(), f"{TEST_PICTURES}/{file}"
        if not wnid:
            reasons[f"{TEST_CLASSES}:{line_number}"] = "is not a file, a tab and the identifier of a class"
        elif classes.setdefault(file, wnid) != wnid:
            reasons[key] = f"has two classes in {TEST_CLASSES}: {classes[file]} and {wnid}"
            labels.pop(key, None)
        elif wnid not in numbers:
            reasons[key] = f"has the class {wnid} in {TEST_CLASSES}, which {CLASSES} lacks"
        elif file not in present:
            reasons[key] = f"is not there, though {TEST_CLASSES} names it"
        elif key not in reasons:
            labels[key] = numbers[wnid]
    reasons |= {f"{TEST_PICTURES}/{file}": f"has no class in {TEST_CLASSES}" for file in present - classes.keys()}
    if num := sum(f"{TEST_PICTURES}/{file}" not in labels for file in present):
        left_out[f"in val/ without one class of {CLASSES} in {TEST_CLASSES}"] = num
    return dict(sorted(labels.items()))


def read_words(path: Path) -> dict[str, str]:
    """Return identifier → name of every line of `words.txt`; nothing if there is no such file.

    Of several words for one thing, separated by commas, the first is its name.
    """
    if not path.is_file():
        return {}
    pairs = (line.partition("\t") for line in _lines(path))
    return {wnid.strip(): words.split(",")[0].strip() for wnid, _, words in pairs if words.split(",")[0].strip()}


def class_names(wnids: Sequence[str], words: Mapping[str, str]) -> tuple[str, ...]:
    """Return a name for each identifier, all different: its word, with the identifier where two have the same."""
    names = [words.get(wnid, wnid) for wnid in wnids]
    often = Counter(names)
    return tuple(name if often[name] == 1 else f"{name} ({wnid})" for name, wnid in zip(names, wnids, strict=True))


def _lines(path: Path) -> list[str]:
    """Return the lines of a text. Raises `DataError` if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except OSError as error:
        raise api.DataError(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()}); unpack the whole archive, or point "
            "--root at a folder that holds all of it"
        ) from error
    except UnicodeDecodeError as error:
        raise api.DataError(f"{path} is not a text in UTF-8; restore it from the archive") from error
    if len(text) > MAX_CHARACTERS:
        raise api.DataError(f"{path} has more than {MAX_CHARACTERS:,} characters; restore it from the archive")
    return text.splitlines()
