"""ADE20K, scene parsing, from its published folders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import Field

from maecli import api
from maecli.api import pictures

from ..folder.masks import MaskedFiles, MaskReading
from .classes import class_names
from .layout import PARTS, Files, Part, download, list_files, locate, missing

READING = pictures.Reading(channels=3, dtype="uint8")
FILES = pictures.FileReading(mask_first=1, mask_palettes="numbers", mask_greys="numbers")
CODE = pictures.MaskCode(first=1, palettes="numbers", greys="numbers")


class ADE20K(api.Dataset):
    """ADE20K, scene parsing: photographs of scenes, every pixel of 150 classes of stuff and things.

    Source: Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017, arXiv:1608.05442;
        http://sceneparsing.csail.mit.edu. Downloaded by torchvision if it is not there: 0.9 GB.
    Format: `ADEChallengeData2016/{images,annotations}/{training,validation}`; the root is that folder, or the one that
        holds it. Pictures are JPEG, (3, H, W), of about 683x512 pixels, the masks of the same names 8-bit PNG.
    Classes: 150. In the files 0 is what is not judged, and 1 to 150 are the classes; `mask` counts them from 0, with
        255 for what is not judged, and masks that are predicted have the files' numbers. Names are the first ones
        of each in `objectInfo150.txt` (or `.csv`) where it lies in the folder. No class is a background.
    Splits: the labels of the official test pictures are not public, so test is the official validation (2,000), and val
        is cut from the official training (20,210), one in ten with the fixed seed 0, regardless of content.
    Faults: a picture without a mask is left out where masks are asked for; so is one whose mask is of another size or
        holds a number beyond the classes. Masks of no picture are told.
    Licence: pictures for non-commercial research and education; annotations BSD-3-Clause.
    MD5: 7328b3957e407ddae1d3cbf487f149ef  ADEChallengeData2016.zip
    """

    name = "ade20k"
    recipe = "ade20k"
    published_splits = True

    class Options(api.DatasetOptions):
        download: bool = Field(default=True, description="download ADE20K into <root> if it is not there")
        val_share: float = Field(default=0.1, ge=0, lt=1, description="share of the official training taken as val")

    options: Options

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._faults: set[api.Fault] = set()

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        splits = {name: self.split(name, fields) for name in api.SPLIT_NAMES}
        stats, masks = self._stats, any(files.masks for files in self._files.values())
        return api.DataCard(
            name=self.name,
            title="ADE20K, scene parsing",
            fields=("image", *(["mask"] if masks else [])),
            channels=3,
            size=None,
            mean=stats.mean,
            std=stats.std,
            mask_classes=self._names if masks else (),
            mask_palette=tuple(self._masks.classes.palette) if masks else (),
            files=FILES,
            split_sizes={name: len(split) for name, split in splits.items()},
            split_origin="test: the official validation, because the labels of the official test are not public; val: "
            f"a cut ({self.options.val_share:g}) of the official training with the fixed seed {api.SPLIT_SEED}, "
            "regardless of content; train is the rest",
            source="http://sceneparsing.csail.mit.edu (Zhou, Zhao, Puig, Fidler, Barriuso, Torralba)",
            licence="pictures for non-commercial research and education; annotations BSD-3-Clause",
            reading=self._reading(fields, sum(map(len, splits.values()))),
            notes=tuple(self._notes(fields)),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> pictures.PictureFiles:
        keys = [key for key in self._keys[name] if "mask" not in fields or key in self._pairs]
        if "mask" in fields:
            self._faults.update(_without_mask(key) for key in self._keys[name] if key not in self._pairs)
        if "mask" in fields and not self._pairs:
            raise api.DataError(f"{self._folder} has no masks; restore annotations/, or take the pictures alone")
        sizes = np.array([self._infos[key].size for key in keys], np.int64).reshape(-1, 2)
        images = "image" in fields
        how = (self._folder, keys, sizes, READING, self._faults)
        if "mask" not in fields:
            return pictures.PictureFiles(*how, images=images)
        masks = [self._pairs[key] for key in keys]
        return MaskedFiles(*how, images=images, masks=masks, mask_reading=self._masks)

    def given_splits(self) -> Collection[api.SplitName]:
        return ("train", "test")

    def faults(self) -> Collection[api.Fault]:
        return sorted(self._faults)

    def all_faults(self) -> Iterator[api.Fault]:
        """Yield every file that breaks a rule: all headers and all masks are read."""
        try:
            files, pairs, _ = self._files, self._pairs, (self._infos, self._masks)
        except api.DataError as error:
            yield api.Fault(str(self.root), str(error))
            return
        yield from sorted(self._faults)
        yield from (_without_mask(key) for part in files.values() for key in part.pictures if key not in pairs)
        yield from (
            api.Fault(mask, "is the mask of no picture: there is none of its name in images/")
            for part in files.values()
            for mask in part.unpaired
        )
        known = {*self._faults}
        for name in api.SPLIT_NAMES if pairs else ():
            split = self.split(name, ("mask",))
            for i in range(len(split)):
                try:
                    split[i]
                except api.BrokenSample as broken:
                    if broken.fault not in known:
                        yield broken.fault

    @cached_property
    def _folder(self) -> Path:
        folder = locate(self.root)
        if folder is None:
            if not self.options.download:
                raise api.DataError(missing(self.root, "download is off"))
            folder = download(self.root)
        return folder

    @cached_property
    def _files(self) -> dict[Part, Files]:
        return {part: list_files(self._folder, part) for part in PARTS}

    @cached_property
    def _pairs(self) -> dict[str, str]:
        """Picture → its mask."""
        return {key: mask for files in self._files.values() for key, mask in files.masks.items()}

    @cached_property
    def _infos(self) -> pictures.Headers:
        """Return the headers of the sound pictures."""
        keys = [key for files in self._files.values() for key in files.pictures]
        infos = pictures.probe_pictures(self._folder, keys, self._faults)
        return pictures.convertible(infos, 3, "uint8", self._faults)

    @cached_property
    def _keys(self) -> dict[api.SplitName, list[str]]:
        """Return the sound pictures of each split; which split a picture is in does not depend on others' faults."""
        training = self._files["training"].pictures
        cut = api.cut(training, val_share=self.options.val_share)
        keys = {name: [training[i] for i in cut[name]] for name in api.SPLIT_NAMES}
        keys["test"] = [*self._files["validation"].pictures]
        return {name: [key for key in keys[name] if key in self._infos] for name in api.SPLIT_NAMES}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return class_names(self._folder)

    @cached_property
    def _masks(self) -> MaskReading:
        palette = pictures.class_palette(len(self._names) + 1)[1:]  # in which no class is black
        return MaskReading(pictures.ClassList(self._names, palette, own_colours=False), CODE)

    @cached_property
    def _stats(self) -> pictures.ChannelStats:
        stats = pictures.sampled_channel_stats(self.split("train"), self._folder, (0.0, 255.0))
        self._faults.update(stats.faults)
        return stats

    def _reading(self, fields: Sequence[str], num: int) -> str:
        masks = f"; masks of {len(self._names)} classes in annotations/, 0 is not judged" if "mask" in fields else ""
        return f"{num:,} pictures of {self._folder.name} in images/training/ and images/validation/{masks}"

    def _notes(self, fields: Sequence[str]) -> Iterator[str]:
        yield f"mean and std were measured on {self._stats.num} train pictures chosen by the fixed seed"
        if "mask" in fields:
            yield "numbers of classes in mask files are those of `mask` + 1; 0 is not judged"
        if self._faults:
            paths = sorted(fault.path for fault in self._faults)
            yield f"broken and left out: {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}"


def _without_mask(key: str) -> api.Fault:
    return api.Fault(key, "has no mask: there is none of its name in annotations/")


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [ADE20K]
