from __future__ import annotations

import numpy as np
import pytest
from write_volumes import save, scan

from maecli.data.card import DataCard
from maecli.data.volume_reading import VolumeReading
from maecli.errors import BrokenSample
from maecli.modalities.volumes.known import known_masks


def card(**reading):
    return DataCard(
        name="v",
        title="v",
        fields=("image", "mask"),
        channels=1,
        size=None,
        mean=(0.5,),
        std=(0.5,),
        mask_classes=("background", "left", "right"),
        mask_palette=((0, 0, 0),) * 3,
        split_sizes={},
        split_origin="",
        volumes=VolumeReading(**reading),
    )


@pytest.mark.parametrize(
    ("volume", "mask", "folder"),
    [
        ("a.nii.gz", "a_seg.nii.gz", ""),
        ("images/a.nii.gz", "labels/a.nii.gz", ""),
        ("images/a.nii.gz", "labels/a.nii.gz", "images"),
        ("imagesTs/a.nii.gz", "labelsTs/a.nii.gz", "imagesTs"),
    ],
)
def test_masks_lie_as_those_of_a_data_set_and_are_read_in_ras(tmp_path, volume, mask, folder):
    values, classes = scan(0)
    save(tmp_path / volume, values)
    save(tmp_path / mask, classes, axes="LPS")
    root = tmp_path / folder
    key = (tmp_path / volume).relative_to(root).as_posix()
    known = known_masks(root, [key], {root: True}, card())
    np.testing.assert_array_equal(known.read(known.files[key]), classes)


def test_masks_of_files_that_were_named_are_those_beside_them(tmp_path):
    values, classes = scan(0)
    for name in ("a", "sub/a"):
        save(tmp_path / f"{name}.nii.gz", values)
        save(tmp_path / f"{name}_seg.nii.gz", classes)
    assert set(known_masks(tmp_path, ["a.nii.gz", "sub/a.nii.gz"], {tmp_path: False}, card()).files) == {"a.nii.gz"}


def test_a_mask_that_does_not_lie_on_its_volume_is_not_read(tmp_path):
    values, classes = scan(0)
    save(tmp_path / "a.nii.gz", values)
    mask = save(tmp_path / "a_seg.nii.gz", classes, np.diag([3.0, 3.0, 4.0, 1.0]))
    known = known_masks(tmp_path, ["a.nii.gz"], {tmp_path: True}, card())
    with pytest.raises(BrokenSample, match=r"its mask a_seg.nii.gz and it lie 2.7 voxels apart"):
        known.read(mask)


def test_voxels_that_the_data_set_does_not_judge_are_not_judged_here(tmp_path):
    values, classes = scan(0)
    save(tmp_path / "a.nii.gz", values)
    mask = save(tmp_path / "a_seg.nii.gz", classes + np.uint8(2) * (classes == 2))
    with pytest.raises(BrokenSample, match="holds the number 4"):
        known_masks(tmp_path, ["a.nii.gz"], {tmp_path: True}, card()).read(mask)
    read = known_masks(tmp_path, ["a.nii.gz"], {tmp_path: True}, card(void=4)).read(mask)
    assert set(np.unique(read)) == {0, 1, 255}
