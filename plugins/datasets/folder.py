"""Any folder of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np
from pydantic import Field

from maecli import api

NUM_PEEKED = 32
NUM_THREADS = 8
NUM_NAMED = 3
NOTHING_JUDGED = (
    f"masks hold nothing but 0 and {api.pictures.VOID}, which means not judged; write the number of the class where "
    f"they say {api.pictures.VOID}"
)


class Folder(api.Dataset):
    """Any folder of pictures, flat or nested, labelled or not.

    Source: your own files; nothing is copied or changed.
    Format: JPEG, PNG, WebP, BMP, TIFF, and arrays of any number of channels (`.npy`, multi-channel TIFF).
        Hidden files are left out, links are followed, other suffixes are counted and ignored.
    Classes: `labels.csv` (columns file, label, and if wanted split and group; an empty label is none). Without
        labels there, the first folder of each path (below `train/`, `val/`, `test/` where these stand; then the folders
        of `train/` are the classes), if there are two such folders or more.
    Masks: PNG files below `masks/` that are named as the pictures below `images/`: `images/a/1.jpg` has the mask
        `masks/a/1.png`. Pixels are class numbers (index, palette or 8-bit grey) or the colours of VOC's palette
        (RGB); 255 is not judged. `classes.txt` names class 0 in its first line, class 1 in the next; a class 0
        named background (bg, _background_) is no object. Where both folders are, pictures below `masks/` are
        never samples, and the folders below `images/` are read for classes and splits.
    Splits: the split column of `labels.csv`, else the folders `train/`, `val/` (or `valid/`, `validation/`) and
        `test/`. A split that neither names is cut from train with the fixed seed 0: one sample in ten for each,
        stratified by class, a group never divided. Pictures without label and mask, in a set that has some, stay in
        train, unless their group is elsewhere.
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
            default=api.pictures.MAX_PIXELS, ge=1, description="larger pictures count as broken: decompression bombs"
        )
        npy_layout: api.pictures.NpyLayout = Field(
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
        self._faults: set[api.Fault] = set()

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        index, measured = self._index, self._measured
        parts = {name: self._keys(name, fields) for name in api.SPLIT_NAMES}
        sizes = {index.infos[key].size for keys in parts.values() for key in keys}
        in_train = Counter(index.labels.get(key) for key in parts["train"])
        names = self._mask_classes if "mask" in fields else ()
        return api.DataCard(
            name=self.name,
            title=f"pictures in {self.root}",
            fields=("image", *(["label"] if index.classes else []), *(["mask"] if self._can_segment else [])),
            channels=index.channels,
            size=next(iter(sizes)) if len(sizes) == 1 else None,
            dtype=index.dtype,
            value_range=measured.value_range,
            mean=measured.mean,
            std=measured.std,
            classes=index.classes,
            class_counts=tuple(in_train[name] for name in index.classes),
            mask_classes=names,
            mask_palette=api.pictures.class_palette(len(names)),
            background=api.pictures.background_of(names),
            split_sizes={name: len(keys) for name, keys in parts.items()},
            split_origin=self._split_origin(),
            source=str(self.root),
            licence="yours to know",
            notes=tuple(self._notes()),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self._split(self._keys(name, fields), fields)

    def _split(self, keys: Sequence[str], fields: Sequence[str]) -> api.pictures.PictureFiles:
        index = self._index
        numbers = np.array([index.numbers[key] for key in keys], np.int64) if "label" in fields else None
        masks = [index.masks[key] for key in keys] if "mask" in fields else None
        num_classes = len(self._class_names) if "mask" in fields else 0
        sizes = np.array([index.infos[key].size for key in keys], np.int64)
        reading = api.pictures.Reading(
            index.channels, index.dtype, self.options.max_pixels, self.options.npy_layout, num_classes
        )
        return api.pictures.PictureFiles(
            self.root, keys, sizes, "image" in fields, numbers, masks, reading, self._faults
        )

    def _keys(self, name: api.SplitName, fields: Sequence[str]) -> list[str]:
        """Return the pictures of a split that have all of `fields`. Raises DataError if no picture at all has."""
        index, keys = self._index, self._parts[name]
        if "label" in fields:
            if not index.classes:
                raise api.DataError(
                    f"no picture in {self.root} has a label; put the pictures of each class into a folder of their "
                    f"own, or write a {api.pictures.LABELS_FILE} with the columns file and label"
                )
            keys = [key for key in keys if key in index.labels]
        if "mask" in fields:
            _ = self._mask_classes
            keys = [key for key in keys if key in index.masks]
        return keys

    def faults(self) -> Collection[api.Fault]:
        _ = self._index  # reads the headers, if that was not done
        return sorted(self._faults)

    def all_faults(self) -> Iterator[api.Fault]:
        known = {*self.faults(), *self._index.unpaired}
        yield from sorted(known)
        if not self._index.masks:
            return
        try:
            split = self._split(list(self._index.masks), ("mask",))
        except api.DataError as error:
            yield api.Fault(api.pictures.CLASSES_FILE, str(error))
            return
        numbers: set[int] = set()
        for i in range(len(split)):
            try:
                numbers.update(np.unique(split[i]["mask"]).tolist())
            except api.BrokenSample as broken:
                if broken.fault not in known:
                    yield broken.fault
        if _nothing_judged(numbers):
            yield api.Fault(api.pictures.MASKS_FOLDER, NOTHING_JUDGED)

    @cached_property
    def _class_names(self) -> tuple[str, ...]:
        """Return the names of what masks show. Raises DataError for a set without masks."""
        if not self._index.masks:
            raise api.DataError(self._why_no_masks())
        return api.pictures.read_classes(self.root / api.pictures.CLASSES_FILE)

    @property
    def _can_segment(self) -> bool:
        try:
            return bool(self._class_names)
        except api.DataError:
            return False

    @cached_property
    def _mask_classes(self) -> tuple[str, ...]:
        """Return the class names, once some masks were seen to hold more than class 0. Raises DataError."""
        names, masks = self._class_names, self._index.masks
        self._faults.update(self._index.unpaired)
        split = self._split(sorted(masks, key=api.place)[:NUM_PEEKED], ("mask",))
        numbers: set[int] = set()
        for i in range(len(split)):
            with suppress(api.BrokenSample):  # told of when it is read for use
                numbers.update(np.unique(split[i]["mask"]).tolist())
        if _nothing_judged(numbers):
            raise api.DataError(f"{self.root / api.pictures.MASKS_FOLDER}: {NOTHING_JUDGED}")
        return names

    def _why_no_masks(self) -> str:
        index, images, masks = self._index, api.pictures.IMAGES_FOLDER, api.pictures.MASKS_FOLDER
        way_out = f"the mask of {images}/a/1.jpg is {masks}/a/1.png"
        if not index.paired:
            return (
                f"{self.root} has no masks; put the pictures into {images}/, their masks as PNG files of the same "
                f"names into {masks}/, and the names of the classes into {api.pictures.CLASSES_FILE}: {way_out}"
            )
        if not index.unpaired:
            return f"no picture in {self.root / images} that can be read has a mask; {way_out}"
        first = min(index.unpaired)
        return (
            f"none of the files in {self.root / masks} is the mask of a picture; {first.path}, for one: {first.reason}"
        )

    @cached_property
    def _index(self) -> Index:
        """Read all headers, and join them with labels, given splits and groups."""
        paired = (self.root / api.pictures.IMAGES_FOLDER).is_dir() and (self.root / api.pictures.MASKS_FOLDER).is_dir()
        keys, masks, ignored = self._find(paired)
        rows = api.pictures.read_labels(self.root / api.pictures.LABELS_FILE, frozenset(keys))
        with ThreadPoolExecutor(NUM_THREADS) as pool:  # opening files waits for the disk
            probed = zip(keys, pool.map(self._probe, keys), strict=True)
            infos = {key: info for key, info in probed if info is not None}
        channels, dtype = _agree(infos.values(), self.options.channels)
        infos = {key: info for key, info in infos.items() if self._fits(key, info, channels, dtype)}
        if not infos:
            first = min(self._faults)
            raise api.DataError(
                f"none of the {len(keys)} pictures in {self.root} can be used; {first.path}, for one: {first.reason}"
            )
        pairing = api.pictures.pair_masks(
            [key for key in keys if paired and key.startswith(f"{api.pictures.IMAGES_FOLDER}/")], masks
        )
        inner = {key: key.removeprefix(f"{api.pictures.IMAGES_FOLDER}/") if paired else key for key in keys}
        labels, given, groups = api.pictures.folder_labels(inner), api.pictures.folder_splits(inner), dict[str, str]()
        if rows is not None:
            if any(row.label for row in rows.values()):
                labels = {key: row.label for key, row in rows.items() if row.label}
            given |= {key: row.split for key, row in rows.items() if row.split is not None}
            groups = {key: row.group for key, row in rows.items() if row.group}
            api.pictures.check_groups(self.root / api.pictures.LABELS_FILE, given, rows)
        labels = {key: label for key, label in labels.items() if key in infos}
        with_mask = {key: mask for key, mask in pairing.masks.items() if key in infos}
        return Index(infos, channels, dtype, labels, given, groups, ignored, paired, with_mask, pairing.faults)

    def _find(self, paired: bool) -> tuple[list[str], list[str], Counter[str]]:
        """Return the keys of all files that are named as pictures, those of masks, and the suffixes of the others."""
        if not self.root.is_dir():
            raise api.DataError(f"{self.root} is not a folder; point --root at the one that holds your pictures")
        files = [
            path
            for path in api.pictures.find_files(self.root)
            if path not in (api.pictures.LABELS_FILE, api.pictures.CLASSES_FILE)
        ]
        masks = [path for path in files if paired and path.startswith(f"{api.pictures.MASKS_FOLDER}/")]
        files = [path for path in files if not paired or not path.startswith(f"{api.pictures.MASKS_FOLDER}/")]
        keys = [path for path in files if api.pictures.is_picture(path)]
        if not keys:
            raise api.DataError(
                f"no pictures in {self.root}: none of its {len(files)} files ends in "
                f"{', '.join(sorted(api.pictures.PICTURE_SUFFIXES))}; point --root at the one that holds your pictures"
            )
        return (
            keys,
            masks,
            Counter(PurePosixPath(path).suffix.lower() for path in files if not api.pictures.is_picture(path)),
        )

    def _probe(self, key: str) -> api.pictures.PictureInfo | None:
        limit, layout = self.options.max_pixels, self.options.npy_layout
        try:
            return api.pictures.probe_picture(self.root / key, max_pixels=limit, npy_layout=layout)
        except api.BrokenSample as broken:
            self._faults.add(api.Fault(key, broken.fault.reason))
            return None

    def _fits(self, key: str, info: api.pictures.PictureInfo, channels: int, dtype: str) -> bool:
        try:
            api.pictures.check_convertible(self.root / key, info, channels, dtype)
        except api.BrokenSample as broken:
            self._faults.add(api.Fault(key, broken.fault.reason))
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
        serves = index.labels.keys() | index.masks.keys()
        cuttable = [key for key in train if key in serves] if serves else train
        cut = api.cut(
            cuttable,
            val_share=0.0 if "val" in index.given_splits else options.val_share,
            test_share=0.0 if "test" in index.given_splits else options.test_share,
            labels=[index.stratum(key) for key in cuttable],
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
        origins = [f"{', '.join(given)}: given by folders or {api.pictures.LABELS_FILE}"] if given else []
        shares = (("val", self.options.val_share), ("test", self.options.test_share))
        cut = [f"{name} ({share:g})" for name, share in shares if name not in given and share > 0]
        if cut:
            how = "stratified by class" if index.classes else "regardless of content"
            how += ", of pictures with a mask only" if index.masks and not index.classes else ""
            how += ", groups kept together" if index.groups else ""
            origins.append(f"{' and '.join(cut)} cut from train with the fixed seed {api.SPLIT_SEED}, {how}")
        return "; ".join(origins) or "everything is train"

    @cached_property
    def _measured(self) -> api.pictures.Measured:
        value_range = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(self._index.dtype)
        return api.pictures.measure(self.split("train"), self.root, value_range)

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
        if self._faults:
            yield f"{len(self._faults)} files are broken and left out"
        if index.classes and len(index.labels) < len(infos):
            yield f"{len(infos) - len(index.labels)} pictures have no label"
        if index.masks and len(index.masks) < len(infos):
            bare = [key for key in index.infos if key not in index.masks]
            more = f" and {len(bare) - NUM_NAMED} more" if len(bare) > NUM_NAMED else ""
            have = "pictures have" if len(bare) > 1 else "picture has"
            yield f"{len(bare)} {have} no mask: {', '.join(bare[:NUM_NAMED])}{more}"


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Folder]


@dataclass(frozen=True)
class Index:
    """What headers, folders and `labels.csv` say of the pictures."""

    infos: dict[str, api.pictures.PictureInfo]
    """The sound pictures, sorted by key."""
    channels: int
    dtype: str
    labels: dict[str, str]
    given: dict[str, api.SplitName]
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
    def given_splits(self) -> frozenset[api.SplitName]:
        return frozenset(self.given.values())


def _nothing_judged(numbers: Set[int]) -> bool:
    return numbers <= {0, api.pictures.VOID} and api.pictures.VOID in numbers


def _agree(infos: Collection[api.pictures.PictureInfo], channels: int | None) -> tuple[int, str]:
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
