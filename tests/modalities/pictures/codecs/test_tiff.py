"""TIFF: which of its pages are the picture, and what its numbers stand for."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from write_data import noise

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.tiff_planes import _joined
from maecli.modalities.pictures.read import probe_picture, read_picture

STACK = noise(0, 4, 20, 30)
COLOUR = noise(1, 60, 80, 3)
Write = Callable[[io.BytesIO], object]


@pytest.fixture
def tiff(tmp_path: Path) -> Callable[[Write], Path]:
    def write(of: Write) -> Path:
        buffer = io.BytesIO()
        of(buffer)
        (tmp_path / "x.tif").write_bytes(buffer.getvalue())
        return tmp_path / "x.tif"

    return write


def reason_of(path: Path, **options) -> str:
    with pytest.raises(BrokenSample) as caught:
        read_picture(path, **options)
    return caught.value.fault.reason


def saved(*arrays: np.ndarray, **options) -> Write:
    """Return what writes arrays as pages by Pillow, which does not say what they are to each other."""
    images = [Image.fromarray(array) for array in arrays]
    return lambda file: images[0].save(file, "TIFF", save_all=True, append_images=images[1:], **options)


def written(*pages: tuple[np.ndarray, dict], **options) -> Write:
    """Return what writes pages one by one, each with options of its own."""

    def write(file: io.BytesIO) -> None:
        with tifffile.TiffWriter(file, **options) as writer:
            for array, how in pages:
                colours = "rgb" if array.shape[-1:] == (3,) else "minisblack"
                writer.write(array, **({"photometric": colours} | how))

    return write


def array(values: np.ndarray, **options) -> Write:
    return lambda file: tifffile.imwrite(file, values, **({"photometric": "minisblack"} | options))


def axes(letters: str, values: np.ndarray = STACK, **options) -> Write:
    return array(values, metadata={"axes": letters}, **options)


CHANNELS = {
    "shapes of tifffile": array(STACK),
    "tifffile": array(STACK, metadata=None),
    "contiguous": written(*[(plane, {"contiguous": True}) for plane in STACK]),
    "ImageJ": axes("CYX", imagej=True),
    "OME": axes("CYX", ome=True),
    "named": axes("CYX"),
    "samples": array(STACK.transpose(1, 2, 0), planarconfig="contig"),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_pages_are_channels_where_the_file_says_so(kind, tiff):
    path = tiff(CHANNELS[kind])
    np.testing.assert_array_equal(read_picture(path), STACK)
    assert not probe_picture(path).pages
    np.testing.assert_array_equal(read_picture(path, tiff_pages="channels"), STACK)


GREY_PAGES = {
    "scan": saved(*STACK),
    "scan of one bit": saved(*(STACK > 100), compression="group4"),
    "slices of ImageJ": axes("ZYX", imagej=True),
    "times of OME": axes("TYX", ome=True),
    "slices": axes("ZYX"),
    "page by page": written(*[(plane, {}) for plane in STACK]),
}


@pytest.mark.parametrize("kind", GREY_PAGES)
def test_of_pages_that_are_no_channels_the_first_is_read_and_told(kind, tiff):
    path = tiff(GREY_PAGES[kind])
    first = np.where(STACK[:1] > 100, 255, 0) if "bit" in kind else STACK[:1]
    np.testing.assert_array_equal(read_picture(path), first)
    assert probe_picture(path).pages
    np.testing.assert_array_equal(read_picture(path, tiff_pages="first"), first)


@pytest.mark.parametrize("kind", [kind for kind in GREY_PAGES if "bit" not in kind])
def test_a_person_may_say_that_pages_are_channels(kind, tiff):
    path = tiff(GREY_PAGES[kind])
    np.testing.assert_array_equal(read_picture(path, tiff_pages="channels"), STACK)
    assert not probe_picture(path, tiff_pages="channels").pages


def test_a_person_may_say_that_pages_are_not_channels(tiff):
    path = tiff(CHANNELS["shapes of tifffile"])
    np.testing.assert_array_equal(read_picture(path, tiff_pages="first"), STACK[:1])
    assert probe_picture(path, tiff_pages="first").pages


@pytest.mark.parametrize(
    "write",
    [saved(COLOUR, COLOUR[::-1]), array(np.stack([COLOUR, COLOUR[::-1]]), photometric="rgb")],
    ids=["Pillow", "tifffile"],
)
def test_of_colour_pages_the_first_is_read_and_told(write, tiff):
    path = tiff(write)
    np.testing.assert_array_equal(read_picture(path), COLOUR.transpose(2, 0, 1))
    assert probe_picture(path).pages
    assert "a picture has H, W and channels (dataset.tiff_pages=first" in reason_of(path, tiff_pages="channels")


def test_of_slices_with_channels_the_first_slice_is_read_and_told(tiff):
    values = noise(0, 2, 3, 4, 20, 30)
    for options in ({"ome": True}, {"imagej": True}):
        path = tiff(axes("TZCYX", values, **options))
        np.testing.assert_array_equal(read_picture(path), values[0, 0])
        assert probe_picture(path).pages
        np.testing.assert_array_equal(read_picture(path, tiff_pages="first"), values[0, 0, :1])


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (array(noise(0, 2, 3, 20, 30)), "QQYX (2, 3, 20, 30)"),
        (axes("CYXS", noise(0, 2, 20, 30, 3), photometric="rgb", ome=True), "CYXS (2, 20, 30, 3)"),
    ],
    ids=["not said", "colours of channels"],
)
def test_two_axes_that_may_be_channels_are_refused_with_a_way_out(write, named, tiff):
    path = tiff(write)
    expected = f"has the axes {named}; a picture has H, W and channels (dataset.tiff_pages=first takes the first page)"
    assert reason_of(path) == expected
    assert read_picture(path, tiff_pages="first").shape[1:] == (20, 30)


SMALL, LARGE = noise(2, 120, 160, 3), noise(3, 600, 800, 3)
THUMBNAILS = {
    "by size": saved(SMALL, LARGE),
    "by size, other proportions": saved(noise(2, 128, 128, 3), LARGE),
    "flagged": written((SMALL, {"subfiletype": 1, "metadata": None}), (LARGE, {"metadata": None})),
    "flagged, hardly smaller": written((LARGE[1:], {"subfiletype": 1, "metadata": None}), (LARGE, {"metadata": None})),
    "with shapes": written((SMALL, {}), (LARGE, {})),
    "above it": written((SMALL, {"subfiletype": 1, "subifds": 1, "metadata": None}), (LARGE, {"metadata": None})),
    "compressed": saved(SMALL, LARGE, compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", THUMBNAILS)
@pytest.mark.parametrize("tiff_pages", ["auto", "first", "channels"])
def test_a_thumbnail_before_the_picture_is_passed_over_and_told(kind, tiff_pages, tiff):
    path = tiff(THUMBNAILS[kind])
    np.testing.assert_array_equal(read_picture(path, tiff_pages=tiff_pages), LARGE.transpose(2, 0, 1))
    info = probe_picture(path, tiff_pages=tiff_pages)
    assert (info.thumbnail, info.pages, info.size) == (True, False, (600, 800))


@pytest.mark.parametrize(
    "write",
    [
        written((COLOUR, {"metadata": None}), (COLOUR[::2, ::2], {"subfiletype": 1, "metadata": None})),
        written((COLOUR, {"subifds": 1}), (COLOUR[::2, ::2], {"subfiletype": 1})),
        written(
            (COLOUR, {"metadata": None}),
            (COLOUR[..., 0] > 9, {"subfiletype": 4, "photometric": "mask", "metadata": None}),
        ),
        saved(LARGE, SMALL),
    ],
    ids=["pyramid", "pyramid below", "mask", "thumbnail behind"],
)
def test_smaller_versions_and_masks_behind_the_picture_are_no_pages_to_tell_of(write, tiff):
    info = probe_picture(tiff(write))
    assert (info.pages, info.thumbnail, info.channels) == (False, False, 3)


def test_pages_of_other_sizes_are_told(tiff):
    path = tiff(saved(noise(0, 700, 600), noise(1, 800, 1100)))
    assert read_picture(path).shape == (1, 700, 600)
    assert probe_picture(path).pages


def test_a_later_page_stands_upright(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(SMALL, photometric="rgb", subfiletype=1, metadata=None)
        writer.write(COLOUR, photometric="rgb", metadata=None, extratags=[(274, 3, 1, 6, True)])
    pixels = read_picture(tmp_path / "x.tif")
    np.testing.assert_array_equal(pixels, np.rot90(COLOUR, -1).transpose(2, 0, 1))
    assert probe_picture(tmp_path / "x.tif").size == pixels.shape[1:]


DTYPES = ["bool", "uint8", "uint16", "uint32", "int16", "float32", "float64"]


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_white_as_0_is_turned_around(dtype, byteorder, tiff):
    values = noise(0, 20, 30)
    stored = (
        values > 100 if dtype == "bool" else values.astype(dtype) / 255 if dtype[0] == "f" else values.astype(dtype)
    )
    expected = {
        "bool": lambda: np.where(values > 100, 0, 255),
        "uint8": lambda: 255 - values,
        "uint16": lambda: 65535 - values.astype(int),
        "uint32": lambda: np.float32(2**32 - 1 - values.astype(int)),
        "int16": lambda: -1 - values.astype(int),
        "float32": lambda: 1 - values / 255,
        "float64": lambda: 1 - values / 255,
    }[dtype]()
    path = tiff(array(stored, photometric="miniswhite", byteorder=byteorder))
    np.testing.assert_allclose(read_picture(path), expected[None], rtol=1e-6, atol=1e-7)
    assert probe_picture(path).inverted


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_white_as_0_is_turned_around_at_16_bits_however_it_is_compressed(compression, tiff):
    values = noise(0, 20, 30).astype(np.uint16) * 257
    path = tiff(saved(values, compression=compression, tiffinfo={262: 0}))
    np.testing.assert_array_equal(read_picture(path), 65535 - values[None])


def test_white_as_0_of_channels_is_turned_around(tiff):
    path = tiff(array(STACK.astype(np.uint16), photometric="miniswhite"))
    np.testing.assert_array_equal(read_picture(path), 65535 - STACK.astype(np.uint16))


def test_white_as_0_ends_at_the_greatest_value_that_the_file_names(tiff):
    values = noise(0, 20, 30).astype(np.uint16) * 16
    path = tiff(array(values, photometric="miniswhite", extratags=[(281, 3, 1, 4095, True)]))
    np.testing.assert_array_equal(read_picture(path), 4095 - values[None])


@pytest.mark.parametrize(("photometric", "expected"), [(0, [0, 17, 255]), (1, [255, 238, 0])])
def test_four_bits_fill_the_range(photometric, expected, tmp_path):
    tags = [(256, 3), (257, 1), (258, 4), (259, 1), (262, photometric), (273, 200), (277, 1), (278, 1), (279, 2)]
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags)
    data = (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries).ljust(200, b"\0") + bytes([0xFE, 0x00])
    (tmp_path / "x.tif").write_bytes(data)
    assert read_picture(tmp_path / "x.tif").ravel().tolist() == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_palette_is_applied(dtype, tiff):
    colours = noise(0, 3, 256 if dtype == "uint8" else 65536).astype(np.uint16) * 257
    values = noise(1, 20, 30).astype(dtype)
    path = tiff(array(values, photometric="palette", colormap=colours))
    expected = colours[:, values] // (257 if dtype == "uint8" else 1)
    np.testing.assert_array_equal(read_picture(path), expected)
    assert probe_picture(path).dtype == dtype


def test_pages_with_palettes_are_no_channels(tiff):
    colours = noise(0, 3, 256).astype(np.uint16) * 257
    pages = [(plane, {"photometric": "palette", "colormap": colours}) for plane in STACK]
    path = tiff(written(*pages))
    assert read_picture(path).shape == (3, 20, 30)
    assert probe_picture(path).pages
    assert reason_of(path, tiff_pages="channels").startswith("has pages in colours, which are no channels")


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_inks_become_rgb(planarconfig, dtype, tiff):
    stored = noise(0, 20, 30, 4)
    expected = np.asarray(Image.fromarray(stored, "CMYK").convert("RGB")).transpose(2, 0, 1).astype(int)
    values = stored if dtype == "uint8" else stored.astype(np.uint16) * 257
    values = values.transpose(2, 0, 1) if planarconfig == "separate" else values
    path = tiff(array(values, photometric="separated", planarconfig=planarconfig))
    pixels = read_picture(path)
    assert str(pixels.dtype) == dtype
    assert np.abs(pixels // (1 if dtype == "uint8" else 257) - expected).max() <= 1


def test_lab_becomes_rgb(tiff):
    path = tiff(array(np.full((4, 4, 3), (255, 0, 0), np.uint8), photometric="cielab"))
    assert read_picture(path).min() > 250  # as light as may be, of no colour


@pytest.mark.parametrize(
    ("photometric", "values", "kind"),
    [
        ("cfa", noise(0, 8, 8), "CFA in 1 × uint8"),
        ("cielab", noise(0, 8, 8, 3).astype(np.uint16), "CIELAB in 3 × uint16"),
        ("icclab", noise(0, 8, 8, 3), "ICCLAB in 3 × uint8"),
        ("separated", noise(0, 8, 8, 5), "SEPARATED in 5 × uint8"),
        ("linear_raw", noise(0, 8, 8, 3), "LINEAR_RAW in 3 × uint8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_colours_that_are_not_understood_are_refused(photometric, values, kind, tiff):
    path = tiff(array(values, photometric=photometric))
    assert reason_of(path) == f"has colours of the kind {kind}, which are not read; save it as RGB or grey"


def test_a_page_of_a_stack_that_asks_for_another_size_is_not_read(tiff):
    path = tiff(written((np.zeros((4, 5), np.uint8), {}), (np.zeros((40, 50), np.uint8), {})))
    with tifffile.TiffFile(path) as opened:
        pages = list(opened.pages)
        with pytest.raises(ValueError, match="its pages have several sizes"):
            _joined(pages, pages[0].shape)
