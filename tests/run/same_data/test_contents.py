"""Files under the names that a run began with: what counts is their content, not their times or their place."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from resumed_data import READING, one_of, refusal, replace, samples_of, weights
from write_data import noise, write_picture

from maecli.data import fingerprint
from maecli.run.checkpoint import find_checkpoint


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_picture_of_the_same_size_and_time_but_another_content_is_named(copied, resume, split):
    data, run = copied
    name = one_of(run, split)
    replace(data / name)
    before = weights(run)
    assert resume(run, "--root", data) == refusal(run, f"{name} ({split}) has other content than when the run began")
    after = weights(run)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_all_pictures_replaced_under_their_names_are_refused(copied, resume):
    data, run = copied
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        write_picture(path, noise(1000 + number, 8, 8, 3))
    code, said = resume(run, "--root", data)
    assert code == 3
    assert " and 29 more (train) have other content than when the run began; bring back the data" in said


def test_a_change_among_more_files_than_can_be_named_is_said_in_general(copied, resume, monkeypatch):
    data, run = copied
    monkeypatch.setattr(fingerprint, "KEPT_BYTES", 0)
    replace(data / list(samples_of(run)["train"]["hashes"])[1])
    complaint = "files of its train split have other content than when the run began"
    assert resume(run, "--root", data) == refusal(run, complaint)


@pytest.mark.slow
def test_other_times_alone_are_said_and_go_on(copied, resume):
    data, run = copied
    for path in data.rglob("*.png"):
        os.utime(path, ns=(0, 10**18))
    code, said = resume(run, "--root", data)
    assert code == 0
    assert "\nfiles of the data have another time than when the run began, and the same content\n" in f"\n{said}"


@pytest.mark.slow
def test_data_that_did_not_change_are_resumed_without_a_word(copied, resume):
    data, run = copied
    for arguments in ((), ("--root", data), ("--root", os.path.relpath(data))):
        code, said = resume(run, *arguments)
        assert code == 0
        assert said.startswith(f"{run} is finished")
    assert resume(run, "--root", data, "--verify-data")[1].startswith(f"{READING}{run} is finished")


@pytest.mark.slow
def test_data_copied_elsewhere_with_other_times_go_on_to_the_same_bits(copied, pretrained, stopped, resume, tmp_path):
    data, run = copied[0], stopped("--root", copied[0])
    assert find_checkpoint(run).step == 4
    elsewhere = tmp_path / "elsewhere/and deeper"
    shutil.copytree(data, elsewhere, copy_function=shutil.copyfile)
    shutil.rmtree(data)
    code, said = resume(run, "--root", elsewhere)
    assert code == 0, said
    assert "another time than when the run began" in said
    whole, mine = weights(pretrained), weights(run)
    assert whole.keys() == mine.keys()
    assert all(torch.equal(whole[key], mine[key]) for key in whole)


@pytest.mark.slow
def test_links_to_the_same_pictures_are_the_same_data(copied, resume, tmp_path):
    data, run = copied
    linked = tmp_path / "linked"
    for path in data.rglob("*.png"):
        link = linked / path.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    code, said = resume(run, "--root", linked)
    assert code == 0
    assert f"{run} is finished" in said
