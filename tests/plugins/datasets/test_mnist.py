from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz.mutate import little_memory
from maecli_plugins.datasets.mnist import MNIST
from torchvision import datasets
from write_data import noise, write_idx, write_mnist

from maecli import api
from maecli.api.pictures import read_idx

NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def mnist(root: Path, download: bool = False) -> MNIST:
    return MNIST(MNIST.Options(root=root, download=download))


@pytest.mark.parametrize("folder", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("suffix", [".gz", ""])
def test_files_are_read_in_place(tmp_path, folder, suffix):
    write_mnist(tmp_path / folder, suffix=suffix)
    files = sorted(tmp_path.rglob("*"))
    card = mnist(tmp_path).card()
    assert card.split_sizes == {"train": 110, "val": 10, "test": 20}
    assert sorted(tmp_path.rglob("*")) == files


def test_samples_are_those_of_the_files(tmp_path):
    write_mnist(tmp_path)
    images = read_idx(tmp_path / f"{NAMES[0]}.gz", 3)
    labels = read_idx(tmp_path / f"{NAMES[1]}.gz", 1)
    data = mnist(tmp_path)
    found = []
    for name in ("train", "val"):
        split = data.split(name, ("image", "label"))
        for position, key in enumerate(split.keys):
            original = int(key.removeprefix("train-"))
            found.append(original)
            np.testing.assert_array_equal(split[position]["image"], images[original][None])
            assert split[position]["label"] == labels[original]
    assert sorted(found) == list(range(120))
    assert data.split("test").keys[3] == "test-3"
    assert split[0]["label"].dtype == np.int64


def test_val_holds_one_in_twelve_of_each_digit(tmp_path):
    write_mnist(tmp_path)
    labels = mnist(tmp_path).split("val", ("label",)).tensors["label"]
    assert torch.bincount(labels).tolist() == [1] * 10


def test_the_card_describes_the_train_split(tmp_path):
    write_mnist(tmp_path)
    data = mnist(tmp_path)
    images = data.split("train").tensors["image"].double() / 255
    card = data.card()
    assert card.mean == pytest.approx([images.mean().item()])
    assert card.std == pytest.approx([images.std(correction=0).item()])
    assert (card.channels, card.size, card.dtype) == (1, (28, 28), "uint8")
    assert card.class_counts == (11,) * 10
    assert MNIST.recipe == "mnist"


def broken_idx(path: Path, kind: str) -> str:
    """Write a broken IDX file of 3 axes, and return what the error must say."""
    write_idx(path, noise(0, 4, 28, 28))
    data = path.read_bytes()
    changed, words = {
        "magic": (b"\0\0\x0d\x03" + data[4:], "begins with 00000d03, not with 00000803"),
        "header": (data[:10], "truncated"),
        "short": (data[:-1], "truncated, 3135 of 3136 bytes of data"),
        "long": (data + b"\0", "more bytes of data than the 3136 that its header says"),
        "empty": (b"", "begins with nothing, not with 00000803"),
    }[kind]
    path.write_bytes(changed)
    return words


@pytest.mark.parametrize("kind", ["magic", "header", "short", "long", "empty"])
def test_broken_idx_files_are_refused_by_name(tmp_path, kind):
    path = tmp_path / NAMES[0]
    words = broken_idx(path, kind)
    with pytest.raises(api.DataError) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "delete it to download it again" in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "not gzip", "flipped"])
def test_broken_gzip_files_are_refused_by_name(tmp_path, damage):
    path = tmp_path / f"{NAMES[0]}.gz"
    write_idx(path, noise(0, 4, 28, 28))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:500], "not gzip": b"<html>", "flipped": bytes(data)}[damage])
    with pytest.raises(api.DataError, match=r"train-images-idx3-ubyte\.gz: cannot be read \("):
        read_idx(path, 3)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        (NAMES[0], noise(0, 120, 27, 28), "pictures are 27x28, not 28x28"),
        (NAMES[1], noise(0, 119) % 10, "has 120 pictures, but"),
        (NAMES[1], np.full(120, 10, np.uint8), "labels must be 0 to 9"),
    ],
)
def test_files_that_contradict_mnist_are_refused(tmp_path, name, array, words):
    write_mnist(tmp_path, suffix="")
    write_idx(tmp_path / name, array)
    with pytest.raises(api.DataError, match=words):
        mnist(tmp_path).card()


def test_missing_files_are_named_with_the_folder_and_the_ways_out(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / f"{NAMES[3]}.gz").unlink()
    with pytest.raises(api.DataError) as caught:
        mnist(tmp_path).card()
    message = str(caught.value)
    assert f"MNIST was not found in {tmp_path} and download is off" in message
    assert all(word in message for word in [*NAMES, str(tmp_path / "MNIST/raw"), "--root", "MAE_DATA"])


@pytest.fixture
def mirror(served, monkeypatch):
    """Serve a baseline in the place of torchvision's mirrors, which are checked by MD5."""
    folder, address = served
    write_mnist(folder)
    sums = {name: hashlib.md5((folder / f"{name}.gz").read_bytes()).hexdigest() for name in NAMES}
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{address}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", [(f"{name}.gz", md5) for name, md5 in sums.items()])
    return folder


def test_missing_files_are_downloaded_once_with_progress_on_stderr(tmp_path, mirror, capsys):
    root = tmp_path / "data"
    assert mnist(root, download=True).card().split_sizes == {"train": 110, "val": 10, "test": 20}
    assert (root / "MNIST/raw" / NAMES[0]).is_file()
    printed = capsys.readouterr()
    assert "100%" in printed.err
    assert printed.out == ""
    for file in mirror.iterdir():
        file.unlink()
    assert mnist(root, download=True).card().split_sizes["test"] == 20


def test_a_download_with_another_checksum_is_refused(tmp_path, mirror):
    (mirror / f"{NAMES[0]}.gz").write_bytes(b"not the file")
    with pytest.raises(api.DataError, match=r"the download failed: .*File not found or corrupted"):
        mnist(tmp_path / "data", download=True).card()


def test_offline_the_error_names_files_folder_and_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nothing listens there
    with pytest.raises(api.DataError) as caught:
        mnist(tmp_path, download=True).card()
    message = str(caught.value)
    assert f"MNIST was not found in {tmp_path} and the download failed:" in message
    assert "Connection refused" in message
    assert all(word in message for word in [*NAMES, str(tmp_path / "MNIST/raw"), "--root", "MAE_DATA"])
    assert "\n" not in message


def test_the_default_root_is_mae_data(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    monkeypatch.setenv("MAE_DATA", str(tmp_path))
    assert MNIST(MNIST.Options()).card().split_sizes["test"] == 20


def test_masks_come_from_canvases_of_each_split_s_own_digits(tmp_path):
    write_mnist(tmp_path)
    data = MNIST(MNIST.Options(root=tmp_path, train_canvases=30, val_canvases=4, test_canvases=6))
    card = data.card(("image", "mask"))
    assert (card.fields, card.size, card.background) == (("image", "mask"), (64, 84), 0)
    assert card.mask_classes == ("background", *"0123456789")
    assert card.split_sizes == {"train": 30, "val": 4, "test": 6}
    assert card.title == ("MNIST handwritten digits, 28x28: 2 to 4 on canvases of 64x84, overlapping by up to 15%")
    assert "mask: label + 1 where the pixel is above 127 of 255, 0 elsewhere" in card.notes
    tensors = data.split("train", ("image", "mask")).tensors
    assert set(tensors) == {"image", "mask"}
    assert torch.equal(tensors["mask"] > 0, tensors["image"][:, 0] > 127)
    rows = (tensors["mask"] > 0).sum(2)
    assert rows.max() >= 28  # the baseline's digit is a row that is bright from edge to edge


def test_digits_are_as_before_where_no_mask_is_asked_for(tmp_path):
    write_mnist(tmp_path)
    assert mnist(tmp_path).card(("image", "label")).size == (28, 28)
    assert mnist(tmp_path).card(("image", "label")).fields == ("image", "label")
    assert len(mnist(tmp_path).split("train", ("image", "label"))) == 110


def test_the_docstring_states_the_default_canvases():
    options = MNIST.Options()
    assert "canvases of 64x84 with 2 to 4 digits" in (MNIST.__doc__ or "")
    assert options.canvas_size == (64, 84)
    assert (options.train_canvases, options.val_canvases, options.test_canvases) == (10_000, 1_000, 2_000)
    assert options.canvas_overlap == 0.15


@pytest.mark.slow
def test_a_compressed_file_is_read_as_far_as_its_header_says_and_no_further(tmp_path):
    """256 MiB of zeros behind 16 bytes of header take 260 kB."""
    header = bytes([0, 0, 8, 3]) + struct.pack(">III", 1, 28, 28)
    (tmp_path / "x.gz").write_bytes(gzip.compress(header + bytes(2**28), 9))
    with little_memory(2**26), pytest.raises(api.DataError, match="more bytes of data than the 784"):
        read_idx(tmp_path / "x.gz", 3)
    (tmp_path / "y.gz").write_bytes(
        gzip.compress(header[:4] + struct.pack(">III", 2**32 - 1, 2**32 - 1, 28) + bytes(9))
    )
    with pytest.raises(api.DataError, match="over 1,073,741,824"):
        read_idx(tmp_path / "y.gz", 3)
