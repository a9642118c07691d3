from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from maecli_plugins.datasets.folder.dataset import Folder
from PIL import Image
from write_data import encoded, noise, write_picture

from maecli import api

UNSPECIFIED, APART = 0, 2
LAID_ON_WHITE = "transparent or flagged as alpha, laid on white (dataset.channels=4 keeps it as a band)"


def write_bands(path: Path, seed: int, extra: int) -> None:
    tifffile.imwrite(path, noise(seed, 8, 8, 4), photometric="rgb", extrasamples=[extra])


def card_of(root: Path, **options) -> api.DataCard:
    return Folder(Folder.Options(root=root, **options)).card()


def test_bands_that_are_flagged_as_alpha_are_told_and_can_be_kept(tmp_path):
    for i in range(4):
        write_bands(tmp_path / f"{i}.tif", i, APART)
    card = card_of(tmp_path)
    assert (card.channels, card.converted) == (3, {LAID_ON_WHITE: 4})
    card = card_of(tmp_path, channels=4)
    assert (card.channels, card.converted) == (4, {"flagged as alpha, taken as a band": 4})


def test_bands_without_a_flag_are_channels(tmp_path):
    for i in range(4):
        write_bands(tmp_path / f"{i}.tif", i, UNSPECIFIED)
    assert card_of(tmp_path).channels == 4
    assert card_of(tmp_path).converted == {}


def test_alpha_is_a_band_where_others_have_a_plain_one(tmp_path):
    for i, extra in enumerate([UNSPECIFIED, UNSPECIFIED, APART]):
        write_bands(tmp_path / f"{i}.tif", i, extra)
    card = card_of(tmp_path)
    assert (card.channels, card.converted) == (4, {"flagged as alpha, taken as a band": 1})


def test_transparent_pictures_keep_alpha_if_told(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(encoded(Image.fromarray(noise(i, 8, 8, 4)), "PNG"))
    data = Folder(Folder.Options(root=tmp_path, channels=4))
    split = data.split("train")
    expected = noise(int(split.keys[0][0]), 8, 8, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(split[0]["image"], expected)


def test_most_pictures_decide_and_the_rest_is_broken(tmp_path):
    for i in range(3):
        write_bands(tmp_path / f"{i}.tif", i, UNSPECIFIED)
    write_picture(tmp_path / "colour.png", noise(0, 8, 8, 3))
    data = Folder(Folder.Options(root=tmp_path))
    assert data.card().channels == 4
    assert [(fault.path, fault.reason) for fault in data.faults()] == [
        ("colour.png", "has 3 channels where 4 are wanted")
    ]


def test_as_many_of_two_kinds_are_refused_with_both(tmp_path):
    write_bands(tmp_path / "four.tif", 0, UNSPECIFIED)
    write_picture(tmp_path / "three.png", noise(0, 8, 8, 3))
    with pytest.raises(api.DataError) as caught:
        card_of(tmp_path)
    assert str(caught.value) == (
        f"of the pictures in {tmp_path} as many can have 3 channels as 4 (1 each; three.png and four.tif, for two); "
        "say which with --set dataset.channels=3 or --set dataset.channels=4"
    )
    assert card_of(tmp_path, channels=4).channels == 4


def test_as_many_of_two_dtypes_are_refused_with_both(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(api.DataError, match="as many have float32 as uint8 pixels"):
        card_of(tmp_path)
