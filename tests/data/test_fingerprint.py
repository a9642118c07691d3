from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_dataset import shapes

from maecli.data import fingerprint
from maecli.data.files import sample_files
from maecli.data.fingerprint import KEPT_BYTES, Fingerprint, fingerprint_of
from maecli.data.sample import Places, Split, TensorSplit, View
from maecli.errors import BrokenSample
from maecli.modalities.pictures.picture_files import PictureFiles, Reading


def write_files(root: Path, num: int) -> list[str]:
    """Write files of 4 bytes, i as a number in file i, and return their names."""
    root.mkdir()
    names = [f"{i:04d}.png" for i in range(num)]
    for i, name in enumerate(names):
        (root / name).write_bytes(i.to_bytes(4, "little"))
        os.utime(root / name, ns=(0, 10**9 * i))
    return names


def pictures(root: Path, keys: list[str], labels: list[int] | None = None) -> PictureFiles:
    reading = Reading(3, "uint8")
    numbers = None if labels is None else np.array(labels)
    return PictureFiles(root, keys, np.zeros((len(keys), 2), int), reading, set(), labels=numbers)


@pytest.fixture
def few_are_read(monkeypatch):
    """Let 20 files be too many to read all."""
    monkeypatch.setattr(fingerprint, "ALL_FILES", 19)
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 5)


def changed(before: Fingerprint, now: Fingerprint) -> list[str]:
    """Return the parts whose hashes are kept and differ."""
    assert before.hashes.keys() == now.hashes.keys()
    return [name for name in before.hashes if before.hashes[name] != now.hashes[name]]


@pytest.mark.parametrize("num_files", [20, 2000])
def test_a_fingerprint_is_small_and_comes_back_from_json(tmp_path, num_files):
    keys = write_files(tmp_path / ("a" * 20), num_files)
    split = pictures(tmp_path, [f"{'a' * 20}/{key}" for key in keys], [i % 3 for i in range(num_files)])
    whole = fingerprint_of(split, ("image", "label"))
    text = json.dumps(whole.model_dump(mode="json"))
    assert whole.complete == (num_files == 20)
    assert whole.complete or KEPT_BYTES / 2 < len(text) < KEPT_BYTES
    assert Fingerprint.read(json.loads(text)) == whole


@pytest.mark.parametrize("everything", [False, True])
def test_the_number_of_threads_changes_nothing(tmp_path, few_are_read, monkeypatch, everything):
    split = pictures(tmp_path / "a", write_files(tmp_path / "a", 20))
    before = fingerprint_of(split, (), everything)
    for num_threads in (1, 2, 7):
        monkeypatch.setattr(sample_files, "NUM_THREADS", num_threads)
        assert fingerprint_of(split, (), everything) == before


def test_the_first_in_line_are_those_of_the_whole_line(monkeypatch):
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 5)
    names = [f"{i % 30}\udce9.png" for i in range(40)]
    assert fingerprint._first_in_line(names) == [*fingerprint._in_line(names)][:5]


def test_which_files_are_read_depends_on_their_names_alone(tmp_path, few_are_read):
    keys = write_files(tmp_path / "a", 20)
    before = fingerprint_of(pictures(tmp_path / "a", keys), ())
    assert len(before.hashes) == 5
    for key in keys:
        (tmp_path / "a" / key).write_bytes(b"something else")
    assert len(changed(before, fingerprint_of(pictures(tmp_path / "a", keys), ()))) == 5


def test_few_files_are_read_all_and_many_only_when_asked_for(tmp_path, few_are_read):
    keys = write_files(tmp_path / "a", 20)
    assert fingerprint_of(pictures(tmp_path / "a", keys), ()).facts.keys() == {"sizes"}
    assert fingerprint_of(pictures(tmp_path / "a", keys), (), True).facts.keys() == {"sizes", "contents"}
    assert fingerprint_of(pictures(tmp_path / "a", keys[1:]), ()).facts.keys() == {"sizes", "contents"}


def test_large_files_are_sampled_less_often(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "SAMPLED_BYTES", 11)
    monkeypatch.setattr(fingerprint, "ALL_BYTES", 0)
    keys = write_files(tmp_path / "a", 20)
    assert len(fingerprint_of(pictures(tmp_path / "a", keys), ()).hashes) == 2  # of 4 bytes each
    monkeypatch.setattr(fingerprint, "SAMPLED_BYTES", 0)
    assert len(fingerprint_of(pictures(tmp_path / "a", keys), ()).hashes) == 1


def test_a_file_of_another_size_or_content_is_known_by_name(tmp_path):
    keys = write_files(tmp_path / "a", 30)
    before = fingerprint_of(pictures(tmp_path / "a", keys), ())
    (tmp_path / "a/0007.png").write_bytes(b"abcd")
    now = fingerprint_of(pictures(tmp_path / "a", keys), ())
    assert now.facts["sizes"] == before.facts["sizes"]
    assert now.facts["contents"] != before.facts["contents"]
    assert changed(before, now) == ["0007.png"]
    (tmp_path / "a/0007.png").write_bytes(b"abcde")
    assert fingerprint_of(pictures(tmp_path / "a", keys), ()).facts["sizes"] != before.facts["sizes"]


def test_the_order_of_names_counts_and_not_for_the_sorted_ones():
    values = {"image": torch.zeros(2, 1)}
    forth, back = (fingerprint_of(TensorSplit(values, keys), ()) for keys in (["a", "b\udce9"], ["b\udce9", "a"]))
    assert forth.names == hashlib.blake2b(b"2\na\nb\xe9", digest_size=8).hexdigest()
    assert forth.names != back.names
    assert forth.sorted_names == back.sorted_names


def test_of_two_files_of_one_name_the_first_is_known_by_it(tmp_path):
    for folder, content in (("pictures", b"one"), ("masks", b"two")):
        write_files(tmp_path / folder, 0)
        (tmp_path / folder / "a.png").write_bytes(content)

    class Pair(Split):
        """A picture and its mask, which lies elsewhere."""

        keys = ("a.png",)  # type: ignore[assignment]

        def __getitem__(self, index):
            raise AssertionError("nothing is decoded")

        def files(self, index):
            return [tmp_path / "pictures/a.png", tmp_path / "masks/a.png"]

    pair = fingerprint_of(Pair(), ())
    assert pair.hashes == {"a.png": hashlib.blake2b(b"one", digest_size=8).hexdigest()[:8]}
    assert (pair.num_parts, pair.complete) == (2, False)


def test_a_time_alone_changes_the_times_alone(tmp_path):
    keys = write_files(tmp_path / "a", 3)
    before = fingerprint_of(pictures(tmp_path / "a", keys), ())
    os.utime(tmp_path / "a" / keys[1], ns=(0, 5))
    now = fingerprint_of(pictures(tmp_path / "a", keys), ())
    assert before.times != now.times
    assert now.model_copy(update={"times": before.times}) == before


def test_labels_count_without_a_picture_being_decoded(tmp_path):
    keys = write_files(tmp_path / "a", 20)  # which are no pictures
    before = fingerprint_of(pictures(tmp_path / "a", keys, [0] * 20), ("image", "label"))
    now = fingerprint_of(pictures(tmp_path / "a", keys, [0] * 9 + [1] + [0] * 10), ("image", "label"))
    assert now.facts["labels"] != before.facts["labels"]
    part = pictures(tmp_path / "a", keys, list(range(20))).view([3, 4])
    expected = hashlib.blake2b(b"2\n3\n4", digest_size=8).hexdigest()
    assert fingerprint_of(part, ("image", "label")).facts["labels"] == expected


def test_labels_that_no_split_tells_alone_are_decoded_with_a_few_samples(tmp_path):
    class Decoding(Split):
        """A data set that names its files, and labels them elsewhere."""

        labels = (0, 1, 2)
        decoded = 0

        @property
        def keys(self):
            return ["a", "b", "c"]

        def __getitem__(self, index):
            self.decoded += 1
            if index == 2:
                raise BrokenSample("c", "truncated file")
            return {"label": np.array(self.labels[index])}

        def files(self, index):
            return [tmp_path / f"{index}.png"]

    split = Decoding()
    before = fingerprint_of(split, ("image", "label"))
    split.labels = (0, 7, 2)
    assert fingerprint_of(split, ("image", "label")).facts["labels"] != before.facts["labels"]
    split.decoded = 0
    assert "labels" not in fingerprint_of(split, ("image",)).facts
    assert split.decoded == 0


def test_of_a_split_that_names_no_files_a_few_samples_are_decoded(monkeypatch):
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 5)
    dataset = shapes(num_train=20)
    split = dataset.split("train", ("image", "boxes"))
    seen = fingerprint_of(split, ("image", "boxes"))
    assert (seen.kind, len(seen.hashes), seen.facts) == ("samples", 5, {})
    assert fingerprint_of(split, (), everything=True).facts.keys() == {"contents"}
    other = fingerprint_of(shapes(num_train=20, broken=dict.fromkeys(split.keys, "truncated")).split("train", ()), ())
    assert set(other.hashes.values()) == {""}


def test_a_sample_that_is_another_every_time_tells_nothing():
    class Random(Split):
        keys = ("a", "b")  # type: ignore[assignment]

        def __getitem__(self, index):
            return {"image": np.random.default_rng(None if index else 0).random((1, 2, 2))}

    seen = fingerprint_of(Random(), ())
    assert list(seen.hashes) == ["a"]
    assert seen.facts == {}


def test_the_byte_order_of_arrays_does_not_matter():
    class Ordered(Split):
        keys = ("a",)  # type: ignore[assignment]

        def __init__(self, order: str) -> None:
            self.order = order

        def __getitem__(self, index):
            return {"image": np.arange(4).reshape(1, 2, 2).astype(f"{self.order}u2")}

    assert fingerprint_of(Ordered("<"), ()) == fingerprint_of(Ordered(">"), ())
    data = b"image\n<u2 (1, 2, 2)\n" + bytes([0, 0, 1, 0, 2, 0, 3, 0])
    assert fingerprint_of(Ordered(">"), ()).hashes == {"a": hashlib.blake2b(data, digest_size=8).hexdigest()[:8]}


def test_tensors_count_by_every_byte_of_a_field():
    images, labels = torch.zeros(1024, 1, 4, 4, dtype=torch.uint8), torch.zeros(1024, dtype=torch.int64)
    before = fingerprint_of(TensorSplit({"image": images, "label": labels}), ()).facts
    images[1001, 0, 3, 3] = 1
    now = fingerprint_of(TensorSplit({"image": images, "label": labels}), ()).facts
    assert now["label"] == before["label"]
    assert now["image"] != before["image"]


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float64, torch.int8])
def test_tensors_of_every_kind_are_read(dtype):
    ones, zeros = (TensorSplit({"image": fill(3, 1, 2).to(dtype)}) for fill in (torch.ones, torch.zeros))
    assert fingerprint_of(ones, ()).facts != fingerprint_of(zeros, ()).facts
    turned = TensorSplit({"image": torch.ones(1, 3, 2).to(dtype).transpose(0, 1)})
    assert fingerprint_of(turned, ()) == fingerprint_of(ones, ())


def test_of_large_tensors_rows_at_even_distances_are_read_unless_all_are_asked_for(monkeypatch):
    monkeypatch.setattr(fingerprint, "TENSOR_BYTES", 512)
    values = torch.zeros(1024, 1, dtype=torch.uint8)
    before, whole = (fingerprint_of(TensorSplit({"image": values}), (), everything) for everything in (False, True))
    assert whole.facts["image"] == before.facts["image"]
    values[1] = 1  # every second one is left out
    now = fingerprint_of(TensorSplit({"image": values}), (), True)
    assert now.facts["image"] == before.facts["image"]
    assert now.facts["all image"] != whole.facts["all image"]
    values[2] = 1
    assert fingerprint_of(TensorSplit({"image": values}), ()).facts["image"] != before.facts["image"]


def test_an_empty_split_has_a_fingerprint():
    for shape in ((0, 1, 2, 2), (3, 0)):
        empty = TensorSplit({"image": torch.zeros(shape)})
        assert fingerprint_of(empty, ()) == fingerprint_of(empty, ())
    assert fingerprint_of(View(Places.of([])), ("image", "label")).num_parts == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda plain: None,
        lambda plain: [],
        lambda plain: plain | {"version": 1},
        lambda plain: plain | {"kind": "rumours"},
        lambda plain: plain | {"facts": {"sizes": 3}},
        lambda plain: plain | {"num_parts": "3"},
        lambda plain: plain | {"hashes": {"a": 3}},
        lambda plain: {key: value for key, value in plain.items() if key != "names"},
    ],
)
def test_what_is_no_fingerprint_is_not_taken_for_one(damage):
    plain = fingerprint_of(TensorSplit({"image": torch.zeros(3, 1)}), ()).model_dump(mode="json")
    assert Fingerprint.read(plain) is not None
    assert Fingerprint.read(plain | {"newer": 1}) is not None
    assert Fingerprint.read(damage(plain)) is None
