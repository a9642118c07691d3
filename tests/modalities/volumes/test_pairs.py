from __future__ import annotations

import pytest

from maecli.modalities.volumes.pairs import channels_of, numbered_channels, pair


@pytest.mark.parametrize(
    ("volume", "mask"),
    [
        ("a.nii.gz", "labels/a.nii.gz"),
        ("images/a.nii.gz", "labels/a.nii"),
        ("imagesTr/a.nii.gz", "labelsTr/a.nii.gz"),
        ("train/img/a.nii.gz", "train/label/a.nii.gz"),
        ("images/train/a.npy", "masks/train/a.npy"),
        ("p/a.nii.gz", "p/a_seg.nii.gz"),
        ("a.nii.gz", "a_label.npy"),
        ("a/001.dcm", "a_seg.nii.gz"),
        ("images/a/001.dcm", "labels/a.nii.gz"),
        ("a.nii.gz", "a_MASK.nii.gz"),
    ],
)
def test_masks_are_known_by_their_folders_or_their_names(volume, mask):
    pairs = pair([volume, mask])
    assert (list(pairs.volumes), dict(pairs.masks), list(pairs.lone)) == ([volume], {volume: mask}, [])


def test_masks_of_test_are_not_those_of_training():
    pairs = pair(["imagesTr/a.nii.gz", "imagesTs/a.nii.gz", "labelsTr/a.nii.gz"])
    assert dict(pairs.masks) == {"imagesTr/a.nii.gz": "labelsTr/a.nii.gz"}


def test_masks_without_a_volume_are_no_volumes():
    pairs = pair(["images/a.nii.gz", "labels/b.nii.gz", "images/c_seg.nii.gz"])
    assert list(pairs.volumes) == ["images/a.nii.gz"]
    assert list(pairs.lone) == ["images/c_seg.nii.gz", "labels/b.nii.gz"]


def test_masks_alone_are_volumes():
    assert list(pair(["labels/a.nii.gz"]).volumes) == ["labels/a.nii.gz"]


def test_a_mask_of_several_files_is_named_without_their_endings():
    paths = ["images/a_t1.nii", "images/a_t2.nii", "labels/a.nii"]
    assert dict(pair(paths, ["_t1", "_t2"]).masks) == dict.fromkeys(paths[:2], "labels/a.nii")
    assert channels_of(paths[:2], ["_t1", "_t2"]) == {"images/a_t1.nii": ("images/a_t1.nii", "images/a_t2.nii")}


def test_channels_are_numbered_alike_in_all_volumes():
    paths = [f"{case}_{channel:04d}.nii.gz" for case in "ab" for channel in (0, 1)]
    assert numbered_channels(paths) == ("_0000", "_0001")
    assert numbered_channels(paths[:-1]) == ()
    assert numbered_channels(["a_0003.nii.gz"]) == ()
    assert numbered_channels(["a.nii.gz"]) == ()
