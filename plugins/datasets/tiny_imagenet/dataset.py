"""Tiny ImageNet, and any set of pictures in its layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

import numpy as np

from maecli import api

from .layout import CLASSES, TEST_CLASSES, TEST_PICTURES, Layout, read_layout

VAL_SHARE = 1 / 10
FOLDER = "tiny-imagenet-200"


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


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [TinyImageNet]
