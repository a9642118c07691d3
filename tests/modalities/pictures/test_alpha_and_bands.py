"""What the fourth channel of a picture is: alpha where the file flags it so, else a band."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from write_data import encoded, noise

from maecli.modalities.pictures.read import probe_picture, read_picture

UNSPECIFIED, MULTIPLIED, APART = 0, 1, 2
EXTRA_SAMPLES = 338


def write_bands(path: Path, pixels: np.ndarray, extra: int, **options: object) -> np.ndarray:
    """Write a TIFF of colour and one more band (H, W, 4), flagged as `extra`; return it as (C, H, W)."""
    stored = pixels if options.get("planarconfig") != "separate" else pixels.transpose(2, 0, 1)
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=[extra], **options)
    return pixels.transpose(2, 0, 1)


def without_tag(data: bytes, number: int) -> bytes:
    """Return a little-endian TIFF whose only page has lost a tag."""
    (start,) = struct.unpack_from("<I", data, 4)
    (num,) = struct.unpack_from("<H", data, start)
    entries = [data[start + 2 + 12 * i :][:12] for i in range(num)]
    kept = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != number]
    assert len(kept) == num - 1
    page = struct.pack("<H", len(kept)) + b"".join(kept) + bytes(16)
    return data[:start] + page + data[start + len(page) :]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("extra", [UNSPECIFIED, MULTIPLIED, APART], ids=["unspecified", "multiplied", "apart"])
def test_four_bands_of_a_tiff_can_always_be_had_as_they_are_stored(tmp_path, dtype, planarconfig, extra):
    path = tmp_path / "x.tif"
    bands = write_bands(path, noise(0, 5, 6, 4).astype(dtype), extra, planarconfig=planarconfig)
    info = probe_picture(path)
    assert (info.channels, info.alpha) == ((4, False) if extra == UNSPECIFIED else (3, True))
    np.testing.assert_array_equal(read_picture(path, channels=4), bands)
    assert read_picture(path).shape == (info.channels, 5, 6)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"], ids=["plain", "lzw", "deflate"])
def test_a_fourth_band_without_any_flag_is_a_band(tmp_path, compression):
    pixels = noise(0, 5, 6, 4)
    path = tmp_path / "x.tif"
    path.write_bytes(without_tag(encoded(Image.fromarray(pixels), "TIFF", compression=compression), EXTRA_SAMPLES))
    np.testing.assert_array_equal(read_picture(path), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("extra", "shown"), [(MULTIPLIED, 0.2 + 0.4), (APART, 0.2 * 0.6 + 0.4)])
def test_alpha_of_a_tiff_is_laid_on_white(tmp_path, dtype, extra, shown):
    most = np.iinfo(dtype).max
    pixels = np.array([[[most // 5] * 3 + [most // 5 * 3]]], dtype)
    write_bands(tmp_path / "x.tif", pixels, extra)
    assert read_picture(tmp_path / "x.tif").ravel() / most == pytest.approx([shown] * 3, abs=0.005)


def test_grey_with_alpha_of_a_tiff_is_grey(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.array([[[100, 255], [100, 0]]], np.uint8), photometric="minisblack", extrasamples=[APART])
    assert read_picture(path).tolist() == [[[100, 255]]]
    assert read_picture(path, channels=2).tolist() == [[[100, 100]], [[255, 0]]]


def test_inks_are_no_bands(tmp_path):
    (tmp_path / "x.tif").write_bytes(encoded(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF"))
    assert read_picture(tmp_path / "x.tif")[:, 0, 0].tolist() == [255, 0, 0]


def test_grey_and_colour_with_alpha_become_each_other_and_keep_it(tmp_path):
    grey, colour = tmp_path / "grey.png", tmp_path / "colour.png"
    grey.write_bytes(encoded(Image.new("LA", (1, 1), (7, 9)), "PNG"))
    colour.write_bytes(encoded(Image.new("RGBA", (1, 1), (100, 200, 50, 9)), "PNG"))
    assert read_picture(grey, channels=4).ravel().tolist() == [7, 7, 7, 9]
    assert read_picture(colour, channels=2).ravel().tolist() == [153, 9]
