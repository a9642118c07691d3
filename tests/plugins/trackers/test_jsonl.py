from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from maecli_plugins.trackers.jsonl import JsonLines


def lines(folder) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def record(folder, start_step: int, *steps: int) -> None:
    tracker = JsonLines(folder, {}, start_step)
    for step in steps:
        tracker.log(step, {"train/loss": step / 2})
    tracker.close()


def test_a_record_is_a_line(tmp_path):
    record(tmp_path, 0, 1, 2)
    assert lines(tmp_path) == [{"step": 1, "train/loss": 0.5}, {"step": 2, "train/loss": 1.0}]


def test_a_line_is_there_before_the_file_is_closed(tmp_path):
    tracker = JsonLines(tmp_path, {}, 0)
    tracker.log(1, {"train/loss": 0.5})
    assert len(lines(tmp_path)) == 1
    tracker.close()


def test_resuming_cuts_back_to_the_step_of_the_checkpoint(tmp_path):
    record(tmp_path, 0, 1, 2, 3, 4)
    record(tmp_path, 2, 3)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]


def test_starting_anew_drops_everything(tmp_path):
    record(tmp_path, 0, 1, 2)
    record(tmp_path, 0)
    assert lines(tmp_path) == []


@pytest.mark.parametrize("torn", ['{"step": 3, "tra', '{"step"', "{", "\x00\x00\x00"])
def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path, torn):
    record(tmp_path, 0, 1, 2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    assert JsonLines.history(tmp_path) == {"train/loss": [(1, 0.5), (2, 1.0)]}
    record(tmp_path, 2, 3)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]


def test_the_history_is_read_back_by_metric(tmp_path):
    tracker = JsonLines(tmp_path, {}, 0)
    tracker.log(1, {"a": 1.0, "b": 2.0})
    tracker.log(2, {"a": 3.0})
    tracker.close()
    assert JsonLines.history(tmp_path) == {"a": [(1, 1.0), (2, 3.0)], "b": [(1, 2.0)]}


def test_without_a_file_there_is_no_history(tmp_path):
    assert JsonLines.history(tmp_path) == {}


def test_a_file_that_cannot_be_read_now_is_not_replaced(tmp_path, monkeypatch):
    record(tmp_path, 0, 1, 2)
    kept = (tmp_path / "metrics.jsonl").read_bytes()

    def failing(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        for read in (lambda: JsonLines(tmp_path, {}, 2), lambda: JsonLines.problems(tmp_path)):
            with pytest.raises(OSError, match="Input/output error"):
                read()
    assert (tmp_path / "metrics.jsonl").read_bytes() == kept
