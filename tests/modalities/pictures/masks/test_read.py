from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from write_data import noise, png, png_header, write_palette, write_picture

from maecli import api
from maecli.modalities.pictures.masks.code import WIDE_VOID_COLOUR
from maecli.modalities.pictures.masks.read import PLAIN

PALETTE = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
MASK = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)


def read(path, num_classes: int = 3, palette=PALETTE, code=PLAIN) -> np.ndarray:
    return api.pictures.read_mask(path, num_classes, palette, code=code)


def refused(path, num_classes: int = 3, palette=PALETTE, code=PLAIN) -> str:
    with pytest.raises(api.BrokenSample) as caught:
        read(path, num_classes, palette, code)
    assert caught.value.fault.path == str(path)
    return caught.value.fault.reason


def test_the_palette_is_vocs():
    palette = api.pictures.class_palette(256)
    assert palette[:9] == (
        *((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)),
        *((128, 128, 128), (64, 0, 0)),
    )
    assert palette[20] == (0, 64, 128)  # tvmonitor
    assert palette[255] == api.pictures.VOID_COLOUR == (224, 224, 192)
    assert len(set(palette)) == 256


def test_a_palette_is_a_prefix_of_every_longer_one():
    assert api.pictures.class_palette(21) == api.pictures.class_palette(200)[:21]
    assert api.pictures.class_palette(0) == ()


def test_palette_and_grey_pngs_hold_the_numbers_whatever_their_colours(tmp_path):
    write_palette(tmp_path / "palette.png", MASK)
    write_picture(tmp_path / "grey.png", MASK)
    for name in ("palette.png", "grey.png"):
        mask = read(tmp_path / name)
        assert mask.dtype == np.uint8
        assert mask.flags.writeable
        np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palettes_of_few_bits_hold_the_numbers(tmp_path, bits):
    numbers = (noise(bits, 5, 7) % 2).astype(np.uint8)
    image = Image.fromarray(numbers).convert("P")
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.save(tmp_path / "few.png", bits=bits)
    np.testing.assert_array_equal(read(tmp_path / "few.png"), numbers)


@pytest.mark.parametrize(("bits", "packed"), [(2, b"\0\x1b"), (4, b"\0\x01\x23")])
def test_grey_of_few_bits_holds_the_numbers(tmp_path, bits, packed):
    (tmp_path / "grey.png").write_bytes(png(4, 1, bits, packed))
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "L"
    np.testing.assert_array_equal(read(tmp_path / "grey.png", 4), [[0, 1, 2, 3]])


def test_black_and_white_pngs_hold_0_and_1(tmp_path):
    numbers = noise(0, 5, 7) % 2
    Image.fromarray(numbers.astype(bool)).save(tmp_path / "bits.png")
    mask = read(tmp_path / "bits.png")
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, numbers)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_pngs_hold_the_palettes_colours(tmp_path, channels):
    colours = np.zeros((256, channels), np.uint8)
    colours[:, 3:] = 255
    colours[:3, :3], colours[255, :3] = PALETTE, api.pictures.VOID_COLOUR
    write_picture(tmp_path / "colour.png", colours[MASK])
    np.testing.assert_array_equal(read(tmp_path / "colour.png"), MASK)


def test_every_class_of_a_large_palette_is_found_by_its_colour(tmp_path):
    palette = api.pictures.class_palette(255)
    numbers = np.arange(255, dtype=np.uint8).reshape(15, 17)
    write_picture(tmp_path / "colour.png", np.array(palette, np.uint8)[numbers])
    np.testing.assert_array_equal(api.pictures.read_mask(tmp_path / "colour.png", 255, palette), numbers)


def test_numbers_without_a_class_are_named(tmp_path):
    write_palette(tmp_path / "mask.png", np.array([[0, 37], [1, 255]], np.uint8))
    assert refused(tmp_path / "mask.png") == "mask has the number 37; classes are 0 to 2, and 255 is void"
    assert read(tmp_path / "mask.png", 38)[0, 1] == 37


def test_colours_without_a_class_are_named(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[1, 0] = (1, 2, 3)
    write_picture(tmp_path / "mask.png", pixels)
    assert refused(tmp_path / "mask.png").startswith(
        "mask has the colour (1, 2, 3), which no class has; those of the classes 0, 1, … are (0, 0, 0), ("
    )


def test_16_bit_masks_hold_the_numbers(tmp_path):
    write_picture(tmp_path / "mask.png", MASK.astype(np.uint16))
    np.testing.assert_array_equal(read(tmp_path / "mask.png"), MASK)
    write_picture(tmp_path / "mask.png", MASK.astype(np.uint16) * 257)
    assert refused(tmp_path / "mask.png").startswith(
        "mask has the number 514; classes are 0 to 2, and 255 is void; 3 such"
    )


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_numbers_of_over_255_classes_are_read_and_written_in_16_bits(tmp_path, suffix):
    palette, path = api.pictures.class_palette(300), tmp_path / f"mask{suffix}"
    numbers = np.array([[0, 254, 255], [256, 299, 65_535]], np.uint16)
    if suffix == ".npy":
        np.save(path, numbers)
    else:
        write_picture(path, numbers)
    mask = api.pictures.read_mask(path, 300, palette)
    assert mask.dtype == np.uint16
    np.testing.assert_array_equal(mask, numbers)
    path.with_suffix(".png").write_bytes(api.pictures.mask_png(mask, palette))
    np.testing.assert_array_equal(api.pictures.read_mask(path.with_suffix(".png"), 300, palette), numbers)
    message = refused(path, 299, palette[:299])
    assert message == "mask has the number 299; classes are 0 to 298, and 65535 is void"


def test_colours_of_over_255_classes_are_read(tmp_path):
    palette = api.pictures.class_palette(300)
    numbers = np.arange(300).reshape(15, 20)
    write_picture(tmp_path / "colour.png", np.array(palette, np.uint8)[numbers])
    np.testing.assert_array_equal(api.pictures.read_mask(tmp_path / "colour.png", 300, palette), numbers)
    assert api.pictures.class_palette(65_536)[65_535] == WIDE_VOID_COLOUR


@pytest.mark.parametrize(
    ("num", "dtype", "void"), [(150, np.uint8, 255), (254, np.uint8, 255), (255, np.uint16, 65_535)]
)
def test_classes_may_be_numbered_from_1_where_0_is_not_judged(tmp_path, num, dtype, void):
    palette, code = api.pictures.class_palette(num), api.pictures.MaskCode(first=1)
    numbers = np.array([[0, 1, 2], [num - 1, num, void]], dtype)
    write_picture(tmp_path / "mask.png", numbers)
    mask = api.pictures.read_mask(tmp_path / "mask.png", num, palette, code=code)
    np.testing.assert_array_equal(mask, [[void, 0, 1], [num - 2, num - 1, void]])
    (tmp_path / "again.png").write_bytes(api.pictures.mask_png(mask, palette, first=1))
    np.testing.assert_array_equal(api.pictures.read_mask(tmp_path / "again.png", num, palette, code=code), mask)
    write_picture(tmp_path / "mask.png", np.full((2, 3), 300, np.uint16))
    message = refused(tmp_path / "mask.png", num, palette, code)
    assert message == f"mask has the number 300; classes are 1 to {num}, and {void} is void"


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "jpeg"])
def test_damaged_masks_are_named(tmp_path, kind):
    path = tmp_path / "mask.png"
    write_palette(path, noise(0, 64, 64) % 3)
    whole = path.read_bytes()
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "JPEG")
    path.write_bytes({"empty": b"", "text": b"text", "cut": whole[:-200], "jpeg": buffer.getvalue()}[kind])
    reasons = {"empty": "empty file", "text": "not a ", "cut": "truncated file", "jpeg": "is a JPEG file, in which"}
    assert refused(path).startswith(reasons[kind])


def test_absent_masks_are_named(tmp_path):
    assert refused(tmp_path / "mask.png") == "no such mask"


def test_masks_of_too_many_pixels_are_not_decoded(tmp_path):
    (tmp_path / "mask.png").write_bytes(png_header(30_000, 30_000))
    assert refused(tmp_path / "mask.png") == "has 900,000,000 pixels, more than max_pixels (178,956,970)"
    write_palette(tmp_path / "small.png", MASK)
    with pytest.raises(api.BrokenSample, match=r"has 6 pixels, more than max_pixels \(5\)"):
        api.pictures.read_mask(tmp_path / "small.png", 3, PALETTE, max_pixels=5)


def test_a_written_mask_reads_back_equal_in_pillow_and_here(tmp_path):
    numbers = noise(0, 11, 13) % 3
    numbers[0, 0] = api.pictures.VOID
    path = tmp_path / "mask.png"
    path.write_bytes(api.pictures.mask_png(numbers, PALETTE))
    np.testing.assert_array_equal(read(path), numbers)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), numbers)
        colours = np.asarray(image.convert("RGB"))
    assert tuple(colours[0, 0]) == api.pictures.VOID_COLOUR
    np.testing.assert_array_equal(colours[numbers == 1], np.broadcast_to(PALETTE[1], colours[numbers == 1].shape))


def test_masks_with_255_classes_can_be_written(tmp_path):
    palette = api.pictures.class_palette(255)
    numbers = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (tmp_path / "mask.png").write_bytes(api.pictures.mask_png(numbers, palette))
    np.testing.assert_array_equal(api.pictures.read_mask(tmp_path / "mask.png", 255, palette), numbers)
