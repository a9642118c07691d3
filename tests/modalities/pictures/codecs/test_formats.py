"""The picture formats that people have: known by content, read as what they show, and refused by a clear sentence."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from write_data import encoded, noise

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs import decoders, heif, jpeg2000
from maecli.modalities.pictures.codecs.formats import (
    PICTURE_FORMATS,
    PICTURE_SUFFIXES,
    format_of,
    is_picture_content,
)
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.codecs.heif import avif_bits
from maecli.modalities.pictures.read import probe_picture, read_picture

SMOOTH = Image.fromarray(np.linspace((0, 255, 60), (255, 0, 60), 48 * 64).reshape(48, 64, 3).astype(np.uint8))
TURNED = SMOOTH.rotate(180)


@pytest.fixture
def file(tmp_path: Path):
    def write(data: bytes, name: str = "picture") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def reason_of(path: Path, **options) -> str:
    with pytest.raises(BrokenSample) as caught:
        read_picture(path, **options)
    return caught.value.fault.reason


KINDS = {
    "JPEG": encoded(SMOOTH, "JPEG", quality=95),
    "PNG": encoded(SMOOTH, "PNG"),
    "GIF": encoded(SMOOTH.quantize(256), "GIF"),
    "WebP": encoded(SMOOTH, "WEBP", quality=95),
    "AVIF": encoded(SMOOTH, "AVIF", quality=95),
    "JPEG 2000": encoded(SMOOTH, "JPEG2000"),
    "Netpbm": encoded(SMOOTH, "PPM"),
    "BMP": encoded(SMOOTH, "BMP"),
    "TIFF": encoded(SMOOTH, "TIFF"),
}


@pytest.mark.parametrize("title", KINDS)
def test_a_format_is_known_by_its_content_and_read_under_any_name(title, file):
    path = file(KINDS[title], "photo.jpg")
    assert format_of(KINDS[title]).title == title
    assert is_picture_content(path)
    assert probe_picture(path).size == (48, 64)
    difference = read_picture(path).astype(int) - np.asarray(SMOOTH).transpose(2, 0, 1)
    assert np.abs(difference).mean() < 4


def test_the_table_names_each_suffix_once_and_none_that_is_not_read():
    suffixes = [suffix for kind in PICTURE_FORMATS for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes)) == len(PICTURE_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)
    assert {*KINDS, "HEIC", ".npy"} == {kind.title for kind in PICTURE_FORMATS}


@pytest.mark.parametrize(
    "kind", ["animated GIF", "animated PNG", "animated WebP", "sequence AVIF", "JPEG of two", "PPM of two"]
)
def test_the_first_of_several_pictures_is_read_and_told(kind, file):
    several = {"save_all": True, "append_images": [TURNED]}
    data = {
        "animated GIF": lambda: encoded(SMOOTH, "GIF", **several),
        "animated PNG": lambda: encoded(SMOOTH, "PNG", **several),
        "animated WebP": lambda: encoded(SMOOTH, "WEBP", lossless=True, **several),
        "sequence AVIF": lambda: encoded(SMOOTH, "AVIF", **several),
        "JPEG of two": lambda: encoded(SMOOTH, "MPO", **several),
        "PPM of two": lambda: encoded(SMOOTH, "PPM") + encoded(TURNED, "PPM"),
    }[kind]()
    path = file(data)
    assert probe_picture(path).frames
    difference = read_picture(path).astype(int) - np.asarray(SMOOTH).transpose(2, 0, 1)
    assert np.abs(difference).mean() < 8


@pytest.mark.parametrize("title", KINDS)
def test_a_single_picture_is_not_called_one_of_several(title, file):
    assert not probe_picture(file(KINDS[title])).frames


def gif(pixels: list[list[int]], canvas: tuple[int, int], **options) -> bytes:
    """Return a GIF of the palette red, green, blue, black whose canvas is wider and higher than its picture."""
    image = Image.fromarray(np.array(pixels, np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0])
    data = bytearray(encoded(image, "GIF", optimize=False, **options))
    data[6:10] = struct.pack("<HH", *canvas[::-1])
    return bytes(data)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_what_a_gif_leaves_open_of_its_canvas_is_transparent(file):
    path = file(gif([[0, 1], [2, 1]], (3, 4)))
    assert probe_picture(path) == PictureInfo((3, 4), 3, "uint8", alpha=True)
    pixels = read_picture(path, channels=4)
    assert pixels[:, 0, 0].tolist() == [255, 0, 0, 255]
    assert pixels[3].tolist() == [[255, 255, 0, 0], [255, 255, 0, 0], [0, 0, 0, 0]]
    assert read_picture(path)[:, 2, 3].tolist() == [255, 255, 255]


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("canvas", [(2, 2), (3, 4)])
def test_the_transparent_colour_of_a_gif_is_laid_on_white(canvas, file):
    path = file(gif([[0, 1], [2, 1]], canvas, transparency=1))
    assert probe_picture(path).alpha
    assert read_picture(path)[:, 0].T.tolist()[:2] == [[255, 0, 0], [255, 255, 255]]
    assert read_picture(path, channels=4)[3, :2, :2].tolist() == [[255, 0], [255, 0]]


def test_the_canvas_of_a_gif_counts_against_the_pixel_limit(file):
    path = file(gif([[0, 1], [2, 1]], (65535, 65535)))
    assert reason_of(path) == "has 4,294,836,225 pixels, more than max_pixels (178,956,970)"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_avif_stands_upright(orientation, file):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = file(encoded(SMOOTH, "AVIF", quality=95, exif=exif))
    with Image.open(path) as image:
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(image)).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_picture(path), expected)
    assert probe_picture(path).size == expected.shape[1:]


def test_alpha_of_an_avif_is_kept_or_laid_on_white(file):
    path = file(encoded(Image.new("RGBA", (16, 16), (200, 100, 50, 0)), "AVIF"))
    assert probe_picture(path).alpha
    assert read_picture(path).min() > 250
    assert read_picture(path, channels=4)[3].max() == 0


def test_an_avif_of_ten_bits_is_read_at_the_upper_eight_and_says_so(file, monkeypatch):
    """The bits of `av1C`: high_bitdepth and twelve_bit. Pillow writes no AVIF of more than eight."""
    for flags, bits in ((0, (8,)), (0x40, (10,)), (0x60, (12,))):
        assert avif_bits(io.BytesIO(b"....av1C\x81\0" + bytes([flags]))) == bits
    path = file(KINDS["AVIF"])
    assert not probe_picture(path).upper_bits
    monkeypatch.setattr(heif, "avif_bits", lambda _: (10,))
    assert probe_picture(path).upper_bits


def test_an_avif_whose_pillow_cannot_read_it_says_what_to_install(file, monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    assert reason_of(file(KINDS["AVIF"])) == (
        "is an AVIF file, which this build of Pillow cannot read: pip install 'pillow>=11.3'"
    )


@pytest.mark.filterwarnings("ignore:Tag data larger than file:UserWarning")  # of Pillow, which writes it
def test_a_note_of_an_avif_whose_values_all_claim_all_of_it_is_not_read(file):
    from fuzz.mutate import little_memory

    tags = b"".join(struct.pack("<HHII", 1000 + i, 7, 300_000, 8) for i in range(20_000))
    note = (b"II*\0" + struct.pack("<IH", 8, 20_000) + tags).ljust(300_100, b"\0")
    path = file(encoded(SMOOTH, "AVIF", exif=b"Exif\0\0" + note))
    with little_memory():
        assert probe_picture(path).size == (48, 64)


@pytest.mark.parametrize("box", [True, False], ids=["boxed", "bare"])
def test_jpeg_2000_keeps_grey_of_16_bits(box, file):
    pixels = noise(0, 9, 8).astype(np.uint16) * 257
    path = file(encoded(Image.fromarray(pixels), "JPEG2000", no_jp2=not box))
    assert probe_picture(path) == PictureInfo((9, 8), 1, "uint16")
    np.testing.assert_array_equal(read_picture(path), pixels[None])


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        (b"P5 4 1 255\n", bytes([0, 1, 128, 255]), [[0, 1, 128, 255]]),
        (b"P5\n# made by\n4\n1\n# 4 bits\n15\n", bytes([0, 1, 8, 15]), [[0, 17, 136, 255]]),
        (b"P5 3 1 4095\n", struct.pack(">3H", 0, 2048, 4095), [[0, 32776, 65535]]),
        (b"P5 3 1 65535\n", struct.pack(">3H", 0, 1, 65535), [[0, 1, 65535]]),
        (b"P2 4 1 15\n", b"0 1 # one\n 8\n15", [[0, 17, 136, 255]]),
        (b"P2 2 1 1000\n", b"1000 0", [[65535, 0]]),
        (b"P1 4 1\n", b"0110", [[255, 0, 0, 255]]),
        (b"P1 2 2\n", b"0 1\n1 0\n", [[255, 0], [0, 255]]),
        (b"P4 10 1\n", bytes([0b10000000, 0b01000000]), [[0, *[255] * 8, 0]]),
        (b"Pf 2 2 -1.0\n", struct.pack("<4f", 3, 4, 1, 2), [[1, 2], [3, 4]]),
        (b"Pf 2 1 1.0\n", struct.pack(">2f", 3, 4), [[3, 4]]),
        (b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n", b"\0\1", [[0, 255]]),
    ],
    ids=[
        "PGM",
        "PGM 4 bits",
        "PGM 12 bits",
        "PGM 16",
        "text",
        "text 16",
        "PBM text",
        "blanks",
        "PBM",
        "PFM",
        "big",
        "PAM",
    ],
)
def test_the_greatest_value_of_a_netpbm_file_is_white(header, values, expected, file):
    path = file(header + values)
    pixels = read_picture(path)
    assert pixels.tolist() == [expected]
    assert probe_picture(path) == PictureInfo(pixels.shape[1:], 1, str(pixels.dtype))


def test_netpbm_keeps_colour_of_16_bits(file):
    path = file(b"P6 2 1 65535\n" + struct.pack(">6H", 1, 2, 3, 4, 5, 65535))
    assert read_picture(path)[:, 0].T.tolist() == [[1, 2, 3], [4, 5, 65535]]


def test_alpha_of_a_pam_file_is_kept_or_laid_on_white(file):
    head = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    path = file(head + bytes([1, 2, 3, 255, 9, 9, 9, 0]))
    assert read_picture(path)[:, 0].T.tolist() == [[1, 2, 3], [255, 255, 255]]
    assert read_picture(path, channels=4)[3].tolist() == [[255, 0]]


def test_a_pam_file_has_as_many_channels_as_its_depth(file):
    path = file(b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n" + bytes(range(5)))
    assert read_picture(path).ravel().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P5 4 4 255\n" + bytes(15), "truncated file"),
        (b"P5 4 4 ", "truncated file"),
        (b"P2 2 2 255\n1 2 3        ", "truncated file"),
        (b"P5 0 4 255\n", "has no pixels"),
        (b"P5 99999 99999 255\n", "has 9,999,800,001 pixels, more than max_pixels (178,956,970)"),
        (b"P5 4 x 255\n", "damaged file: its header has 'x' for a number"),
        (b"P5 2 1 65536\n" + bytes(9), "damaged file: 65536 is no greatest value; from 1 to 65535 may be"),
        (b"P5 2 1 10\n\3\x0b", "damaged file: it holds 11, and says that 10 is most"),
        (b"P2 2 1 9\n1 -1", "damaged file: its pixels are no numbers"),
        (b"P2 2 1 9\n1 1234567890", "damaged file: its pixels are no numbers"),
        (b"P1 2 1\n0 2", "damaged file: its pixels are no numbers"),
        (b"Pf 1 1 0.0\n\0\0\0\0", "damaged file: 0.0 is no scale"),
        (b"P7\nWIDTH 1\nHEIGHT 1\n", "truncated file"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 0\nMAXVAL 9\nENDHDR\n", "has no pixels"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:30],
)
def test_damaged_netpbm_files_say_why(data, reason, file):
    assert reason_of(file(data)) == reason


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS and not the picture: git lfs pull"),
        (b"\n<!doctype HTML><html>", "is a web page and not the picture: it was not downloaded"),
        (b"<?xml version='1.0'?><svg/>", "is an SVG drawing or other XML"),
        (b"\xff\x0a\x01", "is a JPEG XL file"),
        (b"8BPS\0\1", "is a Photoshop file"),
        (b"%PDF-1.7", "is a PDF file"),
        (b"\0\0\1\0\1\0\x10\x10\0\0", "is an icon (ICO)"),
        (bytes(128) + b"DICM", "is a DICOM file"),
        (b"\0\0\0\x18ftypmp42", "is a film (MP4, MOV) or another file of its kind"),
        (b"PK\3\4", "is a ZIP archive: unpack it"),
        (
            b"a text",
            "not a JPEG, PNG, GIF, WebP, AVIF, HEIC, JPEG 2000, Netpbm, BMP, TIFF or .npy file",
        ),
        (b"BM is how this text begins, and it is no picture", "not a JPEG, PNG"),
        (b"P1 was the first of the plans", "not a JPEG, PNG"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:30],
)
def test_a_file_that_is_no_picture_is_named_where_it_is_known(start, reason, file):
    path = file(start, "x.jpg")
    assert reason_of(path).startswith(reason)
    assert not is_picture_content(path)


def test_arrays_and_files_that_cannot_be_opened_are_not_told_by_their_content(tmp_path):
    np.save(tmp_path / "weights.npy", np.zeros((2, 2)))
    assert not is_picture_content(tmp_path / "weights.npy")
    assert not is_picture_content(tmp_path / "none")


HEIC_START = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize("start", [HEIC_START, b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"], ids=["heic", "mif1"])
def test_heic_without_its_package_names_the_extra(start, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    expected = "is a HEIC file, which needs the extra heif: pip install 'maecli[heif]', or pillow-heif"
    assert reason_of(file(start, "IMG_1.HEIC")) == expected


def heic(image: Image.Image | np.ndarray, exif: bytes | None = None) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    if isinstance(image, Image.Image):
        opened = pillow_heif.from_pillow(image)
    else:
        opened = pillow_heif.from_bytes("RGB;16", image.shape[1::-1], image.tobytes())
    opened[0].info["exif"] = exif
    buffer = io.BytesIO()
    opened.save(buffer, quality=-1, chroma=444)
    return buffer.getvalue()


def test_heic_is_read_with_its_extra(file):
    path = file(heic(SMOOTH), "IMG_1.HEIC")
    assert probe_picture(path) == PictureInfo((48, 64), 3, "uint8")
    difference = read_picture(path).astype(int) - np.asarray(SMOOTH).transpose(2, 0, 1)
    assert np.abs(difference).mean() < 4
    assert reason_of(path, max_pixels=48 * 64 - 1) == "has 3,072 pixels, more than max_pixels (3,071)"


def test_heic_stands_upright_and_keeps_alpha(file):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = file(heic(SMOOTH, exif.tobytes()))
    assert probe_picture(path).size == (64, 48)
    assert read_picture(path)[:, 0, -1].tolist() == pytest.approx(SMOOTH.getpixel((0, 0)), abs=8)
    path = file(heic(Image.new("RGBA", (64, 64), (10, 20, 30, 0))))
    assert probe_picture(path) == PictureInfo((64, 64), 3, "uint8", alpha=True)
    assert read_picture(path).min() == 255
    assert read_picture(path, channels=4)[3].max() == 0


def test_heic_of_ten_bits_is_read_as_16(file):
    pixels = np.linspace(0, 65535, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint16)
    path = file(heic(pixels))
    assert probe_picture(path).dtype == "uint16"
    assert np.abs(read_picture(path).astype(int) - pixels.transpose(2, 0, 1)).mean() < 500


def siz(width: int = 8, height: int = 8, tile: tuple[int, int] = (8, 8), num: int = 1, bits: int = 8) -> bytes:
    body = struct.pack(">H8IH", 0, width, height, 0, 0, *tile, 0, 0, num) + bytes([bits - 1, 1, 1]) * num
    return b"\xff\x51" + struct.pack(">H", 2 + len(body)) + body


def cod(layers: int = 1, levels: int = 0, block: tuple[int, int] = (4, 4), precincts: bytes = b"") -> bytes:
    body = struct.pack(">BBHBBBBBB", bool(precincts), 0, layers, 0, levels, *block, 0, 1) + precincts
    return b"\xff\x52" + struct.pack(">H", 2 + len(body)) + body


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (siz(30_000, 30_000, (30_000, 30_000)), "has 900,000,000 pixels, more than max_pixels (178,956,970)"),
        (siz(10_000, 10_000, (1, 1)), "has 100,000,000 tiles, more than 16,384"),
        (siz(num=200), "has 200 channels in JPEG 2000, of which up to 4 are read; save it as TIFF"),
        (siz(0, 8), "has no pixels"),
        (siz(2048, 2048, (2048, 2048)) + cod(65535, 0, precincts=b"\x55"), "damaged file: it asks for "),
        (siz(9000, 9000, (9000, 9000)) + cod(block=(0, 0)), "damaged file: it asks for 1 packets and 5,062,500 blocks"),
        (
            siz(2048, 2048, (2048, 2048)) + cod() + b"\xff\x90\0\x0a\0\0\0\0\0\0\0\1" + cod(9, 0, precincts=b"\0"),
            "damaged file: it asks for 37,785,609 packets",
        ),
        (siz()[:30], "truncated file"),
    ],
    ids=["size", "tiles", "components", "empty", "layers", "blocks", "in a tile", "cut"],
)
def test_what_a_jpeg_2000_asks_for_is_looked_at_before(headers, reason, file):
    assert reason_of(file(b"\xff\x4f" + headers + b"\xff\xd9")).startswith(reason)


def test_a_jpeg_2000_without_a_picture_in_its_boxes_is_damaged(file):
    start = KINDS["JPEG 2000"][:12]
    assert reason_of(file(start + struct.pack(">I4s", 8, b"free") * 5)) == "damaged file: no picture is in its boxes"
    stream = struct.pack(">I4s", 0, b"jp2c")
    assert reason_of(file(start + stream)).startswith("damaged file: its codestream does not begin as one")
    assert reason_of(file(start + stream + b"\xff\x4f" + cod())) == "truncated file"


def test_the_markers_of_a_jpeg_2000_are_counted(file, monkeypatch):
    monkeypatch.setattr(jpeg2000, "MAX_MARKERS", 10)
    data = b"\xff\x4f" + siz() + b"\xff\x64\0\2" * 20
    assert reason_of(file(data)) == "damaged file: its headers have over 10 parts"


def test_a_format_of_the_table_has_something_that_opens_it():
    handled = {*decoders.pillow_plugins(), "HEIC", "Netpbm", "TIFF", ".npy"}
    assert handled == {kind.title for kind in PICTURE_FORMATS}
