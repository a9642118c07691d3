"""Pictures for which a model of finite weights answers NaN: they are left out, and nothing else is."""

from __future__ import annotations

import json
import shutil

import cards
import numpy as np
import pytest
import torch
from conftest import TOY_DECODER, TOY_MODEL, TOY_RUN, call
from maecli_plugins.tasks.classify.task import Classify
from maecli_plugins.tasks.reconstruct.task import Reconstruct
from maecli_plugins.tasks.segment.task import Segment
from written import csv_rows

import maecli
from maecli import api
from maecli.errors import DataError, Fault
from maecli.run.inference.answers import predict
from maecli.training.finite import NOT_FINITE, TOO_LARGE, OutputWatch, try_samples

pytestmark = pytest.mark.charts

HUGE = 3e38


def write_floats(folder, num, bad=(), level=0.5):
    """Write pictures 000.npy, …, of values around a level; the `bad` ones hold a value near float32's end."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(num):
        pixels = (level + np.random.default_rng(i).random((8, 8, 3)) / 10).astype(np.float32)
        if i in bad:
            pixels[2, 2] = HUGE
        np.save(folder / f"{i:03d}.npy", pixels)


@pytest.fixture(scope="module")
def floats(tmp_path_factory):
    root = tmp_path_factory.mktemp("floats")
    write_floats(root / "cat", 20, level=0.1)
    write_floats(root / "dog", 20, level=0.9)
    return root


@pytest.fixture(scope="module")
def runs(floats, tmp_path_factory):
    """Return finished runs on pictures of floats, by task. Not to be changed."""
    out = tmp_path_factory.mktemp("runs")
    data = ("--dataset", "folder", "--root", floats, "--epochs", 1)
    fine = call("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, *data, "--out", out / "classify")
    pre = call("pretrain", *TOY_MODEL, *TOY_DECODER, *TOY_RUN, *data, "--out", out / "reconstruct")
    assert (fine.exit_code, pre.exit_code) == (0, 0)
    return {name: out / name for name in ("classify", "reconstruct")}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "reconstruct"])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_inference_lists_such_pictures_and_predicts_the_others(runs, tmp_path, mae, task, batch_size):
    write_floats(tmp_path / "in", 5, bad=(1, 3))
    (tmp_path / "in/zero.npy").write_bytes(b"")
    out = tmp_path / "out"
    settings = ("--run", runs[task], "--workers", 0, "--batch-size", batch_size)
    outcome = mae("infer", tmp_path / "in", *settings, "--out", out, "--json")
    assert outcome.exit_code == 3
    expected = {"001.npy": NOT_FINITE, "003.npy": NOT_FINITE, "zero.npy": "empty file"}
    skipped = outcome.json["skipped"]
    assert skipped == {row["path"]: row["reason"] for row in csv_rows(out / "skipped.csv")}
    assert {key: reason.removesuffix(": masked_mse is inf") for key, reason in skipped.items()} == expected
    assert outcome.stderr.endswith(f"mae: 3 files were left out; {out / 'skipped.csv'} says why\n")
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == ["000.npy", "002.npy", "004.npy"]
    assert "NaN" not in (out / "predictions.jsonl").read_text()
    for line in lines:
        alone = tmp_path / line["path"]
        assert mae("infer", tmp_path / "in" / line["path"], *settings, "--out", alone).exit_code == 0
        (row,) = [json.loads(text) for text in (alone / "predictions.jsonl").read_text().splitlines()]
        assert row.keys() == line.keys()
        if task == "classify":
            assert row["p_cat"] == pytest.approx(line["p_cat"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", ["mean", "patches"])
def test_such_pictures_have_no_features(runs, tmp_path, mae, tokens):
    write_floats(tmp_path / "in", 4, bad=(0,))
    out = tmp_path / "f.npy"
    settings = ("--run", runs["reconstruct"], "--workers", 0, "--tokens", tokens, "--out", out)
    outcome = mae("embed", tmp_path / "in", *settings, "--json")
    assert outcome.exit_code == 3
    assert outcome.json["skipped"] == {"000.npy": NOT_FINITE}
    assert (len(np.load(out)), bool(np.isfinite(np.load(out)).all())) == (3, True)
    assert [row["path"] for row in csv_rows(tmp_path / "f.npy.csv")] == ["001.npy", "002.npy", "003.npy"]
    refused = mae("embed", tmp_path / "in/000.npy", *settings, "--overwrite")
    assert refused.exit_code == 3
    assert refused.stderr.endswith(
        "mae: none of the samples can be read and gives finite features, so there are no features\n"
    )


@pytest.fixture
def damaged(floats, tmp_path):
    """Return the data with a few pictures of each class that are out of all range."""
    root = shutil.copytree(floats, tmp_path / "damaged")
    for name in ("cat", "dog"):
        write_floats(root / name, 6, bad=(0, 1, 2, 3, 4, 5))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "reconstruct"])
@pytest.mark.parametrize("probe", [(), ("--probe", "knn")])
def test_metrics_are_of_the_samples_with_finite_outputs(runs, damaged, tmp_path, mae, task, probe):
    run = shutil.copytree(runs[task], tmp_path / "run")
    arguments = ("eval", run, "--json", "--device", "cpu", *(probe or ("--split", "train")))
    whole = mae(*arguments).json
    outcome = mae(*arguments, "--root", damaged)
    assert outcome.exit_code == 0, outcome.stderr
    found, skipped = outcome.json, outcome.json["skipped"]
    assert all(reason.startswith((NOT_FINITE, TOO_LARGE)) for reason in skipped.values())
    assert set(skipped) <= {f"{name}/00{i}.npy" for name in ("cat", "dog") for i in range(6)}
    if not probe:
        assert 0 < found["num_samples"] == whole["num_samples"] - len(skipped)
    numbers = [number for metric in found["metrics"] for number in (metric["value"], *metric["baselines"].values())]
    assert np.isfinite(numbers).all()
    assert all(f"left out: {key}: {reason}" in " ".join(outcome.stderr.split()) for key, reason in skipped.items())


def test_nothing_is_measured_where_no_output_is_finite(runs, damaged, tmp_path, mae):
    run = shutil.copytree(runs["classify"], tmp_path / "run")
    for name in ("cat", "dog"):
        write_floats(damaged / name, 20, bad=range(20))
    outcome = mae("eval", run, "--root", damaged, "--device", "cpu")
    assert outcome.exit_code == 3
    assert "is not finite for any of the 4 samples that can be read, so there is nothing to measure" in outcome.stderr
    refused = mae("eval", run, "--root", damaged, "--device", "cpu", "--probe", "linear")
    assert refused.exit_code == 3
    assert "train samples can be read and gives finite features, so --probe has nothing" in refused.stderr


def test_preprocessing_names_a_picture_that_overflows(runs):
    encoder = maecli.load_encoder(runs["reconstruct"])
    fine = np.full((8, 8, 3), 0.5, np.float32)
    assert bool(encoder.preprocess([fine, fine]).isfinite().all())
    with pytest.raises(DataError, match="a sample holds values too large to be normalised"):
        encoder.preprocess([fine, np.full((8, 8, 3), HUGE, np.float32)])


SIZE = (8, 8)
CARD = cards.card(
    fields=("image", "label", "mask"),
    size=SIZE,
    mean=(0.5,),
    std=(0.5,),
    classes=("cat", "dog"),
    class_counts=(1, 1),
    mask_classes=("background", "cat"),
    mask_palette=api.pictures.class_palette(2),
    background=0,
    split_sizes={"train": 2},
)


@pytest.mark.slow
@pytest.mark.parametrize("task", [Classify, Reconstruct, Segment])
@torch.no_grad()
def test_every_task_leaves_out_the_sample_and_no_other(task):
    job = task(task.Options(), CARD, api.Preprocess.of(CARD, SIZE))
    torch.manual_seed(0)
    module = job.build(api.nets.VisionTransformer(SIZE, (4, 4), 1, 12, 1, 2)).eval()
    image = torch.zeros(3, 1, *SIZE)
    image[1, 0, 2:6] = HUGE
    batch = api.Batch({"image": image}, api.Draws(0, -1, torch.arange(3)), ["a", "b", "c"])
    with OutputWatch(module) as watch:
        made, faults = try_samples(watch, batch, lambda part: predict(job, module, part))
    assert list(faults) == [1]
    assert faults[1].path == "b"
    assert faults[1].reason.startswith(NOT_FINITE)
    assert [part.keys for part, _ in made] == [["a"], ["c"]]


def test_a_row_that_is_no_number_is_left_out_though_the_module_is_finite():
    class Stranger(Classify):
        def predict(self, module, batch):
            return [api.Prediction({"score": float(value)}) for value in batch["image"].amax((1, 2, 3)).square()]

    job = Stranger(Stranger.Options(), CARD, api.Preprocess.of(CARD, SIZE))
    batch = api.Batch({"image": torch.ones(2, 1, *SIZE)}, api.Draws(0, -1, torch.arange(2)), ["a", "b"])
    batch["image"][1] = 1e30
    with OutputWatch(torch.nn.Identity()) as watch:
        made, faults = try_samples(watch, batch, lambda part: predict(job, torch.nn.Identity(), part))
    assert faults == {1: Fault("b", f"{NOT_FINITE}: score is inf")}
    assert len(made) == 1
