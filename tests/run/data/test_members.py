"""A run keeps the members of its splits, whatever is added to its data."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from write_data import noise, write_picture

from maecli.data.views.members import keep_members, members_csv, members_of, read_members
from maecli.errors import DamagedFile, DataError, Interrupted
from maecli.registry import registry
from maecli.run.data.begun import Begun, check_form
from maecli.run.directory import RunDirectory
from maecli.run.open import make_dataset
from maecli.schema import PluginSection
from maecli.training.loop.trainer import Trainer


def folder(root: Path):
    return make_dataset(PluginSection(name="folder", root=str(root)), registry())


def add_pictures(root: Path, num: int = 15) -> None:
    for i in range(num):
        write_picture(root / f"cat/1{i:02d}.png", noise(i, 8, 8, 3))
        write_picture(root / f"dog/1{i:02d}.png", noise(100 + i, 8, 8, 3))


def weights(run: Path) -> bytes:
    with safe_open(RunDirectory(run).checkpoints.current("last").path / "model.safetensors", "np") as file:
        return b"".join(file.get_tensor(name).tobytes() for name in sorted(file.keys()))


@pytest.fixture
def data(pictures, tmp_path) -> Path:
    return shutil.copytree(pictures, tmp_path / "pictures")


@pytest.fixture
def trained(data, finetuned, tmp_path) -> Path:
    return shutil.copytree(finetuned, tmp_path / "finetuned")


def test_a_run_names_the_samples_of_its_splits_in_their_order(pretrained, pictures):
    with (pretrained / "splits.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "split"]
    keys = {name: [key for key, split in rows if split == name] for name in ("train", "val", "test")}
    assert keys == {name: list(folder(pictures).split(name).keys) for name in keys}
    assert "splits.csv" in RunDirectory(pretrained).ledger.paths


def test_members_are_kept_where_files_are_added(data):
    before = {name: list(folder(data).split(name).keys) for name in ("train", "val", "test")}
    members = members_of(folder(data), ("image",))
    add_pictures(data)
    assert list(folder(data).split("test").keys) != before["test"], "the cut itself moves"
    said: list[str] = []
    kept = keep_members(folder(data), members, ("image",), said.append)
    assert {name: list(kept.split(name).keys) for name in before} == before
    assert kept.card().split_sizes == {name: len(keys) for name, keys in before.items()}
    assert kept.card(("image", "label")).class_counts == (16, 16)
    sentence = (
        "the run keeps the splits that it began with: 30 samples that were added since are in none of them; a new run "
        "learns from them, and --root with a folder of them alone measures on them"
    )
    assert said == [sentence]


def test_a_sample_that_another_reading_puts_elsewhere_stays_where_it_was(data):
    members = members_of(folder(data), ("image", "label"))
    rows = [f"{key},{'test' if name == 'train' else 'train'}" for name in ("train", "val") for key in members[name]]
    (data / "labels.csv").write_text("\n".join(["file,split", *rows]))
    kept = keep_members(folder(data), members, ("image", "label"))
    assert {name: list(kept.split(name, ("image", "label")).keys) for name in members} == members
    split = kept.split("train", ("image", "label"))
    assert [split[i]["label"].item() for i in (0, len(split) - 1)] == [0, 1]
    assert split.files(0) == [data / split.keys[0]]


def test_members_that_are_gone_are_named(data):
    members = members_of(folder(data), ("image",))
    (data / members["test"][0]).unlink()
    said: list[str] = []
    kept = keep_members(folder(data), members, ("image",), said.append)
    assert list(kept.split("test").keys) == members["test"][1:]
    first = members["test"][0]
    assert said == [f"samples of the run are gone or cannot be read, and are left out: 1 of test ({first})"]


def test_data_of_which_no_sample_is_the_runs_keep_their_own_splits(data, tmp_path):
    members = members_of(folder(data), ("image",))
    for i in range(10):
        write_picture(tmp_path / f"other/x/{i}.png", noise(i, 8, 8, 3))
    other = folder(tmp_path / "other")
    assert keep_members(other, members, ("image",)) is other


NAMES = ("=1+1.png", "a,b.png", 'quo"te.png', "two\nlines.png", " blank.png", "ü.png", "\udcff.png")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_found_again(tmp_path, name):
    for i in range(9):
        write_picture(tmp_path / f"data/{i}.png", noise(i, 8, 8, 3))
    write_picture(tmp_path / "data" / name, noise(9, 8, 8, 3))
    members = members_of(folder(tmp_path / "data"), ("image",))
    (tmp_path / "splits.csv").write_text("".join(members_csv(members)), newline="")
    write_picture(tmp_path / "data/new.png", noise(10, 8, 8, 3))
    kept = keep_members(folder(tmp_path / "data"), read_members(tmp_path / "splits.csv"), ("image",))
    assert {name: list(kept.split(name).keys) for name in members} == members


def test_published_and_numbered_samples_are_not_recorded(mae, toy_pretrain, tmp_path):
    assert registry().dataset("voc").published_splits
    assert members_of(make_dataset(PluginSection(name="digits"), registry()), ("image",)) is None
    assert mae(*toy_pretrain, "--dataset", "digits", "--epochs", 1, "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    "text",
    ["", "no,table\n", "file,split\na.png\n", "file,split\na.png,training\n", "file,split\n\xff"],
    ids=["empty", "other columns", "a cell", "no split", "not UTF-8"],
)
def test_a_damaged_table_is_refused(tmp_path, text):
    (tmp_path / "splits.csv").write_text(text, encoding="latin-1")
    with pytest.raises(DamagedFile, match=r"splits\.csv is not the table of a run's samples, of the columns file and"):
        read_members(tmp_path / "splits.csv")


@pytest.mark.slow
def test_evaluation_and_probes_are_of_the_samples_that_the_run_began_with(mae, data, trained):
    assert mae("eval", trained, "--root", data).exit_code == 0
    assert mae("eval", trained, "--root", data, "--probe", "knn").exit_code == 0
    before = {path.name: path.read_text() for path in (trained / "evaluation").glob("*.json")}
    add_pictures(data)
    for arguments in ((), ("--probe", "knn")):
        outcome = mae("eval", trained, "--root", data, *arguments)
        assert (outcome.exit_code, "30 samples that were added since are in none" in outcome.stderr) == (0, True)
    assert {path.name: path.read_text() for path in (trained / "evaluation").glob("*.json")} == before


@pytest.mark.slow
def test_a_run_goes_on_with_the_same_bits_after_pictures_were_added(mae, data, toy_finetune, tmp_path, monkeypatch):
    runs = [tmp_path / "whole", tmp_path / "stopped"]
    arguments = (*toy_finetune, "--dataset", "folder", "--root", data, "--epochs", 2)
    assert mae(*arguments, "--out", runs[0]).exit_code == 0
    save = Trainer.save

    def save_and_stop(self: Trainer, best: bool = False) -> None:
        save(self, best)
        raise Interrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "save", save_and_stop)
        assert mae(*arguments, "--out", runs[1]).exit_code == 130
    add_pictures(data)
    outcome = mae(*arguments, "--out", runs[1], "--resume")
    assert outcome.exit_code == 0, outcome.stderr
    assert "30 samples that were added since are in none of them" in outcome.stderr
    assert weights(runs[0]) == weights(runs[1])
    assert (runs[0] / "splits.csv").read_text() == (runs[1] / "splits.csv").read_text()


@pytest.mark.slow
def test_pictures_of_another_form_are_left_out_and_the_run_s_are_read_as_before(mae, data, trained):
    for i in range(60):
        array = np.stack([noise(i + q, 8, 8) for q in range(5)])
        np.save(data / f"cat/1{i:02d}.npy", array)
    outcome = mae("eval", trained, "--root", data)
    assert outcome.exit_code == 0
    assert "has 5 channels where 3 are wanted" in outcome.stderr


def test_samples_of_another_form_are_refused(data):
    card = folder(data).card()
    with pytest.raises(DataError, match="are read as 5 channels of uint8, and those that the run began with as 3"):
        check_form(card.model_copy(update={"channels": 5}), card)


def test_a_run_without_a_table_goes_by_the_data(data, trained, mae):
    (trained / "splits.csv").unlink()
    add_pictures(data)
    outcome = mae("eval", trained, "--root", data)
    assert "that were added since" not in outcome.stderr
    assert outcome.exit_code == 0


def test_what_a_run_began_with_is_kept_by_name(data):
    members = members_of(folder(data), ("image",))
    assert Begun(members, ("image",)).kept(same := folder(data), lambda _: None) is same


@pytest.mark.slow
def test_test_samples_that_pretraining_has_seen_are_counted(mae, data, toy_pretrain, toy_finetune, tmp_path):
    first, folder_of = tmp_path / "first", ("--dataset", "folder", "--root", data)
    assert mae(*toy_pretrain, *folder_of, "--out", first).exit_code == 0
    outcome = mae(*toy_finetune, *folder_of, "--init", first, "--out", tmp_path / "same")
    assert "test samples were among" not in outcome.stderr
    members = read_members(first / "splits.csv")
    seen, unseen = members["train"][:3], members["test"][:2]
    rows = [f"{key},{key.partition('/')[0]},test" for key in (*seen, *unseen)]
    rows += [f"{key},{key.partition('/')[0]}," for key in (*members["train"][3:], *members["val"])]
    (data / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    sentence = f"3 of 5 test samples were among those that {first} was trained on, without their labels: what is"
    outcome = mae(*toy_finetune, *folder_of, "--init", first, "--out", tmp_path / "later")
    assert sentence in outcome.stderr
    checkpoint = RunDirectory(first).checkpoints.current("last").path
    outcome = mae(*toy_finetune, *folder_of, "--init", checkpoint, "--out", tmp_path / "checkpoint")
    assert "3 of 5 test samples were among" in outcome.stderr
    copy = shutil.copytree(data, tmp_path / "copy")
    outcome = mae(*toy_finetune, *folder_of[:3], copy, "--init", first, "--out", tmp_path / "elsewhere")
    assert "test samples were among" not in outcome.stderr, "which are other data, as far as one can tell"
    outer = shutil.copytree(data, tmp_path / "outer" / "labelled").parent
    (outer / "labelled" / "labels.csv").unlink()
    above = tmp_path / "above"
    assert mae(*toy_pretrain, *folder_of[:3], outer, "--out", above).exit_code == 0
    within = (*folder_of[:3], outer / "labelled", "--init", above, "--folds", "2", "--out", tmp_path / "within")
    outcome = mae(*toy_finetune, *within)
    assert "test samples were among" in outcome.stderr, "of a folder in the one that was pretrained on"
