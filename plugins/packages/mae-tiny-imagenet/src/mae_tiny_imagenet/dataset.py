"""Tiny ImageNet, and any set of pictures in its layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from maecli import api

MAE_API_VERSION = 1
VAL_SHARE = 1 / 10
FOLDER = "tiny-imagenet-200"
CLASSES, WORDS = "wnids.txt", "words.txt"
TEST_PICTURES, TEST_CLASSES = "val/images", "val/val_annotations.txt"
MAX_CHARACTERS = 2**26
"""Of a list; the longest published one has 2.7 million."""


class TinyImageNet(api.Dataset):
    """Tiny ImageNet: pictures of 64x64 of 200 kinds of things, or any set of pictures in its layout.

    Source: the course CS231n of Stanford University, http://cs231n.stanford.edu/tiny-imagenet-200.zip; pictures from
        ImageNet (Russakovsky et al. 2015, IJCV 115). It is not downloaded: unpack the archive into the root.
    Format: `wnids.txt` names the classes, one identifier per line; `train/<wnid>/images/` holds their pictures, and
        `val/val_annotations.txt` gives the class of each file in `val/images/` (file, tab, identifier; what follows
        is ignored, as are `<wnid>_boxes.txt` and `test/`). The root is the folder that holds `wnids.txt`, or the one
        above it if it is called tiny-imagenet-200. Pictures are JPEG or another format that the api reads, of any
        size, (3, H, W) uint8.
    Classes: in the order of `wnids.txt`; named by the first word for each in `words.txt`, if there is one for it,
        with the identifier where two classes would have one name.
    Splits: test is the official validation set, since the labels of the official test set are not public. Val is
        cut from train with the fixed seed 0, stratified by class: one picture in ten.
    Conversions: grey pictures get three equal channels.
    Faults: pictures without a class, classes without pictures and files that cannot be read are left out; `mae eda`
        names each of them.
    Licence: ImageNet's terms: non-commercial research and education.
    """

    name = "tiny-imagenet"
    recipe = "tiny-imagenet"

    def __init__(self, options: api.DatasetOptions) -> None:
        super().__init__(options)
        self._faults: set[api.Fault] = set()
        self._grey: set[str] = set()

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        layout, splits = self._layout, {name: self._keys(name) for name in api.SPLIT_NAMES}
        sizes = {self._sizes[key] for keys in splits.values() for key in keys}
        counts = Counter(layout.labels[key] for key in splits["train"])
        stats = self._stats
        return api.DataCard(
            name=self.name,
            title=f"{len(layout.names)} classes in the layout of Tiny ImageNet",
            fields=("image", "label"),
            channels=3,
            size=next(iter(sizes)) if len(sizes) == 1 else None,
            mean=stats.mean,
            std=stats.std,
            classes=layout.names,
            class_counts=tuple(counts[i] for i in range(len(layout.names))),
            split_sizes={name: len(keys) for name, keys in splits.items()},
            split_origin=(
                "test: the official validation set; val: one in ten of the official train set, "
                f"fixed seed {api.SPLIT_SEED}, stratified by class"
            ),
            source="http://cs231n.stanford.edu/tiny-imagenet-200.zip, or a set in its layout",
            licence="ImageNet's terms: non-commercial research and education",
            reading=self._reading(sum(map(len, splits.values()))),
            converted={"grey, given three equal channels": len(self._grey)} if self._grey else {},
            left_out=dict(layout.left_out),
            notes=tuple(self._notes()),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        layout, keys = self._layout, self._keys(name)
        sizes = np.array([self._sizes[key] for key in keys], np.int64).reshape(-1, 2)
        labels = np.array([layout.labels[key] for key in keys], np.int64) if "label" in fields else None
        reading = api.pictures.Reading(channels=3, dtype="uint8")
        return api.pictures.PictureFiles(
            layout.root, keys, sizes, reading, self._faults, labels=labels, images="image" in fields
        )

    def faults(self) -> Collection[api.Fault]:
        _ = self._sizes  # reads the headers, if that was not done
        return sorted(self._faults)

    def all_faults(self) -> Iterator[api.Fault]:
        yield from sorted({*self._layout.faults, *self.faults()})

    @cached_property
    def _layout(self) -> Layout:
        for root in (self.root, self.root / FOLDER):
            if (root / CLASSES).is_file():
                return read_layout(root)
        raise api.DataError(
            f"no {CLASSES} in {self.root} or in {self.root / FOLDER}; unpack tiny-imagenet-200.zip there, or point "
            f"--root or MAE_DATA at the folder that holds {CLASSES}"
        )

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        """Return the (H, W) of every picture whose header can be read and that can be made RGB."""
        headers = api.pictures.probe_pictures(self._layout.root, [*self._layout.labels], self._faults)
        usable = api.pictures.convertible(headers, 3, "uint8", self._faults)
        self._grey = {key for key, header in usable.items() if header.channels == 1}
        return {key: header.size for key, header in usable.items()}

    @cached_property
    def _parts(self) -> dict[api.SplitName, list[str]]:
        """Return the keys of each split; which file is broken does not change what the others are."""
        layout = self._layout
        train = [key for key in layout.labels if not key.startswith(TEST_PICTURES)]
        cut = api.cut(train, val_share=VAL_SHARE, labels=[layout.labels[key] for key in train])
        return {
            "train": [train[i] for i in cut["train"]],
            "val": [train[i] for i in cut["val"]],
            "test": [key for key in layout.labels if key.startswith(TEST_PICTURES)],
        }

    def _keys(self, name: api.SplitName) -> list[str]:
        return [key for key in self._parts[name] if key in self._sizes]

    @cached_property
    def _stats(self) -> api.pictures.ChannelStats:
        return api.pictures.sampled_channel_stats(self.split("train"), self._layout.root, (0.0, 255.0))

    def _reading(self, num: int) -> str:
        return (
            f"{num:,} pictures in {len(self._layout.names):,} classes of {CLASSES}, by folders train/ and val/; "
            f"classes of val/ from {TEST_CLASSES}"
        )

    def _notes(self) -> Iterator[str]:
        yield f"mean and std were measured on {self._stats.num} train pictures chosen by the fixed seed"
        if self._layout.faults:
            yield f"{len(self._layout.faults)} faults of the layout; mae eda names each"
        if self._faults:
            num = len(self._faults)
            yield f"{num} file{'s are' if num > 1 else ' is'} broken and left out"


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


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [TinyImageNet]
