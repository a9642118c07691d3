"""The page of a run leads to that of the run that it started from."""

from __future__ import annotations

from pathlib import Path

from maecli.run.directory import RunDirectory
from maecli.run.pages.links import link_to, origin

SPEC = {"verb": "finetune", "dataset": {"name": "d"}, "task": {"name": "t"}, "model": {"name": "m"}}


def started(path: Path, **spec: object) -> RunDirectory:
    run = RunDirectory(path)
    run.start({**SPEC, **spec}, overwrite=False)
    return run


def test_a_run_has_a_link_to_where_it_started(tmp_path):
    first = started(tmp_path / "pretrain ä")
    second = started(tmp_path / "more/finetune", init=str(first.path / "checkpoints/last"))
    assert list(origin(second)) == [], "without a page there is nowhere to go"

    (first.path / "report.html").write_text("page")
    (link,) = origin(second)
    assert link.href == "../../pretrain%20%C3%A4/report.html"
    assert "pretrain ä" in link.text


def test_a_run_from_scratch_or_from_a_file_has_none(tmp_path):
    assert list(origin(started(tmp_path / "a"))) == []
    assert list(origin(started(tmp_path / "b", init=str(tmp_path / "weights.pth")))) == []


def test_pages_of_a_sweep_lead_to_its_runs(tmp_path):
    run = started(tmp_path / "sweep/one")
    (run.path / "report.html").write_text("page")
    link = link_to(run, tmp_path / "sweep", "one")
    assert link is not None
    assert (link.text, link.href) == ("one", "one/report.html")
