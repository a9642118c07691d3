from __future__ import annotations

import json
import shutil

import pytest
import torch
from write_data import write_pictures, write_voc

from maecli.data.sample import TensorSplit
from maecli.errors import SpecError
from maecli.loading.resident import ResidentLoader
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.preprocess import Preprocess
from maecli.models.vit import VisionTransformer
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.directory import RunDirectory
from maecli.run.report import describe_run
from maecli.run.restore import restore_encoder
from maecli.training.features import check_tokens, extract
from maecli.training.probes import nearest_neighbours

CPU = torch.device("cpu")
NO_PART = (
    "mae: data.labels '0%' must be a share above 0% and up to 100%, such as 10%, or a number of samples per class, "
    "such as 4\n"
)


@pytest.fixture
def run(pretrained, tmp_path):
    return shutil.copytree(pretrained, tmp_path / "run")


def probe(mae, run, kind, *arguments):
    outcome = mae("eval", run, "--probe", kind, "--json", "--device", "cpu", "--precision", "float32", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.json


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["knn", "linear"])
@pytest.mark.parametrize("source", ["pretrained", "finetuned", "segmented"])
def test_any_run_is_probed_beside_a_random_encoder(request, tmp_path, mae, kind, source):
    run = shutil.copytree(request.getfixturevalue(source), tmp_path / "run")
    before = {file.name: file.read_bytes() for file in (run / "evaluation").iterdir()}
    if source == "segmented":  # its folder has no labels
        outcome = mae("eval", run, "--probe", kind)
        assert outcome.exit_code == 3
        assert "has a label; put the pictures of each class into a folder of their own" in outcome.stderr
        return
    found = probe(mae, run, kind)
    (metric,) = found["metrics"]
    assert list(metric["baselines"]) == ["random encoder", "majority (cat)", "chance"]
    assert metric["baselines"]["chance"] == metric["baselines"]["majority (cat)"] == 0.5
    assert metric["value"] == 1.0, "cats are darker than dogs"
    assert (metric["name"], metric["interval"][1]) == ("top1", 1.0)
    assert (found["split"], found["probe"], found["num_samples"]) == ("test", kind, 4)
    written = json.loads((run / f"evaluation/probe-{kind}-test.json").read_text())
    assert written["metrics"] == found["metrics"]
    for name, data in before.items():
        assert (run / "evaluation" / name).read_bytes() == data


@pytest.mark.slow
def test_the_page_and_the_terminal_show_the_probe_below_what_the_run_was_trained_for(run, mae):
    headline = describe_run(RunDirectory(run))
    outcome = mae("eval", run, "--probe", "knn", "--device", "cpu")
    words = " ".join(outcome.stdout.split())
    assert outcome.exit_code == 0
    for word in ("top-1 accuracy", "random encoder", "kNN: the 20 nearest", "chance 50.00%", "recall of a random"):
        assert word in words
    assert "the probe is fitted to all 32 training samples" in words
    page = (run / "report.html").read_text()
    assert page.index("Validation (") < page.index("Probe knn: test (4 pictures)")
    assert describe_run(RunDirectory(run)) == headline


@pytest.mark.slow
def test_a_linear_probe_says_what_validation_chose(run, mae):
    notes = " ".join(probe(mae, run, "linear")["notes"])
    assert "was chosen on validation alone from 7 between 1e-06 and 1: 1 (random encoder: " in notes
    assert "the weights that seed 0 gives" in notes


@pytest.mark.slow
def test_without_validation_the_penalty_is_said_to_be_fixed(toy_pretrain, pictures, tmp_path, mae):
    data = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run", "--set", "dataset.val_share=0")
    assert mae(*toy_pretrain, *data, "--epochs", 1).exit_code == 0
    notes = probe(mae, tmp_path / "run", "linear")["notes"]
    assert "is 0.001, since there are no validation samples to choose it by" in notes[0]


@pytest.mark.slow
def test_probes_of_one_run_do_not_replace_each_other(run, mae):
    probe(mae, run, "knn", "--labels", "25%")
    probe(mae, run, "knn", "--labels", "1", "--pool", "cls")
    found = probe(mae, run, "knn", "--split", "val")
    assert "probe is fitted to all 32" in found["notes"][1]
    names = {file.name for file in (run / "evaluation").glob("probe-*")}
    assert names == {"probe-knn-25pct-test.json", "probe-knn-cls-1-per-class-test.json", "probe-knn-val.json"}
    notes = json.loads((run / "evaluation/probe-knn-25pct-test.json").read_text())["notes"]
    assert "fitted to 8 of 32 training samples, chosen by seed 0, 4 of each class" in notes[1]


@pytest.mark.slow
def test_a_run_that_learnt_from_few_labels_is_probed_with_these(toy_finetune, pictures, tmp_path, mae):
    data = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run", "--labels", "25%")
    assert mae(*toy_finetune, *data, "--batch-size", 4, "--epochs", 1).exit_code == 0
    assert probe(mae, tmp_path / "run", "knn")["probe"] == "knn-25pct"
    assert probe(mae, tmp_path / "run", "knn", "--labels", "100%")["probe"] == "knn"


@pytest.mark.slow
def test_a_probe_is_the_same_from_call_to_call(run, mae):
    assert probe(mae, run, "linear") == probe(mae, run, "linear")


@pytest.mark.slow
@torch.no_grad()
def test_the_metric_is_that_of_features_made_by_hand(run, pictures, mae):
    loaded = restore_encoder(run, registry(), Progress().say)
    files = StreamedLoader(_folder(run, "train"), loaded.preprocess, CPU, 0, workers=0)
    test = StreamedLoader(_folder(run, "test"), loaded.preprocess, CPU, 0, workers=0)
    made = {}
    for name, loader in (("train", files), ("test", test)):
        (batch,) = loader.eval_batches(64)
        made[name] = loaded.encoder(batch["image"])[:, 1:].mean(1), batch["label"]
    guesses = nearest_neighbours(*made["train"], made["test"][0], 2)
    share = float((guesses == made["test"][1]).double().mean())
    assert probe(mae, run, "knn")["metrics"][0]["value"] == share


def _folder(run, split):
    loaded = restore_encoder(run, registry(), Progress().say)
    dataset = registry().dataset("folder")
    return dataset(dataset.Options.model_validate(loaded.spec.dataset.options)).split(split, ("image", "label"))


def encoder():
    torch.manual_seed(0)
    return VisionTransformer((8, 8), (4, 4), 1, embed_dim=12, depth=2, num_heads=2, drop_path=0.5)


def loader(ids):
    images = torch.randint(0, 256, (10, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = TensorSplit({"image": images[ids], "label": torch.tensor(ids)}, [str(i) for i in ids])
    return ResidentLoader(split, Preprocess((8, 8), 1, (0.0, 255.0), (0.5,), (0.25,)), CPU, 0)


def test_features_do_not_change_from_call_to_call():
    ids = list(range(10))
    first = extract(encoder().train(), loader(ids), 4, torch.float32)
    second = extract(encoder().train(), loader(ids), 4, torch.float32)
    assert torch.equal(first.values, second.values)
    assert (first.values.shape, list(first.keys), first.labels.tolist()) == ((10, 12), [str(i) for i in ids], ids)


@pytest.mark.parametrize("tokens", ["mean", "cls", "patches"])
def test_batches_and_the_order_of_samples_change_no_feature(tokens):
    ids = [3, 1, 4, 9, 5, 2, 6, 0, 8, 7]
    whole = extract(encoder(), loader(list(range(10))), 10, torch.float32, tokens).values
    for size in (1, 3):
        part = extract(encoder(), loader(ids), size, torch.float32, tokens).values
        torch.testing.assert_close(part, whole[ids], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_features_are_pooled_from_the_encoders_tokens():
    module, samples = encoder().eval(), loader([0, 1])
    (batch,) = samples.eval_batches(2)
    tokens = module(batch["image"])  # (2, 1 + 4, 12)
    expected = {"mean": tokens[:, 1:].mean(1), "cls": tokens[:, 0], "patches": tokens[:, 1:]}
    for name, value in expected.items():
        torch.testing.assert_close(extract(module, samples, 2, torch.float32, name).values, value, atol=1e-6, rtol=0)


def test_a_class_token_that_is_not_there_is_refused():
    bare = encoder()
    bare.num_prefix_tokens = 0
    with pytest.raises(SpecError, match="--pool cls needs an encoder with a class token, and this one has none; use m"):
        check_tokens("cls", bare, "--pool")


@pytest.mark.slow
def test_the_random_baseline_has_the_weights_that_the_run_began_with(toy_pretrain, pictures, tmp_path, mae):
    data = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run", "--seed", 3, "--epochs", 1)
    still = ("--base-lr", 1e-30, "--set", "train.weight_decay=0")
    assert mae(*toy_pretrain, *data, *still).exit_code == 0
    loaded = restore_encoder(tmp_path / "run", registry(), Progress().say)
    baseline = loaded.untrained(registry()).state_dict()
    for name, tensor in loaded.encoder.state_dict().items():
        torch.testing.assert_close(tensor, baseline[name], atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--probe", "kn"), "mae: --probe 'kn' is none of knn, linear; did you mean 'knn'?\n"),
        (
            ("--probe", "knn", "--split", "tset"),
            "mae: split 'tset' is none of train, val, test; did you mean 'test'?\n",
        ),
        (
            ("--probe", "knn", "--split", "train"),
            "mae: --probe is fitted to train, where it would find what it has seen; give --split val or test\n",
        ),
        (("--probe", "knn", "--pool", "max"), "mae: --pool 'max' is none of mean, cls\n"),
        (("--probe", "knn", "--labels", "0%"), NO_PART),
        (("--labels", "10%"), "mae: --labels is for --probe: give --probe knn or --probe linear\n"),
        (("--pool", "cls"), "mae: --pool is for --probe: give --probe knn or --probe linear\n"),
    ],
)
def test_what_cannot_be_probed_is_told(run, mae, arguments, words):
    outcome = mae("eval", run, *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr == words


@pytest.mark.slow
def test_pictures_without_labels_cannot_be_probed(toy_pretrain, tmp_path, mae):
    write_pictures(tmp_path / "flat", 20)
    data = ("--dataset", "folder", "--root", tmp_path / "flat", "--out", tmp_path / "run", "--epochs", 1)
    assert mae(*toy_pretrain, *data).exit_code == 0
    outcome = mae("eval", tmp_path / "run", "--probe", "knn")
    assert outcome.exit_code == 3
    assert outcome.stderr.count("\n") == 1
    assert f"no picture in {tmp_path / 'flat'} has a label" in outcome.stderr


@pytest.mark.slow
def test_several_labels_per_sample_are_refused(toy_pretrain, tmp_path, mae):
    write_voc(tmp_path)
    data = ("--dataset", "voc", "--root", tmp_path, "--out", tmp_path / "run", "--epochs", 1, "--batch-size", 2)
    assert mae(*toy_pretrain, *data).exit_code == 0
    outcome = mae("eval", tmp_path / "run", "--probe", "linear")
    assert outcome.exit_code == 3
    assert outcome.stderr == (
        "mae: voc has several labels per sample, and --probe takes one; probe it by mae finetune --freeze --head "
        "linear --init RUN\n"
    )


def test_a_checkpoint_alone_is_refused(run, mae):
    outcome = mae("eval", run / "checkpoints/step-000008", "--probe", "knn")
    assert outcome.exit_code == 2
    assert "is a checkpoint without its run directory; give the run directory to mae eval" in outcome.stderr
