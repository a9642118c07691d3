from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from write_data import encoded, noise, png_header, rotated_jpeg, write_mixed_folder

from maecli.data.statistics import channel_stats
from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.finding import find_pictures
from maecli.modalities.pictures.read import probe_picture, read_picture


@pytest.fixture
def file(tmp_path: Path):
    def write(data: bytes, name: str = "picture") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def reason_of(path: Path, **options) -> str:
    with pytest.raises(BrokenSample) as caught:
        read_picture(path, **options)
    return caught.value.fault.reason


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("PNG", (5, 7)),
        ("PNG", (5, 7, 3)),
        ("BMP", (5, 7)),
        ("BMP", (5, 7, 3)),
        ("TIFF", (5, 7)),
        ("TIFF", (5, 7, 3)),
    ],
)
def test_lossless_formats_give_back_their_pixels(file, kind, shape):
    pixels = noise(0, *shape)
    path = file(encoded(Image.fromarray(pixels), kind))
    expected = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    np.testing.assert_array_equal(read_picture(path), expected)
    assert probe_picture(path) == PictureInfo(size=(5, 7), channels=len(expected), dtype="uint8")


def test_lossless_webp_gives_back_its_pixels(file):
    pixels = noise(0, 5, 7, 3)
    path = file(encoded(Image.fromarray(pixels), "WEBP", lossless=True))
    np.testing.assert_array_equal(read_picture(path), pixels.transpose(2, 0, 1))


def test_the_first_bytes_decide_and_not_the_name(file):
    path = file(encoded(Image.fromarray(noise(0, 5, 7)), "PNG"), "photo.jpg")
    assert read_picture(path).shape == (1, 5, 7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_by_their_exif_orientation(file, orientation):
    path = file(rotated_jpeg(orientation))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image)).transpose(2, 0, 1)
    pixels = read_picture(path)
    np.testing.assert_array_equal(pixels, expected)
    assert probe_picture(path).size == pixels.shape[1:]


def test_orientation_6_turns_what_is_left_to_the_top(file):
    pixels = read_picture(file(rotated_jpeg(6)))
    assert pixels.shape == (3, 32, 16)
    assert pixels[0, 2, 8] > 200 > 50 > pixels[2, 2, 8]  # red above
    assert pixels[2, 29, 8] > 200 > 50 > pixels[0, 29, 8]  # blue below


@pytest.mark.parametrize("behind", [False, True])
def test_a_note_behind_the_pixels_of_a_png_turns_neither_its_header_nor_its_pixels(file, behind):
    exif = Image.Exif()
    exif[0x0112] = 6
    png = encoded(Image.fromarray(noise(0, 5, 7)), "PNG", exif=exif)
    at = png.index(b"eXIf") - 4
    note = png[at : at + 12 + int.from_bytes(png[at : at + 4], "big")]
    if behind:
        png = png.replace(note, b"")[:-12] + note + png[-12:]  # the last chunk ends the file
    path = file(png)
    assert probe_picture(path).size == read_picture(path).shape[1:] == ((5, 7) if behind else (7, 5))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [3, 5])  # Pillow reads three, tifffile five
def test_tiff_stands_upright_too(tmp_path, orientation, channels):
    stored = noise(0, 4, 6, channels)
    path = tmp_path / "x.tif"
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(
        path, stored, photometric=photometric, planarconfig="contig", extratags=[(274, 3, 1, orientation, True)]
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "x.png").write_bytes(encoded(Image.fromarray(stored[..., :3]), "PNG", exif=exif))
    pixels = read_picture(path)
    np.testing.assert_array_equal(pixels[:3], read_picture(tmp_path / "x.png"))
    assert probe_picture(path).size == pixels.shape[1:]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_cost_the_picture(file):
    path = file(encoded(Image.fromarray(noise(0, 8, 8, 3)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    assert read_picture(path).shape == (3, 8, 8)


def test_cmyk_becomes_rgb(file):
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixels = read_picture(file(encoded(red, "JPEG", quality=95)))
    assert pixels.shape == (3, 8, 8)
    np.testing.assert_allclose(pixels.mean((1, 2)), [255, 0, 0], atol=3)


def test_palettes_become_rgb(file):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    pixels = read_picture(file(encoded(image, "PNG")))
    assert pixels[:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60]]


def test_one_bit_becomes_black_and_white(file):
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert read_picture(file(encoded(image, "PNG"))).tolist() == [[[0, 255]]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (100, 150, 200, 255), [100, 150, 200]),
        ("RGBA", (100, 150, 200, 0), [255, 255, 255]),
        ("RGBA", (0, 0, 0, 51), [204, 204, 204]),
        ("LA", (100, 255), [100]),
        ("LA", (100, 0), [255]),
    ],
)
def test_alpha_is_laid_on_white(file, mode, colour, expected):
    path = file(encoded(Image.new(mode, (1, 1), colour), "PNG"))
    assert read_picture(path).ravel().tolist() == expected
    assert probe_picture(path) == PictureInfo(size=(1, 1), channels=len(expected), dtype="uint8", alpha=True)


def test_a_transparent_palette_colour_is_laid_on_white(file):
    image = Image.new("P", (1, 1))
    image.putpalette([10, 20, 30])
    path = file(encoded(image, "PNG", transparency=0))
    assert read_picture(path).ravel().tolist() == [255, 255, 255]
    assert probe_picture(path).alpha


def test_four_channels_keep_alpha(file):
    path = file(encoded(Image.new("RGBA", (1, 1), (1, 2, 3, 4)), "PNG"))
    assert read_picture(path, channels=4).ravel().tolist() == [1, 2, 3, 4]


def test_grey_is_repeated_and_colour_is_weighted(file):
    grey = file(encoded(Image.new("L", (1, 1), 7), "PNG"), "grey")
    colour = file(encoded(Image.new("RGB", (1, 1), (100, 200, 50)), "PNG"), "colour")
    assert read_picture(grey, channels=3).ravel().tolist() == [7, 7, 7]
    assert read_picture(colour, channels=1).item() == 153  # 29.9 + 117.4 + 5.7


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_kept_or_scaled_by_the_full_range(file, kind):
    path = file(encoded(Image.fromarray(np.array([[0, 128, 129, 40_000, 65_535]], np.uint16)), kind))
    assert probe_picture(path).dtype == "uint16"
    assert read_picture(path).tolist() == [[[0, 128, 129, 40_000, 65_535]]]
    assert read_picture(path, dtype="uint8").tolist() == [[[0, 0, 1, 156, 255]]]


def test_8_bits_fill_the_range_of_16(file):
    path = file(encoded(Image.fromarray(np.array([[0, 1, 255]], np.uint8)), "PNG"))
    assert read_picture(path, dtype="uint16").tolist() == [[[0, 257, 65_535]]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_multi_channel_tiff_keeps_its_channels_and_dtype(tmp_path, dtype):
    array = noise(0, 5, 6, 7).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", planarconfig="separate")
    tifffile.imwrite(tmp_path / "b.tif", array.transpose(1, 2, 0), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(tmp_path / "c.tif", array, photometric="minisblack", compression="zlib")
    for name in "abc":
        np.testing.assert_array_equal(read_picture(tmp_path / f"{name}.tif"), array)
        assert probe_picture(tmp_path / f"{name}.tif") == PictureInfo(size=(6, 7), channels=5, dtype=dtype)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((6, 7), "auto", (1, 6, 7)),
        ((6, 7, 5), "auto", (5, 6, 7)),
        ((5, 6, 7), "auto", (5, 6, 7)),
        ((6, 7, 6), "auto", (6, 6, 7)),
        ((6, 7, 5), "chw", (6, 7, 5)),
        ((5, 6, 7), "hwc", (7, 5, 6)),
    ],
)
def test_the_shorter_outer_axis_of_an_array_is_its_channels_unless_told(file, shape, layout, expected):
    array = noise(0, *shape)
    path = file(saved(array))
    pixels = read_picture(path, npy_layout=layout)
    assert pixels.shape == expected
    assert probe_picture(path, npy_layout=layout) == PictureInfo(expected[1:], expected[0], "uint8", array=True)
    last = array[..., None] if array.ndim == 2 else array
    np.testing.assert_array_equal(pixels, array if expected == shape else np.moveaxis(last, -1, 0))


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ("bool", "uint8"),
        (">u2", "uint16"),
        ("int8", "int16"),
        ("<i4", "int32"),
        ("int64", "float32"),
        ("f8", "float32"),
    ],
)
def test_arrays_are_read_as_one_of_few_dtypes(file, stored, given):
    path = file(saved(np.array([[0, 1], [1, 0]]).astype(stored)))
    pixels = read_picture(path)
    assert (str(pixels.dtype), probe_picture(path).dtype) == (given, given)
    assert pixels.max() == (255 if stored == "bool" else 1)


def test_arrays_are_not_converted(file):
    path = file(saved(noise(0, 6, 7)))
    assert reason_of(path, channels=3) == "has 1 channel where 3 are wanted"
    assert reason_of(path, dtype="float32") == "has uint8 pixels where float32 is wanted"


SAMPLES = {
    "JPEG": encoded(Image.fromarray(noise(0, 48, 48, 3)), "JPEG"),
    "progressive JPEG": encoded(Image.fromarray(noise(0, 48, 48, 3)), "JPEG", progressive=True),
    "PNG": encoded(Image.fromarray(noise(0, 48, 48, 3)), "PNG"),
    "WebP": encoded(Image.fromarray(noise(0, 48, 48, 3)), "WEBP"),
    "BMP": encoded(Image.fromarray(noise(0, 48, 48, 3)), "BMP"),
    "GIF": encoded(Image.fromarray(noise(0, 48, 48)), "GIF"),
    "AVIF": encoded(Image.fromarray(noise(0, 48, 48, 3)), "AVIF"),
    "JPEG 2000": encoded(Image.fromarray(noise(0, 48, 48, 3)), "JPEG2000"),
    "PPM": encoded(Image.fromarray(noise(0, 48, 48, 3)), "PPM"),
    "PGM in text": b"P2 48 48 255\n" + b" ".join(b"%3d" % value for value in noise(0, 48 * 48)) + b"\n",
    "TIFF": encoded(Image.fromarray(noise(0, 48, 48, 3)), "TIFF"),
    "npy": saved(noise(0, 48, 48, 5)),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_truncated_file_is_broken_and_never_half_a_picture(file, kind):
    data = SAMPLES[kind]
    whole = read_picture(file(data))
    for length in range(1, len(data), len(data) // 23):
        path = file(data[:length])
        try:
            pixels = read_picture(path)
        except BrokenSample:
            continue
        np.testing.assert_array_equal(pixels, whole)
    assert reason_of(file(data[: len(data) // 2])).startswith(("truncated file", "damaged file"))


def test_a_truncated_multi_channel_tiff_is_broken(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(0, 5, 32, 32), photometric="minisblack")
    path.write_bytes(path.read_bytes()[:4000])
    assert reason_of(path).startswith(("truncated file", "damaged file"))


def test_a_header_is_read_without_the_pixels(file):
    path = file(SAMPLES["JPEG"][:1200])
    assert probe_picture(path).size == (48, 48)
    assert reason_of(path) == "truncated file"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"a text", "not a JPEG, PNG, GIF, WebP, AVIF, HEIC, JPEG 2000, Netpbm, BMP, TIFF or .npy file"),
        (png_header(30_000, 30_000), "has 900,000,000 pixels, more than max_pixels (178,956,970)"),
        (saved(np.zeros((2, 3, 4, 5))), "has the shape (2, 3, 4, 5); a picture has H, W and channels"),
        (saved(np.zeros((0, 3))), "has no pixels"),
        (saved(np.zeros((2, 2), complex)), "holds complex128, not plain numbers"),
        (saved(np.array([[1.0, np.inf], [np.nan, 0.0]])), "holds infinite values"),
        (
            saved(np.array([[1.0, np.nan]])),
            "lacks cells, those that are NaN, and the data set has none that may: train with dataset.nodata=nan",
        ),
    ],
)
def test_reasons_say_what_is_wrong(file, data, reason):
    assert reason_of(file(data)) == reason


def test_python_objects_are_never_unpickled(file):
    buffer = io.BytesIO()
    np.save(buffer, np.array([[{}]], dtype=object), allow_pickle=True)
    assert reason_of(file(buffer.getvalue())) == "holds Python objects, not plain numbers"


def test_a_missing_file_says_so(tmp_path):
    assert reason_of(tmp_path / "none.png") == "cannot be opened: no such file or directory"


def test_a_codec_that_is_not_installed_is_named(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(0, 5, 8, 8), photometric="minisblack", planarconfig="separate")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(tifffile.COMPRESSION.LZW)
    assert reason_of(path).startswith("compressed in a way that needs the package imagecodecs")
    assert "LZW" in reason_of(path)


def test_the_pixel_limit_may_be_reached_but_not_passed(file):
    path = file(encoded(Image.new("L", (20_000, 10)), "PNG"))
    assert read_picture(path, max_pixels=200_000).shape == (1, 10, 20_000)
    assert reason_of(path, max_pixels=199_999) == "has 200,000 pixels, more than max_pixels (199,999)"


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_pixel_limit_holds_for_webp(file, lossless, mode):
    path = file(encoded(Image.new(mode, (30, 20), 7), "WEBP", lossless=lossless))
    assert probe_picture(path, max_pixels=600).size == (20, 30)
    assert reason_of(path, max_pixels=599) == "has 600 pixels, more than max_pixels (599)"


def test_jpeg_can_be_decoded_smaller(file):
    path = file(encoded(Image.new("RGB", (640, 480), (9, 9, 9)), "JPEG"))
    assert read_picture(path, at_least=100).shape == (3, 120, 160)
    assert read_picture(path, at_least=1000).shape == (3, 480, 640)


def test_a_link_that_leads_nowhere_says_why(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    assert reason_of(tmp_path / "gone.png") == "cannot be opened: no such file or directory"


def test_mean_and_deviation_are_those_of_pixels_in_zero_to_one():
    images = [np.array([[[0, 16]], [[8, 8]]], np.uint8), np.full((2, 3, 3), 8, np.uint8)]
    mean, std = channel_stats(images, (0.0, 16.0))
    assert mean == (0.5, 0.5)
    assert std[0] == pytest.approx(np.sqrt(0.125))  # mean square deviations 0.25 and 0, each picture counting once
    assert std[1] == 1.0  # never varies
    assert channel_stats([np.stack([images[0], images[0]])], (0.0, 16.0)) == channel_stats([images[0]], (0.0, 16.0))


def test_every_file_of_a_mixed_folder_is_read_or_refused_for_its_reason(tmp_path):
    mixed = write_mixed_folder(tmp_path)
    assert len(mixed) == 200
    assert len(find_pictures(tmp_path)) == 200
    for key, shape in (mixed.readable | mixed.arrays).items():
        assert read_picture(tmp_path / key).shape == shape
        assert probe_picture(tmp_path / key).size == shape[1:]
    for key, word in (mixed.broken | mixed.truncated).items():
        assert word in reason_of(tmp_path / key)
    for key in mixed.truncated:
        assert probe_picture(tmp_path / key).channels == 3
