from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from toy_dataset import shapes

from maecli.data.sample import Sample, Split
from maecli.data.sample_files import NO_FILE, UNREADABLE, files_of, hashes_of, states_of
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


@pytest.mark.parametrize("root", [Path("/data/set"), Path("somewhere else"), Path()])
def test_files_are_named_as_samples_are_wherever_the_data_lie(root):
    split = Named({f"images/{i}.jpg": [root / f"images/{i}.jpg", root / f"masks/{i}.png"] for i in range(2)})
    names, paths = files_of(split)
    assert names == ["images/0.jpg", "masks/0.png", "images/1.jpg", "masks/1.png"]
    assert paths[3] == (root / "masks/1.png").as_posix()


def test_a_view_has_the_files_and_labels_of_its_samples():
    split = Named({"a": [Path("/x/a")], "b": [Path("/x/b")]})
    assert split.view([1]).files(0) == [Path("/x/b")]
    assert split.view([1]).label(0) == 1


def test_a_persons_pictures_are_files():
    source = PictureSource(Path("/x"), ["a/b.png"], shapes().card())
    assert source.files(0) == [Path("/x/a/b.png")]


def test_files_that_keys_do_not_name_are_named_below_their_common_folder():
    split = Named({str(i): [Path(f"/x/y/pictures/{i}.dat"), Path("/x/y/objects.json")] for i in range(2)})
    assert files_of(split)[0] == ["pictures/0.dat", "objects.json", "pictures/1.dat"]


def test_a_file_of_many_samples_counts_once():
    shared = Path("/x/objects.json")
    assert files_of(Named({f"{i}": [shared] for i in range(5)})) == (["objects.json"], ["/x/objects.json"])


def test_an_attribute_of_a_data_set_that_is_older_than_the_method_is_no_list_of_files():
    split = Named({"a": []})
    split.files = [Path("a.png")]  # type: ignore[method-assign, assignment]
    assert files_of(split) == ([], [])


def test_links_are_followed_and_what_is_no_file_is_none(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    os.utime(tmp_path / "a", ns=(5, 7_000_000_001))
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    paths = [str(tmp_path / name) for name in ("a", "link", "dangling", "folder", "pipe", "none", "nul\0")]
    with ThreadPoolExecutor(2) as pool:
        sizes, times = states_of(paths, pool)
        hashes = hashes_of(zip(paths, sizes, strict=True), pool)
    assert sizes == [4, 4, *[NO_FILE] * 5]
    assert times == [7_000_000_001, 7_000_000_001, 0, 0, 0, 0, 0]
    assert hashes == [hashlib.blake2b(b"1234", digest_size=8).hexdigest()] * 2 + [UNREADABLE] * 5


@pytest.mark.parametrize("num_threads", [1, 8])
def test_hashes_stand_in_the_order_of_the_files(tmp_path, num_threads):
    paths = [tmp_path / str(i) for i in range(40)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * (3_000_000 if i == 0 else 10))
    with ThreadPoolExecutor(num_threads) as pool:
        hashes = hashes_of([(str(path), path.stat().st_size) for path in paths], pool)
    assert hashes == [hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest() for path in paths]
