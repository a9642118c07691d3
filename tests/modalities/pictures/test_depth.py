"""16-bit files whose values have fewer bits."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from write_data import encoded

from maecli.data.file_reading import FileReading
from maecli.errors import BrokenSample
from maecli.modalities.pictures.depth import measured_bits
from maecli.modalities.pictures.read import Reading, probe_picture, read_picture
from maecli.modalities.pictures.read import read_cells as read

MAX_SAMPLE_VALUE = 281


def write_16_bits(path: Path, *values: int) -> Path:
    path.write_bytes(encoded(Image.fromarray(np.array([values], np.uint16)), "PNG"))
    return path


def bits_of(root: Path, *names: str) -> int:
    return measured_bits(root, {name: probe_picture(root / name) for name in names}, Reading())


@pytest.mark.parametrize(
    ("greatest", "bits"), [(200, 8), (1023, 10), (1024, 12), (4095, 12), (16_383, 14), (16_384, 16), (65_535, 16)]
)
def test_bits_are_those_that_the_greatest_value_needs(tmp_path, greatest, bits):
    write_16_bits(tmp_path / "a.png", 0, 3)
    write_16_bits(tmp_path / "b.png", 0, greatest)
    assert bits_of(tmp_path, "a.png", "b.png") == bits


def test_pictures_of_8_bits_have_no_say(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(Image.new("L", (2, 2), 255), "PNG"))
    assert bits_of(tmp_path, "a.png") == 16


def test_a_tiff_may_say_how_many_bits_its_values_have(tmp_path):
    tag = (MAX_SAMPLE_VALUE, "H", 1, 4095, True)
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 900]], np.uint16), extratags=[tag])
    assert probe_picture(tmp_path / "a.tif").bits == 12
    assert bits_of(tmp_path, "a.tif") == 12


def test_a_png_may_say_how_many_bits_its_values_have(tmp_path):
    data = encoded(Image.fromarray(np.array([[0, 900]], np.uint16)), "PNG")
    chunk = b"sBIT" + bytes([12])
    header_end = 33
    more = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data[:header_end] + more + data[header_end:])
    assert probe_picture(tmp_path / "a.png").bits == 12
    assert bits_of(tmp_path, "a.png") == 12
    assert read_picture(tmp_path / "a.png").tolist() == [[[0, 900]]]


def test_12_bits_are_scaled_by_their_own_range(tmp_path):
    path = write_16_bits(tmp_path / "a.png", 0, 8, 9, 2048, 4095)
    how = Reading(dtype="uint8", files=FileReading(bits=12))
    assert read(path, how)[0].tolist() == [[[0, 0, 1, 128, 255]]]
    (tmp_path / "b.png").write_bytes(encoded(Image.fromarray(np.array([[0, 1, 255]], np.uint8)), "PNG"))
    assert read(tmp_path / "b.png", Reading(dtype="uint16", files=FileReading(bits=12)))[0].tolist() == [
        [[0, 16, 4095]]
    ]


def test_a_picture_with_greater_values_is_broken_and_never_cut_off(tmp_path):
    path = write_16_bits(tmp_path / "a.png", 0, 5000)
    with pytest.raises(BrokenSample) as caught:
        read(path, Reading(dtype="uint8", files=FileReading(bits=12)))
    assert caught.value.fault.reason == ("holds 5,000, over the 4,095 of 12 bits; dataset.bits says how many there are")
