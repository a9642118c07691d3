from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from write_data import write_class_folders, write_palette, write_voc


@pytest.fixture
def run(finetuned, tmp_path):
    return shutil.copytree(finetuned, tmp_path / "run")


@pytest.mark.slow
def test_metrics_are_printed_beside_their_baselines(run, mae):
    outcome = mae("eval", run, "--device", "cpu")
    assert outcome.exit_code == 0
    words = " ".join(outcome.stdout.split())
    for word in ("test, 4 pictures", "top-1 accuracy", "majority (cat) 50.00%", "chance 50.00%", "macro F1"):
        assert word in words
    assert f"report: {run / 'report.html'}" in outcome.stdout
    assert "Test" in (run / "report.html").read_text()


@pytest.mark.slow
def test_json_is_one_object_with_metrics_and_baselines(run, mae):
    outcome = mae("eval", run, "--json", "--device", "cpu")
    found = outcome.json
    assert (found["run"], found["split"], found["num_samples"]) == (str(run), "test", 4)
    assert found["checkpoint"] == str(run / "checkpoints/step-000008")
    assert found["skipped"] == {}
    metrics = {metric["name"]: metric for metric in found["metrics"]}
    assert metrics["top1"]["baselines"] == {"majority (cat)": 0.5, "chance": 0.5}
    assert json.loads((run / "evaluation/test.json").read_text())["metrics"] == found["metrics"]


@pytest.mark.slow
def test_the_validation_split_gets_what_training_measured(run, mae):
    before = json.loads((run / "evaluation/val.json").read_text())
    outcome = mae("eval", run, "--split", "val", "--json", "--device", "cpu", "--precision", "float32")
    assert outcome.json["metrics"] == before["metrics"]


@pytest.mark.slow
def test_the_data_may_have_moved(run, pictures, tmp_path, mae):
    copy = shutil.copytree(pictures, tmp_path / "elsewhere")
    (copy / "cat/000.png").write_bytes(b"")
    outcome = mae("eval", run, "--root", copy, "--json", "--device", "cpu")
    assert outcome.exit_code == 0
    assert outcome.json["skipped"] == {"cat/000.png": "empty file"}


@pytest.mark.slow
def test_samples_that_a_split_drops_are_named(tmp_path, mae, toy_finetune):
    folder = write_voc(tmp_path)
    for path in (folder / "ImageSets/Main").glob("*_*.txt"):
        path.unlink()
    arguments = ("--dataset", "voc", "--root", tmp_path, "--epochs", 1)
    outcome = mae(*toy_finetune, *arguments, "--out", tmp_path / "run")
    assert outcome.exit_code == 0, outcome.stderr
    (folder / "Annotations/2012_000012.xml").write_text("<annotation>")
    outcome = mae("eval", tmp_path / "run", "--json", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    [(key, reason)] = outcome.json["skipped"].items()
    assert key == "VOC2012/JPEGImages/2012_000012.jpg"
    assert "Annotations/2012_000012.xml: is not well-formed XML" in reason
    assert outcome.json["num_samples"] == 4


REFUSED = (
    "mae: the data have a class that the run does not know: 'fox'; it knows 'cat', 'dog'; call them as the run does, "
    "or leave their samples out by mae eval --ignore-unknown-classes\n"
)


@pytest.fixture
def with_foxes(pictures, tmp_path):
    """Return a copy of the pictures with as many foxes as cats."""
    root = shutil.copytree(pictures, tmp_path / "foxes")
    shutil.copytree(root / "cat", root / "fox")
    return root


@pytest.mark.slow
def test_a_class_that_the_run_does_not_know_is_refused_or_left_out(run, with_foxes, mae):
    outcome = mae("eval", run, "--root", with_foxes, "--device", "cpu")
    assert outcome.exit_code == 3
    assert outcome.stderr.endswith(REFUSED)
    assert not (run / "evaluation/test.json").exists()
    outcome = mae("eval", run, "--root", with_foxes, "--json", "--device", "cpu", "--ignore-unknown-classes")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["left_out"] == {"of the class 'fox', which the run does not know": 2}
    assert outcome.json["num_samples"] == 4
    sentence = "Left out: 2 of the class 'fox', which the run does not know."
    assert sentence in outcome.json["notes"]
    assert sentence in outcome.stderr
    assert "20 samples that were added since are in none of them" in outcome.stderr
    assert json.loads((run / "evaluation/test.json").read_text())["left_out"] == outcome.json["left_out"]
    assert "2 of the class &#39;fox&#39;" in (run / "report.html").read_text()


@pytest.mark.slow
def test_classes_are_known_by_name_and_not_by_number(run, pictures, tmp_path, mae):
    before = mae("eval", run, "--json", "--device", "cpu").json
    other = shutil.copytree(pictures, tmp_path / "other")
    rows = [f"{kind}/{i:03d}.png,{label}" for kind, label in (("cat", "cat"), ("dog", "Dog")) for i in range(20)]
    (other / "labels.csv").write_text("\n".join(["file,label", *rows]))
    after = mae("eval", run, "--root", other, "--json", "--device", "cpu").json
    assert after["metrics"] == before["metrics"]
    assert [note for note in after["notes"] if note not in before["notes"]] == [
        "The class 'Dog' of the data is taken for 'dog' of the run.",
        "The data have their classes in another order than the run; they are matched by name.",
    ]


@pytest.mark.slow
def test_a_class_that_the_data_lack_is_refused_or_said(toy_finetune, tmp_path, mae):
    for root, classes in (("all", ("ape", "cat", "dog")), ("few", ("cat", "dog"))):
        write_class_folders(tmp_path / root, classes)
    out = tmp_path / "run"
    assert mae(*toy_finetune, "--dataset", "folder", "--root", tmp_path / "all", "--out", out).exit_code == 0
    refused = mae("eval", out, "--root", tmp_path / "few", "--device", "cpu")
    assert refused.exit_code == 3
    assert "the data lack a class that the run knows: 'ape'" in refused.stderr
    found = mae("eval", out, "--root", tmp_path / "few", "--ignore-unknown-classes", "--json", "--device", "cpu").json
    assert "Of the run's 3 classes, 'ape' is not in the data: no sample says how well it is known." in found["notes"]
    assert [row[:2] for row in found["tables"][0]["rows"]] == [["ape", 0], ["cat", 2], ["dog", 2]]
    [macro_f1] = [metric for metric in found["metrics"] if metric["name"] == "macro_f1"]
    assert macro_f1["note"] == "mean over the classes that occur, 2 of 3"


@pytest.mark.slow
def test_mask_classes_in_another_order_are_measured_alike(segmented, tmp_path, mae):
    run = shutil.copytree(segmented, tmp_path / "run")
    before = mae("eval", run, "--json", "--device", "cpu").json
    other = shutil.copytree(segmented.parent / "data", tmp_path / "other")
    (other / "classes.txt").write_text("dog\nbackground\nfox\ncat\n")
    for path in (other / "masks").iterdir():
        numbers = np.asarray(Image.open(path))
        write_palette(path, np.array([1, 3, 0, *[255] * 253], np.uint8)[numbers])
    arguments = ("eval", run, "--root", other, "--json", "--device", "cpu")
    refused = mae(*arguments)
    assert refused.exit_code == 3
    assert refused.json["error"].endswith("or leave their pixels out by mae eval --ignore-unknown-classes")
    after = mae(*arguments, "--ignore-unknown-classes").json
    assert after["metrics"] == before["metrics"]
    assert after["tables"] == before["tables"]
    assert after["left_out"] == {"pixels of the class 'fox', which the run does not know": 0}


def test_a_probe_ignores_no_classes(run, mae):
    outcome = mae("eval", run, "--probe", "knn", "--ignore-unknown-classes")
    assert (outcome.exit_code, outcome.stderr) == (
        2,
        "mae: --ignore-unknown-classes is for the classes that a run learnt; --probe learns those of the data\n",
    )


def test_data_that_are_gone_are_told(run, tmp_path, mae):
    outcome = mae("eval", run, "--root", tmp_path / "none")
    assert outcome.exit_code == 3
    assert f"{tmp_path / 'none'} is not a folder" in outcome.stderr


@pytest.mark.slow
def test_a_strict_run_is_measured_strictly(pictures, tmp_path, mae, toy_finetune):
    copy, run = shutil.copytree(pictures, tmp_path / "copy"), tmp_path / "run"
    arguments = ("--dataset", "folder", "--root", copy, "--out", run, "--strict", "--epochs", 1)
    assert mae(*toy_finetune, *arguments).exit_code == 0
    (copy / "cat/000.png").write_bytes(b"")
    outcome = mae("eval", run)
    assert outcome.exit_code == 3
    assert "cat/000.png: empty file; mend or remove it, or go without --strict" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--split", "tset"), "split 'tset' is none of train, val, test; did you mean 'test'?"),
        (("--checkpoint", "first"), "checkpoint 'first' is none of last, best"),
    ],
)
def test_unknown_splits_and_checkpoints_are_refused(run, mae, arguments, words):
    outcome = mae("eval", run, *arguments)
    assert outcome.exit_code == 2
    assert words in outcome.stderr


def test_what_is_no_run_is_refused(tmp_path, mae):
    outcome = mae("eval", tmp_path)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(
        f"mae: {tmp_path} is neither a run directory nor a checkpoint: it has no spec.yaml"
    )
    outcome = mae("eval", tmp_path / "none", "--json")
    assert outcome.exit_code == 2
    assert outcome.json == {
        "error": f"{tmp_path / 'none'} does not exist; give a run directory, a checkpoint folder or an exported file",
        "exit_code": 2,
    }


def test_a_checkpoint_alone_is_refused(run, mae):
    outcome = mae("eval", run / "checkpoints/step-000008")
    assert outcome.exit_code == 2
    assert "is a checkpoint without its run directory; give the run directory to mae eval" in outcome.stderr


def test_a_split_without_samples_is_refused(run, tmp_path, mae):
    for name in ("cat", "dog"):
        (tmp_path / "few" / name).mkdir(parents=True)
        shutil.copy(run / "pictures/val-predictions.png", tmp_path / "few" / name / "1.png")
    outcome = mae("eval", run, "--root", tmp_path / "few")
    assert outcome.exit_code == 3
    assert "folder has no test samples with image, label; it has {'train': 2, 'val': 0, 'test': 0}" in outcome.stderr
