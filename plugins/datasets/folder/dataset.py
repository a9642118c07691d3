"""Any folder of pictures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from maecli import api
from maecli.api import layouts, pictures

from .agreement import converted
from .class_files import CLASSES_FILE, LABELMAP_FILE, ClassList, read_classes
from .index import Index, read_index
from .masks import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    MaskedFiles,
    MaskReading,
    none_usable,
    nothing_judged,
    read_masks,
)
from .other_tables import find_tables
from .splits import split_keys, split_origin

NUM_PEEKED = 32
NUM_NAMED = 3


class Folder(api.Dataset):
    """Any folder of pictures, flat or nested, labelled or not.

    Source: your own files; nothing is copied or changed.
    Format: JPEG, PNG, GIF, WebP, AVIF, JPEG 2000, Netpbm (PPM, PGM …), BMP, TIFF, HEIC with the extra `heif`, and
        arrays of any number of channels (`.npy`, multi-channel TIFF), told apart by content. Of several pictures in a
        file the first is read, and of the pages of a TIFF the first that is no thumbnail, unless the file says that
        they are channels (OME, ImageJ, tifffile) or `tiff_pages` does. Hidden files are left out, links are followed,
        other suffixes are counted and ignored.
    Layout: what folders and marks in names mean is told before training, and chosen by the option `layout` where
        two readings are as likely. Folders around everything mean nothing.
    Classes: `labels.csv` or `labels.tsv` (columns file, label, and if wanted split and group, by these or other usual
        names; an empty label is none). Rows of pictures that are not there are left out; labels that differ by case or
        blanks alone are refused. Without labels there, the first folder of each path (below `train/`, `val/`, `test/`
        where these stand; then the folders of `train/` are the classes), if there are two such folders or more.
    Masks: files without loss (PNG, TIFF, BMP, GIF, WebP, PGM, `.npy`) below `masks/` that are named as the pictures
        below `images/`: `images/a/1.jpg` has the mask `masks/a/1.png`; folders may have other usual names and stand in
        each split, and masks may lie beside their pictures as `1_mask.png`. Pixels are class numbers (in grey, in a
        palette) or colours of classes (in RGB, in a palette): those that `classes.txt` gives, else VOC's; 255 is not
        judged, and what is transparent is the background. `classes.txt` names class 0 in its first line, class 1 in
        the next, if wanted with numbers and colours (`1 cat 255 0 0`); CVAT's `labelmap.txt` serves, too. A class named
        background (bg) is no object. Where both folders are, pictures below `masks/` are never samples, and the folders
        below `images/` are read for classes and splits.
    Splits: the split column of `labels.csv`, else the folders `train/`, `val/` and `test/`, or as people call them
        (`training_set/`, `dev/`, `holdout/`). A split that neither names is cut from train with the fixed seed 0:
        one sample in ten for each, stratified by class, a group never divided. Pictures without label and mask, in a
        set that has some, stay in train, unless their group is elsewhere.
    Conversions: EXIF orientation is applied. Grey becomes three equal channels in a colour set, palettes and
        CMYK become RGB. What a file flags as alpha is laid on white, unless `channels` (4, or 2 for grey) or plain
        fourth bands of other pictures make it a channel; a TIFF's extra band that is not flagged is one. 16-bit
        and float sets keep their dtype; where 8 and 16 bits are mixed, 16 bits are scaled to 8 by the range of the
        bits that they use (`bits`). Cells of the nodata value that a TIFF's header names (GDAL's tag 42113), or that
        `nodata` names, and NaN are missing. Which axis of a `.npy` array holds its channels is what all arrays
        together say (`npy_layout`). Pictures that cannot be brought to the set's channels or dtype count as broken.
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
            description="channels of every picture, 4 keeps alpha; default: 3 if any is in colour, or the usual number",
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
            default=pictures.MAX_PIXELS, ge=1, description="larger pictures count as broken: decompression bombs"
        )
        npy_layout: pictures.NpyLayout = Field(
            default="auto",
            description="channel axis of 3-D .npy arrays; auto: that of equal length in all, or much the shorter one",
        )
        tiff_pages: pictures.PageMeaning = Field(
            default="auto",
            description="pages of a TIFF: channels, or the first is the picture; auto: channels where the file says so",
        )
        bits: Annotated[int, Field(ge=8, le=16)] | Literal["auto"] = Field(
            default="auto",
            description="bits that 16-bit files use; auto: as measured on up to 64 of them, and as their headers say",
        )
        nodata: pictures.NoData = Field(
            default="header",
            description="what missing cells hold besides what headers name: a number, or nan; none: values as they are",
        )
        layout: layouts.Reading = Field(
            default="auto",
            description="what folders mean. "
            + "; ".join(f"{name}: {words}" for name, words in layouts.READINGS.items()),
        )
        mask_pixels: pictures.Pixels = Field(
            default="auto",
            description="what counts in masks whose numbers and colours both name classes, and not the same; auto: "
            "told by all masks together, else refused",
        )
        mask_foreground: int | None = Field(
            default=None,
            ge=1,
            le=255,
            description="number, or grey, of the pixels that are the second of two classes; default: 1, and 255 is not "
            "judged",
        )
        split_folders: dict[str, api.SplitName] = Field(
            default={},
            description="folders that are splits though their names do not say so, as in {prueba: test}",
        )
        similar_labels: pictures.Similar = Field(
            default="refuse",
            description="labels of a table that differ by case, blanks or the writing of a number alone: refuse them, "
            "join each kind to its most frequent spelling, or keep them as classes of their own",
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
        self._like: api.DataCard | None = None

    def read_as(self, card: api.DataCard) -> None:
        self._like = card

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        index, stats = self._index, self._stats
        parts = {name: self._keys(name, fields) for name in api.SPLIT_NAMES}
        sizes = {index.infos[key].size for keys in parts.values() for key in keys}
        in_train = Counter(index.labels.get(key) for key in parts["train"])
        shown = self._mask_classes if "mask" in fields else None
        return api.DataCard(
            name=self.name,
            title=f"folder {self._folder}",
            fields=("image", *(["label"] if index.classes else []), *(["mask"] if self._can_segment else [])),
            channels=index.channels,
            size=next(iter(sizes)) if len(sizes) == 1 else None,
            dtype=index.dtype,
            value_range=stats.value_range,
            mean=stats.mean,
            std=stats.std,
            missing=self._missing,
            files=self._files,
            classes=index.classes,
            class_counts=tuple(in_train[name] for name in index.classes),
            mask_classes=shown.names if shown is not None else (),
            mask_palette=tuple(shown.palette) if shown is not None else (),
            background=shown.background if shown is not None else None,
            split_sizes={name: len(keys) for name, keys in parts.items()},
            split_origin=split_origin(index, self.options.val_share, self.options.test_share),
            source=f"your own files in {self._folder}",
            licence="yours to know",
            reading=self._reading(fields),
            converted=self._converted(),
            left_out=self._left_out(fields),
            notes=tuple(self._notes(fields)),
        )

    @property
    def _folder(self) -> str:
        """The name of the folder, without the path to it, which is nobody else's business."""
        return Path(os.path.abspath(self.root)).name or str(self.root)  # noqa: PTH100  # also of . and ..

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self._split(self._keys(name, fields), fields)

    def _split(self, keys: Sequence[str], fields: Sequence[str]) -> pictures.PictureFiles:
        index, options = self._index, self.options
        sizes = np.array([index.infos[key].size for key in keys], np.int64)
        reading = self._how if "image" in fields else pictures.Reading(max_pixels=options.max_pixels)
        labels = np.array([index.numbers[key] for key in keys], np.int64) if "label" in fields else None
        images = "image" in fields
        if "mask" not in fields:
            return pictures.PictureFiles(self.root, keys, sizes, reading, self._faults, labels=labels, images=images)
        masks, how = [index.masks[key] for key in keys], self._mask_reading
        return MaskedFiles(
            *(self.root, keys, sizes, reading, self._faults),
            labels=labels,
            images=images,
            masks=masks,
            mask_reading=how,
        )

    def _keys(self, name: api.SplitName, fields: Sequence[str]) -> list[str]:
        """Return the pictures of a split that have all of `fields`. Raises DataError if no picture at all has."""
        index, keys = self._index, self._parts[name]
        if "label" in fields:
            if not index.classes:
                raise api.DataError(
                    f"no picture in {self.root} has a label; put the pictures of each class into a folder of their "
                    f"own, or write a {pictures.LABELS_FILE} with the columns file and label{self._other_tables()}"
                )
            keys = [key for key in keys if key in index.labels]
        if "mask" in fields:
            _ = self._mask_classes
            keys = [key for key in keys if key in index.masks]
        return keys

    def _other_tables(self) -> str:
        """Return which tables of other names may say the classes, as the end of a sentence."""
        index = self._index
        tables = find_tables(self.root, index.layout.wrappings, index.infos) if index.table is None else []
        if not tables:
            return ""
        (name, column), *others = tables
        more = f" (as do {len(others)} more)" if others else ""
        return (
            f"; {name} names pictures in its column {column!r}{more}: if it says their classes, copy it to "
            f"{Path(name).parent / pictures.LABELS_FILE}, and call its columns file and label"
        )

    def faults(self) -> Collection[api.Fault]:
        _ = self._index  # reads the headers, if that was not done
        return sorted(self._faults)

    def all_faults(self) -> Iterator[api.Fault]:
        faults = {*self.faults(), *self._index.unpaired}
        yield from sorted(faults)
        if not self._index.masks:
            return
        try:
            split = self._split(list(self._index.masks), ("mask",))
        except api.DataError as error:
            yield api.Fault(CLASSES_FILE, str(error))
            return
        numbers: set[int] = set()
        for i in range(len(split)):
            try:
                numbers.update(np.unique(split[i]["mask"]).tolist())
            except api.BrokenSample as broken:
                if broken.fault not in faults:
                    yield broken.fault
        if _nothing_judged(numbers):
            yield api.Fault(self._place_of_masks or ".", nothing_judged(self._class_list))

    @cached_property
    def _class_list(self) -> ClassList:
        """Return what masks show. Raises DataError for a set without masks."""
        if not self._index.masks:
            raise api.DataError(self._why_no_masks())
        if rivals := self._index.layout.rivals:
            raise api.DataError(
                f"{self.root} has masks of the same pictures in {' and '.join(f'{name}/' for name in rivals)}; move "
                "all but one of these folders out of it, or put a dot before their names"
            )
        places = [path.parent for path in (self._beside(LABELMAP_FILE), self._beside(CLASSES_FILE)) if path.exists()]
        return read_classes(places[-1] if places else self.root)

    @cached_property
    def _peeked(self) -> list[str]:
        """Return some pictures with masks, the same in every process."""
        return sorted(self._index.masks, key=api.place)[:NUM_PEEKED]

    @cached_property
    def _mask_reading(self) -> MaskReading:
        """Return how masks are read. Raises DataError where some of them leave it open."""
        options, masks = self.options, [self._index.masks[key] for key in self._peeked]
        return read_masks(
            *(self.root, masks, self._class_list),
            pixels=options.mask_pixels,
            foreground=options.mask_foreground,
            max_pixels=options.max_pixels,
        )

    def _beside(self, name: str) -> Path:
        """Return where a file of this name lies: in the root, or in a folder around all pictures."""
        places = [self.root / folder / name for folder in self._index.layout.wrappings]
        return next((path for path in places if path.exists()), places[0])

    @property
    def _can_segment(self) -> bool:
        try:
            return bool(self._class_list.names)
        except api.DataError:
            return False

    @cached_property
    def _mask_classes(self) -> ClassList:
        """Return the classes, once some masks could be read and hold more than class 0. Raises DataError."""
        classes = self._class_list
        self._faults.update(self._index.unpaired)
        split = self._split(self._peeked, ("mask",))
        numbers: set[int] = set()
        broken: list[api.Fault] = []
        for i in range(len(split)):
            try:
                numbers.update(np.unique(split[i]["mask"]).tolist())
            except api.BrokenSample as error:  # told of when it is read for use, unless all are
                broken.append(error.fault)
        if len(broken) == len(split):
            raise none_usable(self.root, classes, broken)
        if _nothing_judged(numbers):
            raise api.DataError(f"{self.root / self._place_of_masks}: {nothing_judged(classes)}")
        return classes

    @property
    def _place_of_masks(self) -> str:
        """Return the folder that the masks lie in; nothing if there are several, or none."""
        folders = {fault.path.rpartition("/")[0] for fault in self._index.unpaired}
        known = self._index.layout.mask_folders or sorted(folders)
        return known[0] if len(known) == 1 else ""

    def _why_no_masks(self) -> str:
        index, images, masks = self._index, IMAGES_FOLDER, MASKS_FOLDER
        way_out = f"the mask of {images}/a/1.jpg is {masks}/a/1.png"
        if index.unpaired:
            first = min(index.unpaired)
            place = self.root / self._place_of_masks
            return f"none of the files in {place} is the mask of a picture; {first.path}, for one: {first.reason}"
        if index.layout.masks or all((self.root / name).is_dir() for name in (images, masks)):
            return f"no picture in {self.root / images} that can be read has a mask; {way_out}"
        return (
            f"{self.root} has no masks; put the pictures into {images}/, their masks as PNG files of the same "
            f"names into {masks}/, and the names of the classes into {CLASSES_FILE}: {way_out}"
        )

    @cached_property
    def _index(self) -> Index:
        options, like = self.options, self._like
        return read_index(
            self.root,
            like.channels if like is not None else options.channels,
            options.max_pixels,
            pictures.FileReading(npy_layout=options.npy_layout, tiff_pages=options.tiff_pages),
            self._faults,
            options.layout,
            options.similar_labels,
            like.dtype if like is not None else None,
            options.split_folders,
        )

    @cached_property
    def _parts(self) -> dict[api.SplitName, list[str]]:
        return split_keys(self.root, self._index, self.options.val_share, self.options.test_share)

    @cached_property
    def _files(self) -> pictures.FileReading:
        """How files are read, where they leave it open: as a run did whose card is known, else as told or measured."""
        options, index = self.options, self._index
        if self._like is not None:
            return self._like.files
        files = pictures.FileReading(npy_layout=index.npy_layout, tiff_pages=options.tiff_pages, nodata=options.nodata)
        if options.bits != "auto":
            return files.model_copy(update={"bits": options.bits})
        how = pictures.Reading(max_pixels=options.max_pixels, files=files)
        measured = index.dtype in ("uint8", "uint16")
        return files.model_copy(
            update={"bits": pictures.measured_bits(self.root, index.infos, how)} if measured else {}
        )

    @cached_property
    def _missing(self) -> bool:
        """Whether cells may be missing: told, named by a header, or seen in the float pictures that are measured."""
        if self._like is not None:
            return self._like.missing
        return self._named_missing or (self._index.dtype == "float32" and self._may_be_nan and self._stats.missing)

    @property
    def _named_missing(self) -> bool:
        """Whether options or headers say what missing cells hold."""
        nodata = self.options.nodata
        named = any(info.nodata is not None for info in self._index.infos.values())
        return named if nodata == "header" else nodata != "none"

    @property
    def _may_be_nan(self) -> bool:
        return self.options.nodata != "none"

    @cached_property
    def _how(self) -> pictures.Reading:
        return replace(self._how_measured, missing=self._missing)

    @property
    def _how_measured(self) -> pictures.Reading:
        """How the pictures are read that mean and deviation are measured on, where NaN is not known to be wrong."""
        index, missing = self._index, self._named_missing or (self._index.dtype == "float32" and self._may_be_nan)
        return pictures.Reading(index.channels, index.dtype, self.options.max_pixels, self._files, missing)

    @cached_property
    def _stats(self) -> pictures.ChannelStats:
        value_range = {"uint8": (0.0, 255.0), "uint16": (0.0, float(self._files.most))}.get(self._index.dtype)
        keys = self._parts["train"]
        sizes = np.array([self._index.infos[key].size for key in keys], np.int64)
        train = pictures.PictureFiles(self.root, keys, sizes, self._how_measured, self._faults)
        return pictures.sampled_channel_stats(train, self.root, value_range)

    def _converted(self) -> dict[str, int]:
        index = self._index
        made = (index.channels, index.dtype, self._files, self.options.npy_layout, self._missing)
        return converted(index.infos.values(), *made)

    def _left_out(self, fields: Sequence[str]) -> dict[str, int]:
        """Return how many sound files are not used, as masks or for lack of what `fields` ask for."""
        index, layout = self._index, self._index.layout
        counts = {**layout.extra, **index.left_out}
        if "mask" not in fields:
            counts |= layout.unused_masks()
        if "label" in fields:
            foreign = {} if self._has_table_labels else layout.foreign
            foreign = {key: name for key, name in foreign.items() if key in index.infos}
            counts |= layouts.foreign_in_words(foreign, layout.splits)
            counts |= self._without("a label", {*index.labels, *foreign})
        if "mask" in fields:
            counts |= self._without("a mask", index.masks)
        return {what: num for what, num in counts.items() if num}

    def _without(self, what: str, having: Collection[str]) -> dict[str, int]:
        """Return how many pictures lack something, told by their first folders where these are few."""
        around = self._index.layout.wrappings[-1]
        lacking = [key for key in self._index.infos if key not in having]
        inner = ((key, key.removeprefix(around)) for key in lacking)
        places = Counter(key[: len(key) - len(path)] + path.split("/")[0] if "/" in path else "" for key, path in inner)
        if len(places) > NUM_NAMED:
            return {f"without {what}": len(lacking)}
        return {f"without {what}{f', in {place}/' if place else ''}": num for place, num in places.items()}

    @property
    def _has_table_labels(self) -> bool:
        """Whether classes come from a table, so that folders name none."""
        return bool(self._index.labels) and self._index.labels.items() - self._index.layout.labels.items() != set()

    def _reading(self, fields: Sequence[str]) -> str:
        """Return in one line what was read."""
        index = self._index
        table = index.said if self._has_table_labels else ""
        line = index.layout.reading(len(index.infos), len(index.classes), table=table, names=index.classes)
        if index.table is not None and not table:
            line += f"; splits or groups by {index.said}"
        if "mask" in fields and (words := self._mask_reading.words()):
            line += f"; {', '.join(words)}"
        return line

    def _notes(self, fields: Sequence[str]) -> Iterator[str]:
        index = self._index
        yield f"mean and std were measured on {self._stats.num} train pictures chosen by the fixed seed"
        if index.dtype == "uint16":
            bits, most = self._files.bits, self._files.most
            used = "whatever the pictures use of it" if bits == 16 else f"the {bits} bits that the pictures use"
            yield f"16 bits: the range is 0 to {most}, {used}; dataset.bits says otherwise"
        elif index.dtype != "uint8":
            yield "value_range is what the measured pictures reach; others may go beyond it"
        if others := index.layout.others:
            kinds = (f"{num} {suffix or 'without suffix'}" for suffix, num in sorted(others.items()))
            yield f"ignored, not pictures: {', '.join(kinds)}"
        bare = [key for key in index.infos if key not in index.labels] if index.classes else []
        if bare and "label" not in fields:
            yield f"{len(bare)} {'picture has' if len(bare) == 1 else 'pictures have'} no label"
        if index.masks and (bare := [key for key in index.infos if key not in index.masks]):
            more = f" and {len(bare) - NUM_NAMED} more" if len(bare) > NUM_NAMED else ""
            have = "pictures have" if len(bare) > 1 else "picture has"
            yield f"{len(bare)} {have} no mask: {', '.join(bare[:NUM_NAMED])}{more}"


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Folder]


def _nothing_judged(numbers: Set[int]) -> bool:
    return numbers <= {0, pictures.VOID} and pictures.VOID in numbers
