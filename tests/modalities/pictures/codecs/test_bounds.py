"""Small files that ask for much: each is refused, or read, within the time and memory that ordinary ones take."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fuzz.mutate import little_memory
from PIL import Image
from write_data import encoded, noise, write_class_folders

from maecli.data.statistics import channel_stats
from maecli.errors import BrokenSample
from maecli.modalities.pictures import bands
from maecli.modalities.pictures.codecs import decoder_bounds, tiff_pages
from maecli.modalities.pictures.codecs.orientation import orientation_of
from maecli.modalities.pictures.masks.read import class_palette, read_mask
from maecli.modalities.pictures.read import probe_picture, read_picture


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Return a function that gives why a file is refused, by its header alone, at once and in little memory."""

    def refuse(data: bytes, read: Callable[[Path], object] = probe_picture) -> str:
        path = tmp_path / "picture"
        path.write_bytes(data)
        begin = time.process_time()
        with little_memory(), pytest.raises(BrokenSample) as caught:
            read(path)
        assert time.process_time() - begin < 5
        return caught.value.fault.reason

    return refuse


Entry = tuple[int, int, int, int]
GREY_4X4: list[Entry] = [
    *((256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 300)),
    *((277, 3, 1, 1), (278, 3, 1, 4), (279, 4, 1, 16)),
]


def page(entries: list[Entry], following: int = 0) -> bytes:
    data = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + data + struct.pack("<I", following)


def tiff_of(*pages: bytes) -> bytes:
    return (b"II*\0" + struct.pack("<I", 8) + b"".join(pages)).ljust(300, b"\0") + bytes(100)


def changed(*entries: Entry) -> list[Entry]:
    tags = {entry[0] for entry in entries}
    return sorted([entry for entry in GREY_4X4 if entry[0] not in tags] + list(entries))


def test_a_page_list_that_leads_back_into_itself_is_refused(refused):
    one = page(GREY_4X4, 8)
    two = page(GREY_4X4, 8 + len(one)) + page(GREY_4X4, 8)
    for data in (one, two):
        assert refused(tiff_of(data)) == "damaged file: the list of its pages leads back into itself"


def test_a_page_below_itself_is_refused(refused):
    below = page([*GREY_4X4, (330, 4, 1, 8)])
    assert refused(tiff_of(below)) == "damaged file: a page is listed below itself"


def test_pages_that_list_the_next_ones_twice_do_not_double_the_work(refused):
    """Thirty of them would be gone over 2³⁰ times."""
    length = len(page(GREY_4X4)) + 12 + 8
    pages = []
    for level in range(30):
        start = 8 + level * length
        two = struct.pack("<II", start + length, start + length)
        pages.append(page([*GREY_4X4, (330, 4, 2, start + length - 8)]) + two)
    assert refused(tiff_of(*pages)) == "damaged file: a page is listed below itself"


def test_as_many_pages_as_allowed_are_read_and_one_more_is_refused(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_pages, "MAX_PAGES", 40)
    for num in (40, 41):
        tifffile.imwrite(tmp_path / "x.tif", noise(0, num, 4, 4), photometric="minisblack", metadata=None)
        if num == 40:
            assert read_picture(tmp_path / "x.tif").shape == (40, 4, 4)
    reason = refused((tmp_path / "x.tif").read_bytes())
    assert reason == "has more than 40 pages; a picture's pages are its channels"


def test_a_table_of_more_strips_than_there_are_bytes_is_refused(refused):
    tables = changed((273, 4, 2**32 - 1, 8), (279, 4, 2**32 - 1, 8))
    assert refused(tiff_of(page(tables))).startswith(("truncated", "damaged"))


def test_tables_are_counted_over_all_pages(refused, monkeypatch):
    monkeypatch.setattr(tiff_pages, "MAX_ENTRIES", 60)
    tables = changed((273, 4, 40, 8), (279, 4, 40, 8))
    assert refused(tiff_of(page(tables))) == "has tables of more than 60 entries, such as where strips begin"


def test_tags_that_share_their_bytes_many_times_are_refused(refused, monkeypatch):
    monkeypatch.setattr(tiff_pages, "SHARED_BYTES", 1000)
    notes = [(40000 + i, 7, 200, 8) for i in range(12)]
    assert "its tags ask for 2,400 bytes of a file of 400" in refused(tiff_of(page([*GREY_4X4, *notes])))


def test_tiles_far_larger_than_the_picture_are_refused(refused):
    tiles = [*GREY_4X4, (322, 4, 1, 65536), (323, 4, 1, 65536)]
    assert refused(tiff_of(page(tiles))) == "has tiles of 4,294,967,296 pixels, far larger than itself"


OME = (
    '<?xml version="1.0"?><OME><Image><Pixels DimensionOrder="XYCZT" SizeX="4" SizeY="4" SizeC="{}" SizeZ="1" '
    'SizeT="1">{}</Pixels></Image></OME>'
)


@pytest.mark.parametrize(
    ("channels", "planes"),
    [
        (10**9, '<TiffData IFD="0" FirstC="999999999" PlaneCount="1"/>'),
        (2, '<TiffData IFD="0" PlaneCount="1000000000"/>'),
        (2, '<TiffData/><ModuloAlongT Start="0" End="1e12" Step="1"/>'),
    ],
)
def test_a_description_of_more_planes_than_any_set_has_is_refused(channels, planes, refused):
    buffer = io.BytesIO()
    text = OME.format(channels, planes)
    tifffile.imwrite(buffer, noise(0, 2, 4, 4), photometric="minisblack", description=text, metadata=None)
    assert refused(buffer.getvalue()) == "its OME description speaks of more than 1,048,576 planes"


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["zlib", "lzma", "packbits"])
def test_a_strip_that_unpacks_to_more_than_its_rows_is_cut(compression, tmp_path):
    """256 MiB of zeros in a strip of 320 bytes."""
    import lzma

    num = 2**28
    packed = {
        "zlib": (8, lambda: b"".join([(c := zlib.compressobj(9)).compress(bytes(num)), c.flush()])),
        "lzma": (34925, lambda: lzma.compress(bytes(num), preset=0)),
        "packbits": (32773, lambda: b"\x81\0" * (num // 128)),
    }
    code, pack = packed[compression]
    strip = pack()
    pages = page(changed((259, 3, 1, code), (273, 4, 1, 400), (277, 3, 1, 5), (279, 4, 1, len(strip))))
    path = tmp_path / "x.tif"
    path.write_bytes(tiff_of(pages)[:400] + strip)
    with little_memory():
        assert read_picture(path).tolist() == np.zeros((5, 4, 4)).tolist()


def test_a_strip_whose_checksum_is_wrong_is_damaged(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", noise(0, 5, 8, 8), photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        end = file.pages[0].dataoffsets[0] + file.pages[0].databytecounts[0]
    data = bytearray((tmp_path / "x.tif").read_bytes())
    data[end - 1] ^= 1
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(BrokenSample, match="damaged file"):
        read_picture(tmp_path / "x.tif")


def test_pixels_that_a_small_file_could_only_hold_many_times_over_are_refused(refused, tmp_path):
    """Of 16 channels of 64 × 64 pixels, compressed more than 32 times."""
    planes = {"photometric": "minisblack", "planarconfig": "separate", "compression": "zlib"}
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((16, 64, 64), np.uint8), **planes)
    data = (tmp_path / "x.tif").read_bytes()
    assert len(data) * 32 < 65_536
    assert refused(data, lambda path: probe_picture(path, max_pixels=4096)).startswith(
        "asks for 65,536 bytes of pixels"
    )
    assert read_picture(tmp_path / "x.tif", max_pixels=2**14).shape == (16, 64, 64)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("kind", ["png", "jpeg markers", "jpeg junk"])
def test_a_header_in_endless_pieces_is_refused(kind, refused):
    plain = encoded(Image.new("L", (4, 4)), "PNG")
    data = {
        "png": plain[:33] + chunk(b"tEXt", b"a\0") * 100_000 + plain[33:],
        "jpeg markers": b"\xff\xd8" + b"\xff\xfe\0\x02" * 2**20,
        "jpeg junk": b"\xff\xd8\xff\xfe\0\x02" + bytes(2**22),
    }[kind]
    assert refused(data) == "damaged file: its header has over 4,096 pieces"


def test_compressed_notes_do_not_fill_the_memory(refused):
    plain, profile = encoded(Image.new("L", (4, 4)), "PNG"), zlib.compress(bytes(2**26), 9)
    for kind, note in (
        (b"zTXt", b"a\0\0" + profile),
        (b"iCCP", b"a\0\0" + profile),
        (b"iTXt", b"a\0\1\0\0\0" + profile),
    ):
        assert refused(plain[:33] + chunk(kind, note) + plain[33:]).startswith(
            "damaged file: Decompressed data too large"
        )


def test_a_chunk_that_claims_two_gigabytes_takes_none(refused):
    plain = encoded(Image.new("L", (4, 4)), "PNG")
    assert refused(plain[:33] + struct.pack(">I", 2**31 - 1) + b"tEXt").startswith("damaged file")


def exif_note(num: int, length: int) -> bytes:
    """Return a note of many tags, each of which says that all of the note is its value; the picture is to be turned."""
    tags = [(0x0112, 3, 1, 6), *((1000 + i, 7, length, 8) for i in range(num))]
    data = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + data).ljust(length + 8, b"\0")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_note_whose_tags_all_claim_all_of_it_is_read_for_its_orientation(kind, tmp_path):
    """2,000 tags of 64 kB each would be 128 MB for a note of 64 kB, and 13 GB for one of a megabyte."""
    path = tmp_path / "picture"
    path.write_bytes(
        encoded(Image.new("L" if kind == "PNG" else "RGB", (6, 4)), kind, exif=b"Exif\0\0" + exif_note(2000, 60_000))
    )
    begin = time.process_time()
    assert probe_picture(path).size == (6, 4)
    assert read_picture(path).shape[1:] == (6, 4)
    assert time.process_time() - begin < 0.5


def test_orientation_is_what_pillow_says(tmp_path):
    """In notes of either byte order, in text as ImageMagick writes it, and in XMP."""
    from PIL import PngImagePlugin

    big = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 5, 0, 0)
    text, xmp = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 40\n" + big.hex())
    xmp.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="7"/>')
    for number, (options, expected) in enumerate(
        [({"exif": big}, 5), ({"pnginfo": text}, 5), ({"pnginfo": xmp}, 7), ({"exif": b"Exif\0\0II*\0"}, 1), ({}, 1)]
    ):
        path = tmp_path / f"{number}.png"
        path.write_bytes(encoded(Image.new("L", (6, 4)), "PNG", **options))
        with Image.open(path) as image:
            assert orientation_of(image) == expected
    with Image.open(tmp_path / "0.png") as image:
        assert image.getexif()[0x0112] == 5


def test_scans_of_a_jpeg_are_counted(refused, monkeypatch):
    """Each empty scan of twelve bytes costs as much as going over all pixels."""
    data = encoded(Image.fromarray(noise(0, 64, 64)), "JPEG", progressive=True)
    more = data[:-2] + b"\xff\xda\0\x08\x01\x01\0\0\0\x10" * 2000 + b"\xff\xd9"
    assert refused(more, read_picture) == "damaged file: more than 1,000 scans of 64×64 pixels"
    monkeypatch.setattr(decoder_bounds, "SCANNED", 1)
    hidden = data[:-2] + b"\xff\xfe\0\x04\xff\xd9" + b"\xff\xda\0\x08\x01\x01\0\0\0\x10" * 50 + b"\xff\xd9"
    assert "scans" in refused(hidden, lambda path: read_picture(path, max_pixels=64 * 64))


def test_a_jpeg_in_several_ordinary_scans_is_read(tmp_path):
    for options in ({"progressive": True}, {}):
        picture = Image.fromarray(noise(0, 40, 40, 3))
        # what stands behind the picture, such as a film, is no scan of it
        (tmp_path / "x.jpg").write_bytes(encoded(picture, "JPEG", **options) + b"\xff\xda\0\x08" * 5000)
        assert read_picture(tmp_path / "x.jpg").shape == (3, 40, 40)


def test_a_large_bmp_of_runs_is_refused(refused):
    header = struct.pack("<IiiHHIIiiII", 40, 2**25, 1, 1, 8, 1, 0, 0, 0, 256, 0)
    data = b"BM" + struct.pack("<IHHI", 100, 0, 0, 1078) + header + bytes(1024) + b"\0\1"
    assert refused(data) == "is a BMP of runs (RLE) of more than 16,777,216 pixels; save it as PNG"


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((2**32, 2**32), "truncated file"),
        ((100, 100, 2**60), "truncated file"),
        ((2**62, 4), "truncated file"),
        ((-4, -4), "has no pixels"),
        ((0, 5, 5), "has no pixels"),
    ],
)
def test_the_shape_of_an_array_is_multiplied_out(shape, reason, refused):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    assert refused(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(64)) == reason


def test_the_header_of_an_array_has_a_length(refused):
    long = "damaged file: its header is longer than 10,000 bytes"
    assert refused(b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{") == long
    assert refused(b"\x93NUMPY\1\0" + struct.pack("<H", 60_000) + b"(" * 60_000) == long
    assert refused(b"\x93NUMPY\1\0" + struct.pack("<H", 9_000) + b"(" * 9_000).startswith("damaged file")


@pytest.fixture
def small_bands(monkeypatch):
    """Let everything be done in bands of few rows, as it is for large pictures."""
    monkeypatch.setattr(bands, "BAND", 50)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_bands_change_nothing(mode, channels, tmp_path, monkeypatch):
    if mode == "I;16":
        picture, kind = Image.fromarray(noise(0, 11, 13).astype(np.uint16) * 257), "PNG"
    else:
        picture, kind = Image.fromarray(noise(0, 11, 13, 3)).convert(mode), "TIFF" if mode == "CMYK" else "PNG"
    path = tmp_path / "picture"
    path.write_bytes(encoded(picture, kind))
    options = {"channels": channels, "dtype": "uint8"}
    whole = read_picture(path, **options)
    monkeypatch.setattr(bands, "BAND", 50)
    np.testing.assert_array_equal(read_picture(path, **options), whole)


def test_statistics_in_bands_are_those_of_the_whole(small_bands):
    pictures = [noise(i, 3, 11, 13) for i in range(3)]
    mean, std = channel_stats(pictures, (0.0, 255.0))
    assert mean == pytest.approx(np.mean([p / 255 for p in pictures], (0, 2, 3)))
    assert std == pytest.approx(np.std([p / 255 for p in pictures], (0, 2, 3)))


def test_masks_in_bands_are_those_of_the_whole(small_bands, tmp_path):
    numbers = noise(0, 11, 13) % 3
    palette = class_palette(3)
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(numbers), "PNG"))
    (tmp_path / "b.png").write_bytes(encoded(Image.fromarray(np.array(palette, np.uint8)[numbers]), "PNG"))
    for name in ("a.png", "b.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 3, palette), numbers)


@pytest.mark.parametrize("kind", ["png", "tif", "npy"])
def test_a_large_picture_is_averaged_where_only_statistics_are_wanted(kind, small_bands, tmp_path, monkeypatch):
    pixels = noise(0, 12, 21)
    path = tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, pixels)
    elif kind == "tif":
        tifffile.imwrite(path, np.stack([pixels] * 2), photometric="minisblack")
    else:
        path.write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    monkeypatch.setattr(bands.averaging, "__defaults__", (100, 42 if kind != "tif" else 84))  # a sixth
    small = read_picture(path, at_least=3)
    blocks = pixels.reshape(6, 2, 7, 3).mean((1, 3))
    np.testing.assert_array_equal(small[0], np.rint(blocks))
    assert read_picture(path).shape[1:] == (12, 21)
    assert read_picture(path, at_least=12).shape[1] == 12


def test_averaging_keeps_sides_that_are_short_and_pictures_that_are_not_large():
    assert bands.averaging(3, (4000, 5000), 64) == (1, 1)  # 60 million values
    assert bands.averaging(3, (13_376, 13_376), None) == (1, 1)
    assert bands.averaging(1, (1, 178_000_000), 64) == (1, 11)
    rows, columns = bands.averaging(3, (13_376, 13_376), 64)
    assert 3 * (13_376 // rows) * (13_376 // columns) <= bands.AVERAGED
    assert bands.averaging(3, (13_376, 13_376), 13_376) == (1, 1)


def test_the_last_blocks_may_be_smaller():
    means = bands.averaged(np.array([[[0, 2, 9], [4, 6, 9], [1, 1, 7]]], np.float32), (2, 2))
    assert means.tolist() == [[[3.0, 9.0], [1.0, 7.0]]]


LOOK = """
import resource, sys
from pathlib import Path
from maecli.modalities.pictures.read import read_picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
picture = read_picture(Path(sys.argv[1]), at_least=64)
print(picture.shape[1], picture.max(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is counted in other units")
def test_a_picture_of_67_million_pixels_in_a_small_file_takes_its_decoder_and_no_copy(tmp_path):
    """Pillow's four bytes for each of 8192 × 8192 pixels are 256 MiB; each copy would be 192 MiB more."""
    path = tmp_path / "x.png"
    path.write_bytes(encoded(Image.new("RGB", (8192, 8192), (7, 8, 9)), "PNG"))
    assert path.stat().st_size < 2**20
    done = subprocess.run([sys.executable, "-c", LOOK, path], capture_output=True, text=True, check=True)
    height, brightest, kilobytes = map(int, done.stdout.split())
    assert (height, brightest) == (2731, 9)
    assert kilobytes < 450 * 2**10


@pytest.mark.slow
def test_a_data_set_with_a_hostile_tiff_is_gone_over_without_it(tmp_path, mae):
    write_class_folders(tmp_path / "data", num=4)
    (tmp_path / "data/cat/loop.tif").write_bytes(tiff_of(page(GREY_4X4, 8)))
    outcome = mae("eda", "--dataset", "folder", "--root", tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert outcome.exit_code == 3, outcome.stderr  # it breaks a rule; the page is written all the same
    assert "leads back into itself" in (tmp_path / "out/eda.json").read_text()
