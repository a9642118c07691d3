from __future__ import annotations

import numpy as np
import pytest
from write_volumes import save, scan

from maecli.data.volume_reading import SPREAD, VolumeReading
from maecli.errors import BrokenSample
from maecli.modalities.volumes.intensity import looks_like_hounsfield, robust_z_scores
from maecli.modalities.volumes.prepare import read_channels, read_prepared, resampled_size
from maecli.modalities.volumes.space import read_space

CT = VolumeReading(window=(-175, 250))


def test_a_window_cuts_values_off_and_keeps_integers(tmp_path):
    values, _ = scan(0)
    image = read_prepared([save(tmp_path / "v.nii.gz", values)], CT, 1, "int16")["image"]
    assert image.dtype == np.int16
    np.testing.assert_array_equal(image[0], np.clip(values, -175, 250))


@pytest.mark.parametrize("axes", ["RAS", "LPS", "ASL"])
def test_a_volume_is_the_same_however_its_axes_are_stored(tmp_path, axes):
    values, mask = scan(0)
    how = VolumeReading(spacing=(3, 6, 1.5), window=(-175, 250))
    one = read_prepared([save(tmp_path / "a.nii.gz", values)], how, 1, "int16", mask)
    other = read_prepared([save(tmp_path / "b.nii.gz", values, axes=axes)], how, 1, "int16", mask)
    assert one["image"].shape == (1, 12, 5, 16)
    assert one["mask"].shape == (12, 5, 16)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_classes_are_those_of_the_nearest_voxel(tmp_path):
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[2:] = 7
    how = VolumeReading(spacing=(1, 3, 3), window=(0, 1))
    made = read_prepared([save(tmp_path / "v.nii.gz", mask)], how, 1, "int16", mask)["mask"]
    assert made.shape == (12, 4, 4)
    assert set(np.unique(made)) == {0, 7}
    assert (made[6:] == 7).all()


def test_a_slope_of_values_is_linear_after_resampling(tmp_path):
    values = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 4, 4)).copy()
    how = VolumeReading(spacing=(1.5, 3, 3), window=(0, 10))
    image = read_prepared([save(tmp_path / "v.nii.gz", values)], how, 1, "float32")["image"]
    np.testing.assert_allclose(np.diff(image[0, 1:-1, 0, 0]), 0.5, atol=1e-5)


def test_missing_voxels_stay_missing_and_do_not_spread(tmp_path):
    values = np.ones((8, 8, 8), np.float32)
    values[:2] = np.nan
    how = VolumeReading(spacing=(6, 6, 6), window=(0, 1))
    image = read_prepared([save(tmp_path / "v.nii.gz", values)], how, 1, "float32")["image"][0]
    assert np.isnan(image[0]).all()
    np.testing.assert_allclose(image[2:], 1, rtol=1e-6)


def test_robust_z_scores_do_not_depend_on_the_scale_of_a_volume_nor_on_its_brightest_voxels():
    rng = np.random.default_rng(0)
    values = np.where(np.arange(4096) % 2, rng.normal(500, 50, 4096), 0).reshape(16, 16, 16)
    scores = robust_z_scores(values)
    np.testing.assert_allclose(scores, robust_z_scores(values * 37), atol=1e-4)
    body = scores[values > 0]
    assert abs(np.median(body)) < 1e-6
    assert body.std() == pytest.approx(1, abs=0.1)
    values[0, 0, 0] = 1e6
    assert robust_z_scores(values)[0, 0, 0] == SPREAD


def test_hounsfield_units_are_known_by_air_and_a_body():
    ct = scan(0)[0][None]
    assert looks_like_hounsfield(ct)
    assert not looks_like_hounsfield(ct + 1000)
    around = ct.astype(np.float32)
    around[:, :1] = np.nan  # outside of what the scanner sees
    assert looks_like_hounsfield(around)
    assert not looks_like_hounsfield(np.concatenate([ct, ct]))


def test_channels_in_files_of_their_own_lie_on_each_other(tmp_path):
    values, _ = scan(0)
    paths = [save(tmp_path / "a_t1.nii.gz", values), save(tmp_path / "a_t2.nii.gz", values + 1, axes="LPS")]
    both, _ = read_channels(paths, 2)
    np.testing.assert_array_equal(both, [values, values + 1])
    moved = np.diag([3.0, 3.0, 3.0, 1.0])
    moved[0, 3] = 4
    save(tmp_path / "a_t2.nii.gz", values, moved)
    with pytest.raises(BrokenSample, match=r"a_t2.nii.gz and a_t1.nii.gz lie 1.3 voxels apart by their headers"):
        read_channels(paths, 2)


def test_a_reading_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="its second end is higher"):
        VolumeReading(window=(1, 1))
    with pytest.raises(ValueError, match="each is above 0"):
        VolumeReading(spacing=(1, 0, 1))


def test_a_header_cannot_ask_for_more_voxels_than_are_bearable(tmp_path):
    path = save(tmp_path / "far.nii.gz", scan(0)[0], np.diag([1e6, 1e6, 1e6, 1]))
    how = VolumeReading(spacing=(1, 1, 1))
    with pytest.raises(BrokenSample, match=r"has [\d,]+ voxels at the spacing of the others, more than 268,435,456"):
        read_prepared([path], how, 1, "int16")
    assert min(resampled_size(read_space(path), how.spacing)) > 10**6
    assert resampled_size(read_space(save(path, scan(0)[0], np.diag([1e30] * 3 + [1]))), how.spacing) == (2**31,) * 3
