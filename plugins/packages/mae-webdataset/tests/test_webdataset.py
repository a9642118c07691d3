from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from mae_webdataset.dataset import WebDataset
from mae_webdataset.shards import key_of
from PIL import Image

from maecli import api
from maecli.testing import DatasetConformance


def png(seed: int, size: tuple[int, int] = (8, 10)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def samples(first: int, num: int, labelled: bool = True) -> dict[str, bytes]:
    """Return members of pictures with the classes 0 and 1 by turns."""
    members = {}
    for i in range(first, first + num):
        members[f"{i:04d}.png"] = png(i)
        if labelled:
            members[f"{i:04d}.cls"] = str(i % 2).encode()
        members[f"{i:04d}.json"] = b"{}"
    return members


def write_twin(root: Path, labelled: bool = True) -> Path:
    write_shard(root / "toys-train-000000.tar", samples(0, 20, labelled))
    write_shard(root / "toys-train-000001.tar", samples(20, 20, labelled))
    return root


def of(root: Path, **options: object) -> WebDataset:
    return WebDataset(WebDataset.Options(root=root, **options))


def sizes(dataset: WebDataset) -> dict[str, int]:
    return {name: len(dataset.split(name)) for name in api.SPLIT_NAMES}


class TestConformance(DatasetConformance):
    def dataset(self, tmp_path: Path) -> WebDataset:
        return of(write_twin(tmp_path))


def test_samples_are_what_was_written(tmp_path):
    split = of(write_twin(tmp_path)).split("train", ("image", "label"))
    for i, key in enumerate(split.keys):
        number = int(key.rpartition("/")[2])
        written = np.asarray(Image.open(io.BytesIO(png(number)))).transpose(2, 0, 1)
        assert np.array_equal(split[i]["image"], written)
        assert split[i]["label"] == number % 2
        assert split.files(i) == [tmp_path / key.rpartition("/")[0]]


def test_shards_without_classes_are_pictures_alone(tmp_path):
    dataset = of(write_twin(tmp_path, labelled=False))
    card = dataset.card()
    assert (card.fields, card.classes, card.class_counts) == (("image",), (), ())
    assert set(dataset.split("train", ("image", "label"))[0]) == {"image"}


def test_what_no_shard_is_named_for_is_cut_from_train(tmp_path):
    assert sizes(of(write_twin(tmp_path))) == {"train": 32, "val": 4, "test": 4}
    assert sizes(of(tmp_path, share=0.25)) == {"train": 20, "val": 10, "test": 10}
    write_shard(tmp_path / "toys-test-000000.tar", samples(40, 6))
    dataset = of(tmp_path)
    assert sizes(dataset) == {"train": 36, "val": 4, "test": 6}
    assert dataset.card().split_origin == (
        "val: cut from train (0.1 of it), fixed seed 0, stratified by class; test: by name of shard"
    )


def test_a_key_ends_before_the_first_dot_of_a_name():
    assert key_of("a.b/0001.seg.PNG") == ("a.b/0001", "seg.png")


def test_classes_are_named_by_their_lines(tmp_path):
    card = of(write_twin(tmp_path)).card()
    assert (card.classes, card.class_counts) == (("0", "1"), (16, 16))
    (tmp_path / "classes.txt").write_text("ash\noak\n")
    assert of(tmp_path).card().classes == ("ash", "oak")
    (tmp_path / "classes.txt").write_text("ash\nash\n")
    with pytest.raises(api.DataError, match=r"classes\.txt names ash twice"):
        of(tmp_path).card()


def test_every_sample_that_breaks_a_rule_is_named_and_left_out(tmp_path):
    (tmp_path / "classes.txt").write_text("ash\noak\n")
    two = {"a.png": png(1), "a.jpg": png(2), "a.cls": b"1\n"}
    unlabelled = {"b.png": png(3)}
    by_name = {"c.png": png(4), "c.cls": b"oak"}
    beyond = {"d.png": png(5), "d.cls": b"2"}
    no_picture = {"e.cls": b"0"}
    odd = two | unlabelled | by_name | beyond | no_picture
    write_shard(write_twin(tmp_path) / "odd.tar", odd)
    dataset = of(tmp_path)
    assert sum(sizes(dataset).values()) == 41
    assert {fault.path: fault.reason for fault in dataset.faults()} == {
        "odd.tar/a": "has a second picture, which is passed over",
        "odd.tar/b": "has no .cls",
        "odd.tar/c": "its .cls is not the number of a class, counted from 0",
        "odd.tar/d": "has the class 2, but there are 2 in all",
    }


def test_a_picture_that_cannot_be_decoded_is_a_fault_when_it_is_read(tmp_path):
    write_shard(tmp_path / "train.tar", samples(0, 20) | {"0000.png": b"no picture", "0001.png": png(1)[:60]})
    dataset = of(tmp_path)
    for name in api.SPLIT_NAMES:
        split = dataset.split(name)
        for i, key in enumerate(split.keys):
            if key in ("train.tar/0000", "train.tar/0001"):
                with pytest.raises(api.BrokenSample, match="cannot be decoded"):
                    split[i]
    assert [fault.path for fault in dataset.faults()] == ["train.tar/0000", "train.tar/0001"]


def test_of_a_shard_that_is_cut_short_the_beginning_counts(tmp_path):
    whole = (write_twin(tmp_path) / "toys-train-000001.tar").read_bytes()
    (tmp_path / "toys-train-000001.tar").write_bytes(whole[: len(whole) // 3])
    dataset = of(tmp_path)
    assert 20 < sum(sizes(dataset).values()) < 40
    [fault] = [fault for fault in dataset.faults() if fault.path.endswith(".tar")]
    assert fault.reason == "is no tar file, or is cut short; what lies whole before that is read"


def test_a_folder_without_shards_is_refused_with_two_ways_out(tmp_path):
    with pytest.raises(api.DataError, match=r"no shard \*\.tar in .*; point --root or MAE_DATA .*dataset\.shards="):
        of(tmp_path).card()
    (tmp_path / "no.tar").write_bytes(b"nothing of the kind")
    with pytest.raises(api.DataError, match=r"no picture to train on in the 1 shard"):
        of(tmp_path).card()
