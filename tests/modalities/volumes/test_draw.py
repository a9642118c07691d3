from __future__ import annotations

import numpy as np

from maecli.modalities.volumes.draw import GAP, LARGEST, draw_slices
from maecli.modalities.volumes.modality import Volumes


def test_the_middle_slices_stand_side_by_side_with_the_last_axis_up():
    image = np.zeros((1, 64, 50, 40), np.float32)
    image[0, 32, 10, 30] = 1.0
    picture = Volumes().draw(image)
    assert picture.shape == (3, 50, 50 + GAP + 64 + GAP + 64)
    assert picture.dtype == np.float32
    sagittal = picture[:, 5:45, :50]  # 40 high in a drawing of 50
    assert np.argwhere(sagittal[0] == 1).tolist() == [[39 - 30, 10]]
    assert (picture[:, :5, :50] == 1).all()


def test_small_volumes_are_enlarged_and_three_channels_are_colours():
    image = np.zeros((3, 8, 8, 8), np.float32)
    image[1] = 0.5
    picture = Volumes().draw(image)
    assert picture.shape == (3, 64, 3 * 64 + 2 * GAP)
    assert picture[:, 0, 0].tolist() == [0, 0.5, 0]


def test_missing_voxels_are_hatched_and_hidden_ones_veiled():
    image = np.full((1, 64, 64, 64), 0.0, np.float32)
    image[:, :, :32] = np.nan
    hidden = np.zeros((64, 64, 64), bool)
    hidden[:, :, :32] = True
    sagittal = Volumes().draw(image, hidden)[0, :, :64]
    top, bottom = sagittal[:32], sagittal[32:]
    assert set(np.unique(top[:, 32:])) == {0.0}
    assert set(np.unique(top[:, :32].round(3))) == {np.float32(0.6), np.float32(1.0)}
    assert 0.6 < bottom[:, 32:].min() == bottom[:, 32:].max() < 1


def test_slices_have_the_true_proportions_and_go_through_the_middle_of_what_is_shown():
    image = np.zeros((1, 8, 8, 4), np.float32)
    mask = np.zeros((16, 8, 4), np.uint8)  # twice as fine along the first axis
    mask[12:14, 2:4, 1] = 1
    image[0, 6, 2:4, 1] = 1.0
    picture, (laid,) = draw_slices(image, [mask], 255, (32, 32, 64), mask > 0)
    assert picture.shape[1:] == laid.shape == (LARGEST, 3 * LARGEST // 2 + 2 * GAP)
    sagittal = slice(0, LARGEST // 2)
    np.testing.assert_array_equal(picture[0, :, sagittal] == 1, laid[:, sagittal] == 1)
    rows, columns = np.nonzero(laid[:, sagittal])
    assert (rows.min(), rows.max()) == (LARGEST // 2, LARGEST * 3 // 4 - 1), "the second voxel of four from below"
    assert (columns.min(), columns.max()) == (LARGEST // 8, LARGEST // 4 - 1)
    assert (laid[:, LARGEST // 2 : LARGEST // 2 + GAP] == 255).all()


def test_slices_of_nothing_go_through_the_middle():
    image = np.zeros((1, 4, 4, 4), np.float32)
    image[0, 2, 2, 2] = 1.0
    picture, _ = draw_slices(image, [], 255, (1, 1, 1), np.zeros((4, 4, 4), bool))
    assert picture[0, :, :LARGEST].max() == 1
