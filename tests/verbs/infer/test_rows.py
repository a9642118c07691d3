"""Every readable picture gets its row, whatever the batches."""

from __future__ import annotations

import json

import pytest
from conftest import TOY_MODEL, TOY_RUN, call
from write_data import (
    noise,
    write_class_folders,
    write_mixed_folder,
    write_picture,
    write_pictures,
)
from written import rows_of, skipped_of

from maecli.loading.streamed import StreamedLoader
from maecli.modalities.pictures.modality import Pictures


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_mixed_folder_gets_a_row_for_every_readable_picture(finetuned, tmp_path, mae, workers):
    mixed = write_mixed_folder(tmp_path / "mixed")
    assert len(mixed) == 200
    out = tmp_path / "out"
    outcome = mae("infer", tmp_path / "mixed", "--run", finetuned, "--out", out, "--workers", workers, "--json")
    assert outcome.exit_code == 3
    broken = mixed.broken | mixed.truncated
    assert outcome.json["predicted"] == len(mixed.readable)
    assert set(outcome.json["skipped"]) == set(broken) | set(mixed.arrays)
    rows = rows_of(out)
    assert sorted(row["path"] for row in rows) == sorted(mixed.readable)
    for row in rows:
        assert list(row) == ["path", "class", "probability", "margin", "p_cat", "p_dog"]
        probabilities = {name: float(row[f"p_{name}"]) for name in ("cat", "dog")}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert row["class"] == max(probabilities, key=lambda name: probabilities[name])
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [{key: str(value) for key, value in line.items()} for line in lines] == rows
    skipped = skipped_of(out)
    assert skipped == outcome.json["skipped"]
    for key, word in broken.items():
        assert word in skipped[key]
    for key in mixed.arrays:
        assert skipped[key] == "has 5 channels where 3 are wanted"
    assert f"{len(skipped)} files could not be read; {out / 'skipped.csv'} says why" in outcome.stderr


def test_one_picture_is_enough(finetuned, pictures, tmp_path, mae):
    outcome = mae("infer", pictures / "cat/003.png", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0
    assert [row["path"] for row in rows_of(tmp_path / "out")] == ["003.png"]


@pytest.mark.slow
def test_batches_do_not_change_a_prediction(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 7)
    found = []
    for size in (1, 3, 64):
        out = tmp_path / f"out{size}"
        settings = ("--workers", 0, "--batch-size", size, "--precision", "float32")
        assert mae("infer", tmp_path / "in", "--run", finetuned, "--out", out, *settings).exit_code == 0
        found.append(
            [(row["path"], row["class"], pytest.approx(float(row["p_cat"]), abs=2e-6)) for row in rows_of(out)]
        )
    assert found[0] == found[1] == found[2]


def test_rows_keep_the_order_of_the_files_when_batches_come_in_another(finetuned, tmp_path, mae, monkeypatch):
    names = write_pictures(tmp_path / "in", 7)
    (tmp_path / "in" / names[4]).write_bytes(b"")
    batches = StreamedLoader.eval_batches

    def by_size(self, batch_size, limit=None, part=(0, 1)):
        first, second, *others = batches(self, batch_size, limit, part)
        yield from (second, first, *reversed(others))

    monkeypatch.setattr(StreamedLoader, "eval_batches", by_size)
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert mae(*arguments, "--batch-size", 2).exit_code == 3
    assert [row["path"] for row in rows_of(tmp_path / "out")] == [name for name in names if name != names[4]]


def test_a_picture_that_vanishes_is_listed(finetuned, tmp_path, mae, monkeypatch):
    write_pictures(tmp_path / "in", 3)
    find = Pictures.open

    def find_and_lose(*arguments):
        files = find(*arguments)
        (tmp_path / "in/001.png").unlink()
        return files

    monkeypatch.setattr(Pictures, "open", find_and_lose)
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 3
    assert skipped_of(tmp_path / "out") == {"001.png": "cannot be opened: no such file or directory"}
    assert len(rows_of(tmp_path / "out")) == 2


def test_pictures_that_are_all_broken_are_all_listed(finetuned, tmp_path, mae):
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / "in" / name, noise(0, 8, 8))
        (tmp_path / "in" / name).write_bytes(b"")
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 3
    assert skipped_of(tmp_path / "out") == {"a.png": "empty file", "b.png": "empty file"}
    assert rows_of(tmp_path / "out") == []


@pytest.fixture(scope="session")
def of_many(tmp_path_factory):
    """Return a classifier of 120 classes."""
    root = tmp_path_factory.mktemp("many")
    names = [f"kind {q}" for q in range(120)]
    write_class_folders(root / "data", names, 2)
    data = ("--dataset", "folder", "--root", root / "data", "--out", root / "run", "--epochs", 1)
    outcome = call("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, *data)
    assert outcome.exit_code == 0, outcome.stderr
    return root / "run"


@pytest.mark.slow
def test_of_many_classes_the_most_likely_are_told_unless_all_are_asked_for(of_many, tmp_path, mae):
    write_pictures(tmp_path / "in", 3)
    arguments = ("infer", tmp_path / "in", "--run", of_many, "--workers", 0, "--out")
    assert mae(*arguments, tmp_path / "few").exit_code == 0
    assert mae(*arguments, tmp_path / "all", "--all-classes").exit_code == 0
    for few, every in zip(rows_of(tmp_path / "few"), rows_of(tmp_path / "all"), strict=True):
        assert list(few)[:6] == ["path", "class", "probability", "margin", "unsure", "class_1"]
        assert list(few)[-2:] == ["class_5", "probability_5"]
        assert (len(few), len(every)) == (5 + 2 * 5, 5 + 120)
        assert few["class"] == few["class_1"] == every["class"]
        probabilities = {name: float(every[f"p_kind {name}"]) for name in range(120)}
        best = sorted(probabilities.values(), reverse=True)[:5]
        assert [float(few[f"probability_{place}"]) for place in range(1, 6)] == best
