from __future__ import annotations

import json
import shutil

import pytest
from write_data import write_pictures

from maecli.errors import Fault
from maecli.outputs.faults import faults_csv
from maecli.progress import duration
from maecli.registry import registry
from maecli.results import Metric
from maecli.run.directory import RunDirectory
from maecli.run.pages.curves import history, learning_curves
from maecli.run.report import describe_run, next_commands, run_faults, write_run_report

pytestmark = pytest.mark.charts


@pytest.fixture
def run(finetuned, tmp_path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finetuned, tmp_path / "run"))


def test_the_page_of_a_run_stands_alone_and_shows_what_matters(pretrained):
    page = (pretrained / "report.html").read_text(encoding="utf-8")
    for word in ("masked MSE", "mean patch", "data:image/png;base64,", "training loss", "finetune", "embed_dim"):
        assert word in page, word
    assert 'src="http' not in page


def test_metrics_are_read_back_from_the_trackers(run):
    metrics = history(run, registry(), pytest.fail)
    assert [step for step, _ in metrics["train/loss"]] == list(range(1, 9))
    assert [step for step, _ in metrics["val/top1"]] == [4, 8]


@pytest.mark.slow
def test_curves_need_two_points_of_validation():
    def names(logged):
        return [drawing.name for drawing in learning_curves({"run": logged}, "step")]

    losses = {"train/loss": [(1, 2.0), (2, 1.0)]}
    assert names(losses) == ["training loss"]
    assert names(losses | {"val/x": [(1, 0.5)]}) == ["training loss"]
    assert names(losses | {"val/x": [(1, 0.5), (2, 0.6)]}) == ["training loss", "validation x"]
    top1 = Metric(name="x", label="top-1 accuracy", value=0.6, unit="share", baselines={"chance": 0.5})
    (_, curve) = learning_curves({"run": losses | {"val/x": [(1, 0.5), (2, 0.6)]}}, "step", {"x": top1})
    assert (curve.name, curve.caption) == ("validation top-1 accuracy", "Top-1 accuracy on the validation split.")
    assert names({}) == []
    assert names({"train/loss": [(1, -1.0), (2, 0.0)]}) == ["training loss"]


def test_a_run_is_described_by_its_headline(run):
    text = describe_run(run)
    assert text.startswith("Fine-tuned on pictures0 (classify), 8 steps in "), "the name of the folder"
    assert "from scratch. Validation top-1 accuracy: " in text
    (run.path / "summary.json").unlink()
    assert describe_run(run) == "This run is not finished."


def test_the_next_commands_fit_the_verb(run, pretrained):
    assert [command.split()[1] for command, _ in next_commands(run, registry())] == ["eval", "infer"]
    commands = [command for command, _ in next_commands(RunDirectory(pretrained), registry())]
    assert [command.split()[1] for command in commands] == ["eval", "finetune", "infer"]
    assert "--task classify" in commands[1], "the pictures have labels, and no masks"


def test_after_pretraining_without_labels_fine_tuning_on_labelled_ones_is_offered(tmp_path, mae, toy_pretrain):
    write_pictures(tmp_path / "pool", 20)
    run = tmp_path / "run"
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", tmp_path / "pool", "--out", run)
    command = f"mae finetune --init {run} --root YOUR-LABELLED-PICTURES --task classify"
    assert outcome.exit_code == 0, outcome.stderr
    assert command in outcome.stdout
    assert "YOUR-LABELLED-PICTURES" in (run / "report.html").read_text()


def test_a_run_without_a_test_split_is_not_measured_on_it(pictures, tmp_path, mae, toy_finetune):
    data = ("--dataset", "folder", "--root", pictures, "--set", "dataset.test_share=0", "--epochs", 1)
    outcome = mae(*toy_finetune, *data, "--out", tmp_path / "run")
    assert outcome.exit_code == 0
    assert "mae eval" not in outcome.stdout
    assert "mae eval" not in (tmp_path / "run/report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_evaluation_of_the_test_split_comes_first(run, mae):
    outcome = mae("eval", run.path)
    assert outcome.exit_code == 0
    *_, command, does = outcome.stdout.splitlines()
    assert command.split()[:3] == ["mae", "infer", "YOUR-FOLDER"], "test was measured"
    assert does.strip() == "run it on your own files"
    assert "Test top-1 accuracy: " in describe_run(run)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    page = page[page.index("<main") :]  # below the table of contents
    assert page.index(">Test (") < page.index("<details>") < page.index(">Validation (") < page.index(">Training<")


def test_files_left_out_are_listed(run):
    assert run_faults(run) == []
    (run.path / "skipped.csv").write_text("path,reason\nä.png,empty file\n", encoding="utf-8")
    assert run_faults(run) == [Fault("ä.png", "empty file")]
    write_run_report(run, registry(), print)
    assert "ä.png" in (run.path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [b"a,b\n1,2\n", b"", b"\xff\xfe", b'path,reason\n"open', b"path,reason\nx\n", b"\0\0", b"path,reason\na,b,c\n"],
)
@pytest.mark.usefixtures("without_charts")
def test_a_damaged_list_of_files_is_named_on_the_page(run, damage):
    (run.path / "skipped.csv").write_bytes(damage)
    [fault] = run_faults(run)
    assert fault.path == "skipped.csv"
    assert fault.reason in ("is no list of files that were left out", "is not text in UTF-8")
    write_run_report(run, registry(), print)
    assert fault.reason in (run.path / "report.html").read_text(encoding="utf-8")


def test_a_list_of_files_may_hold_any_name(run):
    files = {"=1+1.png": "-x", "a\nb\r.png": "empty", 'a,"b".png': "", "x" * 5000: "too long"}
    text = faults_csv(Fault(*file) for file in files.items())
    (run.path / "skipped.csv").write_text(text, encoding="utf-8", newline="")
    marked = {"'=1+1.png": "'-x"} | {name: reason for name, reason in files.items() if name != "=1+1.png"}
    assert {fault.path: fault.reason for fault in run_faults(run)} == marked


@pytest.mark.parametrize("damage", ['{"verb": 1}', '{"verb": "pretrain", "seconds": "x"}'])
def test_a_damaged_summary_is_told_on_the_page(run, damage):
    (run.path / "summary.json").write_text(damage)
    assert describe_run(run).startswith("What this run said of itself cannot be read: ")


@pytest.mark.slow
def test_a_resumed_runs_time_is_the_sum_of_its_attempts(run, mae):
    before = json.loads((run.path / "summary.json").read_text())["seconds"]
    assert before > 0
    last = run.checkpoints.pointed("last")
    assert last is not None
    trained = last.metadata("state.safetensors")["seconds"]
    assert mae("finetune", "--resume", "--out", run.path).exit_code == 0
    assert json.loads((run.path / "summary.json").read_text())["seconds"] >= round(trained, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
