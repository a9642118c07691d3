from __future__ import annotations

import numpy as np
import pytest
from write_volumes import save, scan

from maecli.data.card import DataCard
from maecli.data.volume_reading import VolumeReading
from maecli.errors import BrokenSample
from maecli.modalities.modality import MOST_NUMBERS
from maecli.modalities.preprocess import Preprocess
from maecli.modalities.volumes.cases import Case, MaskReading, VolumeCases
from maecli.modalities.volumes.modality import Volumes
from maecli.schema import AugmentSpec

CT = VolumeReading(spacing=(3, 3, 6), window=(-175, 250))
TWO = ("nothing", "left")
THREE = MaskReading((*TWO, "right"))


@pytest.fixture
def root(tmp_path):
    values, mask = scan(0)
    save(tmp_path / "a.nii.gz", values, axes="LPS")
    save(tmp_path / "a_seg.nii.gz", mask)
    return tmp_path


def cases(root, **options) -> VolumeCases:
    return VolumeCases(root, [Case(("a.nii.gz",), "a_seg.nii.gz")], CT, 1, "int16", **options)


def test_a_size_is_told_by_the_header_alone(root):
    split = cases(root)
    assert split.size(0) == split[0]["image"].shape[1:] == (12, 10, 4)


def test_samples_have_what_was_asked_for(root):
    assert set(cases(root)[0]) == {"image", "own_size", "own_spacing"}
    assert set(cases(root, masks=THREE)[0]) == {"image", "mask", "own_mask", "own_size", "own_spacing"}
    masks_alone = cases(root, masks=THREE, images=False)[0]
    np.testing.assert_array_equal(masks_alone["mask"], scan(0)[1])
    assert [path.name for path in cases(root, masks=THREE).files(0)] == ["a.nii.gz", "a_seg.nii.gz"]


def test_samples_tell_what_was_resampled(root):
    split = cases(root, masks=THREE)
    sample = split[0]
    assert sample["image"].shape[1:] == sample["mask"].shape == (12, 10, 4)
    assert split.own_size(0) == tuple(sample["own_size"]) == (12, 10, 8)
    assert sample["own_spacing"].tolist() == [3, 3, 3]
    np.testing.assert_array_equal(sample["own_mask"], scan(0)[1])


def test_an_array_has_a_size_and_no_spacing(tmp_path):
    np.save(tmp_path / "a.npy", scan(0)[0])
    sample = VolumeCases(tmp_path, [Case(("a.npy",))], CT, 1, "int16")[0]
    assert sample["own_size"].tolist() == [12, 10, 8]
    assert np.isnan(sample["own_spacing"]).all()


def test_centres_lie_in_classes_as_often_as_was_said_and_else_in_the_body(root):
    sample = cases(root, masks=THREE, centres_share=0.5)[0]
    places = tuple(sample["centres"].T)
    classes = np.bincount(sample["mask"][places], minlength=3) / len(sample["centres"])
    assert classes[1] > 0.24
    assert classes[2] > 0.24
    assert (sample["image"][0][places] > -175).all()
    np.testing.assert_array_equal(sample["centres"], cases(root, masks=THREE, centres_share=0.5)[0]["centres"])


def test_an_empty_volume_has_no_centres(tmp_path):
    save(tmp_path / "a.nii.gz", np.full((6, 6, 6), -1000, np.int16))
    split = VolumeCases(tmp_path, [Case(("a.nii.gz",))], CT, 1, "int16", centres_share=0.0)
    assert split[0]["centres"].shape == (0, 3)


def test_parts_of_training_lie_around_a_centre_and_those_of_evaluation_in_the_middle():
    card = DataCard(
        name="v",
        title="v",
        modality="volumes",
        fields=("image",),
        channels=1,
        size=None,
        mean=(0.0,),
        std=(1.0,),
        split_sizes={},
        split_origin="",
    )
    preprocess = Preprocess.of(card, (2, 2, 2), modality=Volumes(), fit="crop")
    image = np.arange(6**3, dtype=np.int16).reshape(1, 6, 6, 6)
    sample = {"image": image, "centres": np.array([[0, 5, 3]], np.int32)}
    made = preprocess.fit(sample, AugmentSpec(), [0.9] * MOST_NUMBERS)
    np.testing.assert_array_equal(made["image"], image[:, 0:2, 4:6, 2:4])
    np.testing.assert_array_equal(preprocess.fit(sample)["image"], image[:, 2:4, 2:4, 2:4])
    assert set(made) == {"image", "valid"}


def test_a_mask_of_another_shape_or_place_is_refused(root):
    save(root / "a_seg.nii.gz", np.zeros((12, 10, 7), np.uint8))
    with pytest.raises(BrokenSample, match=r"a_seg.nii.gz has 12 × 10 × 7 voxels and it 12 × 10 × 8"):
        cases(root, masks=THREE)[0]
    save(root / "a_seg.nii.gz", scan(0)[1], np.diag([3.0, 3.0, 4.0, 1.0]))
    with pytest.raises(BrokenSample, match=r"a_seg.nii.gz and it lie 2.7 voxels apart by their headers"):
        cases(root, masks=THREE)[0]


def test_numbers_that_are_no_class_are_told(root):
    with pytest.raises(BrokenSample, match=r"its mask a_seg.nii.gz holds the number 2, and classes go from 0 to 1"):
        cases(root, masks=MaskReading(TWO))[0]
    void = cases(root, masks=MaskReading(TWO, void=2))[0]["mask"]
    assert set(np.unique(void)) == {0, 1, 255}
    save(root / "a_seg.nii.gz", scan(0)[1] / np.float32(2))
    with pytest.raises(BrokenSample, match="holds numbers that are not whole"):
        cases(root, masks=THREE)[0]


def test_more_classes_than_a_byte_holds_have_another_void(root):
    many = cases(root, masks=MaskReading(tuple(map(str, range(300))), void=2))[0]["mask"]
    assert many.dtype == np.int16
    assert set(np.unique(many)) == {0, 1, -1}
