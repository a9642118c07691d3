"""Which files of a folder are pictures: by name, and by content where the name says nothing."""

from __future__ import annotations

import pytest
from cards import card
from PIL import Image
from write_data import encoded, noise

from maecli.data.files.unread import OTHERS
from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.formats import PICTURE_SUFFIXES
from maecli.modalities.pictures.finding import UNREAD, check_is_read, find_pictures, is_picture, search_pictures
from maecli.modalities.pictures.modality import Pictures

PICTURE = Image.fromarray(noise(0, 8, 8, 3))


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the same picture under any name."""

    def write_one(name: str, kind: str = "PNG") -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(PICTURE, kind))

    return write_one


@pytest.mark.parametrize(
    "name",
    ["1", "cat/IMG_0001", "IMG.2020-05-03", "x.jpg!d", "x.png?w=300", "photo.dat", "x.image", "x.jpg.1", "x.pic", "x."],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_whose_name_says_nothing_is_found_by_its_content(tmp_path, write, name, kind):
    write(name, kind)
    assert find_pictures(tmp_path) == [name]


@pytest.mark.parametrize("name", ["README", "Makefile", "weights.dat", "x.part1.bin", "core"])
def test_other_files_are_not_taken_for_pictures(tmp_path, name):
    (tmp_path / name).write_bytes(b"BM is how this begins, and P3 2 times")
    assert find_pictures(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        *("1.nef", "1.DNG", "1.cr2", "1.svs", "1.ndpi", "1.tif.ovr", "1.tif.msk", "1.thm", "1.psd", "1.jpg.part"),
        *("1.jpg.crdownload", "1.tif.tmp", "1.jpg.bak", "1.png~", "notes.txt", "1.pdf", "1.zip", "1.npz", "1.tar.gz"),
    ],
)
def test_a_name_that_says_that_it_is_none_is_believed(tmp_path, write, name):
    write(name, "TIFF")
    assert find_pictures(tmp_path) == []


def test_a_raw_file_that_is_named_alone_is_not_read_as_its_small_first_page(tmp_path):
    with pytest.raises(BrokenSample, match="is a camera's raw file, which is not read; export it as JPEG or TIFF"):
        check_is_read(tmp_path / "DSC_1.NEF")
    check_is_read(tmp_path / "DSC_1.jpg")
    check_is_read(tmp_path / "DSC_1")


@pytest.mark.parametrize("ask", [lambda split: split[0], lambda split: split.size(0)], ids=["sample", "size"])
def test_neither_the_size_nor_the_pixels_of_a_raw_file_are_those_of_its_first_page(tmp_path, write, ask):
    write("1.nef", "TIFF")
    _, split = Pictures().open(tmp_path / "1.nef", card(), (8, 8))
    with pytest.raises(BrokenSample, match=r"^1\.nef: is a camera's raw file"):
        ask(split)


def test_what_is_like_pictures_is_counted_by_kind(tmp_path, write):
    for name in ("a/1.nef", "a/2.NEF", "b/1.cr2", "logo.svg", "1.jpg", "1.jpg.bak", "notes.txt", "runs/@eaDir/1.jpg"):
        write(name)
    assert search_pictures(tmp_path).left_out() == {
        "in runs/@eaDir/, kept by a NAS": 1,
        "named as a camera's raw file (*.nef)": 2,
        "named as a camera's raw file (*.cr2)": 1,
        "named as a drawing or a project of a graphics program (*.svg)": 1,
    }


def test_no_suffix_stands_in_two_tables():
    suffixes = [suffix for kind in UNREAD for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert not {*suffixes} & (PICTURE_SUFFIXES | OTHERS)
    assert not PICTURE_SUFFIXES & OTHERS
    assert all(suffix == suffix.lower() for suffix in (*suffixes, *OTHERS))
    assert all(map(is_picture, (f"x{suffix}" for suffix in PICTURE_SUFFIXES)))
