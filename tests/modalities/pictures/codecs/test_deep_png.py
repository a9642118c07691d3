from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import on_white
from maecli.modalities.pictures.read import probe_picture, read_picture

COLOURS = np.random.default_rng(0).integers(0, 65536, (4, 6, 7), dtype=np.uint16)


def write_png(path, pixels, *chunks):
    """Write a PNG (C, H, W) of 16 bits, with more chunks after its header."""
    pixels = pixels[[2, 1, 0, *range(3, len(pixels))]].transpose(1, 2, 0)
    data = cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])
    return path


def test_all_bits_of_a_png_in_colour_are_read(tmp_path):
    path = write_png(tmp_path / "1.png", COLOURS[:3])
    info = probe_picture(path)
    assert (info.size, info.channels, info.dtype, info.alpha, info.upper_bits) == ((6, 7), 3, "uint16", False, False)
    np.testing.assert_array_equal(read_picture(path), COLOURS[:3])
    np.testing.assert_array_equal(read_picture(path, dtype="uint8"), np.rint(COLOURS[:3] / 257).astype(np.uint8))


def test_its_alpha_is_laid_on_white_or_kept(tmp_path):
    path = write_png(tmp_path / "1.png", COLOURS)
    assert probe_picture(path).alpha
    np.testing.assert_array_equal(read_picture(path, channels=4), COLOURS)
    np.testing.assert_array_equal(read_picture(path), on_white(COLOURS))


def test_it_is_upright(tmp_path):
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6
    chunk = len(exif).to_bytes(4, "big") + b"eXIf" + exif
    path = write_png(tmp_path / "1.png", COLOURS[:3], chunk + checksum(b"eXIf" + exif))
    assert probe_picture(path).size == (7, 6)
    np.testing.assert_array_equal(read_picture(path), np.rot90(COLOURS[:3], -1, (1, 2)))


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_truncated_one_is_broken(tmp_path, share):
    path = write_png(tmp_path / "1.png", COLOURS[:3])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BrokenSample, match="truncated"):
        read_picture(path)


def test_what_else_a_file_holds_is_not_read(tmp_path, capfd):
    profile = b"\0\0\0\x05iCCPx\0\0zz"
    path = write_png(tmp_path / "1.png", COLOURS[:3], profile + checksum(b"iCCPx\0\0zz"))
    np.testing.assert_array_equal(read_picture(path), COLOURS[:3])
    assert capfd.readouterr().err == ""


def checksum(data):
    """Return the checksum of a chunk."""
    return zlib.crc32(data).to_bytes(4, "big")
