from __future__ import annotations

import gzip
import itertools

import nibabel as nib
import numpy as np
import pytest
from cards import card

from maecli.data.volume_reading import VolumeReading
from maecli.errors import BrokenSample, DataError
from maecli.modalities.volumes import nifti
from maecli.modalities.volumes.modality import Volumes
from maecli.modalities.volumes.read import in_dtype, read_volume

INTEGER = card(dtype="int16")
ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("LR", "PA", "IS")) for codes in itertools.product(*axes)
]


def write(path, voxels: np.ndarray, codes: str = "RAS", **scaling: float):
    """Write voxels (X, Y, Z, …) whose axes go as the codes say, of 1, 2 and 3 mm, somewhere in space."""
    to_voxels = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(codes), voxels.shape[:3])
    affine = np.diag([1.0, 2.0, 3.0, 1.0]) @ np.linalg.inv(to_voxels)
    affine[:3, 3] += (-10, 20, 30)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_slope_inter(scaling.get("slope"), scaling.get("inter"))
    nib.save(image, path)
    return path


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, shape, dtype=np.int16)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_axes_go_to_the_right_the_front_and_the_top(tmp_path, codes, suffix):
    path = write(tmp_path / f"v{suffix}", volume(3, 4, 5), codes)
    values = Volumes().read(path, INTEGER)
    np.testing.assert_array_equal(values[0], nib.as_closest_canonical(nib.load(path)).get_fdata())
    assert values.dtype == np.int16


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_what_is_written_lies_on_its_source_in_any_orientation(tmp_path, codes):
    source = write(tmp_path / "v.nii.gz", volume(3, 4, 5), codes)
    suffix, content = Volumes().encode(Volumes().read(source, INTEGER), INTEGER, source)
    (tmp_path / f"again{suffix}").write_bytes(content)
    before, after = nib.load(source), nib.load(tmp_path / "again.nii.gz")
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
    np.testing.assert_allclose(after.affine, before.affine)
    assert after.header.get_xyzt_units() == before.header.get_xyzt_units()


def test_a_single_channel_may_have_any_name_and_several_are_told_by_theirs(tmp_path):
    path = write(tmp_path / "patient.nii.gz", volume(3, 4, 5))
    single = card(dtype="int16", volumes=VolumeReading(endings=("_0000",)))
    assert len(Volumes().open(path, single, (4, 4, 4))[1]) == 1
    several = card(dtype="int16", channels=2, volumes=VolumeReading(endings=("_0000", "_0001")))
    with pytest.raises(DataError, match=r"no volume whose name ends with _0000; .* each of its 2 channels"):
        Volumes().open(tmp_path, several, (4, 4, 4))


def test_the_size_is_known_from_the_header_and_is_that_of_the_sample(tmp_path):
    write(tmp_path / "a.nii.gz", volume(3, 4, 5), "SRP")
    write(tmp_path / "b.nii", volume(2, 2, 7))
    np.save(tmp_path / "c.npy", volume(5, 6, 7))
    root, split = Volumes().open(tmp_path, INTEGER, (8, 8, 8))
    assert (root, list(split.keys)) == (tmp_path, ["a.nii.gz", "b.nii", "c.npy"])
    assert [split.size(i) for i in range(3)] == [split[i]["image"].shape[1:] for i in range(3)]
    assert split.size(0) == (4, 5, 3)


def test_a_fourth_axis_is_channels(tmp_path):
    voxels = volume(3, 4, 5, 2)
    source = write(tmp_path / "v.nii.gz", voxels, "LPS")
    two = card(channels=2, dtype="int16")
    values = Volumes().read(source, two)
    np.testing.assert_array_equal(values, np.moveaxis(voxels[::-1, ::-1], 3, 0))
    (tmp_path / "again.nii.gz").write_bytes(Volumes().encode(values, two, source)[1])
    np.testing.assert_array_equal(nib.load(tmp_path / "again.nii.gz").get_fdata(), voxels)
    with pytest.raises(BrokenSample, match="has 2 channels, and 1 is wanted"):
        Volumes().read(source, INTEGER)


@pytest.mark.parametrize("header", [nib.Nifti1Header(endianness=">"), nib.Nifti2Header()])
def test_other_headers_are_understood_and_taken_over(tmp_path, header):
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    nib.save(kind(volume(3, 4, 5), np.eye(4), header), tmp_path / "v.nii")
    values = Volumes().read(tmp_path / "v.nii", INTEGER)
    np.testing.assert_array_equal(values[0], volume(3, 4, 5))
    (tmp_path / "again.nii.gz").write_bytes(Volumes().encode(values, INTEGER, tmp_path / "v.nii")[1])
    np.testing.assert_array_equal(nib.load(tmp_path / "again.nii.gz").get_fdata(), values[0])


def test_bytes_that_changed_on_the_way_are_noticed_by_the_checksum(tmp_path):
    content = bytearray(write(tmp_path / "v.nii.gz", volume(9, 9, 9)).read_bytes())
    content[-6] ^= 1
    (tmp_path / "v.nii.gz").write_bytes(content)
    with pytest.raises(BrokenSample, match="CRC check failed"):
        Volumes().read(tmp_path / "v.nii.gz", INTEGER)


def test_a_volume_without_directions_in_space_is_refused(tmp_path):
    image = nib.Nifti1Image(volume(3, 4, 5), np.eye(4))
    nib.save(image, tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    content[280:296] = bytes(16)  # the first row of the affine
    (tmp_path / "v.nii").write_bytes(content)
    for ask in (lambda: Volumes().read(tmp_path / "v.nii", INTEGER), lambda: nifti.nifti_shape(tmp_path / "v.nii")):
        with pytest.raises(BrokenSample, match="its header gives an axis no direction in space"):
            ask()


def test_integers_stay_integers_where_they_fit(tmp_path):
    ones = np.full((2, 2, 2), 3, np.uint16)
    shifted = read_volume(write(tmp_path / "a.nii", ones, slope=1, inter=-1024), 1, "int16")
    halved = read_volume(write(tmp_path / "b.nii", ones, slope=0.5, inter=0), 1, "int16")
    assert (shifted.dtype, shifted[0, 0, 0, 0]) == (np.int16, -1021)
    assert (halved.dtype, halved[0, 0, 0, 0]) == (np.float32, 1.5)


@pytest.mark.parametrize(
    ("values", "dtype", "becomes"),
    [
        ([0.0, 255.0], "uint8", "uint8"),
        ([0.0, 256.0], "uint8", "float32"),
        ([0.0, 0.5], "uint8", "float32"),
        ([0.0, np.nan], "uint8", "float32"),
        ([0.0, np.nan], "float32", "float32"),
    ],
)
def test_a_dtype_that_cannot_hold_the_values_becomes_float32(values, dtype, becomes):
    array = np.array(values, np.float32)
    np.testing.assert_array_equal(in_dtype(array, dtype), array)
    assert in_dtype(array, dtype).dtype == becomes


def test_arrays_have_channels_first_or_none(tmp_path):
    np.save(tmp_path / "a.npy", volume(3, 4, 5))
    np.save(tmp_path / "b.npy", volume(2, 3, 4, 5))
    np.testing.assert_array_equal(Volumes().read(tmp_path / "a.npy", INTEGER), volume(3, 4, 5)[None])
    two = card(channels=2, dtype="int16")
    np.testing.assert_array_equal(Volumes().read(tmp_path / "b.npy", two), volume(2, 3, 4, 5))
    np.save(tmp_path / "c.npy", volume(3, 4))
    with pytest.raises(BrokenSample, match=r"has the shape \(3, 4\); a volume is \(D, H, W\) or \(C, D, H, W\)"):
        Volumes().read(tmp_path / "c.npy", INTEGER)


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    path = write(tmp_path / "v.nii", volume(3, 4, 5))
    header = bytearray(path.read_bytes())
    header[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], np.int16).tobytes()
    for bomb in (tmp_path / "b.nii", tmp_path / "b.nii.gz"):
        bomb.write_bytes(gzip.compress(header) if bomb.suffix == ".gz" else header)
        with pytest.raises(BrokenSample, match="has 27,000,000,000,000 voxels, more than 268,435,456"):
            Volumes().read(bomb, INTEGER)
    header[40:56] = np.array([3, 3, 4, 5, 1, 1, 1, 1], np.int16).tobytes()
    header[108:112] = np.float32(2e9).tobytes()
    path.write_bytes(header)
    with pytest.raises(BrokenSample, match="has over 67,108,864 bytes between header and voxels"):
        Volumes().read(path, INTEGER)
    np.save(tmp_path / "a.npy", volume(3, 4, 5))
    with pytest.raises(BrokenSample, match="holds 60 numbers, more than 59"):
        read_volume(tmp_path / "a.npy", 1, "int16", 59)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("keep", [0, 100, 400, -1])
def test_a_truncated_file_is_broken(tmp_path, suffix, keep):
    path = write(tmp_path / f"v{suffix}", volume(9, 9, 9))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BrokenSample):
        Volumes().read(path, INTEGER)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.zeros((3, 4)), r"has the shape \(3, 4\); a volume has three axes"),
        (np.zeros((3, 4, 5), np.complex64), "holds complex64, not plain numbers"),
        (np.full((2, 2, 2), np.inf, np.float32), "holds infinite values"),
    ],
)
def test_what_is_no_volume_of_numbers_is_refused(tmp_path, voxels, reason):
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(BrokenSample, match=reason):
        Volumes().read(tmp_path / "v.nii", INTEGER)


def test_a_file_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "v.nii").write_bytes(b"x" * 1000)
    with pytest.raises(BrokenSample, match="is no NIfTI file"):
        Volumes().read(tmp_path / "v.nii", INTEGER)
    (tmp_path / "v.nii.gz").write_bytes(b"x" * 1000)
    with pytest.raises(BrokenSample, match="damaged file: Not a gzipped file"):
        Volumes().read(tmp_path / "v.nii.gz", INTEGER)


def test_the_same_values_give_the_same_bytes_and_without_a_place_they_lie_at_the_origin(tmp_path, monkeypatch):
    values = np.random.default_rng(0).random((1, 2, 3, 4)).astype(np.float32)
    first = Volumes().encode(values, INTEGER)
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert Volumes().encode(values, INTEGER) == first
    (tmp_path / "v.nii.gz").write_bytes(first[1])
    image = nib.load(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(image.affine, np.eye(4))
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), values[0])


def test_what_is_made_of_an_array_is_an_array(tmp_path):
    values = np.random.default_rng(0).random((2, 2, 3, 4)).astype(np.float32)
    for made, expected in ((values, values), (values[:1], values[0])):
        suffix, content = Volumes().encode(made, INTEGER, tmp_path / "v.npy")
        (tmp_path / f"again{suffix}").write_bytes(content)
        np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), expected)


@pytest.mark.parametrize("key", ["a/x.nii.gz", "a/x.NII", "a/x.npy", "a/x.dcm"])
def test_what_is_made_of_a_volume_is_named_without_its_ending(key):
    assert Volumes().stem(key) == "a/x"


def test_values_of_another_size_cover_the_space_of_their_source(tmp_path):
    source = write(tmp_path / "v.nii.gz", volume(4, 6, 8), "LPS")
    (tmp_path / "half.nii.gz").write_bytes(nifti.nifti_bytes(np.zeros((1, 2, 3, 4), np.uint8), source))
    whole, half = nib.load(source), nib.load(tmp_path / "half.nii.gz")
    corners = np.array([[-0.5] * 3, [3.5, 5.5, 7.5]]), np.array([[-0.5] * 3, [1.5, 2.5, 3.5]])
    ends = [nib.affines.apply_affine(image.affine, c) for image, c in zip((whole, half), corners, strict=True)]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-5)
