from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from maecli.errors import DamagedFile, MaeError, SpecError
from maecli.results import Counted, Drawing, Evaluation, Metric
from maecli.run.checkpoint import find_checkpoint
from maecli.run.directory import RunDirectory, data_in_words, runs_dir
from maecli.storage.files import temporary_name
from maecli.training.checkpoint import Snapshot

SPEC = {"verb": "pretrain", "seed": 0, "dataset": {"name": "d"}, "task": {"name": "t"}, "model": {"name": "m"}}
OTHER = SPEC | {"verb": "finetune"}


def started(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    run.start(SPEC, overwrite=False)
    return run


def test_runs_go_where_the_environment_says(tmp_path, monkeypatch):
    assert runs_dir() == tmp_path / "runs"
    monkeypatch.setenv("MAE_RUNS", "~/r")
    assert runs_dir() == Path.home() / "r"
    monkeypatch.delenv("MAE_RUNS")
    assert runs_dir() == Path("runs")


@pytest.mark.parametrize("exists", [True, False])
def test_a_run_starts_in_a_new_or_empty_directory_with_its_spec(tmp_path, exists):
    if exists:
        (tmp_path / "run").mkdir()
    run = started(tmp_path / "run")
    assert run.is_run
    assert run.read_spec() == SPEC
    assert {entry.name for entry in run.path.iterdir()} == {".mae", "spec.yaml"}


def test_a_directory_with_a_run_is_refused(tmp_path):
    run = started(tmp_path / "run")
    with pytest.raises(SpecError) as caught:
        run.start(OTHER, overwrite=False)
    assert str(caught.value) == f"run directory {run} is not empty; use --resume to go on, or another --out"
    assert run.read_spec() == SPEC


def test_overwriting_removes_what_the_run_wrote_and_nothing_else(tmp_path):
    run = started(tmp_path / "run")
    run.write("metrics.jsonl", "")
    run.checkpoints.save(Snapshot(1, {"w": torch.zeros(1)}, {}), best=True)
    for name in ("notes.txt", "checkpoints/mine.txt", "pictures/cat.png"):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text("mine")
    run.start(OTHER, overwrite=True)
    assert run.read_spec() == OTHER
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert files == {".mae/ledger", "spec.yaml", "notes.txt", "checkpoints/mine.txt", "pictures/cat.png"}


@pytest.mark.parametrize("text", [None, "a: b\n", "verb: deploy\n", "- verb\n", "{", b"\xff"])
def test_a_folder_that_holds_no_run_is_left_alone(tmp_path, text):
    (tmp_path / "thesis.tex").write_text("years")
    if text is not None:
        (tmp_path / "spec.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SpecError) as caught:
        RunDirectory(tmp_path).start(SPEC, overwrite=False)
    assert str(caught.value) == f"{tmp_path} is not empty and holds no run of mae, so it stays; use another --out"
    if text is not None:
        with pytest.raises(SpecError, match=r"spec\.yaml was not written by mae and has the name of what a run writes"):
            RunDirectory(tmp_path).start(SPEC, overwrite=True)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    else:
        RunDirectory(tmp_path).start(SPEC, overwrite=True)
        assert {entry.name for entry in tmp_path.iterdir()} == {".mae", "spec.yaml", "thesis.tex"}
        assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_run_of_before_there_were_marks_is_not_overwritten(tmp_path):
    run = started(tmp_path / "run")
    shutil.rmtree(run.path / ".mae")
    with pytest.raises(SpecError) as caught:
        run.start(OTHER, overwrite=True)
    assert str(caught.value) == (
        f"{run} holds a run without a ledger of what mae wrote, as older versions kept none, so --overwrite removes "
        "nothing there; remove its spec.yaml and what its trackers wrote by hand, or use another --out"
    )
    run.adopt()
    with pytest.raises(SpecError, match="a run without a ledger of what mae wrote"):
        run.start(OTHER, overwrite=True)
    assert run.read_spec() == SPEC


@pytest.mark.parametrize("inside", ["", "checkpoints/step-000001"])
def test_what_the_new_run_needs_is_not_removed_to_make_room_for_it(tmp_path, inside):
    run = started(tmp_path / "run")
    (tmp_path / "link").symlink_to(run.path)
    with pytest.raises(SpecError) as caught:
        run.start(OTHER, overwrite=True, needed={"--init": tmp_path / "link" / inside})
    assert str(caught.value) == (
        f"--init {tmp_path / 'link' / inside} lies in --out {run}, where --overwrite removes what mae wrote; use "
        "another --out"
    )
    run.start(OTHER, overwrite=True, needed={"--root": tmp_path})


def test_overwriting_does_not_follow_links(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/last").write_text("mine")
    run = started(tmp_path / "run")
    run.ledger.claim("checkpoints/", "checkpoints/last")
    (run.path / "checkpoints").symlink_to(tmp_path / "precious")
    with pytest.raises(SpecError, match="run/checkpoints is a link to elsewhere, where --overwrite removes nothing"):
        run.start(OTHER, overwrite=True)
    run.ledger.remove()
    assert (tmp_path / "precious/last").read_text() == "mine"


def test_a_kill_while_the_first_spec_was_written_leaves_no_obstacle(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.ledger.begin()
    run.ledger.claim("spec.yaml")
    temporary_name(run.path / "spec.yaml").write_text("verb: pre")
    run.start(SPEC, overwrite=False)
    assert {entry.name for entry in run.path.iterdir()} == {".mae", "spec.yaml"}


def test_a_kill_while_a_run_was_overwritten_leaves_a_run(tmp_path, monkeypatch):
    run = started(tmp_path / "run")
    run.write("metrics.jsonl", "")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            run.start(OTHER, overwrite=True)
    assert RunDirectory(run.path).is_run
    run.start(OTHER, overwrite=True)
    assert not (run.path / "metrics.jsonl").exists()


def test_a_file_is_no_run_directory(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(SpecError, match="run is a file; choose another --out"):
        RunDirectory(tmp_path / "run").start(SPEC, overwrite=True)


def test_a_directory_without_a_spec_says_so(tmp_path):
    with pytest.raises(SpecError, match=r"is not a run directory: it has no spec\.yaml"):
        RunDirectory(tmp_path).read_spec()
    (tmp_path / "spec.yaml").write_text("{")
    with pytest.raises(DamagedFile, match=r"spec\.yaml is not valid YAML"):
        RunDirectory(tmp_path).read_spec()


def test_an_evaluation_is_read_back_with_its_drawings(tmp_path):
    run = started(tmp_path / "run")
    metric = Metric(name="top1", label="accuracy", value=0.5, baselines={"chance": 0.1})
    picture = Drawing(name="matrix", caption="A matrix.", png=b"png")
    evaluation = Evaluation(split="test", num_samples=3, metrics=(metric,), drawings=(picture,))
    run.write_evaluation(evaluation)
    assert list(run.evaluations(print)) == [evaluation]
    assert (run.path / "pictures/test-matrix.png").read_bytes() == b"png"
    record = json.loads((run.path / "evaluation/test.json").read_text())
    assert [(each["name"], each["caption"]) for each in record["drawings"]] == [("matrix", "A matrix.")]


def test_a_picture_of_another_evaluation_is_not_shown_with_this_one(tmp_path):
    run = started(tmp_path / "run")
    metric = Metric(name="top1", label="accuracy", value=0.5, baselines={"chance": 0.1})
    picture = Drawing(name="matrix", caption="A matrix.", png=b"png")
    run.write_evaluation(Evaluation(split="test", num_samples=3, metrics=(metric,), drawings=(picture,)))
    (run.path / "pictures/test-matrix.png").write_bytes(b"of a later one that was killed")
    said: list[str] = []
    assert [evaluation.drawings for evaluation in run.evaluations(said.append)] == [()]
    assert said == [
        f"left out: a drawing of {run.path / 'evaluation/test.json'} is not there or belongs to another evaluation"
    ]


def test_what_was_counted_of_each_sample_lies_beside_the_metrics(tmp_path):
    run = started(tmp_path / "run")
    metric = Metric(name="top1", label="accuracy", value=0.5, baselines={"chance": 0.1})
    evaluation = Evaluation(split="test", num_samples=3, metrics=(metric,))
    counted = Counted(samples="ab", tensors=b"tensors")
    run.write_evaluation(evaluation.model_copy(update={"counted": counted}))
    assert list(run.evaluations(print)) == [evaluation]
    assert run.counted("test") == counted
    (run.path / "evaluation/test.safetensors").write_bytes(b"of another evaluation")
    assert run.counted("test") is None
    assert run.counted("val") is None


def checkpoint(run: RunDirectory, step: int) -> Path:
    folder = run.checkpoints.path / f"step-{step:06d}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    return folder


def test_a_checkpoint_is_found_by_run_folder_or_file(tmp_path):
    run = started(tmp_path / "run")
    first, second = checkpoint(run, 1), checkpoint(run, 2)
    (run.checkpoints.path / "best").write_text(f"{first.name}\n")
    (run.checkpoints.path / "last").write_text(f"{second.name}\n")
    assert find_checkpoint(run.path).path == second
    assert find_checkpoint(run.path, "best").path == first
    assert find_checkpoint(first).path == first
    assert find_checkpoint(first / "model.safetensors").path == first


def test_what_is_no_checkpoint_is_told(tmp_path):
    run = started(tmp_path / "run")
    with pytest.raises(SpecError, match=r"none does not exist; give a run directory or a checkpoint folder"):
        find_checkpoint(tmp_path / "none")
    with pytest.raises(
        SpecError, match=r"is neither a run directory nor a checkpoint: it has no spec\.yaml and no model"
    ):
        find_checkpoint(tmp_path)
    for name in ("hf/model.safetensors", "hf/config.json", "weights.safetensors"):  # as mae export writes them
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("hf", "hf/model.safetensors", "weights.safetensors"):
        with pytest.raises(SpecError, match=r"holds weights without a run of mae; .* start from them by --init"):
            find_checkpoint(tmp_path / name)
    with pytest.raises(MaeError, match="run has no last checkpoint yet"):
        find_checkpoint(run.path)
    with pytest.raises(SpecError, match="checkpoint 'bst' is none of last, best; did you mean 'best'"):
        find_checkpoint(run.path, "bst")


@pytest.mark.parametrize(
    ("dataset", "paths", "words"),
    [
        ({"name": "digits"}, [], "data set digits"),
        ({"name": "folder", "root": "/data/cats"}, [], "/data/cats (data set folder)"),
        (
            {"name": "folder", "root": "cats"},
            [{"key": "dataset.root", "given": "cats", "resolved": "/data/cats"}],
            "/data/cats (data set folder)",
        ),
    ],
    ids=["no-root", "full", "resolved"],
)
def test_the_data_of_a_run_are_told_by_where_they_were_when_it_began(tmp_path, dataset, paths, words):
    spec = {"verb": "finetune", "dataset": dataset, "task": {"name": "t"}, "model": {"name": "m"}, "paths": paths}
    run = RunDirectory(tmp_path / "run")
    run.start(spec, overwrite=False)
    assert data_in_words(run) == words
    (tmp_path / "run/spec.yaml").write_text("nothing")
    assert data_in_words(run) == "unknown data, since its spec is damaged"
