"""Volumes: (C, D, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.data.files.unread import Unread
from maecli.data.sample import Split
from maecli.modalities.files import find_source, reading
from maecli.modalities.modality import Modality
from maecli.modalities.volumes.draw import draw_volume
from maecli.modalities.volumes.nifti import is_nifti, nifti_bytes
from maecli.modalities.volumes.read import VolumeFiles, read_volume


class Volumes(Modality):
    """Volumes of any number of channels, in NIfTI files or arrays (D, H, W) and (C, D, H, W).

    D, H and W of a NIfTI file go to the right, to the front and to the top of a patient (RAS), however it stores them.
    """

    name = "volumes"
    unit, one, part = "volumes", "volume", "voxel"
    axis_names = ("depth", "height", "width")
    axes = 3
    suffixes = frozenset({".nii", ".nii.gz", ".npy"})
    unread = (
        Unread("a slice of DICOM", (".dcm", ".dicom", ".ima"), "convert its series to NIfTI"),
        Unread(
            "a volume in another format",
            (".hdr", ".img", ".mgh", ".mgz", ".mha", ".mhd", ".mnc", ".nhdr", ".nrrd", ".tif", ".tiff"),
            "convert it to NIfTI or .npy",
        ),
        *Modality.unread,
    )

    def read(self, path: Path, card: DataCard) -> np.ndarray:
        return read_volume(path, card.channels, card.dtype)

    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        root, keys = find_source(source, self.suffixes, "volumes", self.unread)
        return root, self.open_files(root, keys, card, size)

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> VolumeFiles:
        return VolumeFiles(root, paths, partial(self.read, card=card))

    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        return draw_volume(image, hidden)

    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return a `.nii.gz`, which lies on `source` if that is NIfTI, and else has no place in space."""
        place = source if source is not None and is_nifti(source) else None
        with reading(place or Path("values")):
            return ".nii.gz", nifti_bytes(values, place)
