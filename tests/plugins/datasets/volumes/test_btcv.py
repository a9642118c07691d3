from __future__ import annotations

import json

import pytest
from maecli_plugins.datasets.volumes.btcv import BTCV, CLASSES
from write_volumes import save, scan, write_btcv

from maecli.api import SPLIT_NAMES, DataError

MASKED = ("image", "mask")


def opened(root, **options) -> BTCV:
    return BTCV(BTCV.Options(root=root, **options))


def test_btcv_names_thirteen_organs():
    assert len(CLASSES) == 14
    assert (CLASSES[1], CLASSES[6], CLASSES[13]) == ("spleen", "liver", "left adrenal gland")


@pytest.mark.parametrize(
    "folders", [("img", "label"), ("imagesTr", "labelsTr"), ("RawData/Training/img", "RawData/Training/label")]
)
def test_both_published_layouts(tmp_path, folders):
    write_btcv(tmp_path, folders)
    save(tmp_path / "RawData/Testing/img/img0061.nii.gz", scan(61)[0])
    dataset = opened(tmp_path)
    card = dataset.card(MASKED)
    assert (card.mask_classes, card.background) == (CLASSES, 0)
    assert (card.volumes.spacing, card.volumes.window) == ((1.5, 1.5, 2), (-175, 250))
    assert card.split_sizes == {"train": 4, "val": 1, "test": 1}
    assert dataset.given_splits() == set()
    sample = dataset.split("train", MASKED)[0]
    assert sample["mask"].shape == sample["image"].shape[1:] == (24, 20, 12)


def test_the_list_of_monai_gives_a_test_split(tmp_path):
    write_btcv(tmp_path, ("imagesTr", "labelsTr"))
    listed = {
        name: [{"image": f"imagesTr/img{i:04d}.nii.gz", "label": f"labelsTr/label{i:04d}.nii.gz"} for i in numbers]
        for name, numbers in {"training": (1, 2, 3, 4), "validation": (5, 6)}.items()
    }
    (tmp_path / "dataset_0.json").write_text(json.dumps(listed))
    dataset = opened(tmp_path, split="list")
    parts = {name: len(dataset.split(name, MASKED)) for name in SPLIT_NAMES}
    assert parts == {"train": 3, "val": 1, "test": 2}
    assert list(dataset.split("test").keys) == ["imagesTr/img0005.nii.gz", "imagesTr/img0006.nii.gz"]
    assert dataset.given_splits() == {"test"}
    assert opened(tmp_path).given_splits() == set()
    (tmp_path / "dataset_0.json").unlink()
    with pytest.raises(DataError, match=r"dataset_0.json does not exist, whose validation dataset.split=list tests on"):
        opened(tmp_path, split="list").card()


def test_a_folder_without_btcv_names_two_ways_out(tmp_path):
    with pytest.raises(DataError, match=r"holds no BTCV: neither img/ and label/ .* synapse.org .* or give --root"):
        opened(tmp_path).card()
