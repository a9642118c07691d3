"""PASCAL VOC from its published devkit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from maecli import api

from .classes import CLASSES, MASK_CLASSES, PALETTE
from .contents import content_faults
from .devkit import Devkit
from .download import download, missing
from .labels import Labels
from .layout import FAMILIES, SUFFIXES, locate
from .objects import OF_OBJECTS, Remarks, kinds_of
from .samples import VOCSplit
from .splits import families_of, split_ids, split_origin

FIELDS = ("image", "mask", "label", "boxes", "box_label", "difficult", "truncated")


class VOC(api.Dataset):
    """PASCAL VOC 2007 to 2012: photographs with objects of 20 classes, their boxes, and masks of some.

    Source: Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010, and "A
        Retrospective", IJCV 111, 2015; http://host.robots.ox.ac.uk/pascal/VOC/. Downloaded by torchvision if it is
        not there: 2 GB for 2012.
    Format: the devkit, `VOCdevkit/VOC2012/{JPEGImages,Annotations,SegmentationClass,ImageSets}`; the root is the
        folder that holds `VOCdevkit`, or that folder, or the year's. Pictures are JPEG, (3, H, W), of about 500x375
        pixels. Masks are palette or RGB PNGs. Annotations are XML, whose boxes count pixels from 1 and include both
        ends; `boxes` here count from 0, right and bottom exclusive, with `difficult` and `truncated` (K,) bool.
    Classes: 20, in alphabetical order; in masks they are 1 to 20, 0 is the background, 255 the borders of objects.
        `label` (20,) int8 follows the class lists `ImageSets/Main/<class>_<list>.txt`, or the annotations where
        there are none: -1, not to be judged, for a class that is shown by difficult objects only.
    Splits: samples with `mask` follow `ImageSets/Segmentation`; others with `label` or boxes `ImageSets/Main`.
        2007: the official train, val and test lists (test stands in an archive of its own).
        Other years: the labels of their test lists are not public, so test is the official val list, and val is cut
        from the official train list, one in ten with the fixed seed 0, regardless of content.
        Pictures alone (pretraining): test holds the test pictures of both folders of lists, val the val pictures
        of both that are not in test, and train the train pictures of both that are in neither. So no picture that
        either task is tested or chosen on is pretrained on, although some of `Main/train` are in `Segmentation/val`.
    Leaks: the lists of the two folders overlap across splits, so who trains on one has seen pictures of another's
        test: a classifier trained on `Main/train`, and an encoder taken from it by `--init`, may have seen pictures
        of `Segmentation/val`, with their labels. Pretraining leaves out what is tested in either folder. The lists
        of 2012 hold pictures of 2007 to 2011 too, so that 2007 is no independent test of a model that learnt on 2012.
    Faults: a devkit without lists, or whose lists name absent files or a picture twice, is refused, and one whose
        annotations show other classes only. A sample whose file is damaged or contradicts its picture is left out
        and named, if the task reads that file: boxes and sizes do not matter to labels and masks. Boxes up to a pixel
        outside are clipped, classes may be written Dog or dining table, the picture's own size is believed; the card
        counts these, and pictures with objects of other classes, which are passed over.
    Licence: photographs from Flickr, whose terms of use apply; research use.
    MD5: 6cd6e144f989b92b3379bac3b3de84fd  VOCtrainval_11-May-2012.tar
         c52e279531787c972589f7e41ab4ae64  VOCtrainval_06-Nov-2007.tar
         b6e924de25625d8de591ea690078ad9f  VOCtest_06-Nov-2007.tar
    """

    name = "voc"
    recipe = "voc"
    published_splits = True

    class Options(api.DatasetOptions):
        year: Literal[2007, 2008, 2009, 2010, 2011, 2012] = Field(default=2012, description="which challenge's devkit")
        download: bool = Field(default=True, description="download the year into <root>/VOCdevkit if it is not there")
        val_share: float = Field(
            default=0.1, ge=0, lt=1, description="share of the official train list taken as val, except for 2007"
        )

    options: Options

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._faults: set[api.Fault] = set()
        self._stats: dict[tuple[str, ...], api.pictures.ChannelStats] = {}

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        year, splits = self.options.year, {name: self.split(name, fields) for name in api.SPLIT_NAMES}
        stats = self._stats_of(splits["train"])
        remarks = Remarks()
        targets = {"mask", "label", *OF_OBJECTS} & {*fields}
        shown = {str(name): split.shown(remarks) for name, split in splits.items()} if targets else {}
        remarks.check(self._devkit.folder / "Annotations")
        if not OF_OBJECTS & {*fields} and "label" in fields:
            remarks = self._labels.remarks
        counts: tuple[int, ...] = ()
        if (labels := splits["train"].labels) is not None:
            counts = tuple((labels == 1).sum(0).tolist())
        masks = (self._devkit.folder / "SegmentationClass").is_dir() and "Segmentation" in self._devkit.families
        lists = "Main" in self._devkit.families
        annotations = lists and (self._devkit.folder / "Annotations").is_dir()
        carried = {"image": True, "mask": masks, "label": lists} | dict.fromkeys(OF_OBJECTS, annotations)
        return api.DataCard(
            name=self.name,
            title=f"PASCAL VOC {year}",
            fields=tuple(field for field in FIELDS if carried[field]),
            channels=3,
            size=None,
            mean=stats.mean,
            std=stats.std,
            classes=CLASSES,
            class_counts=counts,
            multi_label=True,
            mask_classes=MASK_CLASSES if masks else (),
            mask_palette=PALETTE if masks else (),
            background=0 if masks else None,
            split_sizes={name: len(split) for name, split in splits.items()},
            split_origin=split_origin(self._devkit, families_of(self._devkit, fields), self.options.val_share),
            source="http://host.robots.ox.ac.uk/pascal/VOC/ (Everingham, Van Gool, Williams, Winn, Zisserman)",
            licence="photographs from Flickr, whose terms of use apply; research use",
            reading=self._reading(fields, splits),
            converted=remarks.converted,
            left_out=remarks.left_out,
            notes=tuple(self._notes(fields, shown, stats.num)),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> VOCSplit:
        devkit, families = self._devkit, families_of(self._devkit, fields)
        needed = kinds_of({"image", *fields})
        if "label" in fields and "Annotations" not in needed and not all(map(self._labels.lists_all, families)):
            needed.append("Annotations")
        faults = [fault for family in families for fault in devkit.faults(family, needed)]
        faults += self._labels.faults if "label" in fields else []
        if faults:
            more = f" (and {len(faults) - 1} more such faults)" if len(faults) > 1 else ""
            raise api.DataError(
                f"{devkit.folder.parent / faults[0].path}: {faults[0].reason}{more}; "
                "restore what is missing, or correct the lists"
            )
        ids = split_ids(devkit, families, self.options.val_share)[name]
        if "label" not in fields:
            return VOCSplit(devkit.folder, ids, fields)
        labels: dict[str, np.ndarray] = {}
        for key in ids:
            try:
                labels[key] = self._labels.of(key)
            except api.BrokenSample as broken:
                self._faults.add(broken.fault)
        self._labels.remarks.check(devkit.folder / "Annotations")
        return VOCSplit(devkit.folder, list(labels), fields, np.array([*labels.values()]).reshape(-1, len(CLASSES)))

    def given_splits(self) -> Collection[api.SplitName]:
        return [name for name in api.SPLIT_NAMES if name != "val" or self.options.year == 2007]

    def faults(self) -> Collection[api.Fault]:
        return sorted(self._faults)

    def all_faults(self) -> Iterator[api.Fault]:
        """Yield every file that breaks a rule: all lists, annotations and masks are read, and all pictures' headers.

        Paths begin with the year's folder.
        """
        try:
            devkit = self._devkit
        except api.DataError as error:
            yield api.Fault(str(self.root), str(error))
            return
        for family in FAMILIES if devkit.families else FAMILIES[:1]:  # one missing ImageSets is one fault
            yield from devkit.faults(family, SUFFIXES if family == "Segmentation" else ("JPEGImages", "Annotations"))
        yield from self._labels.faults
        yield from content_faults(devkit, self._labels)

    @cached_property
    def _devkit(self) -> Devkit:
        root, year = self.root, self.options.year
        folder = locate(root, year)
        if folder is None:
            if not self.options.download:
                raise api.DataError(missing(root, year, "download is off"))
            folder = download(root, year)
        return Devkit(folder, year)

    @cached_property
    def _labels(self) -> Labels:
        return Labels(self._devkit)

    def _stats_of(self, train: VOCSplit) -> api.pictures.ChannelStats:
        keys = tuple(train.keys)
        if keys not in self._stats:
            self._stats[keys] = api.pictures.sampled_channel_stats(train, self._devkit.folder, (0.0, 255.0))
            self._faults.update(self._stats[keys].faults)
        return self._stats[keys]

    def _reading(self, fields: Sequence[str], splits: Mapping[api.SplitName, VOCSplit]) -> str:
        families = families_of(self._devkit, fields)
        num, lists = sum(map(len, splits.values())), " and ".join(f"ImageSets/{family}" for family in families)
        parts = [f"{num:,} pictures of {self._devkit.folder.name}, by the lists in {lists}"]
        if "label" in fields:
            listed = all(map(self._labels.lists_all, families))
            parts.append(f"labels of VOC's 20 classes from {'their lists' if listed else 'Annotations/'}")
        if "mask" in fields:
            parts.append("masks in SegmentationClass/")
        boxes = self._devkit.stems("Annotations")
        if not OF_OBJECTS & {*fields} and (num := sum(key in boxes for split in splits.values() for key in split.ids)):
            parts.append(f"boxes of {num:,} in Annotations/, not used here")
        return "; ".join(parts)

    def _notes(self, fields: Sequence[str], shown: Mapping[str, set[str]], num_measured: int) -> Iterator[str]:
        devkit = self._devkit
        yield f"mean and std were measured on {num_measured} train pictures chosen by the fixed seed"
        if OF_OBJECTS & {*fields}:
            yield "boxes count pixels from 0, right and bottom exclusive; VOC's files count from 1, both ends included"
        for family in families_of(devkit, fields):
            if self.options.year == 2007 and "test" not in devkit.lists(family):
                yield f"ImageSets/{family} has no test list: it comes with VOCtest_06-Nov-2007.tar, to be unpacked here"
        for name, names in shown.items():
            if names and (lacking := [each for each in CLASSES if each not in names]):
                yield f"{name} shows no {', '.join(lacking)}: a mean over classes leaves them out"
        if "label" in fields and (lists := self._labels.foreign_lists()):
            yield f"class lists of no VOC class are passed over: {', '.join(lists[:3])}{' …' if len(lists) > 3 else ''}"
        if self._faults:
            paths = sorted(fault.path for fault in self._faults)
            yield f"broken and left out: {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}"


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [VOC]
