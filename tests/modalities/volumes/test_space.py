from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from write_volumes import save

from maecli.errors import BrokenSample
from maecli.modalities.volumes.space import read_space

OBLONG = np.diag([2.0, 3.0, 5.0, 1.0])


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_space_is_told_in_ras_whatever_the_order_of_the_axes_in_a_file(tmp_path, axes):
    space = read_space(save(tmp_path / "v.nii.gz", np.zeros((4, 5, 6), np.int16), OBLONG, axes))
    assert (space.size, space.spacing, space.orientation) == ((4, 5, 6), (2.0, 3.0, 5.0), axes)
    np.testing.assert_allclose(space.affine, OBLONG)
    assert (space.integers, space.notes) == (True, ())


def test_an_array_lies_nowhere(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((2, 4, 5, 6), np.float32))
    space = read_space(tmp_path / "v.npy")
    assert (space.channels, space.size, space.spacing, space.integers) == (2, (4, 5, 6), None, False)


def test_a_slope_with_decimals_makes_values_no_integers(tmp_path):
    image = nib.Nifti1Image(np.ones((4, 5, 6), np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 0)
    nib.save(image, tmp_path / "v.nii")
    assert not read_space(tmp_path / "v.nii").integers


def test_a_qform_that_contradicts_the_sform_is_told(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4))
    moved = np.eye(4)
    moved[2, 3] = 7
    image.set_qform(moved, 1)
    image.set_sform(np.eye(4), 1)
    nib.save(image, tmp_path / "v.nii")
    (note,) = read_space(tmp_path / "v.nii").notes
    assert note == "its qform and sform contradict each other by up to 7.0 mm: the sform counts"


def test_a_header_without_a_place_is_told(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "v.nii")
    assert "does not say how it lies" in read_space(tmp_path / "v.nii").notes[0]


def test_colours_are_no_volume(tmp_path):
    colours = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(BrokenSample, match=r"holds colours \(R, G, B\), and a volume a number for each voxel"):
        read_space(tmp_path / "v.nii")
