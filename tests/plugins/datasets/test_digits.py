from __future__ import annotations

import numpy as np
import pytest
import torch
from maecli_plugins.datasets.digits import Digits
from sklearn.datasets import load_digits

from maecli import api


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(Digits.Options())


def test_the_cut_has_the_documented_sizes(digits):
    assert digits.card().split_sizes == {"train": 1257, "val": 180, "test": 360}
    assert "1,257 train, 180 val, 360 test" in (Digits.__doc__ or "")


def test_every_picture_is_in_one_split(digits):
    keys = [key for name in api.SPLIT_NAMES for key in digits.split(name).keys]
    assert sorted(map(int, keys)) == list(range(1797))


def test_samples_are_scikit_learns_own(digits):
    published = load_digits()
    split = digits.split("val", ("image", "label"))
    for position in (0, 100):
        original = int(split.keys[position])
        sample = split[position]
        np.testing.assert_array_equal(sample["image"][0], published.images[original])
        assert sample["label"] == published.target[original]
        assert (sample["image"].shape, sample["image"].dtype) == ((1, 8, 8), np.uint8)
        assert sample["label"].dtype == np.int64


@pytest.mark.parametrize("name", api.SPLIT_NAMES)
def test_classes_have_their_share_in_every_split(digits, name):
    labels = digits.split(name, ("label",)).tensors["label"]
    share = torch.bincount(labels, minlength=10) / len(labels)
    published = np.bincount(load_digits().target) / 1797
    assert np.abs(share.numpy() - published).max() < 1 / len(labels)


def test_the_card_describes_the_train_split(digits):
    card = digits.card()
    images = digits.split("train").tensors["image"].double() / 16
    assert (card.channels, card.size, card.dtype, card.value_range) == (1, (8, 8), "uint8", (0.0, 16.0))
    assert card.mean == pytest.approx([images.mean().item()])
    assert card.std == pytest.approx([images.std(correction=0).item()])
    assert card.classes == tuple("0123456789")
    assert sum(card.class_counts) == 1257
    assert Digits.recipe == "digits"


def test_two_objects_cut_alike(digits):
    assert Digits(Digits.Options()).split("test").keys == digits.split("test").keys


def test_masks_come_from_canvases(digits):
    card = digits.card(("image", "mask"))
    assert (card.size, card.value_range, card.background) == ((20, 28), (0.0, 16.0), 0)
    assert card.mask_classes == ("background", *"0123456789")
    assert card.split_sizes == {"train": 1000, "val": 200, "test": 400}
    assert "the same 1,000 train canvases in each epoch, augmented" in card.notes
    for name in api.SPLIT_NAMES:
        tensors = digits.split(name, ("image", "mask")).tensors
        assert torch.equal(tensors["mask"] > 0, tensors["image"][:, 0] > 7)
        assert sorted(set(tensors["mask"].flatten().tolist())) == list(range(11))
    assert "canvases of 20x28 with 2 to 4 digits of the split's own, 1,000 train, 200 val" in (Digits.__doc__ or "")
