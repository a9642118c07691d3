from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from checkpoint_files import rewrite, without_checksums
from conftest import TOY_DECODER, TOY_MODEL
from maecli_plugins.tasks.classify.task import Classify
from safetensors.torch import load_file
from write_data import write_class_folders, write_mixed_folder, write_pictures

from maecli.cli.show.answers import show_next
from maecli.run.open import make_dataset
from maecli.training.loop.stopping import ALARM, Stop
from maecli.training.loop.trainer import Trainer


def tensors(run: Path, file: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / (run / "checkpoints/last").read_text().split()[0] / file)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_directory_holds_everything_that_came_out(pretrained):
    names = {entry.name for entry in pretrained.iterdir()}
    assert names == {
        *("spec.yaml", "environment.json", "summary.json", "metrics.jsonl", "report.html", "splits.csv"),
        *("checkpoints", "evaluation", "pictures", "README.md", ".mae"),
    }
    assert {entry.name for entry in (pretrained / "checkpoints").iterdir()} == {
        *("last", "previous", "best", "step-000004", "step-000008"),
    }
    assert {entry.name for entry in (pretrained / "checkpoints/step-000008").iterdir()} == {
        *("model.safetensors", "state.safetensors"),
    }
    summary = json.loads((pretrained / "summary.json").read_text())
    assert (summary["verb"], summary["task"], summary["dataset"]) == ("pretrain", "reconstruct", "folder")
    assert (summary["steps"], summary["init"]) == (8, "from scratch")
    environment = json.loads((pretrained / "environment.json").read_text())
    assert torch.__version__.startswith(environment["libraries"]["torch"])
    assert {"kind": "dataset", "name": "folder", "package": "maecli", "version": environment["mae"]} in environment[
        "plugins"
    ]


def test_metrics_are_one_line_per_record(pretrained):
    records = [json.loads(line) for line in (pretrained / "metrics.jsonl").read_text().splitlines()]
    losses = [record["step"] for record in records if "train/loss" in record]
    measured = [record["step"] for record in records if "val/mse" in record]
    assert (losses, measured) == ([1, 2, 3, 4, 5, 6, 7, 8], [4, 8])


@pytest.mark.slow
def test_a_spec_repeats_its_run_bit_for_bit(pretrained, tmp_path, mae):
    outcome = mae("pretrain", "--config", pretrained / "spec.yaml", "--out", tmp_path / "other")
    assert outcome.exit_code == 0
    assert same(tensors(pretrained), tensors(tmp_path / "other"))
    assert same(tensors(pretrained, "state.safetensors"), tensors(tmp_path / "other", "state.safetensors"))


@pytest.mark.slow
def test_another_seed_is_another_run(pretrained, tmp_path, mae):
    outcome = mae("pretrain", "--config", pretrained / "spec.yaml", "--out", tmp_path / "other", "--seed", 1)
    assert outcome.exit_code == 0
    assert not same(tensors(pretrained), tensors(tmp_path / "other"))


def test_a_finished_run_is_not_replaced(pretrained, mae):
    before = (pretrained / "summary.json").read_bytes()
    outcome = mae("pretrain", "--config", pretrained / "spec.yaml", "--out", pretrained)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: run directory {pretrained} is not empty; use --extend {pretrained} to train its finished run longer, or "
        "another --out\n"
    )
    assert (pretrained / "summary.json").read_bytes() == before


@pytest.mark.slow
def test_a_finished_run_that_is_resumed_is_said_to_be_finished_and_stays_as_it_is(
    pretrained, tmp_path, mae, monkeypatch
):
    run = shutil.copytree(pretrained, tmp_path / "run")
    before = {path: path.read_bytes() for path in (*run.glob("*.json*"), *run.glob("evaluation/*"))}
    with monkeypatch.context() as patched:
        patched.setattr("maecli.run.together.measure", pytest.fail)
        outcome = mae("pretrain", "--resume", "--out", run)
    assert outcome.exit_code == 0
    assert (
        f"{run} is finished, so nothing is left to do. Pretrained on pictures0 (reconstruct), 8 steps" in outcome.stderr
    )
    assert "Validation masked MSE: " in outcome.stderr
    assert "step" not in outcome.stderr.partition("8 steps")[2]
    assert f"mae pretrain --extend {run} --epochs 4" in outcome.stdout
    assert same(tensors(run), tensors(pretrained))
    assert before == {path: path.read_bytes() for path in before}
    for page in ("report.html", "README.md"):
        (run / page).unlink()
        assert mae("pretrain", "--resume", "--out", run).exit_code == 0
        assert (run / page).is_file(), "a kill before it was written is made up for"
    (run / "evaluation/val.json").unlink()
    outcome = mae("pretrain", "--resume", "--out", run)
    assert f"resuming {run} at step 8 of 8" in outcome.stderr, "what is missing is made up for"
    assert (run / "evaluation/val.json").is_file()


def test_resuming_with_another_spec_shows_the_difference(pretrained, mae):
    outcome = mae("pretrain", "--resume", "--out", pretrained, "--epochs", 3, "--base-lr", 0.5)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: {pretrained} cannot be resumed with another spec: train.base_lr: 0.001 -> 0.5; train.epochs: 2 -> 3\n"
    )


@pytest.mark.slow
def test_a_run_that_an_older_version_began_is_resumed(pretrained, tmp_path, mae):
    """Its spec lacks the keys that are new since, whose defaults are what it was begun with."""
    run = shutil.copytree(pretrained, tmp_path / "run")
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    del spec["task"]["mask"], spec["train"]["beta1"]
    (run / "spec.yaml").write_text(yaml.safe_dump(spec))
    for file in (run / "checkpoints").glob("step-*/model.safetensors"):
        rewrite(file, lambda record: record.update(spec=spec))
    without_checksums(run)
    shutil.rmtree(run / ".mae")
    outcome = mae("pretrain", "--resume", "--out", run, "--mask", "block")
    assert outcome.stderr.endswith("cannot be resumed with another spec: task.mask: random -> block\n")
    outcome = mae("pretrain", "--resume", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert same(tensors(run), tensors(pretrained))


def test_resuming_by_the_other_verb_is_refused(pretrained, mae):
    outcome = mae("finetune", "--resume", "--out", pretrained)
    assert outcome.exit_code == 2
    assert f"{pretrained} is a run of mae pretrain, not of mae finetune" in outcome.stderr


def test_a_run_is_not_resumed_on_other_pictures(pretrained, tmp_path, mae):
    run = shutil.copytree(pretrained, tmp_path / "run")
    write_pictures(tmp_path / "other", 40)
    outcome = mae("pretrain", "--resume", "--out", run, "--root", tmp_path / "other")
    assert outcome.exit_code == 3
    assert f"mae: {run} cannot be resumed: its train split has other samples now" in outcome.stderr
    assert same(tensors(run), tensors(pretrained))


@pytest.mark.slow
def test_resuming_does_not_need_the_weights_that_it_started_from(pictures, pretrained, toy_finetune, tmp_path, mae):
    start = shutil.copytree(pretrained, tmp_path / "start")
    run = tmp_path / "run"
    begun = mae(*toy_finetune, "--init", start, "--out", run)
    assert begun.exit_code == 0, begun.stderr
    before = tensors(run)
    shutil.rmtree(start)
    assert mae("finetune", "--resume", "--out", run).exit_code == 0
    assert same(before, tensors(run))


def test_resume_and_overwrite_exclude_each_other(pretrained, mae):
    outcome = mae("pretrain", "--resume", "--overwrite", "--out", pretrained)
    assert outcome.exit_code == 2
    told = "--resume, like --resume-or-start, keeps the run that is there and --overwrite replaces it; give one of them"
    assert told in outcome.stderr


@pytest.mark.slow
def test_overwriting_replaces_a_run(pretrained, pictures, tmp_path, mae, toy_pretrain):
    run = shutil.copytree(pretrained, tmp_path / "run")
    assert mae("eval", run).exit_code == 0
    (run / "evaluation/mine.txt").write_text("mine")
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--out", run, "--overwrite", "--epochs", 1)
    assert outcome.exit_code == 0
    assert json.loads((run / "summary.json").read_text())["steps"] == 4
    assert not (run / "evaluation/test.json").exists()
    assert not (run / "checkpoints/step-000008").exists()
    assert (run / "evaluation/mine.txt").read_text() == "mine"


def test_overwriting_keeps_the_old_run_when_the_new_one_cannot_start(pretrained, tmp_path, mae, toy_pretrain):
    run = shutil.copytree(pretrained, tmp_path / "run")
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", tmp_path / "none", "--out", run, "--overwrite")
    assert outcome.exit_code == 3
    assert same(tensors(run), tensors(pretrained))


@pytest.mark.slow
def test_an_encoder_is_taken_over_with_its_data_and_model(pretrained, tmp_path, mae):
    out = tmp_path / "run"
    settings = ("--epochs", 1, "--batch-size", 8, "--base-lr", 1e-9, "--set", "train.ema_decay=null", "--workers", 0)
    outcome = mae(
        *("finetune", "--task", "classify", "--init", pretrained, "--out", out, *settings),
        *("--set", "train.min_lr=0", "--set", "train.weight_decay=0", "--set", "trackers=[jsonl]"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert f"encoder from {pretrained}" in outcome.stderr
    assert "tensors matched, 0 adapted, " in outcome.stderr
    spec = yaml.safe_load((out / "spec.yaml").read_text())
    assert (spec["dataset"]["name"], spec["model"]["embed_dim"], spec["model"]["img_size"]) == ("folder", 16, 16)
    before, after = tensors(pretrained), tensors(out)
    for name in before:
        if name.startswith("encoder."):
            torch.testing.assert_close(before[name], after[name], atol=1e-6, rtol=0)


def test_another_image_size_interpolates_positions_and_says_so(pretrained, tmp_path, mae):
    outcome = mae(
        *("finetune", "--task", "classify", "--init", pretrained, "--out", tmp_path / "run", "--dry-run"),
        *("--img-size", 24, "--batch-size", 8, "--workers", 0),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert "1 adapted (pos_embed 4×4 to 6×6)" in " ".join(outcome.stdout.split())


def test_weights_of_another_model_are_refused_with_counts(pretrained, tmp_path, mae):
    outcome = mae(
        *("finetune", "--task", "classify", "--init", pretrained, "--out", tmp_path / "run"),
        *("--set", "model.depth=3", "--batch-size", 8, "--workers", 0),
    )
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: --init {pretrained}/checkpoints/step-000008: 30 of 42 encoder tensors match, 12 do not, 0 are left over "
        "(first: blocks.2.norm1.weight missing instead of 16); use the model of that run, or --init-partial to start "
        "the rest anew\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_mixed_folder_is_pretrained_without_its_broken_files(tmp_path, mae, toy_pretrain):
    mixed = write_mixed_folder(tmp_path / "mixed", 60)
    run = tmp_path / "run"
    data = ("--dataset", "folder", "--root", tmp_path / "mixed", "--out", run, "--epochs", 1)
    outcome = mae(*toy_pretrain, *data, "--json", "--set", "dataset.test_share=0")
    assert outcome.exit_code == 0
    skipped = outcome.json["skipped"]
    known = mixed.broken | mixed.arrays
    assert set(known) <= set(skipped) <= set(known) | set(mixed.truncated)
    for key, reason in skipped.items():
        assert f"left out: {key}: {reason}\n" in outcome.stderr
        assert key in (run / "skipped.csv").read_text()
    assert "broken/empty.jpg" in (run / "report.html").read_text()
    counts = r"read: (\d+) pictures.*; (\d+) of these cannot be decoded; (\d+) files left out in all\n"
    read, undecodable, left_out = map(int, re.search(counts, outcome.stderr).groups())
    assert left_out - undecodable == len(known)
    learnt = json.loads((run / "summary.json").read_text())["train_samples"]
    measured = json.loads((run / "evaluation/val.json").read_text())["num_samples"]
    assert learnt + measured == read - len(set(skipped) - set(known))


def test_strict_refuses_a_folder_with_a_broken_header(tmp_path, mae, toy_pretrain):
    write_pictures(tmp_path / "in", 20)
    (tmp_path / "in/bad.png").touch()
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", tmp_path / "in", "--strict")
    assert outcome.exit_code == 3
    assert outcome.stderr == "mae: bad.png: empty file; mend or remove it, or go without --strict to leave it out\n"
    assert not (tmp_path / "runs").exists()


def test_strict_refuses_a_broken_body(tmp_path, mae, toy_pretrain):
    names = write_pictures(tmp_path / "in", 20, size=(64, 64))
    for name in names:
        (tmp_path / "in" / name).rename(tmp_path / "in" / f"deep-{name}")
    half = tmp_path / "in/deep-007.png"
    half.write_bytes(half.read_bytes()[:5000])
    data = ("--dataset", "folder", "--root", tmp_path / "in", "--epochs", 1, "--set", "dataset.val_share=0")
    outcome = mae(*toy_pretrain, *data, "--strict", "--set", "dataset.test_share=0")
    assert outcome.exit_code == 3
    assert "deep-007.png: truncated file; mend or remove it, or go without --strict" in outcome.stderr


def test_a_dry_run_writes_nothing(pictures, tmp_path, mae, toy_pretrain):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--dry-run", "--json")
    assert outcome.exit_code == 0
    facts = outcome.json
    assert (facts["train_samples"], facts["val_samples"]) == (32, 4)
    assert (facts["steps_per_epoch"], facts["total_steps"]) == (4, 8)
    assert facts["learning_rate"] == pytest.approx(1e-3 * 8 / 256)
    assert facts["out"] == str(tmp_path / f"runs/pretrain-{pictures.name}")
    assert facts["memory_bytes"] > 1e6
    assert facts["parameters"] > facts["encoder_parameters"] > 0
    assert facts["seconds_per_step"] > 0
    assert facts["estimated_time"]
    assert facts["spec"]["train"]["batch_size"] == 8
    assert (facts["sources"]["train.batch_size"], facts["sources"]["compile"]) == ("flag", "default")
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_opens_the_data_that_it_planned_by_once(pictures, tmp_path, mae, monkeypatch):
    made = []
    monkeypatch.setattr("maecli.run.open.make_dataset", lambda *args: made.append(args) or make_dataset(*args))
    data = ("--dataset", "folder", "--root", pictures)
    outcome = mae("pretrain", *TOY_MODEL, *TOY_DECODER, *data, "--time", "5s", "--dry-run")
    assert outcome.exit_code == 0, outcome.stderr
    assert len(made) == 1


def test_a_dry_run_is_a_table_for_people(pictures, mae, toy_pretrain):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--dry-run")
    assert outcome.exit_code == 0
    for word in ("parameters", "total steps", "estimated time"):
        assert word in outcome.stdout
    words = [line.split() for line in outcome.stdout.splitlines()]
    assert ["train.batch_size", "8", "flag"] in words
    assert ["compile", "false", "default"] in words
    assert re.search(r"^memory +[\d.]+ [MG]B *$", outcome.stdout, re.MULTILINE)


def test_a_loss_that_is_no_number_stops_the_run(pictures, tmp_path, mae, toy_finetune):
    run = tmp_path / "run"
    data = ("--dataset", "folder", "--root", pictures, "--out", run)
    outcome = mae(*toy_finetune, *data, "--base-lr", "1e38")
    assert outcome.exit_code == 5
    assert "the loss was not finite at step " in outcome.stderr
    assert "(learning rate " in outcome.stderr
    assert "Likely causes: a learning rate that is too high (lower --base-lr" in outcome.stderr
    assert not (run / "checkpoints/last").exists()
    assert not (run / "summary.json").exists()


def test_a_good_checkpoint_outlives_a_loss_that_is_no_number(pictures, tmp_path, mae, toy_finetune, monkeypatch):
    run = tmp_path / "run"
    loss = Classify.loss

    def spoiled(self, module, batch):
        value = loss(self, module, batch)
        return value * float("nan") if batch.progress >= 5 / 8 else value  # from step 6 on

    monkeypatch.setattr(Classify, "loss", spoiled)
    log = ("--set", "log_every_steps=100")
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--out", run, *log)
    assert outcome.exit_code == 5
    last = run / "checkpoints/step-000004"
    assert f"the loss was not finite at step 6 (learning rate 9.65e-06); the last good checkpoint is {last}" in (
        outcome.stderr
    )
    assert (run / "checkpoints/last").read_text().split()[0] == "step-000004"
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors(run).values())


def test_a_task_of_the_other_verb_is_refused(pictures, mae, toy_finetune):
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--task", "reconstruct")
    assert outcome.exit_code == 2
    assert "task reconstruct is for mae pretrain, not for mae finetune" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--patch-size", "5"), "model vit: "),
        (("--mask-ratio", "0"), "task.mask_ratio is 0.0: input should be greater than 0 (options of reconstruct)"),
        (("--mask-ratio", "1"), "task.mask_ratio is 1.0: input should be less than 1 (options of reconstruct)"),
        (("--mask-ratio", "0.99"), "task.mask_ratio 0.99 hides every patch of 16; it must hide at least one"),
        (("--mask-ratio", "0.01"), "task.mask_ratio 0.01 hides no patch of 16; it must hide at least one"),
        (
            ("--mask", "grid", "--mask-ratio", "0.6"),
            "task.mask_ratio 0.6 cannot be had from a grid mask on 4×4 patches",
        ),
        (("--mask", "blok"), "task.mask is 'blok': input should be 'random', 'grid' or 'block' (options of"),
        (("--img-size", "12x12x12"), "model.img_size [12, 12, 12] must be 2 positive numbers"),
        (("--device", "cuda:99"), "device 'cuda:99' is not on this machine; --device auto takes what is"),
        (("--device", "gpu"), "device 'gpu' is none of auto, cpu, mps, cuda, cuda:N"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_sentence(pictures, tmp_path, mae, toy_pretrain, arguments, words):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, *arguments)
    assert outcome.exit_code == 2
    assert words in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_patch_size_that_does_not_divide_names_both_numbers(pictures, mae, toy_pretrain):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--patch-size", 5)
    assert "16" in outcome.stderr
    assert "5" in outcome.stderr


def test_a_run_directory_under_a_file_is_refused(pictures, tmp_path, mae, toy_pretrain):
    (tmp_path / "file").touch()
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--out", tmp_path / "file/run")
    assert outcome.exit_code == 1
    assert "a part of the path is a file; what was saved before is untouched" in outcome.stderr
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--out", tmp_path / "file")
    assert outcome.exit_code == 2
    assert f"{tmp_path / 'file'} is a file; choose another --out" in outcome.stderr


@pytest.mark.slow
def test_a_spec_file_may_name_the_run_to_resume(pretrained, tmp_path, mae):
    run = shutil.copytree(pretrained, tmp_path / "run")
    spec = yaml.safe_load((run / "spec.yaml").read_text()) | {"out": str(run)}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    outcome = mae("pretrain", "--config", tmp_path / "spec.yaml", "--resume")
    assert outcome.exit_code == 0
    assert f"{run} is finished" in outcome.stderr


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(pictures, tmp_path, mae, toy_pretrain):
    run = tmp_path / "run"
    arguments = (*toy_pretrain, "--dataset", "folder", "--root", pictures, "--out", run, "--epochs", 1)
    assert mae(*arguments).exit_code == 0
    before = tensors(run)
    shutil.rmtree(run / "checkpoints")
    assert mae(*arguments, "--resume").exit_code == 0
    assert same(before, tensors(run))
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]


def test_labels_are_needed_to_classify(tmp_path, mae, toy_finetune):
    write_pictures(tmp_path / "flat", 20)
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", tmp_path / "flat")
    assert outcome.exit_code == 3
    assert "has a label; put the pictures of each class into a folder of their own" in outcome.stderr


def test_a_set_without_validation_samples_is_trained_all_the_same(tmp_path, mae, toy_finetune):
    write_class_folders(tmp_path / "in", num=8)
    data = ("--dataset", "folder", "--root", tmp_path / "in", "--set", "dataset.val_share=0", "--epochs", 1)
    outcome = mae(*toy_finetune, *data, "--out", tmp_path / "run", "--json")
    assert outcome.exit_code == 0
    assert outcome.json["evaluation"] is None
    assert (tmp_path / "run/report.html").exists()


def test_an_interruption_of_the_last_measuring_says_that_the_run_is_saved(
    pictures, tmp_path, mae, toy_finetune, monkeypatch
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments = (*toy_finetune, "--dataset", "folder", "--root", pictures, "--epochs", 1, "--out", tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr("maecli.run.together.measure", interrupted)
        outcome = mae(*arguments)
    assert outcome.exit_code == 130
    assert "mae: saved at step 4, the last; --resume goes on with what follows training\n" in outcome.stderr
    outcome = mae(*arguments, "--resume", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["evaluation"]["split"] == "val"


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (1, "{} has its settings and no trained weights yet, and --resume goes on with it"),
        (6, "{} is saved at step 4, and --resume goes on from there"),
    ],
)
def test_stopping_without_saving_says_what_is_there(pictures, tmp_path, mae, toy_finetune, monkeypatch, step, told):
    train_step, run = Trainer.train_step, tmp_path / "run"

    def interrupted(self, batch):
        if self.step == step:
            raise KeyboardInterrupt
        train_step(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", interrupted)
        outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--out", run)
    assert outcome.exit_code == 130
    assert outcome.stderr.splitlines()[-1] == f"mae: interrupted; {told.format(run)}"
    assert mae("finetune", "--out", run, "--resume").exit_code == 0


def test_a_signal_in_the_last_step_is_heard_after_it(pictures, tmp_path, mae, toy_finetune, monkeypatch):
    train_step = Trainer.train_step

    def and_stop(self, batch):
        train_step(self, batch)
        self.stop.signal = signal.SIGTERM

    monkeypatch.setattr(Trainer, "train_step", and_stop)
    data = ("--dataset", "folder", "--root", pictures, "--batch-size", 32, "--epochs", 1, "--out", tmp_path / "run")
    outcome = mae(*toy_finetune, *data)
    assert outcome.exit_code == 130
    assert "mae: saved at step 1; --resume goes on from there" in outcome.stderr


@pytest.mark.parametrize(
    ("commands", "shown"),
    [
        pytest.param([], [], id="none"),
        pytest.param(
            [("mae infer YOUR-FOLDER --run r", "x"), ("mae b --task TASK", "y")],
            ["infer", "b"],
            id="only-with-words-to-replace",
        ),
        pytest.param(
            [("mae a", "x"), ("mae b YOUR-PICTURES", "y"), ("mae c", "z"), ("mae d", "w")], ["a", "c"], id="first-two"
        ),
        pytest.param([("mae b --root YOUR-PICTURES", "y"), ("mae a", "x")], ["a", "b"], id="one-to-type-as-it-is"),
        pytest.param([("mae eval TASKS/run", "x")], ["eval"], id="a-folder-of-a-like-name"),
    ],
)
def test_what_can_be_typed_as_it_is_comes_first_of_what_follows(commands, shown, capsys):
    show_next(commands)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in told if line.startswith("  mae ")] == shown
    assert told[:2] == (["", "next:"] if shown else [])


def test_the_estimate_of_a_dry_run_counts_validations_and_saves(pictures, mae, toy_pretrain, monkeypatch):
    monkeypatch.setattr("maecli.run.begin.timing._validation_s", lambda _: 100.0)
    monkeypatch.setattr("maecli.run.begin.timing._save_s", lambda _: 1000.0)
    facts = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--dry-run", "--json").json
    steps_s = facts["seconds_per_step"] * facts["total_steps"]
    assert facts["estimated_seconds"] == pytest.approx(3 * 100 + 2 * 1000 + steps_s, abs=5), "two epochs, and the end"


def test_a_time_that_is_up_ends_a_run_well_again_and_again_until_it_is_finished(
    pictures, tmp_path, mae, toy_pretrain, monkeypatch
):
    train_step, run = Trainer.train_step, tmp_path / "run"

    def one_step(self, batch):
        train_step(self, batch)
        self.stop.until = -math.inf

    monkeypatch.setattr(Trainer, "train_step", one_step)
    data = ("--dataset", "folder", "--root", pictures, "--batch-size", 16, "--epochs", 1, "--max-time", "2h", "--json")
    first = mae(*toy_pretrain, *data, "--out", run)
    assert (first.exit_code, first.json["finished"], first.json["evaluation"]) == (0, False, None)
    assert first.json["ending"] == "the time of --max-time is up: saved at step 1 of 2; resume to go on"
    assert not (run / "summary.json").exists()
    monkeypatch.setattr(Trainer, "train_step", train_step)
    last = mae("pretrain", "--out", run, "--resume", "--max-time", "2h", "--json")
    assert (last.exit_code, last.json["finished"]) == (0, True), last.stderr
    assert (run / "summary.json").exists()


def test_a_time_that_is_up_says_how_to_go_on(pictures, tmp_path, mae, toy_pretrain, monkeypatch):
    train_step, run = Trainer.train_step, tmp_path / "run"

    def one_step(self, batch):
        train_step(self, batch)
        self.stop.until = -math.inf

    monkeypatch.setattr(Trainer, "train_step", one_step)
    data = ("--dataset", "folder", "--root", pictures, "--batch-size", 16, "--epochs", 1)
    outcome = mae(*toy_pretrain, *data, "--out", run)
    assert outcome.exit_code == 0
    assert [line for line in outcome.stdout.splitlines() if line] == [
        "the time of --max-time is up: saved at step 1 of 2; resume to go on",
        "next:",
        f"  mae pretrain --resume --out {run}",
        "      go on",
    ]


def test_a_time_that_brings_nothing_is_a_failure(pictures, tmp_path, mae, toy_pretrain, monkeypatch):
    monkeypatch.setattr(Stop, "listen", lambda self, *_: contextlib.nullcontext(setattr(self, "signal", ALARM)))
    data = ("--dataset", "folder", "--root", pictures, "--batch-size", 16, "--out", tmp_path / "run")
    outcome = mae(*toy_pretrain, *data, "--max-time", "2h")
    assert outcome.exit_code == 1
    told = "mae: the time of --max-time was up before a step of training was done; give more time"
    assert outcome.stderr.splitlines()[-1] == told


def test_a_limit_that_is_no_time_is_refused_by_its_name(mae, toy_pretrain):
    outcome = mae(*toy_pretrain, "--max-time", "soon")
    assert outcome.exit_code == 2
    assert "--max-time 'soon' is no time; write 90s, 10m, 1h or 1h30m" in outcome.stderr
