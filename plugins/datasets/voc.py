"""PASCAL VOC from its published devkit."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from maecli import api

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
MASK_CLASSES = ("background", *CLASSES)
PALETTE = api.class_palette(len(MASK_CLASSES))
LABELS = {"1": 1, "0": -1, "-1": 0}
"""What a class list writes → ours: present; only as difficult objects, so not to be judged; absent."""

FIELDS = ("image", "mask", "label", "boxes", "box_label", "difficult", "truncated")
OF_OBJECTS = frozenset({"boxes", "box_label", "difficult", "truncated"})

Family = Literal["Main", "Segmentation"]
FAMILIES: tuple[Family, ...] = ("Main", "Segmentation")
SUFFIXES = {"JPEGImages": ".jpg", "SegmentationClass": ".png", "Annotations": ".xml"}
WAYS_IN = ("JPEGImages", "ImageSets")
"""Folders either of which shows that its parent is the folder of a year."""


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
    Faults: a devkit without lists, or whose lists name absent files or a picture twice, is refused. A sample whose
        file is damaged or contradicts its picture is left out and named.
    Licence: photographs from Flickr, whose terms of use apply; research use.
    MD5: 6cd6e144f989b92b3379bac3b3de84fd  VOCtrainval_11-May-2012.tar
         c52e279531787c972589f7e41ab4ae64  VOCtrainval_06-Nov-2007.tar
         b6e924de25625d8de591ea690078ad9f  VOCtest_06-Nov-2007.tar
    """

    name = "voc"
    recipe = "voc"

    class Options(api.DatasetOptions):
        year: Literal[2007, 2008, 2009, 2010, 2011, 2012] = Field(default=2012, description="which challenge's devkit")
        download: bool = Field(default=True, description="download the year into <root>/VOCdevkit if it is not there")
        val_share: float = Field(
            default=0.1, ge=0, lt=1, description="share of the official train list taken as val, except for 2007"
        )

    options: Options

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._broken: dict[str, str] = {}
        self._measurements: dict[tuple[str, ...], api.Measured] = {}

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        year, splits = self.options.year, {name: self.split(name, fields) for name in api.SPLIT_NAMES}
        measured = self._measured(splits["train"])
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
            mean=measured.mean,
            std=measured.std,
            classes=CLASSES,
            class_counts=counts,
            multi_label=True,
            mask_classes=MASK_CLASSES if masks else (),
            mask_palette=PALETTE if masks else (),
            background=0 if masks else None,
            split_sizes={name: len(split) for name, split in splits.items()},
            split_origin=self._split_origin(fields),
            source="http://host.robots.ox.ac.uk/pascal/VOC/ (Everingham, Van Gool, Williams, Winn, Zisserman)",
            licence="photographs from Flickr, whose terms of use apply; research use",
            notes=tuple(self._notes(fields, splits, measured.num)),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> VOCSplit:
        devkit, families = self._devkit, self._families(fields)
        needed = ["JPEGImages"]
        needed += ["SegmentationClass"] if "mask" in fields else []
        if OF_OBJECTS & {*fields} or ("label" in fields and not all(map(devkit.has_class_lists, families))):
            needed.append("Annotations")
        faults = [fault for family in families for fault in devkit.faults(family, needed)]
        faults += devkit.label_faults if "label" in fields else []
        if faults:
            more = f" (and {len(faults) - 1} more such faults)" if len(faults) > 1 else ""
            raise api.DataError(
                f"{devkit.folder.parent / faults[0].path}: {faults[0].rule}{more}; "
                "restore what is missing, or correct the lists"
            )
        ids = self._parts(families)[name]
        if "label" not in fields:
            return VOCSplit(devkit.folder, ids, fields)
        labels: dict[str, np.ndarray] = {}
        for key in ids:
            try:
                labels[key] = devkit.label(key)
            except api.BrokenSample as broken:
                self._broken[broken.key] = broken.reason
        return VOCSplit(devkit.folder, list(labels), fields, np.array([*labels.values()]).reshape(-1, len(CLASSES)))

    def broken(self) -> Mapping[str, str]:
        return dict(sorted(self._broken.items()))

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield every file that breaks a rule: all lists, annotations and masks are read, and all pictures' headers.

        Paths begin with the year's folder.
        """
        try:
            devkit = self._devkit
        except api.DataError as error:
            yield str(self.root), str(error)
            return
        for family in FAMILIES if devkit.families else FAMILIES[:1]:  # one missing ImageSets is one fault
            yield from devkit.faults(family, SUFFIXES if family == "Segmentation" else ("JPEGImages", "Annotations"))
        yield from devkit.label_faults
        yield from devkit.content_faults()

    @cached_property
    def _devkit(self) -> Devkit:
        folder = locate(self.root, self.options.year) or self._download()
        return Devkit(folder, self.options.year)

    def _families(self, fields: Sequence[str]) -> tuple[Family, ...]:
        """Return the folders of lists that samples with `fields` follow."""
        if "mask" in fields:
            return ("Segmentation",)
        if "label" in fields or OF_OBJECTS & {*fields}:
            return ("Main",)
        return self._devkit.families or ("Main",)

    def _parts(self, families: Sequence[Family]) -> dict[api.SplitName, list[str]]:
        """Return the ids of each split, sorted; test goes before val, and val before train."""
        parts = [self._family_parts(family) for family in families]
        test = {key for part in parts for key in part["test"]}
        val = {key for part in parts for key in part["val"]} - test - self._devkit.secret
        train = {key for part in parts for key in part["train"]} - test - val - self._devkit.secret
        return {"train": sorted(train), "val": sorted(val), "test": sorted(test)}

    def _family_parts(self, family: Family) -> dict[api.SplitName, Sequence[str]]:
        lists = self._devkit.lists(family)
        if self.options.year == 2007:
            return {"train": lists["train"], "val": lists["val"], "test": lists.get("test", ())}
        train = lists["train"]
        cut = api.cut(train, val_share=self.options.val_share)
        return {
            "train": [train[i] for i in cut["train"]],
            "val": [train[i] for i in cut["val"]],
            "test": lists["val"],
        }

    def _split_origin(self, fields: Sequence[str]) -> str:
        families = self._families(fields)
        year, where = self.options.year, " and ".join(f"ImageSets/{family}" for family in families)
        if year == 2007:
            origin = f"{where}: the official train, val and test lists"
        else:
            origin = (
                f"{where}: test is the official val list, because the labels of VOC {year}'s test list are not "
                f"public; val is a cut ({self.options.val_share:g}) of the official train list with the fixed "
                f"seed {api.SPLIT_SEED}, regardless of content; train is the rest"
            )
        if len(families) > 1:
            origin += "; a picture in several is in test before val, and in val before train"
        return origin

    def _measured(self, train: VOCSplit) -> api.Measured:
        keys = tuple(train.keys)
        if keys not in self._measurements:
            self._measurements[keys] = api.measure(train, self._devkit.folder, (0.0, 255.0))
            self._broken |= self._measurements[keys].broken
        return self._measurements[keys]

    def _notes(
        self, fields: Sequence[str], splits: Mapping[api.SplitName, VOCSplit], num_measured: int
    ) -> Iterator[str]:
        devkit = self._devkit
        yield f"mean and std were measured on {num_measured} train pictures chosen by the fixed seed"
        if OF_OBJECTS & {*fields}:
            yield "boxes count pixels from 0, right and bottom exclusive; VOC's files count from 1, both ends included"
        for family in self._families(fields):
            if self.options.year == 2007 and "test" not in devkit.lists(family):
                yield f"ImageSets/{family} has no test list: it comes with VOCtest_06-Nov-2007.tar, to be unpacked here"
        if {"mask", "label"} & {*fields} or OF_OBJECTS & {*fields}:
            for name, split in splits.items():
                shown = devkit.shown(split)
                if len(split) and shown and (lacking := [each for each in CLASSES if each not in shown]):
                    yield f"{name} shows no {', '.join(lacking)}: a mean over classes leaves them out"
        if self._broken:
            yield f"broken and left out: {', '.join(sorted(self._broken)[:3])}{' …' if len(self._broken) > 3 else ''}"

    def _download(self) -> Path:
        """Fetch the year beside its place, and move it there when it is whole."""
        if not self.options.download:
            raise api.DataError(self._missing("download is off"))
        from torchvision import datasets  # type: ignore[import-untyped]  # takes seconds; only a download needs it

        year, parent = self.options.year, self._parent
        if is_year(self.root) and self.root.name != f"VOC{year}":
            raise api.DataError(self._missing("the root is another year's folder"))
        staging = parent / f".download-{year}"
        with api.downloading(self._missing):
            for image_set in ("train", "test") if year == 2007 else ("train",):
                datasets.VOCSegmentation(staging, year=str(year), image_set=image_set, download=True)
            found = locate(staging, year)
            if found is None:
                raise RuntimeError(f"the archive holds no VOC{year}")
            found.rename(parent / f"VOC{year}")
            shutil.rmtree(staging)
        return parent / f"VOC{year}"

    @property
    def _parent(self) -> Path:
        """The folder that a year belongs in."""
        if is_year(self.root):
            return self.root.parent
        return self.root if self.root.name == "VOCdevkit" else self.root / "VOCdevkit"

    def _missing(self, why: str) -> str:
        year, root = self.options.year, self.root
        others = [other for other in range(2007, 2013) if other != year and locate(root, other)]
        instead = f", or set dataset.year={others[-1]}, which is there" if others else ""
        return (
            f"VOC {year} was not found in {root} and {why}; put the devkit's folder VOC{year} with JPEGImages, "
            f"Annotations, SegmentationClass and ImageSets into {self._parent}, or point --root or MAE_DATA at "
            f"the folder that holds VOCdevkit{instead}"
        )


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [VOC]


class Fault(NamedTuple):
    """A file that breaks a rule, by its path from the folder that holds the year's."""

    path: str
    rule: str


def locate(root: Path, year: int) -> Path | None:
    """Return the folder of a year, if it is `root` or lies where a devkit has it."""
    name = f"VOC{year}"
    places = [root / name, root / "VOCdevkit" / name, root / "TrainVal" / "VOCdevkit" / name]  # the last for 2011
    if (root.name == name or not is_year(root)) and any((root / each).is_dir() for each in WAYS_IN):
        places.append(root)
    return next((folder for folder in places if folder.is_dir()), None)


def is_year(folder: Path) -> bool:
    """Whether a folder is named as a year's."""
    return re.fullmatch(r"VOC\d{4}", folder.name) is not None


class Devkit:
    """The folder of one year: its lists and files, and the rules that they break. A picture's id is its stem."""

    def __init__(self, folder: Path, year: int) -> None:
        self.folder, self.year = folder, year
        self.families = tuple(family for family in FAMILIES if (folder / "ImageSets" / family).is_dir())
        self._read: dict[Family, tuple[dict[str, list[str]], list[Fault]]] = {}
        self._stems: dict[str, frozenset[str]] = {}

    def lists(self, family: Family) -> dict[str, list[str]]:
        """Return the ids of the official lists `train`, `val` and, if it is there, `test`."""
        return self._read_lists(family)[0]

    @cached_property
    def secret(self) -> frozenset[str]:
        """The ids of test lists whose labels are not public: nothing may be learnt from these pictures."""
        if self.year == 2007:
            return frozenset()
        return frozenset(key for family in self.families for key in self.lists(family).get("test", ()))

    def faults(self, family: Family, needed: Collection[str]) -> list[Fault]:
        """Return what is wrong with the lists of a family, and which files in the folders `needed` are absent."""
        lists, faults = self._read_lists(family)
        faults = list(faults)
        for kind in needed:
            if lists and not (self.folder / kind).is_dir():
                faults.append(self._fault(kind, "is missing"))
                continue
            for name, ids in lists.items():
                if name != "test" or self.year == 2007:
                    path = f"ImageSets/{family}/{name}.txt"
                    absent = (key for key in ids if key not in self.stems(kind))
                    faults += [
                        self._fault(path, f"names {key}, but there is no {kind}/{key}{SUFFIXES[kind]}")
                        for key in absent
                    ]
        return faults

    def stems(self, kind: str) -> frozenset[str]:
        """Return the ids that have a file in the folder `kind`."""
        if kind not in self._stems:
            with contextlib.suppress(OSError), os.scandir(self.folder / kind) as entries:
                names = [entry.name for entry in entries]
                self._stems[kind] = frozenset(Path(name).stem for name in names if name.endswith(SUFFIXES[kind]))
        return self._stems.get(kind, frozenset())

    def _read_lists(self, family: Family) -> tuple[dict[str, list[str]], list[Fault]]:
        if family not in self._read:
            faults: list[Fault] = []
            self._read[family] = dict(self._official(family, faults)), faults
        return self._read[family]

    def _official(self, family: Family, faults: list[Fault]) -> Iterator[tuple[str, list[str]]]:
        where = f"ImageSets/{family}"
        if family not in self.families:
            missing = where if (self.folder / "ImageSets").is_dir() else "ImageSets"
            faults.append(self._fault(missing, "is missing; VOC's lists of images stand there"))
            return
        seen: dict[str, str] = {}
        for name in ("train", "val", "test"):
            path = f"{where}/{name}.txt"
            if name == "test" and not (self.folder / path).is_file():
                continue
            ids = [row[0] for row in self._rows(path, faults, "names no image")]
            for key in ids:
                if key in seen:
                    again = " twice" if seen[key] == name else f", which {seen[key]}.txt names too"
                    faults.append(self._fault(path, f"names {key}{again}"))
                seen.setdefault(key, name)
            yield name, list(dict.fromkeys(ids))

    def _rows(self, path: str, faults: list[Fault], if_empty: str) -> list[list[str]]:
        """Return the words of each line that has any."""
        try:
            lines = (self.folder / path).read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            faults.append(self._fault(path, "is missing"))
            return []
        except (OSError, UnicodeDecodeError) as error:
            faults.append(self._fault(path, f"cannot be read ({error})"))
            return []
        rows = [line.split() for line in lines if line.strip()]
        if not rows:
            faults.append(self._fault(path, if_empty))
        return rows

    @property
    def label_faults(self) -> list[Fault]:
        """What is wrong with the class lists."""
        return self._class_lists[1]

    def has_class_lists(self, family: Family) -> bool:
        """Whether the class lists tell the label of every picture in a family's lists."""
        judged = ("train", "val", "test") if self.year == 2007 else ("train", "val")
        ids = (key for name in judged for key in self.lists(family).get(name, ()))
        return all(key in self._class_lists[0] for key in ids)

    @cached_property
    def _class_lists(self) -> tuple[dict[str, np.ndarray], list[Fault]]:
        """Return labels (Q,) int8 by id, as far as there are class lists, and what is wrong with these."""
        found: dict[str, np.ndarray] = {}
        faults: list[Fault] = []
        for name, ids in self.lists("Main").items() if "Main" in self.families else ():
            paths = [f"ImageSets/Main/{each}_{name}.txt" for each in CLASSES]
            if not any((self.folder / path).is_file() for path in paths):
                continue
            labels = {key: np.zeros(len(CLASSES), np.int8) for key in ids}
            for number, path in enumerate(paths):
                told: set[str] = set()
                for row in self._rows(path, faults, "tells no labels"):
                    if len(row) != 2 or row[1] not in LABELS:
                        faults.append(self._fault(path, f"has the line {' '.join(row)!r}, not an image and 1, 0 or -1"))
                    elif row[0] not in labels:
                        faults.append(self._fault(path, f"names {row[0]}, which {name}.txt does not name"))
                    else:
                        labels[row[0]][number] = LABELS[row[1]]
                        told.add(row[0])
                if told:
                    untold = (key for key in ids if key not in told)
                    faults += [self._fault(path, f"does not name {key}, which {name}.txt names") for key in untold]
            found |= labels
        return found, faults

    def label(self, key: str) -> np.ndarray:
        """Return the label (Q,) int8 of a picture. Raises `BrokenSample`."""
        if key in self._class_lists[0]:
            return self._class_lists[0][key]
        return label_of(objects_of(self.folder, key))

    def shown(self, split: VOCSplit) -> set[str]:
        """Return the classes of which a split has a positive picture, or, without labels, an object."""
        if split.labels is not None:
            return {CLASSES[i] for i in np.flatnonzero((split.labels == 1).any(0))}
        names: set[str] = set()
        for key in split.ids:
            with contextlib.suppress(api.BrokenSample):
                names |= {thing.name for thing in objects_of(self.folder, key)}
        return names

    def content_faults(self) -> Iterator[Fault]:
        """Yield what is wrong with each picture's header, annotation and mask, and between them."""
        pictures, annotations, masks = (self.stems(kind) for kind in ("JPEGImages", "Annotations", "SegmentationClass"))
        for key in sorted(pictures | annotations | masks):
            size: tuple[int, int] | None = None
            if key in pictures:
                try:
                    size = api.probe_picture(self.folder / f"JPEGImages/{key}.jpg").size
                except api.BrokenSample as broken:
                    yield self._fault(f"JPEGImages/{key}.jpg", broken.reason)
            for kind, rules in (("Annotations", self._annotation_rules), ("SegmentationClass", self._mask_rules)):
                if key in self.stems(kind):
                    path = f"{kind}/{key}{SUFFIXES[kind]}"
                    if key not in pictures:
                        yield self._fault(path, f"belongs to no picture: there is no JPEGImages/{key}.jpg")
                    for rule in rules(key, size):
                        yield self._fault(path, rule)

    def _annotation_rules(self, key: str, size: tuple[int, int] | None) -> Iterator[str]:
        try:
            annotation = api.read_annotation(self.folder / f"Annotations/{key}.xml")
        except api.BrokenSample as broken:
            yield broken.reason
            return
        yield from annotation.broken_rules(CLASSES, size)
        listed = self._class_lists[0].get(key)
        if listed is not None and (differ := np.flatnonzero(listed != label_of(annotation.objects))).size:
            names = ", ".join(CLASSES[i] for i in differ)
            yield f"does not agree with the class lists in ImageSets/Main on {names}"

    def _mask_rules(self, key: str, size: tuple[int, int] | None) -> Iterator[str]:
        try:
            mask = api.read_mask(self.folder / f"SegmentationClass/{key}.png", len(MASK_CLASSES), PALETTE)
        except api.BrokenSample as broken:
            yield broken.reason
            return
        if size is not None and mask.shape != size:
            yield other_size(mask, size)

    def _fault(self, path: str, rule: str) -> Fault:
        return Fault(f"{self.folder.name}/{path}", rule)


class VOCSplit(api.Split):
    """Samples read one by one, as they are asked for, and no more of them than `fields`."""

    def __init__(
        self, folder: Path, ids: Sequence[str], fields: Sequence[str], labels: np.ndarray | None = None
    ) -> None:
        self.ids, self.labels = ids, labels
        self._folder, self._fields = folder, tuple(fields)
        self._keys = [key_of(folder, key) for key in ids]

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> api.Sample:
        sample: api.Sample = {}
        if "image" in self._fields:
            sample["image"] = self._read(index)
        if "mask" in self._fields:
            size = sample["image"].shape[1:] if "image" in sample else self.size(index)
            sample["mask"] = self._mask(index, size)
        if self.labels is not None:
            sample["label"] = self.labels[index]
        if OF_OBJECTS & {*self._fields}:
            arrays = arrays_of(objects_of(self._folder, self.ids[index]))
            sample |= {name: array for name, array in arrays.items() if name in self._fields}
        return sample

    def size(self, index: int) -> tuple[int, ...]:
        with keyed(self._keys[index]):
            return api.probe_picture(self._picture(index)).size

    def small(self, index: int, at_least: int) -> np.ndarray:
        return self._read(index, at_least)

    def _picture(self, index: int) -> Path:
        return self._folder / f"JPEGImages/{self.ids[index]}.jpg"

    def _read(self, index: int, at_least: int | None = None) -> np.ndarray:
        with keyed(self._keys[index]):
            return api.read_picture(self._picture(index), channels=3, dtype="uint8", at_least=at_least)

    def _mask(self, index: int, size: tuple[int, ...]) -> np.ndarray:
        path = f"SegmentationClass/{self.ids[index]}.png"
        with keyed(self._keys[index], path):
            mask = api.read_mask(self._folder / path, len(MASK_CLASSES), PALETTE)
        if mask.shape != size:
            raise api.BrokenSample(self._keys[index], f"{path}: {other_size(mask, size)}")
        return mask


def key_of(folder: Path, key: str) -> str:
    return f"{folder.name}/JPEGImages/{key}.jpg"


@contextlib.contextmanager
def keyed(key: str, path: str = "") -> Iterator[None]:
    """Let a `BrokenSample` bear the sample's key, and name the file, if it is not the picture."""
    try:
        yield
    except api.BrokenSample as broken:
        raise api.BrokenSample(key, f"{path}: {broken.reason}" if path else broken.reason) from broken


def objects_of(folder: Path, key: str) -> Sequence[api.AnnotatedObject]:
    """Return the objects in a picture. Raises `BrokenSample`, also for one that breaks a rule."""
    path = f"Annotations/{key}.xml"
    with keyed(key_of(folder, key), path):
        annotation = api.read_annotation(folder / path)
    for rule in annotation.broken_rules(CLASSES):
        raise api.BrokenSample(key_of(folder, key), f"{path}: {rule}")
    return annotation.objects


def label_of(objects: Sequence[api.AnnotatedObject]) -> np.ndarray:
    """Return the label (Q,) int8 of a picture with these objects."""
    label = np.zeros(len(CLASSES), np.int8)
    for thing in objects:
        if thing.name in CLASSES:
            number = CLASSES.index(thing.name)
            label[number] = -1 if thing.difficult and label[number] != 1 else 1
    return label


def arrays_of(objects: Sequence[api.AnnotatedObject]) -> dict[str, np.ndarray]:
    return {
        "boxes": np.array([thing.box for thing in objects], np.float32).reshape(-1, 4),
        "box_label": np.array([CLASSES.index(thing.name) for thing in objects], np.int64),
        "difficult": np.array([thing.difficult for thing in objects], bool),
        "truncated": np.array([thing.truncated for thing in objects], bool),
    }


def other_size(mask: np.ndarray, size: Sequence[int]) -> str:
    return f"mask is {mask.shape[1]}×{mask.shape[0]} pixels, but its image {size[1]}×{size[0]}"
