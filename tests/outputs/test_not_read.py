from __future__ import annotations

import pytest

from maecli.errors import Fault
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.series.modality import Series
from maecli.modalities.tables.modality import Tables
from maecli.modalities.volumes.modality import Volumes
from maecli.outputs.not_read import NotRead, find_not_read


@pytest.fixture
def touch(tmp_path):
    def touch_all(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return touch_all


def test_every_file_is_read_or_named_or_counted(tmp_path, touch):
    touch("1.png", "m/1.jpg", "m/1_mask.png", "a.nef", "1.png.bak", "labels.csv", "x.txt", "y.txt", "z.zip", "what")
    touch("a/@eaDir/1.jpg", ".hidden.jpg", "Thumbs.db")
    found = find_not_read(tmp_path, ["1.png", "m/1.jpg"], Pictures())
    assert found.faults == [Fault("a.nef", "a camera's raw file, which is not read; export it as JPEG or TIFF")]
    assert found.apart == [
        Fault("1.png.bak", "a copy that a program keeps, which is not read; rename it if it is data"),
        Fault("m/1_mask.png", "belongs to another picture, as a part or a drawing of it or its mask"),
    ]
    assert found.kinds == {".txt": 2, "": 1, ".zip": 1}
    assert list(found.lines()) == [
        "left out: 2 masks, parts or copies of other files; 1 at the top, hidden; 1 in a/@eaDir/, kept by a NAS",
        "not read: 2 .txt, 1 without a suffix, 1 .zip (an archive: unpack it)",
    ]


def test_where_all_is_read_nothing_is_said(tmp_path, touch):
    touch("1.png", "labels.csv")
    found = find_not_read(tmp_path, ["1.png"], Pictures())
    assert found == NotRead()
    assert list(found.lines()) == []
    assert found.record() == {"left_out": {}, "not_read": {}}


def test_a_single_file_has_no_others(tmp_path, touch):
    touch("1.png", "2.nef")
    assert find_not_read(tmp_path / "1.png", ["1.png"], Pictures()) == NotRead()


def test_a_file_of_several_samples_is_read_whatever_its_name(tmp_path, touch):
    touch("a#1.csv", "b.csv", "c#.csv", "d.txt")
    found = find_not_read(tmp_path, ["a#1.csv#0", "a#1.csv#256", "b.csv#1", "c#.csv"], Series())
    assert (found.faults, found.apart, found.kinds) == ([], [], {".txt": 1})


@pytest.mark.parametrize(
    ("modality", "name", "words"),
    [
        (Series(), "a.wav", "a sound, which is not read; write it as CSV or .npy"),
        (Tables(), "a.xlsx", "a spreadsheet, which is not read; export it as CSV"),
        (Volumes(), "a.mgz", "a volume in another format, which is not read; convert it to NIfTI or .npy"),
        (Pictures(), "a.svg", "a drawing or a project of a graphics program, which is not read; export it as PNG"),
    ],
    ids=lambda value: value.name if isinstance(value, Modality) else None,
)
def test_every_modality_names_what_is_like_its_samples(tmp_path, touch, modality, name, words):
    touch(name)
    assert find_not_read(tmp_path, [], modality).faults == [Fault(name, words)]


@pytest.mark.parametrize("modality", [Pictures(), Series(), Tables(), Volumes()], ids=lambda one: one.name)
def test_nothing_that_is_read_is_among_what_is_not(modality):
    unread = [suffix for kind in modality.unread for suffix in kind.suffixes]
    assert not {*unread} & {*modality.suffixes}
    assert len(unread) == len(set(unread))
