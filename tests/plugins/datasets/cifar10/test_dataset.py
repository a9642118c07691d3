from __future__ import annotations

import hashlib
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from maecli_plugins.datasets.cifar10 import dataset
from maecli_plugins.datasets.cifar10.batches import read_binary_batch, read_python_batch
from maecli_plugins.datasets.cifar10.dataset import BINARY_FOLDER, CIFAR10, PYTHON_FOLDER
from write_data import write_cifar10

from maecli import api


def cifar10(root: Path, download: bool = False) -> CIFAR10:
    return CIFAR10(CIFAR10.Options(root=root, download=download))


@pytest.mark.parametrize(("folder", "suffix"), [(".", ""), (PYTHON_FOLDER, ""), (".", ".bin"), (BINARY_FOLDER, ".bin")])
def test_files_are_read_in_place(tmp_path, folder, suffix):
    write_cifar10(tmp_path / folder, suffix=suffix)
    files = sorted(tmp_path.rglob("*"))
    card = cifar10(tmp_path).card()
    assert card.split_sizes == {"train": 90, "val": 10, "test": 20}
    assert (card.channels, card.size, card.dtype, card.class_counts) == (3, (32, 32), "uint8", (9,) * 10)
    assert sorted(tmp_path.rglob("*")) == files


def test_both_versions_hold_the_same(tmp_path):
    write_cifar10(tmp_path / "python")
    write_cifar10(tmp_path / "binary", suffix=".bin")
    for name in ("train", "val", "test"):
        one, other = (cifar10(tmp_path / kind).split(name) for kind in ("python", "binary"))
        assert one.keys == other.keys
        assert all(one.tensors[field].equal(other.tensors[field]) for field in ("image", "label"))


def test_samples_are_those_of_the_files(tmp_path):
    write_cifar10(tmp_path)
    data = cifar10(tmp_path)
    images, labels = zip(*(read_python_batch(tmp_path / f"data_batch_{i}") for i in range(1, 6)), strict=True)
    images, labels = np.concatenate(images), np.concatenate(labels)
    found = []
    for name in ("train", "val"):
        split = data.split(name, ("image", "label"))
        for position, key in enumerate(split.keys):
            original = int(key.removeprefix("train-"))
            found.append(original)
            np.testing.assert_array_equal(split[position]["image"], images[original])
            assert split[position]["label"] == labels[original]
    assert sorted(found) == list(range(100))
    assert torch.bincount(data.split("val").tensors["label"]).tolist() == [1] * 10


def test_channels_are_red_green_blue(tmp_path):
    record = bytes([3]) + bytes([10]) * 1024 + bytes([20]) * 1024 + bytes([30]) * 1024
    (tmp_path / "data_batch_1.bin").write_bytes(record)
    images, labels = read_binary_batch(tmp_path / "data_batch_1.bin")
    assert images[0, :, 5, 7].tolist() == [10, 20, 30]
    assert labels.tolist() == [3]


class Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_malicious_batch_is_refused_and_runs_nothing(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({"data": Runs(tmp_path / "trace")}))
    with pytest.raises(api.DataError, match=r"data_batch_3 calls for posix\.system"):
        cifar10(tmp_path).card()
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ([1], "`data` must be an array of 3,072 bytes per picture"),
        ({"data": np.zeros((2, 5), np.uint8), "labels": [0, 1]}, "`data` must be an array"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "one whole number for each of the 2 pictures"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, "x"]}, "one whole number for each"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}, "labels must be 0 to 9"),
    ],
)
def test_batches_that_contradict_cifar10_are_refused(tmp_path, batch, words):
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(api.DataError, match=words) as caught:
        read_python_batch(tmp_path / "test_batch")
    assert str(tmp_path / "test_batch") in str(caught.value)


def test_a_binary_batch_of_half_a_record_is_refused(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073 + 5))
    with pytest.raises(api.DataError, match="3,078 bytes are no whole number of records of 3,073"):
        read_binary_batch(tmp_path / "test_batch.bin")


def test_missing_files_are_named_with_the_folder_and_the_ways_out(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_4").unlink()
    with pytest.raises(api.DataError) as caught:
        cifar10(tmp_path).card()
    message = str(caught.value)
    assert f"CIFAR-10 was not found in {tmp_path} and download is off" in message
    assert all(word in message for word in ["data_batch_4", str(tmp_path / PYTHON_FOLDER), "--root", "MAE_DATA"])


@pytest.fixture
def mirror(served, monkeypatch):
    """Serve a tiny copy in the place of the published archive."""
    folder, address = served
    write_cifar10(folder / BINARY_FOLDER, suffix=".bin")
    archive = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / BINARY_FOLDER, BINARY_FOLDER)
    monkeypatch.setattr(dataset, "ARCHIVE", f"{address}/{archive.name}")
    monkeypatch.setattr(dataset, "MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    return archive


def test_missing_files_are_downloaded_once(tmp_path, mirror, capsys):
    root = tmp_path / "data"
    assert cifar10(root, download=True).card().split_sizes == {"train": 90, "val": 10, "test": 20}
    assert (root / BINARY_FOLDER / "test_batch.bin").is_file()
    assert capsys.readouterr().out == ""
    mirror.unlink()
    assert cifar10(root, download=True).card().split_sizes["test"] == 20


def test_a_download_with_another_checksum_is_refused(tmp_path, mirror):
    mirror.write_bytes(b"not the file")
    with pytest.raises(api.DataError, match=r"the download failed: .*File not found or corrupted"):
        cifar10(tmp_path / "data", download=True).card()
