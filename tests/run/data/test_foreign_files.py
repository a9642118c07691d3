"""Nothing of a person's is lost: every verb that writes, let loose on a folder of someone's files."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from write_data import write_pictures
from written import contents

from maecli.data.files.finding import find_files
from maecli.errors import MaeError
from maecli.modalities.pictures.finding import find_pictures
from maecli.outputs.folder import new_outputs

NAMES = (
    *("notes.txt", "report.html", "spec.yaml", "sweep.yaml", "eda.json", "metrics.jsonl", "predictions.csv"),
    *("predictions.jsonl", "checkpoints/last", "checkpoints/step-000001/model.safetensors", "pictures/cat.png"),
    *("files/cat.png", "evaluation/test.json", "pretrain/thesis.tex", "infer.json", "results.json", "features.npy"),
)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a folder of someone's, whose files have the names of ours."""
    for name in NAMES:
        file = tmp_path / "theirs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"verb: pretrain\n# my own {name}\n")
    return tmp_path / "theirs"


def commands(tmp_path: Path, pretrained: Path, pictures: Path, out: Path) -> dict[str, tuple[object, ...]]:
    data = ("--dataset", "folder", "--root", pictures)
    return {
        "pretrain": ("pretrain", *data, "--out", out),
        "finetune": ("finetune", *data, "--task", "classify", "--out", out),
        "sweep": ("sweep", *data, "--grid", "mask_ratio=0.5,0.75", "--out", out),
        "eda": ("eda", *data, "--out", out),
        "demo": ("demo", "--out", out),
        "infer": ("infer", pictures, "--run", pretrained, "--out", out),
        "embed": ("embed", pictures, "--run", pretrained, "--out", out / "features.npy"),
        "runs": ("runs", pretrained, pretrained, "--out", out / "report.html"),
        "results": ("results", pretrained, "--out", out / "results.md"),
        "plugins new": ("plugins", "new", "mae-whatever", "--dataset", "whatever", "--out", out),
    }


VERBS = list(commands(Path(), Path(), Path(), Path()))
CAN = {"--overwrite": {"pretrain", "finetune", "sweep", "eda", "demo", "infer", "embed"}, "--resume": {"sweep"}}


@pytest.mark.parametrize(
    ("verb", "flag"),
    [(verb, flag) for verb in VERBS for flag in ("", *CAN) if not flag or verb in CAN[flag]],
)
def test_a_folder_of_someones_files_is_as_it_was(theirs, tmp_path, pretrained, pictures, mae, verb, flag):
    before = contents(theirs, ledger=True)
    outcome = mae(*commands(tmp_path, pretrained, pictures, theirs)[verb], *([flag] if flag else []))
    assert outcome.exit_code in (1, 2), outcome.stderr
    assert contents(theirs, ledger=True) == before
    assert "--overwrite" not in outcome.stderr.replace("so --overwrite removes nothing there", "")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["pretrain", "finetune"])
def test_a_run_is_written_beside_files_that_are_not_in_its_way(
    tmp_path, pictures, mae, toy_pretrain, toy_finetune, verb
):
    out = tmp_path / "project"
    (out / "pictures").mkdir(parents=True)
    (out / "notes.txt").write_text("mine")
    (out / "pictures/cat.png").write_text("mine")
    told = (*(toy_pretrain if verb == "pretrain" else toy_finetune), "--dataset", "folder", "--root", pictures)
    assert mae(*told, "--out", out).exit_code == 2
    for _ in range(2):
        outcome = mae(*told, "--out", out, "--overwrite", "--epochs", 1)
        assert outcome.exit_code == 0, outcome.stderr
        assert (out / "summary.json").exists()
        assert (out / "notes.txt").read_text() == (out / "pictures/cat.png").read_text() == "mine"
    assert find_files(out) == ["notes.txt", "pictures/cat.png"]


def test_data_that_lie_in_the_output_are_kept(tmp_path, pictures, mae, toy_pretrain):
    project = tmp_path / "project"
    shutil.copytree(pictures, project / "data")
    before = contents(project, ledger=True)
    for out, root in ((project, project / "data"), (project, project), (project / "data", project / "data/cat")):
        outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", root, "--out", out, "--overwrite")
        assert outcome.exit_code == 2
        assert f"--root {root} lies in --out {out}, where --overwrite removes what mae wrote" in outcome.stderr
        assert contents(project, ledger=True) == before


def test_a_run_does_not_replace_the_one_that_it_starts_from(tmp_path, pretrained, mae, toy_finetune):
    start = shutil.copytree(pretrained, tmp_path / "start")
    before = contents(start, ledger=True)
    for init in (start, start / "checkpoints/step-000008", start / "checkpoints/step-000008/model.safetensors"):
        outcome = mae(*toy_finetune, "--init", init, "--out", start, "--overwrite")
        assert outcome.exit_code == 2
        assert f"--init {init} lies in --out {start}" in outcome.stderr
        assert contents(start, ledger=True) == before


@pytest.mark.slow
def test_runs_and_predictions_below_the_data_are_no_data(tmp_path, pretrained, mae, toy_pretrain):
    root = tmp_path / "photos"
    names = write_pictures(root, 20)
    told = (*toy_pretrain, "--dataset", "folder", "--root", root)
    assert mae(*told, "--out", root / "runs/one").exit_code == 0
    assert mae("infer", root, "--run", pretrained, "--out", root / "pred", "--workers", 0).exit_code == 0
    assert mae("embed", root, "--run", pretrained, "--out", root / "features.npy", "--workers", 0).exit_code == 0
    assert find_pictures(root) == names
    again = mae("infer", root, "--run", pretrained, "--out", root / "pred", "--workers", 0, "--overwrite", "--json")
    assert again.json["predicted"] == 20
    assert mae(*told, "--out", root / "runs/one", "--resume").exit_code == 0


def test_a_run_of_before_there_were_ledgers_is_no_data_either(tmp_path, pretrained):
    names = write_pictures(tmp_path / "photos", 3)
    run = shutil.copytree(pretrained, tmp_path / "photos/runs/old")
    shutil.rmtree(run / ".mae")
    assert list(run.rglob("*.png"))
    assert find_pictures(tmp_path / "photos") == names


def fill(text: str) -> Callable[[Path], None]:
    def write(stage: Path) -> None:
        (stage / "files").mkdir()
        for name in ("predictions.csv", "files/a.png"):
            (stage / name).write_text(text)

    return write


@pytest.mark.parametrize("beside", [True, False], ids=["its parent takes folders", "a disk of its own"])
def test_outputs_are_replaced_whole_and_files_of_others_among_them_stay(tmp_path, monkeypatch, beside):
    if not beside:
        monkeypatch.setattr("maecli.outputs.folder._takes_folders", lambda *_: False)
    out = tmp_path / "out"
    for text in ("1", "2", "3"):
        with new_outputs(out, overwrite=True) as stage:
            assert not out.joinpath("predictions.csv").exists() or out.joinpath("predictions.csv").read_text() < text
            fill(text)(stage)
        found = contents(out, ledger=True)
        assert found.pop("files/mine.png", b"mine") == b"mine"
        assert {key: value for key, value in found.items() if not key.startswith(".mae")} == {
            "predictions.csv": text.encode(),
            "files/a.png": text.encode(),
        }
        (out / "files/mine.png").write_text("mine")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert {entry.name for entry in (out / ".mae").iterdir()} == {"ledger"}


def test_a_file_of_someone_with_the_name_of_a_new_output_is_kept_under_another(tmp_path):
    out = tmp_path / "out"
    with new_outputs(out, overwrite=False) as stage:
        (stage / "files").mkdir()
    (out / "files/a.png").write_text("mine")
    with new_outputs(out, overwrite=True) as stage:
        fill("ours")(stage)
    assert (out / "files/a.png").read_text() == "ours"
    assert (out / "files/a 1.png").read_text() == "mine"


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["maecli.outputs.folder._retire", "maecli.outputs.folder._free_place"])
def test_a_kill_between_the_swap_and_the_clearing_loses_nothing(tmp_path, monkeypatch, where):
    out = tmp_path / "out"
    with new_outputs(out, overwrite=False) as stage:
        fill("1")(stage)
    (out / "files/mine.png").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr(where, killed)
        with pytest.raises(KeyboardInterrupt), new_outputs(out, overwrite=True) as stage:
            fill("2")(stage)
    assert (out / "files/a.png").read_text() == "2"
    with new_outputs(out, overwrite=True) as stage:
        fill("3")(stage)
    assert (out / "files/mine.png").read_text() == "mine"
    assert (out / "files/a.png").read_text() == "3"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_moved_is_kept_and_named(tmp_path, monkeypatch):
    out = tmp_path / "out"
    with new_outputs(out, overwrite=False) as stage:
        fill("1")(stage)
    (out / "files/mine.png").write_text("mine")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("maecli.outputs.folder._free_place", refuse)
        with pytest.raises(MaeError) as caught, new_outputs(out, overwrite=True) as stage:
            fill("2")(stage)
    assert str(caught.value) == (
        f"{out} is replaced, but files/mine.png, which mae did not write, cannot be moved there (Permission denied): "
        f"it lies in {tmp_path / '.out.tmp'}"
    )
    assert (tmp_path / ".out.tmp/files/mine.png").read_text() == "mine"


def test_a_folder_of_someone_where_a_new_output_is_a_file_takes_another_name(tmp_path):
    out = tmp_path / "out"
    with new_outputs(out, overwrite=False) as stage:
        (stage / "files").mkdir()
    (out / "files/a.png").mkdir()
    (out / "files/a.png/note.txt").write_text("mine")
    (out / "files/.mae").mkdir()
    (out / "files/.mae/diary.txt").write_text("mine")
    with new_outputs(out, overwrite=True) as stage:
        fill("ours")(stage)
    assert (out / "files/a.png").read_text() == "ours"
    assert (out / "files/a 1.png/note.txt").read_text() == "mine"
    assert (out / "files/.mae/diary.txt").read_text() == "mine"


def test_the_folder_that_one_works_in_stays_the_same(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir(mode=0o750)
    monkeypatch.chdir(tmp_path / "here")
    for text in ("1", "2"):
        with new_outputs(Path(), overwrite=True) as stage:
            fill(text)(stage)
        assert Path("files/a.png").read_text() == text
    inode = (tmp_path / "here").stat().st_ino
    assert Path().stat().st_ino == inode
    monkeypatch.chdir(tmp_path)
    with new_outputs(tmp_path / "here", overwrite=True) as stage:
        fill("3")(stage)
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o750


@pytest.mark.slow
def test_a_tilde_is_the_home_for_outputs_too(tmp_path, monkeypatch, pictures, pretrained, mae):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert mae("infer", pictures, "--run", pretrained, "--out", "~/pred", "--workers", 0).exit_code == 0
    assert (tmp_path / "pred/predictions.csv").exists()


def test_a_persons_pictures_in_a_folder_that_mae_made_are_data(tmp_path, pictures, pretrained, mae):
    root = tmp_path / "photos"
    write_pictures(root, 2)
    assert mae("infer", root, "--run", pretrained, "--out", root / "cat", "--workers", 0).exit_code == 0
    (root / "cat/mine.png").write_bytes((root / "000.png").read_bytes())
    assert find_pictures(root) == ["000.png", "001.png", "cat/mine.png"]
    assert "files/000.png.png" in find_pictures(root / "cat"), "named as data, predictions are data"


@pytest.mark.slow
def test_a_comparison_does_not_replace_a_file_of_someone(tmp_path, pretrained, mae):
    out = tmp_path / "page.html"
    for _ in range(2):
        assert mae("runs", pretrained, pretrained, "--out", out).exit_code == 0
    out.write_text("mine")
    outcome = mae("runs", pretrained, pretrained, "--out", out)
    assert outcome.exit_code == 2
    assert out.read_text() == "mine"


def test_drawings_of_someone_are_in_the_way_before_the_training_and_not_after_it(tmp_path, pictures, mae, toy_finetune):
    out = tmp_path / "run"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures/val-confusion-matrix.png").write_text("mine")
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--out", out, "--overwrite")
    assert outcome.exit_code == 2
    assert "pictures/val-confusion-matrix.png was not written by mae" in outcome.stderr
    assert contents(out, ledger=True) == {"pictures/val-confusion-matrix.png": b"mine"}
