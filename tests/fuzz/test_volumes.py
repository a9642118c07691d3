"""Damaged files of each form of volumes: each is read, or refused by one sentence of ours, at once."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from maecli_plugins.datasets.volumes.described import read_description
from maecli_plugins.datasets.volumes.finding import find_class_names
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from write_volumes import scan

from fuzz.mutate import FEW, Reader
from maecli.data.volume_reading import VolumeReading
from maecli.errors import BrokenSample, DataError
from maecli.modalities.volumes.nifti import is_nifti, nifti_bytes
from maecli.modalities.volumes.prepare import read_prepared
from maecli.modalities.volumes.read import read_values, volume_shape
from maecli.modalities.volumes.space import read_space

MAX_VOXELS = 2**18
SPACING = (1.5, 2.5, 4.0)
TURNED = np.array([[0, -2.0, 0, 9], [0.1, 0, 3.0, -8], [-4.0, 0, 0.2, 7], [0, 0, 0, 1]])
VALUES = scan(0, (5, 4, 3))[0]


def nifti(voxels: np.ndarray, affine: np.ndarray | None = TURNED, version: int = 1, **header: object) -> bytes:
    image = (nib.Nifti1Image if version == 1 else nib.Nifti2Image)(voxels, affine)
    for name, value in header.items():
        image.header[name] = value
    return image.to_bytes()


def noted() -> bytes:
    image = nib.Nifti1Image(VALUES, np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"of whom"))
    return image.to_bytes()


def big_endian() -> bytes:
    return nib.Nifti1Image(VALUES, TURNED, nib.Nifti1Header(endianness=">")).to_bytes()


NIFTI = [
    nifti(VALUES),
    nifti(VALUES.astype(np.float32), version=2),
    nifti(VALUES.astype(np.uint8), scl_slope=0.5, scl_inter=-3),
    nifti(np.stack([VALUES, VALUES], 3).astype(np.int32), None),
    nifti(VALUES.astype(np.float64)[:, :, :, None, None], np.diag([0.7, 0.7, 9.0, 1.0])),
    noted(),
    big_endian(),
]


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def dicom(z: int, syntax: str = ExplicitVRLittleEndian, **changes: object) -> bytes:
    """Return an axial slice of 4 × 5 pixels."""
    made = pydicom.Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"1.2.{z + 1}"
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    made.SeriesInstanceUID, made.PhotometricInterpretation = "1.2.3", "MONOCHROME2"
    made.Rows, made.Columns, made.SamplesPerPixel = 4, 5, 1
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.PixelSpacing, made.SliceThickness = [3, 2], 4
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-10, -20, 4 * z]
    made.PixelData = VALUES[:, :, 0].T.tobytes()
    for name, value in changes.items():
        setattr(made, name, value)
    if syntax == RLELossless:
        made.compress(RLELossless)
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


DICOM = [
    *(dicom(0, syntax) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)),
    *(dicom(0, syntax) for syntax in (DeflatedExplicitVRLittleEndian, RLELossless)),
    dicom(0, RescaleSlope="0.5", PatientName="A^B", SliceThickness=None),
]


def look_at_all(path: Path) -> None:
    """Read a header, all values, a sample at another spacing, and write what lies on it; all of it must agree."""
    space = read_space(path, MAX_VOXELS)
    assert volume_shape(path, MAX_VOXELS) == (space.channels, *space.size)
    values = read_values(path, space.channels, MAX_VOXELS)
    assert values.shape == (space.channels, *space.size)
    with np.errstate(over="ignore", invalid="ignore"):
        sample = read_prepared([path], VolumeReading(spacing=SPACING), space.channels, "int16")
    assert sample["image"].ndim == 4
    if is_nifti(path):
        assert nifti_bytes(np.zeros((1, *space.size), np.uint8), path)


NNUNET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "left": 1, "both": [1, 2], "ignore": 255}}
ENTRIES = [{"image": f"./imagesTr/{i}.nii.gz", "label": [f"labelsTr/{i}.nii.gz"], "fold": i % 2} for i in range(4)]
LIST = {"modality": {"0": "MR"}, "labels": {"0": "air", "1": "left"}, "training": ENTRIES, "test": ["imagesTs/9.nii"]}
LISTS = [json.dumps(each).encode() for each in (NNUNET, LIST, {"labels": ["air", "left"], "training": ["a.nii"]})]


def read_list(path: Path) -> None:
    described = read_description(path)
    for case in described.cases or ():
        for image in case.images:
            assert (path.parent / image).absolute().is_relative_to(path.parent)
    assert len(find_class_names(path.parent, described)) <= 2**15


READERS: Sequence[Reader] = [
    Reader("NIfTI", "volume.nii", look_at_all, NIFTI, BrokenSample),
    Reader("NIfTI in gzip", "volume.nii.gz", look_at_all, [*map(gzip.compress, NIFTI)], BrokenSample),
    Reader("volumes in .npy", "volume.npy", look_at_all,
           [npy(VALUES), npy(VALUES.astype(">f4")), npy(np.asfortranarray(VALUES)[None] > 0)], BrokenSample),
    Reader("lists of volumes", "dataset.json", read_list, LISTS, DataError),
    Reader("DICOM", "a.dcm", look_at_all, DICOM, BrokenSample, {"b.dcm": dicom(1), "c.dcm": dicom(2)}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_volume_is_read_or_refused_by_a_sentence(reader, tmp_path):
    came = reader.survives(tmp_path, FEW)
    assert came.keys() <= {"read", reader.errors.__name__}
    assert came[reader.errors.__name__] > FEW / 10
