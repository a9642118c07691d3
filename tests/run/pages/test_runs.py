from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from write_data import write_pictures

from maecli import api
from maecli.data.files.not_data import written_by_mae
from maecli.run.pages.runs import renew_runs_page
from maecli.storage.ledger import Ledger

pytestmark = pytest.mark.charts


@pytest.fixture
def root(finetuned, pretrained, tmp_path, monkeypatch):
    """A folder of two runs with odd names, of which one started from the other; and a page of something else."""
    root = tmp_path / "my runs"
    first = shutil.copytree(pretrained, root / "a #1 <b>")
    second = shutil.copytree(finetuned, root / "group/ünd%20")
    spec = yaml.safe_load((second / "spec.yaml").read_text())
    spec |= {"init": "../somewhere", "paths": [{"key": "init", "given": "../somewhere", "resolved": str(first)}]}
    (second / "spec.yaml").write_text(yaml.safe_dump(spec))
    (root / "eda-birds").mkdir()
    (root / "eda-birds/report.html").write_text("<p>birds")
    monkeypatch.setenv("MAE_RUNS", str(root))
    return root


def renewed(made: Path | None = None) -> list[str]:
    said: list[str] = []
    renew_runs_page(said.append, made)
    return said


def test_every_link_of_the_page_leads_to_a_run_a_page_or_a_parent(root):
    assert renewed() == []
    text = (root / "index.html").read_text(encoding="utf-8")
    targets = [unquote(target) for target in re.findall(r'href="([^"]*)"', text)]
    assert {"./a #1 <b>/", "./a #1 <b>/report.html", "./group/ünd%20/", "./eda-birds/report.html"} <= set(targets)
    assert all((root / target).exists() for target in targets)
    assert targets.count("./a #1 <b>/") == 2, "once as a run, once as what the other one started from"
    assert "a #1 &lt;b&gt;" in text
    assert "<b>" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_the_page_is_renewed_by_the_list_and_written_only_where_something_changed(root, mae):
    assert mae("runs").exit_code == 0
    page, ledger = root / "index.html", Ledger(root, "runs").file
    before = page.stat().st_mtime_ns, ledger.read_bytes()
    assert mae("runs").stderr == ""
    assert (page.stat().st_mtime_ns, ledger.read_bytes()) == before
    shutil.rmtree(root / "group")
    mae("runs")
    assert "group" not in page.read_text(encoding="utf-8")


def test_only_what_was_made_in_the_folder_of_runs_renews_its_page(root, tmp_path):
    assert renewed(tmp_path / "elsewhere") == []
    assert not (root / "index.html").exists()
    assert renewed(root / "group/ünd%20") == []
    assert (root / "index.html").is_file()


def test_another_folder_that_is_listed_gets_no_page(root, tmp_path, mae):
    other = shutil.copytree(root, tmp_path / "other")
    assert mae("runs", other).exit_code == 0
    assert not (other / "index.html").exists()
    assert not (other / ".mae").exists()


def test_a_page_of_someone_else_stays(root):
    (root / "index.html").write_text("mine")
    [line] = renewed()
    assert line.endswith(
        "index.html is there and was not written by mae, so it stays; move it away to have a page of runs"
    )
    assert (root / "index.html").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_fail(root, mae, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maecli.run.pages.runs.write_bytes", full)
    listed = mae("runs")
    assert listed.exit_code == 0
    assert "index.html was not renewed: " in listed.stderr
    assert "No space left on device" in listed.stderr


def test_a_page_among_pictures_is_never_data(root):
    write_pictures(root, 3, (8, 8))
    assert renewed() == []
    found = api.pictures.search_pictures(root)
    assert len(found.pictures) == 3
    assert "index.html" in written_by_mae(root, {path.name for path in root.iterdir()})
    shutil.rmtree(root / ".mae")
    assert "index.html" not in api.pictures.search_pictures(root).pictures


@pytest.mark.slow
def test_a_run_that_finishes_renews_the_page(tmp_path, mae, monkeypatch):
    monkeypatch.setenv("MAE_RUNS", str(tmp_path / "here"))
    small = ("--set", "train.max_steps=1", "--batch-size", "8", "--device", "cpu", "--workers", "0")
    done = mae("pretrain", "--dataset", "digits", *small)
    assert done.exit_code == 0, done.stderr
    assert "./pretrain-digits/report.html" in (tmp_path / "here/index.html").read_text(encoding="utf-8")
