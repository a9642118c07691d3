"""Of many files a sample is compared, all where they are asked to be and were recorded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from maecli_plugins.datasets.folder.dataset import Folder
from resumed_data import READING, one_of, refusal, replace, samples_of

from maecli.data.fingerprint import fingerprint_of
from maecli.run.checkpoint import find_checkpoint

OTHER_TIMES = (
    "files of the data have another time than when the run began, and the same content, as far as 9 of 36 were "
    "compared; --verify-data compares all\n"
)


@pytest.fixture
def many(few_are_read, pictures, toy_pretrain, mae, tmp_path) -> Callable[..., tuple[Path, Path, str]]:
    """Return a function that begins a run whose files are sampled; it returns data, run and a file left out."""

    def begin(*arguments: object) -> tuple[Path, Path, str]:
        data, run = shutil.copytree(pictures, tmp_path / "data"), tmp_path / "run"
        outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", data, "--out", run, *arguments)
        assert outcome.exit_code == 0, outcome.stderr
        train = Folder(Folder.Options(root=data)).split("train")
        taken = fingerprint_of(train, ("image",)).hashes
        assert len(taken) == 5
        return data, run, next(name for name in train.keys if name not in taken)

    return begin


@pytest.mark.slow
def test_of_many_files_a_sample_is_compared_and_that_is_said_where_times_differ(many, resume):
    data, run, left_out = many()
    replace(data / left_out)
    code, said = resume(run)
    assert (code, said.split()[0]) == (0, str(run))
    os.utime(data / left_out, ns=(0, 10**18))
    code, said = resume(run)
    assert code == 0
    assert said.startswith(OTHER_TIMES)
    name = one_of(run, "train")
    replace(data / name)
    assert resume(run) == refusal(run, f"{name} (train) has other content than when the run began")


@pytest.mark.slow
def test_the_size_of_every_file_is_compared_however_many_there_are(many, resume):
    data, run, left_out = many()
    with (data / left_out).open("ab") as file:
        file.write(b"\0")
    assert resume(run) == refusal(run, "files of its train split have other content than when the run began")


@pytest.mark.slow
def test_all_files_are_compared_where_all_were_recorded(many, resume):
    data, run, left_out = many("--verify-data")
    assert "contents" in samples_of(run)["train"]["facts"]
    assert resume(run, "--verify-data")[0] == 0
    replace(data / left_out)
    assert resume(run)[0] == 0
    code, said = refusal(run, f"{left_out} (train) has other content than when the run began")
    assert resume(run, "--verify-data") == (code, READING + said)


@pytest.mark.slow
def test_what_was_recorded_of_all_files_outlives_a_resumption_that_reads_a_few(few_are_read, pictures, stopped, resume):
    run = stopped("--root", pictures, "--verify-data")
    before = samples_of(run)
    assert resume(run)[0] == 0
    assert find_checkpoint(run).step == 8
    assert samples_of(run) == before
    assert resume(run, "--verify-data")[1].startswith(f"{READING}{run} is finished")


def test_verifying_says_when_only_a_sample_was_recorded_and_records_all(few_are_read, pictures, stopped, resume):
    run = stopped("--root", pictures)
    assert "contents" not in samples_of(run)["train"]["facts"]
    code, said = resume(run, "--verify-data")
    assert code == 0
    assert said.startswith(
        f"{READING}this run recorded the contents of 9 of 36 files only, which are the same; from its next checkpoint "
        "on it records all\n"
    )
    assert "contents" in samples_of(run)["train"]["facts"]


def test_a_checkpoint_records_a_few_kilobytes_of_its_data(pretrained):
    assert len(json.dumps(samples_of(pretrained))) < 8000
