"""1,000 damaged files of each format of pictures: each is read, or refused by one sentence of ours, at once."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from write_data import encoded, noise, rotated_jpeg

from fuzz.mutate import Reader
from maecli.errors import BrokenSample
from maecli.modalities.pictures.masks.read import class_palette, mask_png, read_mask
from maecli.modalities.pictures.read import probe_picture, read_picture

MAX_PIXELS = 2**18
GREY, COLOUR, CLEAR = (Image.fromarray(noise(i, *shape)) for i, shape in enumerate([(9, 7), (8, 11, 3), (6, 5, 4)]))


def tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


def noted_png() -> bytes:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "x" * 300, zip=True)
    note.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    exif = Image.Exif()
    exif[0x0112] = 8
    return encoded(COLOUR, "PNG", pnginfo=note, exif=exif, icc_profile=b"i" * 400)


STACK = noise(3, 4, 10, 12)
SAMPLES = {
    "png": [
        *(encoded(image, "PNG") for image in (GREY, COLOUR, CLEAR, COLOUR.quantize(9), GREY.convert("1"))),
        encoded(Image.fromarray(noise(1, 5, 6).astype(np.uint16) * 257), "PNG"),
        noted_png(),
    ],
    "jpeg": [
        encoded(GREY, "JPEG"),
        encoded(COLOUR, "JPEG", progressive=True),
        encoded(COLOUR.convert("CMYK"), "JPEG"),
        rotated_jpeg(6),
    ],
    "tiff": [
        *(encoded(image, "TIFF") for image in (GREY, COLOUR, CLEAR)),
        *(encoded(COLOUR, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
        tiff(STACK, photometric="minisblack"),
        tiff(STACK, photometric="minisblack", planarconfig="separate", compression="zlib", predictor=2),
        tiff(noise(4, 32, 32, 5), photometric="minisblack", tile=(16, 16), compression="lzma"),
        tiff(STACK, photometric="minisblack", ome=True, metadata={"axes": "CYX"}),
        tiff(STACK.astype(np.uint16), imagej=True, metadata={"axes": "CYX"}),
        tiff(STACK, photometric="minisblack", bigtiff=True, byteorder=">", rowsperstrip=2),
        tiff(STACK[None], photometric="minisblack", ome=True, metadata={"axes": "ZCYX"}),
        tiff(STACK[0].astype(np.uint16), photometric="miniswhite", compression="zlib"),
        tiff(STACK[0], photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        tiff(STACK, photometric="separated", planarconfig="separate"),
        encoded(COLOUR, "TIFF", save_all=True, append_images=[COLOUR.resize((44, 32))]),
    ],
    "bmp": [
        *(encoded(image, "BMP") for image in (GREY, COLOUR, COLOUR.quantize(9), GREY.convert("1"))),
        # 4×2 pixels in runs of 8-bit numbers
        encoded(Image.new("P", (4, 2)), "BMP")[:54].replace(b"\0\0\0\0\x08", b"\1\0\0\0\x08")
        + bytes(1024)
        + b"\4\1\0\0\0\4\1\2\3\4\0\1",
    ],
    "webp": [
        encoded(COLOUR, "WEBP"),
        encoded(COLOUR, "WEBP", lossless=True),
        encoded(CLEAR, "WEBP"),
        encoded(COLOUR, "WEBP", save_all=True, append_images=[COLOUR.rotate(90)], exif=b"Exif\0\0II*\0\10\0\0\0\0\0"),
    ],
    "gif": [
        encoded(COLOUR.quantize(9), "GIF"),
        encoded(COLOUR.quantize(9), "GIF", save_all=True, append_images=[COLOUR.rotate(180).quantize(5)]),
        encoded(COLOUR.quantize(9), "GIF", transparency=2, comment=b"x" * 600),
        # the canvas is larger than what is on it
        encoded(COLOUR.quantize(9), "GIF").replace(b"\x0b\0\x08\0", b"\x0d\0\x0a\0", 1),
    ],
    "avif": [
        *(encoded(image, "AVIF") for image in (GREY, COLOUR, CLEAR)),
        encoded(COLOUR, "AVIF", save_all=True, append_images=[COLOUR.rotate(180)], xmp=b"<x/>"),
        encoded(COLOUR, "AVIF", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    ],
    "jpeg 2000": [
        *(encoded(image, "JPEG2000") for image in (GREY, COLOUR, CLEAR)),
        encoded(Image.fromarray(noise(1, 5, 6).astype(np.uint16) * 257), "JPEG2000"),
        encoded(COLOUR, "JPEG2000", no_jp2=True, quality_layers=[20, 5], num_resolutions=2),
        encoded(COLOUR.resize((40, 40)), "JPEG2000", tile_size=(16, 16), precinct_size=(16, 16)),
    ],
    "netpbm": [
        *(encoded(image, "PPM") for image in (GREY, COLOUR, GREY.convert("1"))),
        b"P5\n# twelve bits\n2 2\n4095\n" + bytes([0, 1, 15, 255, 2, 7, 1, 1]),
        b"P1\n3 2\n0101 # digits\n0 1\n",
        b"P3 2 1 15 0 1 2 # colours\n13 14 15",
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(range(8)),
        b"PF 1 2 -1.0\n" + np.arange(6, dtype="<f4").tobytes(),
    ],
    "npy": [
        npy(noise(0, 5, 6)),
        npy(noise(0, 5, 6, 3).astype(np.float32)),
        npy(np.asfortranarray(noise(0, 3, 6, 5).astype(np.int64)), (2, 0)),
    ],
}


def probe_then_read(path: Path) -> None:
    """Read a header, then all, twice; what the header says must hold."""
    info = probe_picture(path, max_pixels=MAX_PIXELS)
    pixels = read_picture(path, max_pixels=MAX_PIXELS)
    assert pixels.shape == (info.channels, *info.size)
    assert pixels.dtype == info.dtype
    read_picture(path, max_pixels=MAX_PIXELS, at_least=4)
    if path.read_bytes()[:2] in (b"II", b"MM"):
        for meaning in ("first", "channels"):
            with suppress(BrokenSample):
                read_picture(path, max_pixels=MAX_PIXELS, tiff_pages=meaning)


def heic() -> Reader:
    """Return the reader of HEIC. Raises ImportError without pillow-heif."""
    import pillow_heif as heif

    samples = []
    for image in (COLOUR, CLEAR, GREY):
        buffer = io.BytesIO()
        heif.from_pillow(image.resize((64, 64))).save(buffer)
        samples.append(buffer.getvalue())
    return Reader("heic", "picture", probe_then_read, samples, BrokenSample)


PALETTE = class_palette(3)
NUMBERS = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
COLOURS = np.array([*PALETTE, *[(0, 0, 0)] * 252, (224, 224, 192)], np.uint8)[NUMBERS]
MASKS = [
    mask_png(NUMBERS, PALETTE),
    encoded(Image.fromarray(NUMBERS), "PNG"),
    encoded(Image.fromarray(COLOURS), "PNG"),
]


def read_own_mask(path: Path) -> None:
    assert read_mask(path, 3, PALETTE, max_pixels=MAX_PIXELS).dtype == np.uint8


READERS = [
    *(Reader(kind, "picture", probe_then_read, samples, BrokenSample) for kind, samples in SAMPLES.items()),
    Reader("masks", "mask.png", read_own_mask, MASKS, BrokenSample),
]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_picture_is_read_or_refused_by_a_sentence(reader, tmp_path):
    assert reader.survives(tmp_path)["BrokenSample"] > 100


@pytest.mark.slow
def test_a_damaged_heic_is_read_or_refused_by_a_sentence(tmp_path):
    pytest.importorskip("pillow_heif")
    assert heic().survives(tmp_path)["BrokenSample"] > 100
