"""Volumes: (C, D, H, W)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard, SplitName
from maecli.data.files.unread import Unread
from maecli.data.sample import Sample, Split
from maecli.errors import DataError
from maecli.modalities.files import find_source, reading
from maecli.modalities.known_masks import KnownMasks
from maecli.modalities.modality import Modality
from maecli.modalities.study import Study
from maecli.modalities.survey import with_gaps
from maecli.modalities.volumes.cases import Case, VolumeCases
from maecli.modalities.volumes.dicom import is_dicom
from maecli.modalities.volumes.draw import draw_slices, draw_volume
from maecli.modalities.volumes.known import known_masks
from maecli.modalities.volumes.nifti import is_nifti, nifti_bytes
from maecli.modalities.volumes.pairs import SUFFIXES, channels_of, find_volume_files, pair, stem_of
from maecli.modalities.volumes.prepare import read_prepared
from maecli.modalities.volumes.read import VolumeFiles, read_volume
from maecli.modalities.volumes.space import read_space
from maecli.modalities.volumes.study.study import study


class Volumes(Modality):
    """Volumes of any number of channels, in NIfTI, series of DICOM, or arrays (D, H, W) and (C, D, H, W).

    D, H and W of a NIfTI file go to the right, to the front and to the top of a patient (RAS), however it stores them.
    """

    name = "volumes"
    unit, one, part = "volumes", "volume", "voxel"
    axis_names = ("depth", "height", "width")
    axes = 3
    by_case = True
    mirror_axis = -3  # left to right
    suffixes = frozenset(SUFFIXES)
    unread = (
        Unread(
            "a volume in another format",
            (".hdr", ".img", ".mgh", ".mgz", ".mha", ".mhd", ".mnc", ".nhdr", ".nrrd", ".tif", ".tiff"),
            "convert it to NIfTI or .npy",
        ),
        *Modality.unread,
    )

    def read(self, path: Path, card: DataCard) -> np.ndarray:
        if card.volumes is None:
            return read_volume(path, card.channels, card.dtype)
        return read_prepared([path], card.volumes, card.channels, card.dtype)["image"]

    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        find = partial(self._find, card=card)
        root, keys = find_source(source, self.suffixes, "volumes", self.unread, find)
        split = self.open_files(root, keys, card, size)
        if not len(split) and card.volumes is not None:
            endings = card.volumes.endings
            raise DataError(
                f"{source} holds no volume whose name ends with {endings[0]}; the run has a file for each of its "
                f"{len(endings)} channels, {' and '.join(endings)}"
            )
        return root, split

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> Split:
        if card.volumes is None:
            return VolumeFiles(root, paths, partial(self.read, card=card))
        several = len(card.volumes.endings) > 1  # a single channel is told by what is in a file, not by its name
        files = channels_of(paths, card.volumes.endings) if several else {path: (path,) for path in paths}
        return VolumeCases(root, [Case(each) for each in files.values()], card.volumes, card.channels, card.dtype)

    def samples_among(self, keys: Sequence[str], card: DataCard) -> Sequence[str]:
        return pair(keys, card.volumes.endings).volumes if card.volumes is not None else keys

    def _find(self, folder: Path, card: DataCard) -> list[str]:
        """Return the files of a folder that are volumes, and not masks of volumes where a data set tells them apart."""
        return [*self.samples_among(find_volume_files(folder), card)]

    def known_masks(self, root: Path, keys: Sequence[str], folders: Mapping[Path, bool], card: DataCard) -> KnownMasks:
        return known_masks(root, keys, folders, card)

    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        return draw_volume(image, hidden)

    def preview(self, sample: Sample, card: DataCard) -> tuple[np.ndarray, np.ndarray | None]:
        if "mask" not in sample:
            return super().preview(sample, card)
        mask, lengths = sample["mask"], np.array(sample["image"].shape[1:], float)
        if "own_size" in sample:
            lengths = sample["own_size"] * np.nan_to_num(sample["own_spacing"], nan=1.0)
        shows = (mask != card.background) & (mask != card.void)
        fill = card.void if card.background is None else card.background
        drawing, (laid,) = self.slices(card.in_units(with_gaps(sample)), [mask], fill, lengths.tolist(), shows)
        return drawing, laid

    def slices(
        self,
        image: np.ndarray,
        masks: Sequence[np.ndarray],
        fill: int,
        lengths: Sequence[float],
        shows: np.ndarray,
    ) -> tuple[np.ndarray, Sequence[np.ndarray]]:
        return draw_slices(image, masks, fill, lengths, shows)

    def study(self, split_of: Callable[[SplitName, Sequence[str]], Split], card: DataCard) -> Study | None:
        return study(split_of, card)

    def stem(self, key: str) -> str:
        return stem_of(key)

    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return a `.nii.gz`, which lies on `source` if there is one; of an array, which lies nowhere, an `.npy`."""
        if source is not None and not is_nifti(source) and not is_dicom(source):
            buffer = io.BytesIO()
            np.save(buffer, values[0] if len(values) == 1 else values)
            return ".npy", buffer.getvalue()
        with reading(source or Path("values")):
            if source is None or is_nifti(source):
                return ".nii.gz", nifti_bytes(values, source)
            return ".nii.gz", nifti_bytes(values, lies=read_space(source))
