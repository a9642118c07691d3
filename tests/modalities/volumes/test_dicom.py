from __future__ import annotations

import builtins
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from maecli_plugins.datasets.volumes.dataset import Volumes as OwnVolumes
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid
from write_volumes import SIZE, scan

from maecli.errors import BrokenSample
from maecli.modalities.volumes import dicom
from maecli.modalities.volumes.modality import Volumes
from maecli.modalities.volumes.read import read_values
from maecli.modalities.volumes.space import read_space


def write_series(folder: Path, values: np.ndarray, series: str = "1.2.3", **changes: object) -> Path:
    """Write values (D, H, W) in RAS as axial slices of 2 × 3 mm pixels 4 mm apart, the topmost first by name."""
    folder.mkdir(parents=True, exist_ok=True)
    depth, height, top = values.shape
    for z in range(top):
        slice_ = pydicom.Dataset()
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = generate_uid()
        slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        slice_.SeriesInstanceUID = series
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = height, depth, 1
        slice_.PhotometricInterpretation = "MONOCHROME2"
        slice_.BitsAllocated = slice_.BitsStored = 16
        slice_.HighBit, slice_.PixelRepresentation = 15, 1
        slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
        slice_.PixelSpacing, slice_.SliceThickness = [3, 2], 4
        slice_.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]  # columns to the left, rows to the back
        slice_.ImagePositionPatient = [-10, -20, 4 * z]
        stored = (values[::-1, ::-1, z].T + 1024).astype(np.int16)
        slice_.PixelData = stored.tobytes()
        for name, value in changes.items():
            setattr(slice_, name, value)
        slice_.save_as(folder / f"{top - z:03d}.dcm", enforce_file_format=True)
    return folder / "001.dcm"


def test_a_series_is_read_as_one_volume_in_hounsfield_units(tmp_path):
    values, _ = scan(0)
    path = write_series(tmp_path / "s", values)
    space = read_space(path)
    assert (space.size, space.spacing, space.orientation, space.integers) == (SIZE, (2, 3, 4), "LPS", True)
    np.testing.assert_array_equal(read_values(path, 1)[0], values)
    left_back_bottom = space.affine @ [0, 0, 0, 1]
    np.testing.assert_allclose(left_back_bottom[:3], [10 - 2 * (SIZE[0] - 1), 20 - 3 * (SIZE[1] - 1), 0])


def test_a_data_set_of_series_and_what_is_predicted_lies_where_they_do(tmp_path):
    for i in range(3):
        write_series(tmp_path / f"patient{i}", scan(i)[0])
    write_series(tmp_path / "patient0", scan(9)[0][:, :, :0], "1.2.9")
    dataset = OwnVolumes(OwnVolumes.Options(root=tmp_path, val_share=0, test_share=0))
    card, split = dataset.card(), dataset.split("train")
    assert list(split.keys) == [f"patient{i}/001.dcm" for i in range(3)]
    assert (card.size, card.dtype, card.volumes.window) == (SIZE, "int16", (-175, 250))
    suffix, content = Volumes().encode(np.zeros((1, *SIZE), np.float32), card, tmp_path / split.keys[0])
    (tmp_path / f"made{suffix}").write_bytes(content)
    np.testing.assert_allclose(nib.load(tmp_path / "made.nii.gz").affine, split.space(0).affine, atol=1e-5)
    root, own = Volumes().open(tmp_path / "patient1", card, SIZE)
    assert (root, list(own.keys)) == (tmp_path / "patient1", ["001.dcm"])
    np.testing.assert_array_equal(own[0]["image"], split[1]["image"])


def test_slices_that_make_no_volume_are_told(tmp_path):
    values, _ = scan(0)
    path = write_series(tmp_path / "missing", values)
    (tmp_path / "missing/004.dcm").unlink()
    with pytest.raises(BrokenSample, match=r"its slices lie 4 mm apart, and two 8: one is missing"):
        read_space(path)
    path = write_series(tmp_path / "twice", values)
    (tmp_path / "twice/again.dcm").write_bytes((tmp_path / "twice/004.dcm").read_bytes())
    with pytest.raises(BrokenSample, match=r"and two 0: one is there twice"):
        read_space(path)
    path = write_series(tmp_path / "colour", values, SamplesPerPixel=3)
    with pytest.raises(BrokenSample, match="holds colours"):
        read_space(path)
    (tmp_path / "no.dcm").write_bytes(b"x" * 400)
    with pytest.raises(BrokenSample, match="is no DICOM file"):
        read_space(tmp_path / "no.dcm")


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    path = write_series(tmp_path / "s", scan(0)[0])
    load = builtins.__import__

    def without(name, *rest, **more):
        if name == "pydicom":
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BrokenSample, match=r"needs the extra dicom: pip install 'maecli\[dicom\]'"):
        read_space(path)


def test_a_slice_that_inflates_without_end_is_refused_before_it_does(tmp_path, monkeypatch):
    path = write_series(tmp_path / "s", scan(0)[0][:, :, :1])
    slice_ = pydicom.dcmread(path)
    slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    slice_.save_as(path)
    assert read_values(path, 1).shape == (1, *SIZE[:2], 1)
    slice_.add_new(0xFFFCFFFC, "OB", bytes(2**20))
    slice_.save_as(path)
    monkeypatch.setattr(dicom, "MAX_INFLATED", 2**19)
    for read in (read_space, lambda path: read_values(path, 1)):
        with pytest.raises(BrokenSample, match="becomes more than 524,288 bytes when it is inflated"):
            read(path)


def test_several_frames_in_one_file_are_no_slice(tmp_path):
    path = write_series(tmp_path / "s", scan(0)[0], NumberOfFrames=2**31 - 1)
    with pytest.raises(BrokenSample, match="holds several frames; save each as a file of its own"):
        read_space(path)


def test_a_pipe_among_slices_is_passed_over(tmp_path):
    path = write_series(tmp_path / "s", scan(0)[0])
    os.mkfifo(tmp_path / "s/000.dcm")
    assert read_space(path).size == SIZE
