"""Kills and refusals at every single call to the disk of a run: nothing that was finished is lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import interrupted_toy
import pytest
from broken_disk import refuses
from interrupted_toy import differences, go_on, undisturbed, what_is_lost

from maecli.errors import MaeError

HELPERS = Path(interrupted_toy.__file__).parent
unless_it_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")
CODES = errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what came of runs that were killed at calls to the disk: of one process, and of two."""
    script = [sys.executable, "-W", "error", HELPERS / "interrupted.py", tmp_path_factory.mktemp("killed"), "16"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "FATAL"}
    ended = subprocess.run(script, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@unless_it_forks
def test_killed_at_each_call_to_the_disk_a_run_loses_nothing_and_ends_as_if_never_killed(killed):
    found = killed["one"]
    assert found["wrong"] == []
    assert found["kills"] > 40
    assert found["steps"] == sorted(found["steps"]), "a later kill leaves no earlier checkpoint"
    assert set(found["steps"]) == {0, 1, 2, 3}


@unless_it_forks
def test_killed_while_shards_are_written_a_run_of_two_processes_loses_nothing(killed):
    assert killed["two"]["wrong"] == []
    assert killed["two"]["kills"] > 2


def refused(folder: Path, at: int, code: int) -> str:
    """Bring a run as far as a disk lets it; return what a person is told."""
    try:
        with refuses(at, code):
            go_on(folder)
    except MaeError as error:
        return str(error)
    return ""


def test_a_disk_that_refuses_at_any_call_ends_a_run_by_a_sentence_and_it_goes_on_later(tmp_path):
    whole, calls = undisturbed(tmp_path)
    for at in range(1, calls + 1):
        folder = tmp_path / f"refused-{at}"
        (folder / "checkpoints").mkdir(parents=True)
        told = refused(folder, at, CODES[at % len(CODES)])
        if told:  # the last calls free what is no longer needed
            assert told.startswith(f"cannot write {folder}")
            assert told.endswith("what was saved before is untouched")
        assert what_is_lost(folder, whole) == []
        go_on(folder)
        assert differences(folder, whole) == [], at


def test_metrics_and_ledger_reach_the_disk_before_a_checkpoint_is_the_last(tmp_path, monkeypatch):
    done: list[int | str] = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(os, "replace", lambda source, target: (done.append(Path(target).name), replace(source, target)))
    go_on(tmp_path / "run")
    files = {(tmp_path / "run" / name).stat().st_ino for name in ("metrics.jsonl", ".mae/ledger")}
    ends = [at for at, name in enumerate(done) if name == "last"]
    assert len(ends) == 3
    for begin, end in itertools.pairwise([0, *ends]):
        assert files <= set(done[begin:end])
