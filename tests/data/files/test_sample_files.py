from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from maecli.data.files import sample_files
from maecli.data.files.sample_files import (
    NO_FILE,
    UNREADABLE,
    SampleFiles,
    content_hash,
    files_of,
    in_threads,
    states_of,
)
from maecli.data.sample import Sample, Split
from maecli.data.views.keys import Keys
from maecli.modalities.pictures.picture_files import PictureFiles, Reading
from maecli.modalities.pictures.read import read_picture
from maecli.modalities.pictures.source import PictureSource


class Named(Split):
    """Samples with a key and files each."""

    def __init__(self, samples: dict[str, Sequence[Path]]) -> None:
        self.samples = samples

    @property
    def keys(self) -> Sequence[str]:
        return list(self.samples)

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError("nothing is decoded")

    def files(self, index: int) -> Sequence[Path]:
        return list(self.samples.values())[index]

    def label(self, index: int) -> np.ndarray:
        return np.array(index)


def by_path(split: Split) -> dict[str, str]:
    files = files_of(split)
    return dict(zip([files.before + path for path in files.paths], files.names, strict=True))


@pytest.mark.parametrize("root", [Path("/data/set"), Path("somewhere else"), Path()])
def test_files_are_named_as_samples_are_wherever_the_data_lie(root):
    split = Named({f"images/{i}.jpg": [root / f"images/{i}.jpg", root / f"masks/{i}.png"] for i in range(2)})
    names = by_path(split)
    assert list(names.values()) == ["images/0.jpg", "masks/0.png", "images/1.jpg", "masks/1.png"]
    assert names[(root / "masks/1.png").as_posix()] == "masks/1.png"


def test_names_of_files_that_are_keys_are_not_held_again():
    keys = Keys.of(f"images/{i}.jpg" for i in range(3))
    split = PictureFiles(Path("/x"), keys, np.zeros((3, 2)), Reading(), set())
    assert files_of(split) == SampleFiles(keys, keys, "/x/")
    assert files_of(split).names is keys


def test_a_view_has_the_files_and_labels_of_its_samples():
    split = Named({"a": [Path("/x/a")], "b": [Path("/x/b")]})
    assert split.view([1]).files(0) == [Path("/x/b")]
    assert split.view([1]).label(0) == 1


def test_a_persons_pictures_are_files():
    source = PictureSource(Path("/x"), ["a/b.png"], read_picture)
    assert source.files(0) == [Path("/x/a/b.png")]


def test_files_that_keys_do_not_name_are_named_below_their_common_folder():
    split = Named({str(i): [Path(f"/x/y/pictures/{i}.dat"), Path("/x/y/objects.json")] for i in range(2)})
    assert list(by_path(split).values()) == ["pictures/0.dat", "objects.json", "pictures/1.dat"]


def test_masks_that_lie_elsewhere_are_named_below_their_own_folder():
    split = Named({f"{i}.jpg": [Path(f"/x/images/{i}.jpg"), Path(f"/y/masks/{i}.png")] for i in range(2)})
    assert list(by_path(split).values()) == ["0.jpg", "0.png", "1.jpg", "1.png"]


def test_files_that_have_no_folder_in_common_have_their_own_names():
    assert by_path(Named({"a": [Path("/x/1.png"), Path("2.png")]})) == {"/x/1.png": "1.png", "2.png": "2.png"}


def test_a_file_of_many_samples_counts_once():
    shared = Path("/x/objects.json")
    assert by_path(Named({f"{i}": [shared] for i in range(5)})) == {"/x/objects.json": "objects.json"}


def test_files_are_counted_once_however_far_apart_they_are_used(monkeypatch):
    monkeypatch.setattr(sample_files, "NUM_RECENT", 1)
    files = {f"{i}.png": [Path(f"/x/{i}.png"), Path(f"/x/ä{i % 2}.json")] for i in range(4)}
    assert list(by_path(Named(files)).values()) == ["0.png", "ä0.json", "1.png", "ä1.json", "2.png", "3.png"]


def test_links_are_followed_and_what_is_no_file_is_none(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    os.utime(tmp_path / "a", ns=(5, 7_000_000_001))
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    paths = [str(tmp_path / name) for name in ("a", "link", "dangling", "folder", "pipe", "none", "nul\0")]
    assert states_of(paths).tolist() == [[4, 7_000_000_001]] * 2 + [[NO_FILE, 0]] * 5
    hashes = [hashlib.blake2b(b"1234", digest_size=8).hexdigest()] * 2 + [UNREADABLE] * 5
    assert list(in_threads(content_hash, paths)) == hashes


def test_hashes_stand_in_the_order_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_files, "NUM_TURNS", 15)
    paths = [tmp_path / str(i) for i in range(40)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * (3_000_000 if i == 0 else 10))
    expected = [hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest() for path in paths]
    assert list(in_threads(content_hash, [path.name for path in paths], f"{tmp_path}/")) == expected
