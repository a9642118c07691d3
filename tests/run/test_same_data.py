"""Runs that are resumed on data which are, or are not, those that they began with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import rewrite
from installed import look_again, write_package
from maecli_plugins.datasets.folder.dataset import Folder
from maecli_plugins.datasets.mnist import MNIST
from safetensors.torch import load_file
from write_data import VOC_SHOWN, noise, write_mnist, write_palette, write_picture, write_voc

from maecli.data import fingerprint
from maecli.data.fingerprint import fingerprint_of
from maecli.errors import Interrupted
from maecli.run.checkpoint import find_checkpoint
from maecli.training.trainer import Trainer

READING = "reading the contents of all data\n"
OTHER_TIMES = (
    "files of the data have another time than when the run began, and the same content, as far as 9 of 36 were "
    "compared; --verify-data compares all\n"
)


@pytest.fixture
def copied(pictures, pretrained, tmp_path) -> tuple[Path, Path]:
    """Return copies of the pictures, with their times, and of the run that was trained on them."""
    data = shutil.copytree(pictures, tmp_path / "data")
    return data, shutil.copytree(pretrained, tmp_path / "run")


@pytest.fixture
def resume(mae) -> Callable[..., Any]:
    """Return a function that resumes a run and returns its exit code and what it said."""

    def resumed(run: Path, *arguments: object, verb: str = "pretrain") -> tuple[int, str]:
        outcome = mae(verb, "--resume", "--out", run, *arguments)
        return outcome.exit_code, outcome.stderr

    return resumed


@pytest.fixture
def few_are_read(monkeypatch):
    """Let the pictures be too many to read all, and 5 of each split be sampled."""
    monkeypatch.setattr(fingerprint, "ALL_FILES", 3)
    monkeypatch.setattr(fingerprint, "NUM_SAMPLED", 5)


def refusal(run: Path, complaint: str) -> tuple[int, str]:
    sentence = f"mae: {run} cannot be resumed: {complaint}; bring back the data, or begin anew with another --out\n"
    return 2, sentence


def replace(path: Path) -> None:
    """Replace a picture by another one, of the same size in bytes and with the same times."""
    state = path.stat()
    write_picture(path, np.full((8, 8, 3), 77, np.uint8))
    path.write_bytes(path.read_bytes().ljust(state.st_size, b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def flip(path: Path, where: int) -> None:
    """Change a bit of a file, and neither its size nor its times."""
    state, data = path.stat(), bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def record(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the last checkpoint records."""
    rewrite(find_checkpoint(run).path / "model.safetensors", change)


def samples_of(run: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = find_checkpoint(run).metadata()["samples"]
    return recorded


def weights(run: Path) -> dict[str, torch.Tensor]:
    path = find_checkpoint(run).path
    return load_file(path / "model.safetensors") | load_file(path / "state.safetensors")


def one_of(run: Path, split: str) -> str:
    """Return a file whose hash was kept of a split."""
    return next(iter(samples_of(run)[split]["hashes"]))


@pytest.fixture
def stopped(toy_pretrain, mae, tmp_path, monkeypatch) -> Callable[..., Path]:
    """Return a function that begins a run, which ends after its first checkpoint."""

    def begin(*arguments: object) -> Path:
        save, run = Trainer.save, tmp_path / "stopped"

        def save_and_stop(self: Trainer, best: bool = False) -> None:
            save(self, best)
            raise Interrupted("stopped")

        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "save", save_and_stop)
            assert mae(*toy_pretrain, "--dataset", "folder", "--out", run, *arguments).exit_code == 130
        return run

    return begin


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
    assert code == 2
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
        assert said.startswith("resuming ")
    assert resume(run, "--root", data, "--verify-data")[1].startswith(f"{READING}resuming ")


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


ALL_TRAIN = ("--set", "dataset.val_share=0", "--set", "dataset.test_share=0", "--epochs", 1, "--dataset", "folder")


@pytest.fixture
def all_train(pictures, toy_pretrain, mae, tmp_path) -> tuple[Path, Path]:
    """Return a copy of the pictures and a run that has all of them as train."""
    data, run = shutil.copytree(pictures, tmp_path / "data"), tmp_path / "run"
    outcome = mae(*toy_pretrain, *ALL_TRAIN, "--root", data, "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    return data, run


@pytest.mark.slow
def test_new_and_missing_pictures_are_named(all_train, resume):
    data, run = all_train
    for i in range(5, 10):
        (data / f"dog/{i:03d}.png").unlink()
    write_picture(data / "cat/999.png", noise(1, 8, 8, 3))
    complaint = (
        "its train split has other samples now (36 of them) than when the run began: cat/999.png is new and "
        "dog/005.png, dog/006.png, dog/007.png and 2 more are gone"
    )
    assert resume(run) == refusal(run, complaint)


def test_a_new_picture_among_very_many_is_counted(few_are_read, all_train, resume):
    data, run = all_train
    write_picture(data / "dog/new.png", noise(1, 8, 8, 3))
    complaint = "its train split has other samples now (41 of them) than when the run began"
    assert resume(run) == refusal(run, complaint)


@pytest.mark.slow
def test_a_broken_picture_that_was_left_out_does_not_count(copied, mae, toy_pretrain, resume, tmp_path):
    data, run = copied[0], tmp_path / "without"
    broken = data / "dog/007.png"
    broken.write_bytes(broken.read_bytes()[:-30])
    resident = ("--set", "data.loading=resident")
    outcome = mae(*toy_pretrain, *ALL_TRAIN, *resident, "--root", data, "--out", run)
    assert "left out: dog/007.png: " in outcome.stderr
    assert (outcome.exit_code, samples_of(run)["train"]["num_parts"]) == (0, 39)
    broken.unlink()
    code, said = resume(run)
    assert (code, said.split()[0]) == (0, "resuming")
    code, said = resume(run, "--set", "data.loading=streamed")
    assert (code, said.split()[0]) == (0, "resuming")


def test_samples_in_another_order_are_refused(copied, resume):
    data, run = copied

    def turn(metadata: dict[str, Any]) -> None:
        metadata["samples"]["val"]["names"] = "those in another order"

    record(run, turn)
    complaint = "its val split has its samples in another order than when the run began"
    assert resume(run, "--root", data) == refusal(run, complaint)


def test_a_picture_moved_to_another_class_is_another_sample(copied, resume, few_are_read):
    data, run = copied
    name = one_of(run, "train")
    (data / name).rename(data / ("dog" if name.startswith("cat") else "cat") / "999.png")
    code, said = resume(run, "--root", data)
    assert code == 2
    assert "its train split has other samples now" in said


def test_a_picture_that_cannot_be_read_any_more_is_another_set(copied, resume):
    data, run = copied
    name = one_of(run, "train")
    (data / name).unlink()
    (data / name).symlink_to("nowhere")
    code, said = resume(run, "--root", data)
    assert code == 2
    assert "its train split has other samples now (31 of them)" in said


@pytest.mark.slow
def test_links_to_the_same_pictures_are_the_same_data(copied, resume, tmp_path):
    data, run = copied
    linked = tmp_path / "linked"
    for path in data.rglob("*.png"):
        link = linked / path.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    code, said = resume(run, "--root", linked)
    assert (code, said.split()[0]) == (0, "resuming")


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
    assert (code, said.split()[0]) == (0, "resuming")
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
    assert resume(run, "--verify-data")[1].startswith(f"{READING}resuming ")


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


def names_alone(data: Path) -> dict[str, str]:
    """Return what runs recorded before there were fingerprints."""
    folder, recorded = Folder(Folder.Options(root=data)), {}
    for name in ("train", "val"):
        keys = folder.split(name).keys  # type: ignore[arg-type]
        text = "\n".join([str(len(keys)), *keys])
        recorded[name] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return recorded


def test_of_a_run_that_kept_only_names_these_are_compared_and_that_is_said(copied, resume):
    data, run = copied
    record(run, lambda metadata: metadata.update(samples=names_alone(data)))
    replace(data / "cat/000.png")
    code, said = resume(run, "--root", data)
    assert code == 0
    assert said.startswith(
        "this run kept no fingerprint of the contents of its data, so names alone were compared\nresuming "
    )
    for path in data.rglob("*.png"):
        path.rename(path.with_stem(f"x{path.stem}"))
    complaint = "its train split has other samples now (32 of them) than when the run began"
    assert resume(run, "--root", data) == refusal(run, complaint)


@pytest.mark.slow
def test_a_run_that_kept_nothing_goes_on_and_says_so_once(copied, resume):
    data, run = copied
    record(run, lambda metadata: metadata.pop("samples"))
    replace(data / "cat/000.png")
    code, said = resume(run, "--root", data)
    assert code == 0
    assert said.startswith(
        "this run kept no fingerprint of its data, so whether they are the same was not compared\nresuming "
    )


@pytest.mark.slow
@pytest.mark.parametrize("damage", [3, {}, {"version": 1}, [["a"]], {"kind": "files", "names": "a" * 9999}])
def test_a_damaged_fingerprint_is_said_once_and_goes_on(copied, resume, damage):
    data, run = copied
    record(run, lambda metadata: metadata.update(samples={"train": damage, "val": damage}))
    code, said = resume(run, "--root", data)
    assert code == 0
    assert said.startswith(
        "this run's fingerprint of its data cannot be read, so the data were not compared\nresuming "
    )


@pytest.fixture
def labelled(tmp_path, pictures, toy_finetune, mae) -> tuple[Path, Path]:
    """Return a copy of the pictures, with their labels in a table, and a classifier of them."""
    data, run = shutil.copytree(pictures, tmp_path / "data"), tmp_path / "run"
    rows = [f"{kind}/{i:03d}.png,{kind},{'val' if i < 2 else 'train'}" for kind in ("cat", "dog") for i in range(20)]
    (data / "labels.csv").write_text("\n".join(["file,label,split", *rows]) + "\n")
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", data, "--out", run, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr
    return data, run


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize("loading", ["auto", "resident"])
def test_a_label_that_was_edited_is_another_set(labelled, resume, loading):
    data, run = labelled
    name = one_of(run, "train")
    kind = name[:3]
    with (data / "labels.csv").open("a") as file:
        file.write("\n")  # which says nothing else
    assert resume(run, "--set", f"data.loading={loading}", verb="finetune")[0] == 0
    edit(data / "labels.csv", f"{name},{kind}", f"{name},{'dog' if kind == 'cat' else 'cat'}")
    refused = refusal(run, "the label of some samples (train) is not what it was when the run began")
    assert resume(run, "--set", f"data.loading={loading}", verb="finetune") == refused


@pytest.mark.slow
def test_a_class_that_has_another_name_is_another_class(labelled, resume):
    data, run = labelled
    edit(data / "labels.csv", ",dog,", ",dogs,")
    complaint = "class 1 of its data is 'dogs' now, and was 'dog' when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


@pytest.mark.slow
def test_more_classes_are_other_data(labelled, resume):
    data, run = labelled
    edit(data / "labels.csv", "cat/000.png,cat", "cat/000.png,bat")
    complaint = "its data have 3 classes now, and had 2 when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


def test_pretraining_does_not_look_at_labels(copied, resume):
    data, run = copied
    rows = [f"{kind}/{i:03d}.png,{i}" for kind in ("cat", "dog") for i in range(20)]
    before = samples_of(run)
    (data / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    assert "labels" not in before["train"]["facts"]
    assert "label" not in resume(run, "--root", data)[1]


@pytest.fixture
def masked(tmp_path, segmented, mae) -> tuple[Path, Path]:
    """Return a folder with masks and a segmentation run on it."""
    data, run = shutil.copytree(segmented.parent / "data", tmp_path / "data"), tmp_path / "run"
    outcome = mae("finetune", "--config", segmented / "spec.yaml", "--root", data, "--out", run, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr
    return data, run


@pytest.mark.slow
def test_a_mask_that_was_replaced_is_named(masked, resume):
    data, run = masked
    assert resume(run, verb="finetune")[0] == 0
    name = next(name for name in samples_of(run)["train"]["hashes"] if name.startswith("masks/"))
    other = np.zeros((8, 10), np.uint8)
    other[0, 0] = 1
    write_palette(data / name, other)
    assert resume(run, verb="finetune") == refusal(run, f"{name} (train) has other content than when the run began")


@pytest.mark.slow
def test_classes_of_masks_that_were_swapped_are_others(masked, resume):
    data, run = masked
    (data / "classes.txt").write_text("background\ndog\ncat\n")
    complaint = "class 1 of its data is 'dog' now, and was 'cat' when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


@pytest.mark.slow
@pytest.mark.parametrize("lists", [True, False])
def test_labels_of_lists_and_of_annotations_count(tmp_path, mae, toy_finetune, resume, lists):
    year, run = write_voc(tmp_path), tmp_path / "run"
    if not lists:
        for path in year.glob("ImageSets/Main/*_*.txt"):
            path.unlink()
    data = ("--dataset", "voc", "--root", tmp_path, "--out", run, "--epochs", 1, "--batch-size", 2)
    assert mae(*toy_finetune, *data).exit_code == 0
    code, said = resume(run, "--root", year, verb="finetune")
    assert (code, said.split()[0]) == (0, "resuming"), "the same data, by another way"
    key = next(
        key
        for key in (f"2012_{i:06d}" for i in range(12))
        if f"VOC2012/JPEGImages/{key}.jpg" in samples_of(run)["train"]["hashes"]
    )
    shown = VOC_SHOWN[int(key[5:]) % 3]
    if lists:
        edit(year / f"ImageSets/Main/{shown}_train.txt", f"{key}  1", f"{key} -1")
    else:
        edit(year / f"Annotations/{key}.xml", f"<name>{shown}</name>", "<name>bird</name>")
    complaint = "the label of some samples (train) is not what it was when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)


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
    assert (code, said.split()[0]) == (0, "resuming")
    keys = MNIST(MNIST.Options(root=tmp_path / "data")).split("train").keys
    flip(folder / "train-images-idx3-ubyte", 16 + 784 * int(keys[7].removeprefix("train-")) + 3)
    complaint = "the image of some samples (train) is not what it was when the run began"
    assert resume(run, verb="finetune") == refusal(run, complaint)
    write_mnist(folder, suffix="")
    flip(folder / "train-labels-idx1-ubyte", 8 + int(keys[7].removeprefix("train-")))
    code, said = resume(run, verb="finetune")
    assert code == 2
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
    assert (code, said.split()[0]) == (0, "resuming")
    pixels[9, 0, 0] ^= 1
    np.save(data / "all.npy", pixels)
    assert resume(run) == refusal(run, "train-9 (train) has other content than when the run began")


@pytest.mark.slow
def test_a_data_set_that_reads_its_samples_in_another_way_now_goes_on_and_says_so(copied, resume):
    data, run = copied
    record(run, lambda metadata: [each.update(kind="samples") for each in metadata["samples"].values()])
    code, said = resume(run, "--root", data)
    assert code == 0
    words = "the data set reads its samples in another way now, so their names alone were compared\nresuming "
    assert said.startswith(words)


def test_a_checkpoint_records_a_few_kilobytes_of_its_data(pretrained):
    assert len(json.dumps(samples_of(pretrained))) < 8000
