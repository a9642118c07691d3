"""What all data sets of volumes have in common: reading, space, values, splits and masks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field

from maecli import api
from maecli.api import volumes

from . import told
from .finding import Found, unnamed_classes
from .index import Index, masked, read_index
from .values import MOST_MEASURED, Intensity, Measured, choose_window, chosen, measure

Millimetres = Annotated[float, Field(gt=0)]


class VolumeOptions(api.DatasetOptions):
    """Options of data sets of volumes."""

    spacing: tuple[Millimetres, Millimetres, Millimetres] | None = Field(
        default=None,
        description="mm from voxel to voxel to the right, front and top, to which all are brought; default: the median "
        "of the training volumes",
    )
    resample: bool = Field(default=True, description="bring volumes to one spacing; false: as each file has it")
    intensity: Intensity = Field(
        default="auto",
        description="window: values outside of `window` are cut off; robust: distance to the median of the body in "
        "each volume, by its quartiles, as for MR; range: from the least to the greatest value of training; auto: "
        "window where values look like Hounsfield units, or the description says CT, else robust",
    )
    window: tuple[float, float] | None = Field(
        default=None, description="lowest and highest value that are told apart; default, of a CT: -175 to 250 HU"
    )
    foreground_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the parts cut out in training (data.fit: crop) that lie around a voxel of a class, each "
        "class as often; the others lie in the body",
    )
    val_share: float = Field(default=0.1, ge=0, lt=1, description="share of the volumes taken as val, if none is given")
    test_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of the volumes taken as test, if none is given"
    )


def _same_values(one: volumes.VolumeReading, other: volumes.VolumeReading) -> bool:
    """Whether values of volumes are read alike."""
    return (one.spacing, one.window) == (other.spacing, other.window)


class VolumeSet(api.Dataset):
    """Volumes of one kind, found by `find`; a subclass says where they lie and what their classes are called."""

    Options = VolumeOptions
    options: VolumeOptions

    def __init__(self, options: VolumeOptions) -> None:
        if options.window is not None and not options.window[0] < options.window[1]:
            raise api.SpecError(f"dataset.window {list(options.window)} must rise from its first number to its second")
        super().__init__(options)
        self._faults: set[api.Fault] = set()
        self._like: api.DataCard | None = None
        self._first: api.DataCard | None = None
        self._told = False

    def read_as(self, card: api.DataCard) -> None:
        self._like = card

    def begin_from(self, card: api.DataCard) -> None:
        self._first = card if card.volumes is not None else None

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        index, measured, masks = self._index, self._measured, "mask" in fields
        parts = {name: self._keys(name, fields) for name in api.SPLIT_NAMES}
        num_masks = len(masked(index.cases))
        names = self._classes if masks else ()
        sizes = {volumes.resampled_size(space, self._reading.spacing) for space in index.spaces.values()}
        self._tell()
        return api.DataCard(
            name=self.name,
            title=self.title or f"volumes in {self.root.resolve().name}",
            modality="volumes",
            fields=("image", *(["mask"] if num_masks else [])),
            channels=index.channels,
            size=next(iter(sizes)) if len(sizes) == 1 else None,
            dtype=self._dtype,
            value_range=self._reading.value_range,
            missing=self._dtype == "float32",
            mean=measured.mean,
            std=measured.std,
            mask_classes=names,
            mask_palette=api.pictures.class_palette(len(names)),
            background=self._background(names),
            void=self._masks.number_of_void if masks else 255,
            volumes=self._reading,
            split_sizes={name: len(keys) for name, keys in parts.items()},
            split_origin=self.split_origin(),
            source=self.source,
            licence=self.licence,
            reading=told.reading(len(index.cases), num_masks, len(names), self._reading, index.channels, masks),
            left_out=self._found.left_out,
            notes=tuple(self._notes()),
        )

    def _tell(self) -> None:
        """Say once what is peculiar, where a run is not bound to how others were read."""
        if not self._told and self._like is None:
            self._told = True
            for note in self._notes():
                self.say(note)

    source = ""
    licence = ""
    title = ""

    def _background(self, names: Sequence[str]) -> int | None:
        return None if not names else api.pictures.background_of(names) or 0

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> volumes.VolumeCases:
        return self._split(self._keys(name, fields), fields, name == "train")

    def given_splits(self) -> Collection[api.SplitName]:
        return {*self._found.splits.values()} - {"train"}

    def groups(self) -> Mapping[str, str]:
        return self._patients

    def faults(self) -> Collection[api.Fault]:
        index = self._index
        lone = (api.Fault(path, "is the mask of no volume here") for path in self._found.lone)
        stray = (api.Fault(path, told.stray(self._found.endings)) for path in self._found.stray)
        return sorted({*self._faults, *index.faults, *index.faults_of_masks, *lone, *stray})

    def all_faults(self) -> Iterator[api.Fault]:
        yield from self.faults()
        keys = masked(self._index.cases)
        if not keys:
            return
        split = self._split(keys, ("mask",), training=False)
        for i in range(len(split)):
            try:
                split.read_mask(i)
            except api.BrokenSample as error:
                yield error.fault

    def _split(self, keys: Sequence[str], fields: Sequence[str], training: bool) -> volumes.VolumeCases:
        masks = "mask" in fields
        return volumes.VolumeCases(
            self.root,
            [self._index.cases[key] for key in keys],
            self._reading,
            self._index.channels,
            self._dtype,
            masks=self._masks if masks else None,
            images="image" in fields,
            centres_share=(self.options.foreground_share if masks else 0.0) if training else None,
        )

    def _keys(self, name: api.SplitName, fields: Sequence[str]) -> list[str]:
        """Return the volumes of a split that have all of `fields`. Raises DataError where none at all has a mask."""
        keys, index = self._parts[name], self._index
        if "mask" not in fields:
            return keys
        if not masked(index.cases):
            found = self._found
            faults = index.faults_of_masks
            raise api.DataError(told.no_masks(self.root, found.empty, faults, found.lone), faults)
        return [key for key in keys if index.cases[key].mask is not None]

    @abstractmethod
    def find(self) -> Found:
        """Return the volumes below the root. Raises DataError where there are none."""

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Return the names of classes by number; nothing where no list says them."""

    def patient_of(self, key: str) -> str:
        """Return whose volume it is."""
        return key

    def split_origin(self) -> str:
        options, given = self.options, sorted(self.given_splits())
        by_patient = len({*self._patients.values()}) < len(self._patients)
        masks = 0 < len(masked(self._index.cases)) < len(self._index.cases)
        return told.split_origin(given, options.val_share, options.test_share, by_patient, masks)

    @cached_property
    def _found(self) -> Found:
        return self.find()

    @cached_property
    def _index(self) -> Index:
        paths = (path for case in self._found.cases for path in (*case.images, case.mask) if path is not None)
        if elsewhere := api.pictures.links_out(self.root, paths):
            self.say(elsewhere)
        return read_index(self.root, self._found.cases, self._like.channels if self._like is not None else None)

    @cached_property
    def _patients(self) -> dict[str, str]:
        return {key: self.patient_of(key) for key in self._index.cases}

    @cached_property
    def _parts(self) -> dict[api.SplitName, list[str]]:
        """The volumes of each split: given ones first, the missing ones cut from train, of those with masks."""
        index, given = self._index, self._found.splits
        split_of: dict[str, api.SplitName] = {key: given.get(key, "train") for key in index.cases}
        train = [key for key, split in split_of.items() if split == "train"]
        serves = [key for key in train if index.cases[key].mask is not None] or train
        patients, fixed = self._patients, self.given_splits()
        dealt = api.cut(
            serves,
            val_share=0.0 if "val" in fixed else self.options.val_share,
            test_share=0.0 if "test" in fixed else self.options.test_share,
            groups=[patients[key] for key in serves],
        )
        of_patient = {patients[serves[i]]: name for name, ids in dealt.items() for i in ids}
        split_of.update({key: of_patient.get(patients[key], "train") for key in train})
        parts: dict[api.SplitName, list[str]] = {
            name: [key for key, split in split_of.items() if split == name] for name in api.SPLIT_NAMES
        }
        if not parts["train"]:
            raise api.DataError(f"{self.root} has volumes for {' and '.join(sorted(fixed))}, but none to learn from")
        return parts

    @cached_property
    def _window(self) -> tuple[tuple[float, float] | None, str]:
        options, described, index = self.options, self._found.described, self._index
        if self._begun_with is not None and options.window is None and options.intensity == "auto":
            return self._begun_with.window, "values are read as the run of --init read them"
        cases = [index.cases[key] for key in chosen(self._parts["train"], MOST_MEASURED)]
        is_ct = described.is_ct if described is not None else None
        return choose_window(self.root, cases, index.channels, options.intensity, options.window, is_ct)

    @cached_property
    def _begun_with(self) -> volumes.VolumeReading | None:
        """How the run of `--init` read volumes of as many channels."""
        first = self._first
        return first.volumes if first is not None and first.channels == self._index.channels else None

    @cached_property
    def _reading(self) -> volumes.VolumeReading:
        """How volumes are read: as those of a run were, else as the options, the run of `--init`, or training says."""
        if self._like is not None and self._like.volumes is not None:
            return self._like.volumes
        options, first = self.options, self._begun_with
        usual = first.spacing if first is not None else self._index.spacing(self._parts["train"])
        return volumes.VolumeReading(
            spacing=(options.spacing or usual) if options.resample else None,
            window=self._window[0],
            endings=self._found.endings,
            void=self._void,
        )

    @property
    def _void(self) -> int | None:
        """The number in masks where nothing is judged."""
        return self._found.described.void if self._found.described is not None else None

    @property
    def _dtype(self) -> str:
        if self._like is not None:
            return self._like.dtype
        window, limits = self._reading.window, np.iinfo(np.int16)
        fits = window is not None and limits.min <= window[0] and window[1] <= limits.max
        return "int16" if fits and self._index.integers else "float32"

    @cached_property
    def _measured(self) -> Measured:
        """Mean and deviation of the training volumes, of some where there are many."""
        if self._like is not None:
            return Measured(self._like.mean, self._like.std, 0)
        first, how = self._first, self._begun_with
        if first is not None and how is not None and _same_values(how, self._reading):
            return Measured(first.mean, first.std, 0)
        keys = chosen(self._parts["train"], MOST_MEASURED)
        self.say(f"measuring {len(keys):,} of {len(self._parts['train']):,} training volumes")
        return measure(self._split(keys, ("image",), training=False), self.root, self._faults)

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        """The names of classes by number: given ones, or as many as masks show."""
        if self._like is not None and self._like.mask_classes:
            return self._like.mask_classes
        return self.class_names() or unnamed_classes(self._most_in_masks())

    @cached_property
    def _masks(self) -> volumes.MaskReading:
        return volumes.MaskReading(self._classes, self._void)

    def _most_in_masks(self) -> int:
        """Return the greatest number in all masks, which tells how many classes there are."""
        keys = masked(self._index.cases)
        self.say(f"no list names the classes: looking for their numbers in {len(keys):,} masks")
        most = 1
        for key in keys:
            mask = self._index.cases[key].mask
            assert mask is not None
            try:
                most = max(most, volumes.greatest_number(self.root / mask))
            except api.BrokenSample as error:
                self._faults.add(api.Fault(mask, error.fault.reason))
        return most

    def _notes(self) -> Iterator[str]:
        described = self._found.described
        if self._like is None and self._window[1]:
            yield self._window[1]
        if self._index.channels > 1 and not self._found.endings:
            yield f"the {self._index.channels} volumes along the fourth axis are channels"
        yield from told.oddities(self._index.spaces)
        yield from described.notes if described is not None else ()
        if self._like is None and self._measured.lacking:
            yield told.lacking(self._measured.lacking, self._measured.num)
        if self._measured.num:
            yield f"mean and deviation are those of {self._measured.num:,} training volumes"
