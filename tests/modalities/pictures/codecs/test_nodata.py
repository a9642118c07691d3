"""Cells that hold the nodata value of their file, or NaN, are missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin
from write_data import encoded

from maecli.data.file_reading import FileReading
from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.nodata import nodata_in
from maecli.modalities.pictures.read import Reading, picture_array, probe_picture, read_cells, read_image, read_picture

MAY_LACK = Reading(missing=True)


def write_tiff(path: Path, pixels: np.ndarray, nodata: str, **options: object) -> Path:
    options = {"photometric": "minisblack"} | options
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, nodata, True)], **options)
    return path


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("-9999", "int16", -9999.0),
        ("-9999\0", "float32", -9999.0),
        (" 255.0 ", "uint8", 255.0),
        ("0", "uint16", 0.0),
        ("1e3", "uint16", 1000.0),
        ("-9999,0", "float32", -9999.0),
        ("-9999", "uint16", None),
        ("256", "uint8", None),
        ("0.5", "uint8", None),
        ("nan", "uint8", None),
        ("inf", "int16", None),
        ("none", "float32", None),
        ("", "float32", None),
        (7, "float32", None),
    ],
)
def test_a_tag_names_a_value_that_the_pixels_can_have(text, dtype, value):
    assert nodata_in(text, np.dtype(dtype)) == value


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "1.#QNAN"])
def test_a_tag_may_name_nan(text):
    assert math.isnan(nodata_in(text, np.dtype("float32")))


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", "0"), ("uint8", "255"), ("uint16", "65535"), ("int16", "-9999"), ("int32", "-2147483648")],
)
def test_whole_numbers_stay_so_and_tell_what_exists(tmp_path, dtype, nodata):
    pixels = np.array([[int(nodata), 1], [2, 3]], dtype)
    path = write_tiff(tmp_path / "x.tif", pixels, nodata)
    image, there = read_cells(path, MAY_LACK)
    assert (image.dtype, image.tolist()) == (np.dtype(dtype), [[[0, 1], [2, 3]]])
    assert there.tolist() == [[[False, True], [True, True]]]
    shown = read_image(path, MAY_LACK)
    assert np.isnan(shown).tolist() == [[[True, False], [False, False]]]


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", "-9999"), ("float64", "-1.7976931348623157e+308")])
def test_float_pictures_have_nan_there(tmp_path, dtype, nodata):
    path = write_tiff(tmp_path / "x.tif", np.array([[float(nodata), 1.5], [np.nan, 3]], dtype), nodata)
    image, there = read_cells(path, MAY_LACK)
    assert there is None
    np.testing.assert_array_equal(image, [[[np.nan, 1.5], [np.nan, 3]]])


def test_each_band_lacks_its_own_cells_and_grey_those_of_all(tmp_path):
    pixels = np.array([[[0, 5, 5], [5, 5, 5]]], np.uint8)
    path = write_tiff(tmp_path / "x.tif", pixels, "0", photometric="rgb")
    assert read_cells(path, MAY_LACK)[1].tolist() == [[[False, True]], [[True, True]], [[True, True]]]
    assert read_cells(path, Reading(channels=1, missing=True))[1].tolist() == [[[False, True]]]


def test_grey_made_colour_lacks_the_same_cells_in_all(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[0, 5]], np.uint8), "0")
    image, there = read_cells(path, Reading(channels=3, missing=True))
    assert (image.shape, np.broadcast_to(there, image.shape)[:, 0].tolist()) == ((3, 1, 2), [[False, True]] * 3)


def test_what_is_scaled_to_8_bits_lacks_the_same_cells(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[65_535, 4095, 0]], np.uint16), "65535")
    how = Reading(dtype="uint8", files=FileReading(bits=12), missing=True)
    image, there = read_cells(path, how)
    assert (image.tolist(), there.tolist()) == ([[[0, 255, 0]]], [[[False, True, True]]])


def test_an_index_of_a_palette_may_stand_for_nothing(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[42113] = "1"
    path = tmp_path / "x.tif"
    path.write_bytes(encoded(image, "TIFF", tiffinfo=tags))
    assert probe_picture(path).nodata == (40, 50, 60)
    assert np.broadcast_to(read_cells(path, MAY_LACK)[1], (3, 1, 2))[:, 0].tolist() == [[True, False]] * 3


def test_white_may_be_0_in_the_file_that_names_its_value(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[7, 0]], np.uint8), "7", photometric="miniswhite")
    image, there = read_cells(path, MAY_LACK)
    assert (image.tolist(), there.tolist()) == ([[[0, 255]]], [[[False, True]]])


def test_a_value_may_be_told_instead_or_besides(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[1, 2, 3]], np.uint8), "1")
    for nodata, expected in ((3, [False, True, False]), ("header", [False, True, True]), (2.5, [False, True, True])):
        how = Reading(files=FileReading(nodata=nodata), missing=True)
        assert read_cells(path, how)[1].ravel().tolist() == expected
    assert read_cells(path, Reading(files=FileReading(nodata="none")))[1] is None


def test_nothing_is_lacking_where_no_cell_has_the_value(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[1, 2]], np.uint8), "0")
    assert read_cells(path, MAY_LACK)[1] is None
    assert read_picture(path).tolist() == [[[1, 2]]]


def test_a_picture_that_lacks_cells_is_broken_where_none_may(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[1, 200]], np.uint8), "200")
    with pytest.raises(BrokenSample) as caught:
        read_picture(path)
    assert caught.value.fault.reason == (
        "lacks cells, those of its nodata value 200, and the data set has none that may: train with dataset.nodata=200"
    )


def test_large_pictures_are_made_smaller_without_mixing_what_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr("maecli.modalities.pictures.bands.averaging.__defaults__", (16, 16))
    pixels = np.full((8, 8), 4, np.uint8)
    pixels[:4] = 0
    image = read_image(write_tiff(tmp_path / "x.tif", pixels, "0"), MAY_LACK, at_least=2)
    assert image.shape[1] < 8
    assert set(image[~np.isnan(image)].tolist()) == {4.0}


def test_an_opened_picture_lacks_what_its_file_does(tmp_path):
    path = write_tiff(tmp_path / "x.tif", np.array([[0, 5]], np.uint8), "0")
    with Image.open(path) as image:
        np.testing.assert_array_equal(picture_array(image, MAY_LACK), read_image(path, MAY_LACK))
