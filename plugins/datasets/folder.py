"""Any folder of pictures."""

from __future__ import annotations

import _csv
import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import Field

from maecli import api

LABELS = "labels.csv"
SPLIT_NAMES: dict[str, api.SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders, and cells of `labels.csv`, that mean a split."""

NUM_MEASURED = 256
MEASURED_SIDE = 256
NUM_THREADS = 8


class Folder(api.Dataset):
    """Any folder of pictures, flat or nested, labelled or not.

    Source: your own files; nothing is copied or changed.
    Format: JPEG, PNG, WebP, BMP, TIFF, and arrays of any number of channels (`.npy`, multi-channel TIFF).
        Hidden files are left out, links are followed, other suffixes are counted and ignored.
    Classes: `labels.csv` (columns file, label, and if wanted split and group; an empty label is none). Without
        it, the first folder of each path (below `train/`, `val/`, `test/` where these stand; then the folders
        of `train/` are the classes), if there are two such folders or more.
    Splits: the split column of `labels.csv`, else the folders `train/`, `val/` (or `valid/`, `validation/`) and
        `test/`. A split that neither names is cut from train with the fixed seed 0: one sample in ten for each,
        stratified by class, a group never divided. Unlabelled pictures of a labelled set stay in train, unless
        their group is elsewhere.
    Conversions: EXIF orientation is applied. Grey becomes three equal channels in a colour set, palettes and
        CMYK become RGB, alpha is laid on white. 16-bit and float sets keep their dtype; where 8 and 16 bits are
        mixed, 16 bits are scaled to 8 by the full range. Pictures that cannot be brought to the set's channels
        or dtype count as broken.
    Broken files: left out and listed with a reason. Only headers are read at first, so a damaged body shows when
        the picture is decoded.
    Licence: yours to know.
    """

    name = "folder"
    recipe = "folder"

    class Options(api.DatasetOptions):
        channels: int | None = Field(
            default=None,
            ge=1,
            description="channels of every picture; default: 3 if any is in colour, of arrays the usual number",
        )
        val_share: float = Field(
            default=0.1,
            ge=0,
            lt=1,
            description="share of the samples taken as val if no split is given as such",
        )
        test_share: float = Field(
            default=0.1,
            ge=0,
            lt=1,
            description="share of the samples taken as test if no split is given as such",
        )
        max_pixels: int = Field(
            default=api.MAX_PIXELS, ge=1, description="larger pictures count as broken: decompression bombs"
        )
        npy_layout: api.NpyLayout = Field(
            default="auto",
            description="channel axis of 3-D .npy arrays; auto: the shorter of first and last, last if equal",
        )

    options: Options

    def __init__(self, options: Options) -> None:
        if options.root is None:
            raise api.SpecError("the data set folder needs --root, the folder that holds your pictures")
        if options.val_share + options.test_share >= 1:
            raise api.SpecError(
                f"dataset.val_share ({options.val_share:g}) and dataset.test_share ({options.test_share:g}) "
                "must add up to less than 1, so that something is left for train"
            )
        super().__init__(options)
        self._broken: dict[str, str] = {}

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        _ = fields
        index, measured = self._index, self._measured
        sizes = {info.size for info in index.infos.values()}
        in_train = Counter(index.labels.get(key) for key in self._parts["train"])
        return api.DataCard(
            name=self.name,
            title=f"pictures in {self.root}",
            fields=("image", "label") if index.classes else ("image",),
            channels=index.channels,
            size=next(iter(sizes)) if len(sizes) == 1 else None,
            dtype=index.dtype,
            value_range=measured.value_range,
            mean=measured.mean,
            std=measured.std,
            classes=index.classes,
            class_counts=tuple(in_train[name] for name in index.classes),
            split_sizes={name: len(keys) for name, keys in self._parts.items()},
            split_origin=self._split_origin(),
            source=str(self.root),
            licence="yours to know",
            notes=tuple(self._notes()),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        index, keys = self._index, self._parts[name]
        if "label" not in fields:
            return FolderSplit(self.root, keys, None, self._reading, self._broken)
        if not index.classes:
            raise api.DataError(
                f"no picture in {self.root} has a label; put the pictures of each class into a folder of their "
                f"own, or write a {LABELS} with the columns file and label"
            )
        keys = [key for key in keys if key in index.labels]
        numbers = np.array([index.numbers[key] for key in keys], dtype=np.int64)
        return FolderSplit(self.root, keys, numbers, self._reading, self._broken)

    def broken(self) -> Mapping[str, str]:
        _ = self._index  # reads the headers, if that was not done
        return dict(sorted(self._broken.items()))

    @cached_property
    def _index(self) -> Index:
        """Read all headers, and join them with labels, given splits and groups."""
        keys, ignored = self._find()
        rows = read_labels(self.root / LABELS, frozenset(keys))
        with ThreadPoolExecutor(NUM_THREADS) as pool:  # opening files waits for the disk
            probed = zip(keys, pool.map(self._probe, keys), strict=True)
            infos = {key: info for key, info in probed if info is not None}
        channels, dtype = _agree(infos.values(), self.options.channels)
        infos = {key: info for key, info in infos.items() if self._fits(key, info, channels, dtype)}
        if not infos:
            key, reason = min(self._broken.items())
            raise api.DataError(
                f"none of the {len(keys)} pictures in {self.root} can be used; {key}, for one: {reason}"
            )
        labels, given, groups = _folder_labels(keys), _folder_splits(keys), dict[str, str]()
        if rows is not None:
            labels = {key: row.label for key, row in rows.items() if row.label}
            given |= {key: row.split for key, row in rows.items() if row.split is not None}
            groups = {key: row.group for key, row in rows.items() if row.group}
            _check_groups(self.root / LABELS, given, rows)
        labels = {key: label for key, label in labels.items() if key in infos}
        return Index(infos, channels, dtype, labels, given, groups, ignored)

    def _find(self) -> tuple[list[str], Counter[str]]:
        """Return the keys of all files that are named as pictures, and the suffixes of the others."""
        if not self.root.is_dir():
            raise api.DataError(f"{self.root} is not a folder; point --root at the one that holds your pictures")
        files = [path for path in api.find_files(self.root) if path != LABELS]
        keys = [path for path in files if api.is_picture(path)]
        if not keys:
            raise api.DataError(
                f"no pictures in {self.root}: none of its {len(files)} files ends in "
                f"{', '.join(sorted(api.PICTURE_SUFFIXES))}; point --root at the one that holds your pictures"
            )
        return keys, Counter(PurePosixPath(path).suffix.lower() for path in files if not api.is_picture(path))

    def _probe(self, key: str) -> api.PictureInfo | None:
        limit, layout = self.options.max_pixels, self.options.npy_layout
        try:
            return api.probe_picture(self.root / key, max_pixels=limit, npy_layout=layout)
        except api.BrokenSample as broken:
            self._broken[key] = broken.reason
            return None

    def _fits(self, key: str, info: api.PictureInfo, channels: int, dtype: str) -> bool:
        try:
            api.check_convertible(self.root / key, info, channels, dtype)
        except api.BrokenSample as broken:
            self._broken[key] = broken.reason
            return False
        return True

    @cached_property
    def _parts(self) -> dict[api.SplitName, list[str]]:
        """Return the keys of each split: given ones first, the missing ones cut from train."""
        index, options = self._index, self.options
        goes = self._spread({key: split for key, split in index.given.items() if key in index.infos})
        train = [key for key, split in goes.items() if split == "train"]
        if not train:
            raise api.DataError(
                f"{self.root} has pictures for {' and '.join(sorted(set(goes.values())))}, but none for train; "
                "add a folder train/, or point --root at the folder that holds all the pictures"
            )
        cuttable = [key for key in train if key in index.labels] if index.classes else train
        cut = api.cut(
            cuttable,
            val_share=0.0 if "val" in index.given_splits else options.val_share,
            test_share=0.0 if "test" in index.given_splits else options.test_share,
            labels=[index.numbers[key] for key in cuttable] if index.classes else None,
            groups=[index.groups.get(key) for key in cuttable],
        )
        places = {cuttable[i]: split for split, ids in cut.items() for i in ids}
        goes = self._spread({key: split for key, split in goes.items() if split != "train"} | places)
        return {name: [key for key in index.infos if goes[key] == name] for name in api.SPLIT_NAMES}

    def _spread(self, goes: Mapping[str, api.SplitName]) -> dict[str, api.SplitName]:
        """Return every picture's split: its own, else that of its group, else train."""
        index = self._index
        group_goes = {index.groups[key]: split for key, split in goes.items() if key in index.groups}
        return {key: goes.get(key) or group_goes.get(index.groups.get(key, ""), "train") for key in index.infos}

    def _split_origin(self) -> str:
        index = self._index
        given = [name for name in api.SPLIT_NAMES if name in index.given_splits]
        origins = [f"{', '.join(given)}: given by folders or {LABELS}"] if given else []
        shares = (("val", self.options.val_share), ("test", self.options.test_share))
        cut = [f"{name} ({share:g})" for name, share in shares if name not in given and share > 0]
        if cut:
            how = "stratified by class" if index.classes else "regardless of content"
            how += ", groups kept together" if index.groups else ""
            origins.append(f"{' and '.join(cut)} cut from train with the fixed seed {api.SPLIT_SEED}, {how}")
        return "; ".join(origins) or "everything is train"

    @property
    def _reading(self) -> Reading:
        index, options = self._index, self.options
        return Reading(index.channels, index.dtype, options.max_pixels, options.npy_layout)

    @cached_property
    def _measured(self) -> Measured:
        """Decode up to 256 train pictures, chosen by the fixed seed, for range, mean and deviation."""
        chosen = sorted(self._parts["train"], key=api.place)[:NUM_MEASURED]
        value_range = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(self._index.dtype)
        if value_range is None:
            value_range = _reach(self._decoded(chosen))
        mean, std = api.channel_stats(self._decoded(chosen), value_range)
        num = sum(key not in self._broken for key in chosen)
        return Measured(num, value_range, mean, std)

    def _decoded(self, keys: Sequence[str]) -> Iterator[np.ndarray]:
        """Decode those of the pictures that can be, small where JPEG allows it."""
        reading = replace(self._reading, at_least=MEASURED_SIDE)
        split = FolderSplit(self.root, keys, None, reading, self._broken)
        for i in range(len(split)):
            try:
                yield split[i]["image"]
            except api.BrokenSample:
                continue
        if all(key in self._broken for key in keys):
            raise api.DataError(
                f"none of the {len(keys)} train pictures tried in {self.root} can be decoded; "
                f"{keys[0]}, for one: {self._broken[keys[0]]}"
            )

    def _notes(self) -> Iterator[str]:
        index, infos = self._index, self._index.infos.values()
        yield f"mean and std were measured on {self._measured.num} train pictures chosen by the fixed seed"
        converted = {
            "grey, given three equal channels": [i.channels == 1 and index.channels == 3 for i in infos],
            "colour, made grey": [i.channels == 3 and index.channels == 1 for i in infos],
            "transparent, laid on white": [i.alpha and index.channels != i.channels + 1 for i in infos],
            "of 16 bits, scaled to 8": [i.dtype == "uint16" and index.dtype == "uint8" for i in infos],
            "16-bit colour PNG, read at the upper 8 bits": [i.upper_bits for i in infos],
        }
        for what, which in converted.items():
            if any(which):
                yield f"{sum(which)} of {len(which)} pictures: {what}"
        if index.dtype == "uint16":
            yield "16 bits: the range is 0 to 65535, whatever the pictures use of it"
        elif index.dtype != "uint8":
            yield "value_range is what the measured pictures reach; others may go beyond it"
        if index.ignored:
            kinds = (f"{num} {suffix or 'without suffix'}" for suffix, num in sorted(index.ignored.items()))
            yield f"ignored, not pictures: {', '.join(kinds)}"
        if self._broken:
            yield f"{len(self._broken)} files are broken and left out"
        if index.classes and len(index.labels) < len(infos):
            yield f"{len(infos) - len(index.labels)} pictures have no label"


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Folder]


@dataclass(frozen=True)
class Index:
    """What headers, folders and `labels.csv` say of the pictures."""

    infos: dict[str, api.PictureInfo]
    """The sound pictures, sorted by key."""
    channels: int
    dtype: str
    labels: dict[str, str]
    given: dict[str, api.SplitName]
    groups: dict[str, str]
    ignored: Counter[str]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.labels.values())))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Each labelled picture's position in `classes`."""
        position = {label: i for i, label in enumerate(self.classes)}
        return {key: position[label] for key, label in self.labels.items()}

    @cached_property
    def given_splits(self) -> frozenset[api.SplitName]:
        return frozenset(self.given.values())


@dataclass(frozen=True)
class Measured:
    """What decoding some train pictures says of the set."""

    num: int
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Reading:
    """How every picture of the set is decoded."""

    channels: int
    dtype: str
    max_pixels: int
    npy_layout: api.NpyLayout
    at_least: int | None = None


class FolderSplit(api.Split):
    """Pictures decoded one by one, as they are asked for."""

    def __init__(
        self,
        root: Path,
        keys: Sequence[str],
        labels: np.ndarray | None,
        reading: Reading,
        broken: dict[str, str],
    ) -> None:
        self._root, self._keys, self._labels = root, keys, labels
        self._reading, self._broken = reading, broken

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> api.Sample:
        key, reading = self._keys[index], self._reading
        try:
            image = api.read_picture(
                self._root / key,
                channels=reading.channels,
                dtype=reading.dtype,
                max_pixels=reading.max_pixels,
                npy_layout=reading.npy_layout,
                at_least=reading.at_least,
            )
        except api.BrokenSample as broken:
            self._broken[key] = broken.reason
            raise api.BrokenSample(key, broken.reason) from broken
        if self._labels is None:
            return {"image": image}
        return {"image": image, "label": np.asarray(self._labels[index])}


@dataclass(frozen=True)
class Row:
    """One line of `labels.csv`."""

    line: int
    label: str
    split: api.SplitName | None
    group: str


def read_labels(path: Path, known: Set[str]) -> dict[str, Row] | None:
    """Return the rows of a `labels.csv`, file → row; None if there is no such file.

    UTF-8 with or without a byte-order mark, separated by commas or semicolons, with a header; columns may stand
    in any order, and others are ignored. Raises `DataError` naming the line.
    """
    if not path.exists():
        return None
    columns, lines = _read_table(path)
    for needed in ("file", "label"):
        if needed not in columns:
            raise api.DataError(
                f"{path}, line 1: no column {needed!r} among {', '.join(columns) or 'none'}; the first line "
                "must name the columns file and label, and may name split and group"
            )
    rows: dict[str, Row] = {}
    for line, cells in lines:
        where = f"{path}, line {line}:"
        if len(cells) != len(columns):
            raise api.DataError(f"{where} {len(cells)} cells under {len(columns)} columns; quote cells with commas")
        row = dict(zip(columns, cells, strict=True))
        key, split = _as_key(row["file"], known), row.get("split", "").lower()
        if key not in known:
            raise api.DataError(
                f"{where} {row['file']!r} is not a picture in {path.parent}; write paths relative to it"
            )
        if key in rows:
            raise api.DataError(f"{where} {row['file']!r} stands in line {rows[key].line} already; keep one of them")
        if split and split not in SPLIT_NAMES:
            raise api.DataError(f"{where} unknown split {row['split']!r}; use train, val or test")
        rows[key] = Row(line, row["label"], SPLIT_NAMES.get(split), row.get("group", ""))
    return rows


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header in lower case, and the numbered lines that hold anything; cells are stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = ";" if ";" in header and "," not in header else ","
            lines = list(_numbered(csv.reader(file, delimiter=delimiter)))
    except UnicodeDecodeError as error:
        raise api.DataError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise api.DataError(f"{path}: cannot be read ({error})") from error
    return ([name.lower() for name in lines[0][1]], lines[1:]) if lines else ([], [])


def _numbered(reader: _csv.Reader) -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield reader.line_num, stripped


def _as_key(name: str, known: Set[str]) -> str:
    """Return the key that a path in `labels.csv` means: backslashes and a leading ./ are understood."""
    return name if name in known else name.replace("\\", "/").removeprefix("./")


def _check_groups(path: Path, given: Mapping[str, api.SplitName], rows: Mapping[str, Row]) -> None:
    """Raise `DataError` for a group whose pictures were given to two splits."""
    first: dict[str, str] = {}
    for key, row in rows.items():
        if not row.group or key not in given:
            continue
        other = first.setdefault(row.group, key)
        if given[other] != given[key]:
            raise api.DataError(
                f"{path}, line {row.line}: group {row.group!r} is in {given[key]} here and in {given[other]} "
                f"in line {rows[other].line}; a group must stay in one split"
            )


def _folder_splits(keys: Iterable[str]) -> dict[str, api.SplitName]:
    """Return the split of every picture that lies in a split's folder."""
    first = {key: key.split("/")[0].lower() for key in keys if "/" in key}
    return {key: SPLIT_NAMES[name] for key, name in first.items() if name in SPLIT_NAMES}


def _folder_labels(keys: Sequence[str]) -> dict[str, str]:
    """Return the class folder of every picture that lies in one; nothing if there are fewer than two.

    Where there is a `train/`, only its folders are classes; other pictures have the label if they lie in
    `val/` or `test/` under the same name, and none otherwise.
    """
    splits = _folder_splits(keys)
    has_train = "train" in splits.values()
    names = {key: key.split("/")[1 if key in splits else 0 :] for key in (splits if has_train else keys)}
    labels = {key: parts[0] for key, parts in names.items() if len(parts) > 1}
    if has_train:
        classes = {label for key, label in labels.items() if splits[key] == "train"}
        labels = {key: label for key, label in labels.items() if label in classes}
    return labels if len(set(labels.values())) > 1 else {}


def _agree(infos: Collection[api.PictureInfo], channels: int | None) -> tuple[int, str]:
    """Return the channels and the dtype of a set.

    Grey and colour count together, as do 8 and 16 bits, because each can be converted to the other; apart from
    that the most frequent wins.
    """
    counts = Counter(info.channels for info in infos)
    dtypes = Counter(info.dtype for info in infos)
    if channels is None:
        merged = Counter({num: count for num, count in counts.items() if num not in (1, 3)})
        merged[3 if counts[3] else 1] = counts[1] + counts[3]
        channels = min(merged, key=lambda num: (-merged[num], num))
    narrow = "uint8" if dtypes["uint8"] else "uint16"
    kinds = Counter({dtype: count for dtype, count in dtypes.items() if dtype not in ("uint8", "uint16")})
    kinds[narrow] = dtypes["uint8"] + dtypes["uint16"]
    return channels, min(kinds, key=lambda dtype: (-kinds[dtype], dtype))


def _reach(images: Iterable[np.ndarray]) -> tuple[float, float]:
    """Return (0, 1) if all values lie within, else the least and the greatest value."""
    extremes = [(float(image.min()), float(image.max())) for image in images]
    least, most = min(low for low, _ in extremes), max(high for _, high in extremes)
    if least >= 0.0 and most <= 1.0:
        return 0.0, 1.0
    return least, most if most > least else least + 1.0
