from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from write_data import png

from maecli import api
from maecli.api.pictures import MaskCode, class_palette, read_mask, settle_masks

VOC = class_palette(3)
OWN = ((0, 0, 0), (255, 0, 0), (0, 255, 0))
MASK = np.array([[0, 1, 2, 2], [2, 1, 0, 0]], np.uint8)
BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))
OWN_CODE = MaskCode(own_colours=True)


def read(path, palette=VOC, code=None, num=None) -> np.ndarray:
    return read_mask(path, num or len(palette), palette, code=code or MaskCode())


def settle(paths, palette, code) -> tuple[MaskCode, str, bool]:
    survey = settle_masks(paths, palette, code)
    return survey.code, survey.problem, survey.transparent


def refused(path, palette=VOC, code=None) -> str:
    with pytest.raises(api.BrokenSample) as caught:
        read(path, palette, code)
    assert caught.value.fault.path == str(path)
    return caught.value.fault.reason


def write_indexed(path, numbers, colours, **options):
    """Write a palette PNG in which each number has a colour of `colours`."""
    image = Image.fromarray(np.asarray(numbers, np.uint8)).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    image.save(path, **options)
    return path


def write_permuted(path, mask, palette, order):
    """Write a mask with the right colours, whose class q stands at `order[q]` of the PNG's palette."""
    colours = [(0, 0, 0)] * (max(order) + 1)
    for q, place in enumerate(order):
        colours[place] = palette[q]
    return write_indexed(path, np.array(order, np.uint8)[mask], colours)


def test_a_quantised_mask_is_read_by_its_colours(tmp_path):
    colours = Image.fromarray(np.array(VOC, np.uint8)[MASK])
    colours.quantize(3).save(tmp_path / "quantised.png")
    code, problem, _ = settle([tmp_path / "quantised.png"], VOC, MaskCode())
    assert not problem
    np.testing.assert_array_equal(read(tmp_path / "quantised.png", code=code), MASK)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (0, 3, 1), (7, 5, 6)])
def test_a_palette_of_class_colours_that_no_numbers_fit_is_read_by_colours(tmp_path, order):
    path = write_permuted(tmp_path / "1.png", MASK, VOC, order)
    code, problem, _ = settle([path], VOC, MaskCode())
    assert not problem
    np.testing.assert_array_equal(read(path, code=code), MASK)


def test_palettes_whose_order_changes_from_mask_to_mask_are_read_by_colours(tmp_path):
    paths = [
        write_permuted(tmp_path / "1.png", MASK, VOC, (0, 1, 2)),
        write_permuted(tmp_path / "2.png", MASK, VOC, (0, 2, 1)),
    ]
    code, problem, _ = settle(paths, VOC, MaskCode())
    assert (code.palettes, problem) == ("colours", "")
    for path in paths:
        np.testing.assert_array_equal(read(path, code=code), MASK)


def test_a_palette_that_can_be_read_in_two_ways_is_refused_with_both(tmp_path):
    path = write_permuted(tmp_path / "1.png", MASK, VOC, (0, 2, 1))
    both = "its number 1 has the colour (0, 128, 0): by numbers it is class 1, by colours class 2"
    assert settle([path], VOC, MaskCode())[:2] == (MaskCode(), f"{path}: {both}")
    assert refused(path) == f"mask can be read in two ways: {both}"
    np.testing.assert_array_equal(read(path, code=MaskCode(palettes="colours")), MASK)
    np.testing.assert_array_equal(read(path, code=MaskCode(palettes="numbers")), np.array([0, 2, 1])[MASK])


def test_palettes_of_named_colours_of_which_one_is_another_class_s_are_numbers(tmp_path):
    css = [(0, 0, 0), (0, 128, 0), (255, 0, 0)]  # green is VOC's class 2
    paths = [write_indexed(tmp_path / "1.png", MASK, css), write_indexed(tmp_path / "2.png", MASK % 2, css)]
    code, problem, _ = settle(paths, VOC, MaskCode())
    assert (code.palettes, problem) == ("numbers", "")
    np.testing.assert_array_equal(read(paths[1], code=code), MASK % 2)


def test_colours_that_were_given_count_in_palettes(tmp_path):
    path = write_permuted(tmp_path / "1.png", MASK, OWN, (0, 2, 1))
    assert refused(path, OWN, OWN_CODE).startswith("mask can be read in two ways")
    code, problem, _ = settle([path], OWN, OWN_CODE)
    assert not problem
    np.testing.assert_array_equal(read(path, OWN, code), MASK)


def test_palettes_of_other_colours_are_numbers_also_where_colours_were_given(tmp_path):
    path = write_indexed(tmp_path / "1.png", MASK, [(9, 9, 9), (8, 8, 8), (7, 7, 7)])
    np.testing.assert_array_equal(read(path, OWN, OWN_CODE), MASK)


def test_mixed_edges_in_a_palette_are_not_taken_for_classes(tmp_path):
    palette = class_palette(5)
    path = write_indexed(
        tmp_path / "1.png", [[0, 1, 2, 3, 4]], [palette[0], palette[2], palette[1], (64, 64, 0), palette[4]]
    )
    assert refused(path, palette).startswith("mask can be read in two ways: its number")


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_black_and_white_are_the_classes_whose_colours_they_are(tmp_path, mode):
    image = Image.fromarray((MASK % 2 * 255).astype(np.uint8))
    image.convert(mode).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read(tmp_path / "1.png", BLACK_AND_WHITE, OWN_CODE), MASK % 2)
    np.testing.assert_array_equal(read(tmp_path / "1.png", VOC[:2], MaskCode(foreground=255)), MASK % 2)


def test_white_is_no_class_by_itself(tmp_path):
    Image.fromarray((MASK % 2 * 255).astype(np.uint8)).convert("RGB").save(tmp_path / "1.png")
    assert refused(tmp_path / "1.png", VOC[:2]).startswith("mask has the colour (255, 255, 255), which no class has")


def test_greys_that_are_colours_of_classes_are_read_so(tmp_path):
    palette = ((0, 0, 0), (128, 128, 128), (255, 255, 255))
    Image.fromarray(np.array([0, 128, 255], np.uint8)[MASK]).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read(tmp_path / "1.png", palette, OWN_CODE), MASK)
    Image.fromarray(MASK).save(tmp_path / "numbers.png")
    np.testing.assert_array_equal(read(tmp_path / "numbers.png", palette, OWN_CODE), MASK)


def test_numbers_in_three_equal_channels_are_numbers(tmp_path):
    Image.fromarray(np.repeat(MASK[..., None], 3, 2)).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read(tmp_path / "1.png"), MASK)
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "0.png")
    assert not read(tmp_path / "0.png").any()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("background", "clear"), [(0, 0), (None, 255)])
def test_transparent_pixels_are_the_background_or_not_judged(tmp_path, mode, background, clear):
    if mode == "RGBA":
        pixels = np.concatenate([np.array(VOC, np.uint8)[MASK], np.where(MASK == 0, 0, 255)[..., None]], 2)
        pixels[MASK == 0, :3] = 77
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "1.png")
    elif mode == "LA":
        both = np.stack([np.where(MASK == 0, 99, MASK), np.where(MASK == 0, 0, 255)], 2)
        Image.fromarray(both.astype(np.uint8), "LA").save(tmp_path / "1.png")
    else:
        write_indexed(tmp_path / "1.png", np.array([4, 1, 2])[MASK], [*VOC, (9, 9, 9), (7, 7, 7)], transparency=4)
    expected = np.where(MASK == 0, clear, MASK)
    code = MaskCode(background=background)
    np.testing.assert_array_equal(read(tmp_path / "1.png", code=code), expected)
    assert settle([tmp_path / "1.png"], VOC, code) == (code, "", True)


def test_a_mask_that_is_transparent_all_over_is_refused_unless_it_is_empty(tmp_path):
    pixels = np.zeros((2, 4, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "empty.png")
    assert not read(tmp_path / "empty.png", code=MaskCode(background=0)).any()
    pixels[..., :3] = np.array(VOC, np.uint8)[MASK]
    Image.fromarray(pixels).save(tmp_path / "1.png")
    assert refused(tmp_path / "1.png", code=MaskCode(background=0)).startswith("mask is transparent all over, above")


def test_mixed_edges_in_colour_are_counted(tmp_path):
    pixels = np.array(VOC, np.uint8)[MASK]
    pixels[0, :2], pixels[1, 0] = (64, 0, 0), (0, 64, 0)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    reason = refused(tmp_path / "1.png")
    assert reason.startswith("mask has the colour (64, 0, 0), which no class has; those of the classes 0, 1, … are")
    assert reason.endswith(
        "(2 pixels of it and 1 more in 1; smooth edges mix colours: draw and resize masks without smoothing)"
    )


def test_numbers_without_a_class_are_counted(tmp_path):
    Image.fromarray(np.array([[0, 37, 37, 99]], np.uint8)).save(tmp_path / "1.png")
    expected = "mask has the number 37; classes are 0 to 2, and 255 is void; 2 such numbers in 3 pixels"
    assert refused(tmp_path / "1.png") == expected


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif", "ppm", "npy"])
@pytest.mark.parametrize("kind", ["numbers", "colours"])
def test_formats_without_loss_hold_masks(tmp_path, suffix, kind):
    path, colours = tmp_path / f"1.{suffix}", np.array(VOC, np.uint8)[MASK]
    values = MASK if kind == "numbers" else colours
    if suffix == "npy":
        np.save(path, values)
    elif suffix == "webp":
        Image.fromarray(values).convert("RGB").save(path, lossless=True, exact=True)
    elif suffix == "gif":
        write_indexed(path, MASK, VOC)
    else:
        Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read(path), MASK)


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 4), (2, 4, 1)])
def test_arrays_of_whole_numbers_are_masks(tmp_path, dtype, shape):
    numbers = (MASK % 2 if dtype == "bool" else MASK).astype(dtype).reshape(shape)
    np.save(tmp_path / "1.npy", numbers)
    np.testing.assert_array_equal(read(tmp_path / "1.npy"), numbers.reshape(2, 4))
    if dtype == "int64" and len(shape) == 2:
        tifffile.imwrite(tmp_path / "1.tif", numbers.astype(np.int32))
        np.testing.assert_array_equal(read(tmp_path / "1.tif"), MASK)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((2, 4), -1), "mask has the number -1; numbers in masks are 0 to 65535"),
        (np.full((2, 4), 1000), "mask has the number 1000; classes are 0 to 2, and 255 is void"),
        (np.full((2, 4), 70_000), "mask has the number 70000; numbers in masks are 0 to 65535"),
        (np.full((2, 4), 0.5), "mask has the number 0.5; class numbers are whole"),
        (np.full((2, 4), np.nan), "mask has the number nan; numbers in masks are 0 to 65535"),
        (np.zeros((3, 2, 4), np.uint8), "mask has the shape (3, 2, 4); a mask is (H, W), a class number in each pixel"),
    ],
    ids=["negative", "large", "huge", "half", "nan", "one-hot"],
)
def test_arrays_of_other_numbers_are_refused(tmp_path, values, words):
    np.save(tmp_path / "1.npy", values)
    assert refused(tmp_path / "1.npy").startswith(words)


def test_what_loses_pixels_or_may_mean_several_things_is_refused(tmp_path):
    image = Image.fromarray(np.array(VOC, np.uint8)[MASK])
    image.save(tmp_path / "1.jpg")
    assert refused(tmp_path / "1.jpg").startswith("is a JPEG file, in which neighbouring classes bleed into each other")
    image.save(tmp_path / "1.webp", quality=90)
    assert refused(tmp_path / "1.webp").startswith("is a WebP file with loss, in which")
    image.save(tmp_path / "jpeg.tif", compression="jpeg")
    assert refused(tmp_path / "jpeg.tif").startswith("is a TIFF with lossy compression, in which")
    tifffile.imwrite(tmp_path / "white.tif", MASK, photometric="miniswhite")
    assert refused(tmp_path / "white.tif").startswith("mask is a TIFF in which 0 is white")
    (tmp_path / "deep.png").write_bytes(png(1, 1, 16, b"\0" + bytes(6), kind=2))
    assert refused(tmp_path / "deep.png").startswith("mask has 16 bits for each colour")
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "TIFF", save_all=True, append_images=[Image.fromarray(MASK)])
    (tmp_path / "two.tif").write_bytes(buffer.getvalue())
    assert refused(tmp_path / "two.tif") == "holds several pictures; a mask is one"
    image.convert("P").save(tmp_path / "1.gif", save_all=True, append_images=[image.rotate(180).convert("P")])
    assert refused(tmp_path / "1.gif") == "holds several pictures; a mask is one"
    (tmp_path / "1.pgm").write_bytes(b"P5 2 1 20 \x14\0")
    assert refused(tmp_path / "1.pgm").startswith("mask is a Netpbm file of another range than 0 to 255")


def test_masks_that_are_broken_settle_nothing(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    assert settle([tmp_path / "1.png", tmp_path / "none.png"], VOC, MaskCode()) == (MaskCode(), "", False)
