from __future__ import annotations

import pytest

from maecli.data.files.unread import (
    KEPT,
    UNFINISHED,
    Unread,
    count_kinds,
    find_unread,
    kinds_in_words,
    suffix_of,
    what_is_there,
)

RAW = Unread("a raw file", (".raw",), "export it")
KINDS = (RAW, KEPT, UNFINISHED)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *[("a/x.RAW", RAW), ("x.jpg.raw", RAW), ("x.jpg~", KEPT), ("x.jpg.bak", KEPT), ("x.jpg.part", UNFINISHED)],
        *[("x.txt~", None), ("x.tmp", None), ("x.jpg", None), ("raw", None), ("x.raw.jpg", None), ("x.txt", None)],
    ],
)
def test_what_is_like_a_sample_is_known_by_its_name(path, kind):
    assert find_unread(path, KINDS, {".jpg"}) is kind


def test_a_suffix_that_is_read_is_not_unread_whatever_a_table_says():
    assert find_unread("x.raw", KINDS, {".raw"}) is None


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        *[("a.b/x.TXT", ".txt"), ("a.b/x", ""), ("x.tar.gz", ".tar.gz"), ("x.nii.gz", ".gz"), ("x.", "")],
        *[(".hidden", ""), ("a/..", ""), ("x.zip", ".zip"), ("x.2020", ".2020")],
    ],
)
def test_a_name_ends_in_its_suffix(path, suffix):
    assert suffix_of(path) == suffix


def test_kinds_are_told_by_number_and_archives_with_what_to_do():
    kinds = count_kinds(["a.txt", "b.xml", "c.TXT", "d", "e.zip", "f.tar.gz", "g.tar.gz"])
    assert kinds == {".tar.gz": 2, ".txt": 2, "": 1, ".xml": 1, ".zip": 1}
    assert kinds_in_words(kinds) == (
        "2 .tar.gz (archives: unpack them), 2 .txt, 1 without a suffix, 1 .xml, 1 .zip (an archive: unpack it)"
    )


def test_a_folder_without_samples_is_told_by_what_it_holds():
    assert what_is_there([], KINDS, {".jpg"}) == "it is empty"
    assert what_is_there(["a.txt", "1.raw", "2.raw"], KINDS, {".jpg"}) == (
        "it holds 2 .raw, 1 .txt; 1.raw is a raw file, which is not read; export it"
    )
