"""Data without files of their own for each sample: in memory, and of a stranger's package."""

from __future__ import annotations

import os

import numpy as np
import pytest
from installed import look_again, write_package
from maecli_plugins.datasets.mnist import MNIST
from resumed_data import flip, refusal
from write_data import noise, write_mnist


@pytest.mark.slow
def test_data_in_memory_count_by_their_bytes(tmp_path, mae, toy_finetune, resume):
    folder, run = tmp_path / "data/MNIST/raw", tmp_path / "run"
    write_mnist(folder, suffix="")
    data = ("--dataset", "mnist", "--root", tmp_path / "data", "--out", run, "--epochs", 1, "--img-size", 28)
    outcome = mae(*toy_finetune, *data)
    assert outcome.exit_code == 0, outcome.stderr
    for path in folder.iterdir():
        os.utime(path, ns=(0, 10**18))
    code, said = resume(run, verb="finetune")
    assert (code, said.split()[0]) == (0, str(run))
    keys = MNIST(MNIST.Options(root=tmp_path / "data")).split("train").keys
    flip(folder / "train-images-idx3-ubyte", 16 + 784 * int(keys[7].removeprefix("train-")) + 3)
    complaint = "the image of some samples (train) is not what it was when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)
    write_mnist(folder, suffix="")
    flip(folder / "train-labels-idx1-ubyte", 8 + int(keys[7].removeprefix("train-")))
    code, said = resume(run, verb="finetune")
    assert code == 3
    assert " cannot be resumed: " in said


STRANGER = """
import numpy as np
from maecli import api

class Split(api.Split):
    def __init__(self, root, name):
        self.root, self.name = root, name

    @property
    def keys(self):
        return [f"{self.name}-{i}" for i in range(16 if self.name == "train" else 4)]

    def __getitem__(self, index):
        return {"image": np.load(self.root / "all.npy")[index][None]}

class Stranger(api.Dataset):
    '''Noise in one file.'''

    name = "stranger"

    def card(self, fields=("image",)):
        return api.DataCard(
            name=self.name, title="noise", fields=("image",), channels=1, size=(8, 8), mean=(0.5,), std=(0.25,),
            split_sizes={"train": 16, "val": 4, "test": 4}, split_origin="made up",
        )

    def split(self, name, fields=("image",)):
        return Split(self.root, name)

@api.hookimpl
def mae_datasets():
    return [Stranger]
"""


@pytest.mark.slow
def test_data_sets_of_strangers_that_name_no_files_are_compared_too(site, tmp_path, mae, toy_pretrain, resume):
    write_package(site, "mae-stranger", {"dataset.stranger": "mae_stranger"}, mae_stranger=STRANGER)
    look_again()
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    pixels = noise(0, 16, 8, 8)
    np.save(data / "all.npy", pixels)
    outcome = mae(*toy_pretrain, "--dataset", "stranger", "--root", data, "--out", run, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr
    code, said = resume(run)
    assert (code, said.split()[0]) == (0, str(run))
    pixels[9, 0, 0] ^= 1
    np.save(data / "all.npy", pixels)
    assert resume(run) == refusal(run, "train-9 (train) has other content than when the run began")
