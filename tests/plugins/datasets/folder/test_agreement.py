from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from maecli_plugins.datasets.folder.dataset import Folder
from PIL import Image
from write_data import encoded, noise, write_picture

from maecli import api
from maecli.modalities.pictures.modality import Pictures

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


def write_16_bits(path: Path, *values: int) -> None:
    path.write_bytes(encoded(Image.fromarray(np.array([values], np.uint16)), "PNG"))


def test_12_bits_beside_8_are_scaled_by_what_they_use(tmp_path):
    write_16_bits(tmp_path / "deep.png", 0, 4095)
    write_picture(tmp_path / "shallow.png", np.array([[0, 255]], np.uint8))
    data = Folder(Folder.Options(root=tmp_path, val_share=0, test_share=0))
    assert data.card().converted == {"of 12 bits in 16-bit files, scaled to 8 by 4,095": 1}
    assert data.card().files.bits == 12
    assert [data.split("train")[i]["image"].tolist() for i in range(2)] == [[[[0, 255]]]] * 2
    assert card_of(tmp_path, bits=16).converted == {"of 16 bits, scaled to 8 by 65,535": 1}


def test_a_set_of_12_bits_has_their_range(tmp_path):
    for i in range(3):
        write_16_bits(tmp_path / f"{i}.png", 0, 4095)
    card = card_of(tmp_path)
    assert (card.value_range, card.mean) == ((0.0, 4095.0), (0.5,))
    assert card.converted == {"of 12 bits in 16-bit files, whose range is 0 to 4,095": 3}
    assert Pictures().file_range(card) == (0.0, 4095.0)


def write_lacking(path: Path, nodata: str | None, dtype: str = "int16") -> None:
    pixels = np.array([[-9999, 0], [-9999, 10]], dtype)
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, nodata, True)] if nodata else [])


def test_cells_of_the_nodata_value_are_missing_and_no_part_of_the_range(tmp_path):
    for i in range(3):
        write_lacking(tmp_path / f"{i}.tif", "-9999")
    data = Folder(Folder.Options(root=tmp_path))
    card = data.card()
    assert (card.missing, card.value_range, card.mean, card.std) == (True, (0.0, 10.0), (0.5,), (0.5,))
    assert card.converted == {"naming a nodata value, whose cells are missing (dataset.nodata=none keeps them)": 3}
    sample = data.split("train")[0]
    assert sample["valid"].tolist() == [[[False, True], [False, True]]]
    assert sample["image"].dtype == np.int16


@pytest.mark.parametrize(
    ("nodata", "tag", "missing", "least"),
    [("none", "-9999", False, -9999.0), (-9999, None, True, 0.0), ("header", None, False, -9999.0)],
)
def test_what_missing_cells_hold_can_be_told(tmp_path, nodata, tag, missing, least):
    for i in range(3):
        write_lacking(tmp_path / f"{i}.tif", tag)
    card = card_of(tmp_path, nodata=nodata)
    assert (card.missing, card.value_range) == (missing, (least, 10.0))


def test_nan_that_is_measured_is_missing(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.array([[np.nan, 0.0], [np.nan, 0.5]]))
    card = card_of(tmp_path)
    assert (card.missing, card.value_range, card.mean) == (True, (0.0, 1.0), (0.25,))
    assert card.converted == {"of float values, of which NaN are missing cells": 3}
    with pytest.raises(api.DataError, match="none of the 2 train pictures tried"):
        card_of(tmp_path, nodata="none", val_share=0.34, test_share=0)


def test_nan_that_was_not_measured_breaks_its_picture_and_says_what_to_do(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.array([[0.0, 0.5]]))
    data = Folder(Folder.Options(root=tmp_path, val_share=0, test_share=0))
    assert not data.card().missing
    np.save(tmp_path / "0.npy", np.array([[0.0, np.nan]]))
    reasons = []
    for i in range(3):
        try:
            data.split("train")[i]
        except api.BrokenSample as broken:
            reasons.append(broken.fault.reason)
    assert reasons == [
        "lacks cells, those that are NaN, and the data set has none that may: train with dataset.nodata=nan"
    ]


def test_arrays_are_read_as_all_of_them_together_say(tmp_path):
    for i, shape in enumerate([(12, 8, 20), (10, 9, 20), (9, 9, 20)]):
        np.save(tmp_path / f"{i}.npy", noise(i, *shape))
    card = card_of(tmp_path)
    assert (card.channels, card.files.npy_layout) == (20, "hwc")
    assert card.converted == {"arrays, read as height, width, channels": 3}


def test_arrays_that_can_be_read_in_two_ways_are_refused_with_both(tmp_path):
    np.save(tmp_path / "a.npy", noise(0, 12, 8, 200))
    with pytest.raises(api.DataError) as caught:
        card_of(tmp_path)
    assert str(caught.value) == (
        f"the array a.npy in {tmp_path} (12, 8, 200) may be 12×8 pixels of 200 channels (hwc) or 8×200 pixels of 12 "
        "(chw), and the other arrays do not tell; say which with --set dataset.npy_layout=hwc or chw, or with "
        "dataset.channels"
    )
    assert card_of(tmp_path, npy_layout="hwc", val_share=0, test_share=0).channels == 200
    assert card_of(tmp_path, channels=12, val_share=0, test_share=0).channels == 12


def test_other_data_are_read_as_those_of_a_card(tmp_path):
    for name in ("run", "other"):
        (tmp_path / name).mkdir()
    for i in range(3):
        write_16_bits(tmp_path / f"run/deep{i}.png", 0, 4095)
        write_picture(tmp_path / f"run/{i}.png", noise(i, 1, 2, 3))
        write_16_bits(tmp_path / f"other/{i}.png", 0, 1000)
    data = Folder(Folder.Options(root=tmp_path / "other", val_share=0, test_share=0))
    data.read_as(card_of(tmp_path / "run"))
    card = data.card()
    assert (card.channels, card.dtype, card.files.bits) == (3, "uint8", 12)
    assert data.split("train")[0]["image"].max() == 62
