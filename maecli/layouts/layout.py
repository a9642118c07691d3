"""How a folder was read: what its files and folders mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from maecli.data.card import SPLIT_NAMES, SplitName
from maecli.data.file_reading import FolderReading
from maecli.text import number_of

Reading = FolderReading

READINGS: Mapping[str, str] = {
    "auto": "what the names of folders and files say; refused where two readings are as likely",
    "flat": "no folder and no file name means anything: every picture is a sample without a label",
    "classes": "the first folder of each path is its class, and none is a split, whatever it is called",
    "last-folder": "the last folder of each path is its class; folders of splits are known by their names",
    "splits": "folders named train, val, test and the like are splits, the folders below them classes; what lies "
    "beside them is unlabelled",
    "splits-flat": "folders named train, val, test and the like are splits, and no folder is a class",
    "classes-splits": "the first folder of each path is its class, and the folders below are splits by their names",
    "masks": "as auto, and what is named as a mask is one, be it a folder or a file beside its picture",
}
"""The readings that a person may choose, in words."""

assert set(READINGS) == set(get_args(Reading))

NUM_NAMED = 3
SECOND, SECOND_MASKS = "second mask", "second masks of the same pictures"
SEVERAL = "one of several masks of a picture, which are not read as one"
WITH_LOSS = "in the place of masks, but in a form that loses pixels, as JPEG does"
NO_PICTURE = "in the place of masks, but of no picture"
SAME_NAMES = "the same names"
"""In place of a mark, where masks are called as their pictures are but for the ending."""


@dataclass(frozen=True)
class Layout:
    """What the files below a folder are. All paths are relative to it, as they were found."""

    samples: Sequence[str]
    """In the order of their paths."""
    splits: Mapping[str, SplitName] = field(default_factory=dict)
    """Sample → its split, for those that lie in a folder of one."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Sample → the class that its folder names."""
    masks: Mapping[str, str] = field(default_factory=dict)
    """Sample → its mask."""
    unpaired: Mapping[str, str] = field(default_factory=dict)
    """Mask → why it is that of no sample."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Sample of a split → its folder, where that is no class because train has it not."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Ending → number of files that are neither named as samples nor as masks."""
    extra: Mapping[str, int] = field(default_factory=dict)
    """Why files that are named as samples are neither samples nor masks → how many."""
    wrappings: Sequence[str] = ("",)
    """The folder itself, and those around the data: `("", "pets/")`. Tables lie in one of them."""
    split_folders: Sequence[str] = ()
    mask_folders: Sequence[str] = ()
    image_folders: Sequence[str] = ()
    mask_marks: Sequence[str] = ()
    """What the names of masks that lie beside their pictures end in, or begin with."""
    rivals: Sequence[str] = ()
    """Folders of masks of the same pictures, of which none is better than the other by its name."""
    said: Sequence[str] = ()
    """What else a person should know of the reading."""

    @property
    def has_masks(self) -> bool:
        """Whether any file was taken for a mask, be it that of a sample or of none."""
        return bool(self.masks or self.unpaired or self.mask_folders)

    def unused_masks(self) -> dict[str, int]:
        """Return why files in the place of masks are those of no sample → how many."""
        counts = Counter(_kind_of(reason) for reason in self.unpaired.values())
        second = sorted({path.rpartition("/")[0] for path, why in self.unpaired.items() if why.startswith(SECOND)})
        places = f", in {listed([f'{place}/' for place in second])}" if all(second) and second else ""
        return {f"{kind}{places if kind == SECOND_MASKS else ''}": num for kind, num in counts.items()}

    def reading(
        self, num: int, num_classes: int, *, noun: str = "picture", table: str = "", names: Sequence[str] = ()
    ) -> str:
        """Return in one line what was read: so many samples, classes by `table` or else by folders, splits, masks.

        `names` are those of the classes of a table.
        """
        first = number_of(num, noun)
        if num_classes:
            classes = names if table else sorted(set(self.labels.values()))
            named = f" ({listed(classes)})" if len(classes) == num_classes else ""
            first += f" in {number_of(num_classes, 'class', 'classes')}{named}{f' by {table}' if table else ''}"
        if self.split_folders:
            first += f", split by folders {', '.join(f'{name}/' for name in self.split_folders)}"
        parts = [first]
        if self.masks:
            places = [f"in {listed([f'{name}/' for name in self.mask_folders])}"] if self.mask_folders else []
            marks = [mark for mark in self.mask_marks if mark != SAME_NAMES]
            places += [f"by {' and '.join(marks)} in their names"] if marks else []
            places += ["of the same names beside them"] if SAME_NAMES in self.mask_marks else []
            of = "" if len(self.masks) == num else f" of {len(self.masks):,} of them"
            parts.append(f"masks{of} {', '.join(places)}")
        return "; ".join([*parts, *self.said])


def _kind_of(reason: str) -> str:
    kinds = {SECOND: SECOND_MASKS, SEVERAL: SEVERAL, "bleed": WITH_LOSS, "loses pixels": WITH_LOSS}
    return next((kind for words, kind in kinds.items() if words in reason), NO_PICTURE)


def listed(names: Sequence[str]) -> str:
    """Return up to three names, and how many more there are."""
    more = f", … {len(names) - NUM_NAMED:,} more" if len(names) > NUM_NAMED else ""
    return ", ".join(names[:NUM_NAMED]) + more


def in_order(splits: Mapping[str, SplitName]) -> list[str]:
    """Return folder → split as the folders' names, those of train first."""
    return sorted(splits, key=lambda name: (SPLIT_NAMES.index(splits[name]), name))


def counted(endings: Sequence[str]) -> Mapping[str, int]:
    return Counter(endings)
