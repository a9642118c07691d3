"""What lies among data and is none: recognised by its name, by the ledger that mae keeps, or by mae's own files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from write_data import write_pictures

from maecli.data.files.finding import find_files, search
from maecli.data.files.not_data import NEVER_DATA
from maecli.modalities.pictures.finding import find_pictures, is_picture


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def without_ledgers(run: Path, copy: Path) -> Path:
    """Return a copy as a zip file or a synchronised folder makes it: without what is hidden."""
    return shutil.copytree(run, copy, ignore=shutil.ignore_patterns(".*"))


NEVER = [
    *("@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "cat/@eaDir/1.jpg", "#recycle/1.jpg", "@Recycle/1.jpg"),
    *("$RECYCLE.BIN/1.jpg", "System Volume Information/1.jpg", "lost+found/1.jpg", "__MACOSX/cat/1.jpg"),
    *("cat/__MACOSX/1.jpg", "__pycache__/1.jpg", "node_modules/logo/logo.png", "wandb/run-1/media/1.png"),
    *(".ipynb_checkpoints/1-checkpoint.jpg", ".git/1.jpg", "cat/.thumbnails/1.jpg", ".Trash-1000/files/1.jpg"),
    *("cat/._1.jpg", ".DS_Store", "cat/.hidden.jpg", "Thumbs.db", "cat/thumbs.db", "desktop.ini", "Icon\r"),
    *("cat/1.jpg:Zone.Identifier", "@EADIR/1.jpg", "cat/ehthumbs.db"),
]


@pytest.mark.parametrize("name", NEVER, ids=repr)
def test_what_is_never_data_is_not_found(tmp_path, name):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", name)
    assert find_files(tmp_path) == ["cat/1.jpg", "dog/1.jpg"]


def test_a_python_environment_is_known_by_its_mark(tmp_path):
    touch(tmp_path, "cat/1.jpg", "tools/pyvenv.cfg", "tools/lib/matplotlib/home.png", "conda/conda-meta/history")
    touch(tmp_path, "conda/pkgs/1.png")
    assert find_files(tmp_path) == ["cat/1.jpg"]


@pytest.mark.parametrize(
    "name",
    ["thumbs/1.jpg", "thumbnails/1.jpg", "cache/1.jpg", "runs/1.jpg", "build/1.jpg", "recycle/1.jpg", "eaDir/1.jpg"],
)
def test_what_could_be_a_class_is_data(tmp_path, name):
    touch(tmp_path, name)
    assert find_files(tmp_path) == [name]


def test_a_folder_that_a_person_names_is_data_whatever_it_is_called(tmp_path):
    touch(tmp_path, ".cache/1.jpg", "@eaDir/1.jpg", "tools/pyvenv.cfg")
    assert find_files(tmp_path / ".cache") == ["1.jpg"]
    assert find_files(tmp_path / "@eaDir") == ["1.jpg"]
    assert find_files(tmp_path / "tools") == ["pyvenv.cfg"]


def test_names_are_told_once_and_say_who_puts_them_there():
    names = [name.lower() for kind in NEVER_DATA for name in (*kind.folders, *kind.files, *kind.marks)]
    assert len(names) == len(set(names))
    assert all(kind.why for kind in NEVER_DATA)


def test_pictures_in_what_is_no_data_are_counted_by_place_and_reason(tmp_path):
    touch(tmp_path, "cat/1.jpg", *(f"{kind}/@eaDir/{i}.jpg" for kind in ("cat", "dog", "fox") for i in range(4)))
    touch(tmp_path, "__MACOSX/cat/1.jpg", "__MACOSX/cat/._1.jpg", "cat/.2.jpg", "dog/._1.jpg", "@Recycle/notes.txt")
    touch(tmp_path, ".git/1.jpg", "Thumbs.db")
    assert search(tmp_path).left_out(is_picture) == {
        "in cat/, hidden": 1,
        "in __MACOSX/, added by macOS to an archive": 1,
        "in cat/@eaDir/ and 2 more such folders, kept by a NAS": 12,
    }


def test_runs_are_counted_by_the_folder_that_holds_them(tmp_path, pretrained):
    write_pictures(tmp_path / "photos", 3)
    for name in ("one", "two"):
        shutil.copytree(pretrained, tmp_path / "photos/runs" / name)
    num = len(list((tmp_path / "photos/runs").rglob("*.png")))
    assert num > 0
    assert search(tmp_path / "photos").left_out(is_picture) == {"in runs/, written by mae": num}


@pytest.mark.parametrize(
    "lost",
    [
        (),
        ("checkpoints",),
        ("checkpoints", "summary.json", "report.html"),
        ("environment.json", "metrics.jsonl"),
    ],
    ids=lambda lost: " and ".join(lost) or "nothing",
)
def test_a_run_is_known_by_its_files_where_its_ledger_was_lost(tmp_path, pretrained, lost):
    names = write_pictures(tmp_path / "photos", 3)
    run = without_ledgers(pretrained, tmp_path / "photos/runs/old")
    for name in lost:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    assert list(run.rglob("*.png"))
    assert find_files(tmp_path / "photos") == names


@pytest.mark.slow
def test_pages_predictions_and_features_are_known_without_their_ledgers(tmp_path, pictures, pretrained, mae):
    photos = tmp_path / "photos"
    shutil.copytree(pictures, photos)
    before = find_files(photos)
    for command in (
        ("infer", photos, "--run", pretrained, "--workers", 0, "--out", photos / "out/infer"),
        ("embed", photos, "--run", pretrained, "--workers", 0, "--out", photos / "out/features.npy"),
        ("eda", "--dataset", "folder", "--root", photos, "--out", photos / "out/eda"),
    ):
        outcome = mae(*command)
        assert outcome.exit_code == 0, outcome.stderr
    assert find_files(photos) == before
    without_ledgers(photos, tmp_path / "copy")
    assert len(list((tmp_path / "copy/out").rglob("*.png"))) > 40
    assert find_files(tmp_path / "copy") == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.yaml", "name: my camera\n"),
        ("spec.yaml", "verb: pretrain\n"),
        ("sweep.yaml", "sweep:\n  grid: {}\n"),
        ("infer.json", '{"predicted": 3}'),
        ("eda.json", '{"notes": "mine"}'),
        ("1.npy.csv", "file,size\n"),
        ("report.html", "<title>mae demo</title>"),
    ],
    ids=lambda text: text.split("\n")[0],
)
def test_a_persons_files_of_such_names_make_no_output_of_a_folder(tmp_path, name, text):
    touch(tmp_path, "cat/1.npy", "cat/2.jpg")
    (tmp_path / "cat" / name).write_text(text)
    assert find_pictures(tmp_path) == ["cat/1.npy", "cat/2.jpg"]
