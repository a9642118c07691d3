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
from maecli.data.fingerprint import Fingerprint, look_at
from maecli.data.sample import Split, TensorSplit, View
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


def test_a_fingerprint_of_very_many_files_is_small_and_comes_back_from_json(tmp_path, few_are_read, monkeypatch):
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 64)
    keys = write_files(tmp_path / "a", 200)
    found = look_at(pictures(tmp_path / "a", keys, [i % 3 for i in range(200)]), ("image", "label"), True).fingerprint
    text = json.dumps(found.model_dump(mode="json"))
    assert len(text) < 4500
    assert Fingerprint.read(json.loads(text)) == found


@pytest.mark.parametrize("everything", [False, True])
def test_the_number_of_threads_changes_nothing(tmp_path, few_are_read, everything):
    split = pictures(tmp_path / "a", write_files(tmp_path / "a", 20))
    looks = [look_at(split, (), everything, num_threads).fingerprint for num_threads in (1, 2, 7)]
    assert looks[0] == looks[1] == looks[2]
    tensors = TensorSplit({"image": torch.arange(6000).reshape(1500, 1, 2, 2)})
    looks = [look_at(tensors, (), everything, num_threads).fingerprint for num_threads in (1, 7)]
    assert looks[0] == looks[1]


def test_which_files_are_read_depends_on_their_names_alone(tmp_path, few_are_read):
    keys = write_files(tmp_path / "a", 20)
    chosen = look_at(pictures(tmp_path / "a", keys), ()).sampled
    assert len(chosen) == 5
    for key in keys:
        (tmp_path / "a" / key).write_bytes(b"something else")
    again = look_at(pictures(tmp_path / "a", keys), ()).sampled
    assert again.keys() == chosen.keys()
    assert all(again[key] != chosen[key] for key in chosen)


def test_few_files_are_read_all_and_many_only_when_asked_for(tmp_path, few_are_read):
    keys = write_files(tmp_path / "a", 20)
    assert look_at(pictures(tmp_path / "a", keys), ()).facts.keys() == {"sizes"}
    assert look_at(pictures(tmp_path / "a", keys), (), True).facts.keys() == {"sizes", "contents"}
    assert look_at(pictures(tmp_path / "a", keys[1:]), ()).facts.keys() == {"sizes", "contents"}


def test_large_files_are_sampled_less_often(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "SAMPLED_BYTES", 11)
    monkeypatch.setattr(fingerprint, "ALL_BYTES", 0)
    keys = write_files(tmp_path / "a", 20)
    assert len(look_at(pictures(tmp_path / "a", keys), ()).sampled) == 2  # of 4 bytes each
    monkeypatch.setattr(fingerprint, "SAMPLED_BYTES", 0)
    assert len(look_at(pictures(tmp_path / "a", keys), ()).sampled) == 1


def test_a_file_that_changed_is_named_by_its_size_or_its_content(tmp_path):
    keys = write_files(tmp_path / "a", 30)
    before = look_at(pictures(tmp_path / "a", keys), ()).fingerprint
    (tmp_path / "a/0007.png").write_bytes(b"abcd")
    now = look_at(pictures(tmp_path / "a", keys), ())
    assert now.fingerprint.facts["sizes"] == before.facts["sizes"]
    assert now.changed("contents", before.facts["contents"]) == ["0007.png"]
    (tmp_path / "a/0007.png").write_bytes(b"abcde")
    assert look_at(pictures(tmp_path / "a", keys), ()).changed("sizes", before.facts["sizes"]) == ["0007.png"]


def test_a_time_alone_changes_the_times_alone(tmp_path):
    keys = write_files(tmp_path / "a", 3)
    before = look_at(pictures(tmp_path / "a", keys), ()).fingerprint
    os.utime(tmp_path / "a" / keys[1], ns=(0, 5))
    now = look_at(pictures(tmp_path / "a", keys), ()).fingerprint
    assert before.times != now.times
    assert now.model_copy(update={"times": before.times}) == before


def test_labels_count_without_a_picture_being_decoded(tmp_path):
    keys = write_files(tmp_path / "a", 20)  # which are no pictures
    before = look_at(pictures(tmp_path / "a", keys, [0] * 20), ("image", "label")).fingerprint
    now = look_at(pictures(tmp_path / "a", keys, [0] * 9 + [1] + [0] * 10), ("image", "label"))
    assert now.changed("labels", before.facts["labels"]) == ["0009.png"]
    part = pictures(tmp_path / "a", keys, list(range(20))).view([3, 4])
    assert look_at(part, ("image", "label")).facts["labels"][1] == [4, 5]


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
    before = look_at(split, ("image", "label")).fingerprint
    split.labels = (0, 7, 2)
    assert look_at(split, ("image", "label")).changed("labels", before.facts["labels"]) == ["b"]
    split.decoded = 0
    assert "labels" not in look_at(split, ("image",)).facts
    assert split.decoded == 0


def test_of_a_split_that_names_no_files_a_few_samples_are_decoded(monkeypatch):
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 5)
    dataset = shapes(num_train=20)
    split = dataset.split("train", ("image", "boxes"))
    look = look_at(split, ("image", "boxes"))
    assert (look.kind, len(look.sampled), look.facts) == ("samples", 5, {})
    assert look_at(split, (), everything=True).facts.keys() == {"contents"}
    other = look_at(shapes(num_train=20, broken=dict.fromkeys(split.keys, "truncated")).split("train", ()), ())
    assert set(other.sampled.values()) == {""}


def test_a_sample_that_is_another_every_time_tells_nothing():
    class Random(Split):
        keys = ("a", "b")  # type: ignore[assignment]

        def __getitem__(self, index):
            return {"image": np.random.default_rng(None if index else 0).random((1, 2, 2))}

    look = look_at(Random(), ())
    assert list(look.sampled) == ["a"]
    assert look.facts == {}


def test_the_byte_order_of_arrays_does_not_matter():
    class Ordered(Split):
        keys = ("a",)  # type: ignore[assignment]

        def __init__(self, order: str) -> None:
            self.order = order

        def __getitem__(self, index):
            return {"image": np.arange(4).reshape(1, 2, 2).astype(f"{self.order}u2")}

    assert look_at(Ordered("<"), ()).fingerprint == look_at(Ordered(">"), ()).fingerprint
    data = b"image\n<u2 (1, 2, 2)\n" + bytes([0, 0, 1, 0, 2, 0, 3, 0])
    assert look_at(Ordered(">"), ()).sampled == {"a": hashlib.blake2b(data, digest_size=8).hexdigest()}


def test_tensors_count_by_every_byte_and_name_field_and_samples():
    images = torch.zeros(1024, 1, 4, 4, dtype=torch.uint8)
    keys = [f"train-{i}" for i in range(1024)]
    before = look_at(TensorSplit({"image": images, "label": torch.zeros(1024, dtype=torch.int64)}, keys), ())
    images[1001, 0, 3, 3] = 1
    now = look_at(TensorSplit({"image": images, "label": torch.zeros(1024, dtype=torch.int64)}, keys), ())
    facts = before.fingerprint.facts
    assert now.fingerprint.facts["label"] == facts["label"]
    assert now.changed("image", facts["image"]) == ["one of train-1000 to train-1001"]


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float64, torch.int8])
def test_tensors_of_every_kind_are_read(dtype):
    ones, zeros = (TensorSplit({"image": each(3, 1, 2).to(dtype)}) for each in (torch.ones, torch.zeros))
    assert look_at(ones, ()).fingerprint.facts != look_at(zeros, ()).fingerprint.facts
    turned = TensorSplit({"image": torch.ones(1, 3, 2).to(dtype).transpose(0, 1)})
    assert look_at(turned, ()).fingerprint == look_at(ones, ()).fingerprint


def test_of_large_tensors_rows_at_even_distances_are_read_unless_all_are_asked_for(monkeypatch):
    monkeypatch.setattr(fingerprint, "TENSOR_BYTES", 512)
    monkeypatch.setattr(fingerprint, "NUM_BLOCKS", 4)
    values = torch.zeros(1024, 1, dtype=torch.uint8)
    before, whole = (look_at(TensorSplit({"image": values.clone()}), (), each).fingerprint for each in (False, True))
    assert whole.facts["image"] == before.facts["image"]
    values[1] = 1  # every second one is left out
    now = look_at(TensorSplit({"image": values}), (), True)
    assert now.fingerprint.facts["image"] == before.facts["image"]
    assert now.changed("all image", whole.facts["all image"]) == ["one of 0 to 255"]
    values[2] = 1
    assert look_at(TensorSplit({"image": values}), ()).fingerprint.facts["image"] != before.facts["image"]


def test_an_empty_split_has_a_fingerprint():
    empty = TensorSplit({"image": torch.zeros(0, 1, 2, 2)}, [])
    assert look_at(empty, ()).fingerprint == look_at(empty, ()).fingerprint
    assert look_at(View([]), ("image", "label")).fingerprint.num_parts == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda plain: None,
        lambda plain: [],
        lambda plain: plain | {"version": 2},
        lambda plain: plain | {"kind": "rumours"},
        lambda plain: plain | {"facts": {"sizes": "many"}},
        lambda plain: plain | {"num_parts": "3"},
        lambda plain: plain | {"sampled": {"a": 3}},
        lambda plain: {key: value for key, value in plain.items() if key != "names"},
    ],
)
def test_what_is_no_fingerprint_is_not_taken_for_one(damage):
    plain = look_at(TensorSplit({"image": torch.zeros(3, 1)}), ()).fingerprint.model_dump(mode="json")
    assert Fingerprint.read(plain) is not None
    assert Fingerprint.read(plain | {"newer": 1}) is not None
    assert Fingerprint.read(damage(plain)) is None
