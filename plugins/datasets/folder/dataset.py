"""Any folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from maecli import api
from maecli.api import layouts, pictures
from maecli.api.pictures import CLASSES_FILE, ClassList

from . import told
from .agreement import converted
from .index import NO_LABEL, Index, is_glanced_at, read_index
from .mask_set import MaskSet, is_nothing_judged
from .masks import MaskedFiles, nothing_judged
from .splits import split_ids, split_origin


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
        where these stand; then the folders of `train/` are the classes), if there are two such folders or more. Where
        these are ImageNet's synsets, pictures that lie flat in `val/` are of the classes that `LOC_val_solution.csv`
        gives, and classes have the names in `LOC_synset_mapping.txt` behind theirs, as in `n01440764 tench`.
    Masks: files without loss (PNG, TIFF, BMP, GIF, WebP, PGM, `.npy`) below `masks/` that are named as the pictures
        below `images/`: `images/a/1.jpg` has the mask `masks/a/1.png`; folders may have other usual names and stand in
        each split, and masks may lie beside their pictures as `1_mask.png`. Pixels are class numbers (in grey, in a
        palette) or colours of classes (in RGB, in a palette): those that `classes.txt` gives, else VOC's; 255, of
        over 255 classes 65535, is not judged, and what is transparent is the background. `classes.txt` names class 0 in
        its first line, class 1 in the next, if wanted with numbers and colours (`1 cat 255 0 0`); CVAT's `labelmap.txt`
        serves, too. A class named background (bg) is no object. Where both folders are, pictures below `masks/` are
        never samples, and the folders below `images/` are read for classes and splits.
    Splits: the split column of `labels.csv`, else the folders `train/`, `val/` and `test/`, or as people call them
        (`training_set/`, `dev/`, `holdout/`). A split that neither names is cut from train with the fixed seed 0:
        one sample in ten for each, stratified by class and by the classes that masks show, a group never divided.
        Pictures without label and mask, in a set that has some, stay in train, unless their group is elsewhere.
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
    named_by_root = True
    meant_by_root = True

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
        super().__init__(options)
        self._faults: set[api.Fault] = set()
        self._like: api.DataCard | None = None
        self._glance: int | None = None

    def read_as(self, card: api.DataCard) -> None:
        self._like = card

    def glance(self, most: int) -> None:
        self._glance = most

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        index, stats = self._index, self._stats
        parts = {name: self._ids(name, fields) for name in api.SPLIT_NAMES}
        used = index.headers.sizes[np.concatenate(list(parts.values()))]
        in_train = index.numbers[parts["train"]]
        shown = self._shown if "mask" in fields else None
        return api.DataCard(
            name=self.name,
            title=f"folder {self._folder}",
            fields=("image", *(["label"] if index.classes else []), *(["mask"] if self._masks.can_segment else [])),
            channels=index.channels,
            size=(int(used[0, 0]), int(used[0, 1])) if len(used) and (used == used[0]).all() else None,
            dtype=index.dtype,
            value_range=stats.value_range,
            mean=stats.mean,
            std=stats.std,
            missing=self._missing,
            files=self._files if shown is None else self._files.model_copy(update=self._masks.reading.of_files()),
            classes=index.classes,
            class_counts=tuple(np.bincount(in_train[in_train != NO_LABEL], minlength=len(index.classes)).tolist()),
            mask_classes=shown.names if shown is not None else (),
            mask_palette=tuple(shown.palette) if shown is not None else (),
            background=shown.background if shown is not None else None,
            void=shown.void if shown is not None else pictures.VOID,
            split_sizes={name: len(ids) for name, ids in parts.items()},
            split_origin=split_origin(index, *self._shares, self._in_masks),
            source=f"your own files in {self._folder}",
            licence="yours to know",
            reading=told.reading(index, self._masks.reading if "mask" in fields else None),
            converted=self._converted(),
            left_out=told.left_out(index, fields),
            notes=tuple(told.notes(index, self._files, stats.num, fields)),
        )

    @property
    def _folder(self) -> str:
        """The name of the folder, without the path to it, which is nobody else's business."""
        return Path(os.path.abspath(self.root)).name or str(self.root)  # noqa: PTH100  # also of . and ..

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self._split(self._ids(name, fields), fields)

    def _split(
        self, ids: NDArray[np.int64], fields: Sequence[str], faults: set[api.Fault] | None = None
    ) -> pictures.PictureFiles:
        """Return the pictures at these positions.

        Faults that show when they are read are the data set's, unless others take them.
        """
        index, options = self._index, self.options
        faults = self._faults if faults is None else faults
        keys, sizes = index.keys.take(ids), index.headers.sizes[ids]
        reading = self._how if "image" in fields else pictures.Reading(max_pixels=options.max_pixels)
        labels = index.numbers[ids].astype(np.int64) if "label" in fields else None
        images = "image" in fields
        if "mask" not in fields:
            return pictures.PictureFiles(self.root, keys, sizes, reading, faults, labels=labels, images=images)
        masks, how = [index.masks[key] for key in keys], self._masks.reading
        return MaskedFiles(
            *(self.root, keys, sizes, reading, faults),
            labels=labels,
            images=images,
            masks=masks,
            mask_reading=how,
        )

    def _ids(self, name: api.SplitName, fields: Sequence[str]) -> NDArray[np.int64]:
        """Return the pictures of a split that have all of `fields`. Raises DataError if no picture at all has."""
        index, ids = self._index, self._parts[name]
        if "label" in fields:
            if not index.classes:
                raise api.DataError(told.why_no_labels(self.root, index))
            ids = ids[index.labelled[ids]]
        if "mask" in fields:
            _ = self._shown
            ids = ids[index.masked[ids]]
        return ids

    def faults(self) -> Collection[api.Fault]:
        _ = self._index  # reads the headers, if that was not done
        return sorted(self._faults)

    def all_faults(self) -> Iterator[api.Fault]:
        faults = {*self.faults(), *self._index.unpaired}
        yield from sorted(faults)
        if not self._index.masks:
            return
        try:
            split = self._split(np.flatnonzero(self._index.masked), ("mask",))
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
        if is_nothing_judged(numbers, self._masks.classes.void):
            yield api.Fault(self._masks.place or ".", nothing_judged(self._masks.classes))

    @cached_property
    def _masks(self) -> MaskSet:
        return MaskSet(
            self.root, self._index, self.options.mask_pixels, self.options.mask_foreground, self.options.max_pixels
        )

    @cached_property
    def _shown(self) -> ClassList:
        """Return what masks show, once some could be read and hold more than class 0. Raises DataError."""
        self._faults.update(self._index.unpaired)
        self._masks.check(self._split(pictures.Positions(self._index.keys).find(self._masks.peeked), ("mask",)))
        return self._masks.classes

    @cached_property
    def _index(self) -> Index:
        options, like = self.options, self._like
        index = read_index(
            self.root,
            like.channels if like is not None else options.channels,
            options.max_pixels,
            pictures.FileReading(npy_layout=options.npy_layout, tiff_pages=options.tiff_pages),
            self._faults,
            options.layout,
            options.similar_labels,
            like.dtype if like is not None else None,
            options.split_folders,
            self._glance,
            like.classes if like is not None else (),
        )
        if elsewhere := pictures.links_out(self.root, index.layout.samples):
            self.say(elsewhere)
        if is_glanced_at(index.layout, self._glance):
            self.say(f"going by {self._glance:,} of {len(index.layout.samples):,} pictures")
        return index

    @cached_property
    def _parts(self) -> dict[api.SplitName, NDArray[np.int64]]:
        return split_ids(self.root, self._index, *self._shares, self._in_masks)

    @property
    def _shares(self) -> tuple[float, float]:
        return self.options.val_share, self.options.test_share

    @cached_property
    def _in_masks(self) -> Mapping[str, frozenset[int]]:
        """Return which classes the mask of each picture shows, where splits are cut by them and masks can be read."""
        index = self._index
        shares = {"val": self.options.val_share, "test": self.options.test_share}
        if not any(share for name, share in shares.items() if name not in index.fixed_splits):
            return {}
        if not self._masks.can_segment:
            return {}
        of_train = np.array([*(name == "train" for name in index.splits.distinct), True])
        dealt = np.flatnonzero(index.masked & of_train[index.splits.codes])
        try:
            split = self._split(dealt, ("mask",), set())
        except api.DataError:  # told of where masks are asked for
            return {}
        return pictures.classes_in_masks(split, self._masks.classes.void, repr(self.options), self.say)

    def given_splits(self) -> Collection[api.SplitName]:
        return self._index.fixed_splits

    def groups(self) -> Mapping[str, str]:
        return self._index.groups

    @cached_property
    def _files(self) -> pictures.FileReading:
        """How files are read, where they leave it open: as a run did whose card is known, else as told or measured."""
        options, index = self.options, self._index
        if self._like is not None:
            return self._like.files
        files = pictures.FileReading(
            npy_layout=index.npy_layout,
            tiff_pages=options.tiff_pages,
            nodata=options.nodata,
            layout=options.layout,
        )
        if options.bits != "auto":
            return files.model_copy(update={"bits": options.bits})
        how = pictures.Reading(max_pixels=options.max_pixels, files=files)
        measured = any(info.dtype == "uint16" for info, _ in index.headers.counts())
        return files.model_copy(
            update={"bits": pictures.measured_bits(self.root, index.headers, how)} if measured else {}
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
        named = any(info.nodata is not None for info, _ in self._index.headers.counts())
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
        ids, index = self._parts["train"], self._index
        keys, sizes = index.keys.take(ids), index.headers.sizes[ids]
        train = pictures.PictureFiles(self.root, keys, sizes, self._how_measured, self._faults)
        return pictures.sampled_channel_stats(train, self.root, value_range)

    def _converted(self) -> dict[str, int]:
        index = self._index
        made = (index.channels, index.dtype, self._files, self.options.npy_layout, self._missing)
        return converted(index.headers, *made)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Folder]
