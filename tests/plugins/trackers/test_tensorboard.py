from __future__ import annotations

import threading
from pathlib import Path

import pytest
from maecli_plugins.trackers.tensorboard import WRITER, TensorBoard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def record(folder: Path, start_step: int, **values: float) -> None:
    tracker = TensorBoard(folder, {}, start_step)
    for step, value in values.items():
        tracker.log(int(step[1:]), {"train/loss": value})
    tracker.close()


def log_on(tracker: TensorBoard) -> None:
    for step in range(1000):
        tracker.log(step, {"train/loss": 1.0})


def shown(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("train/loss")]


def test_scalars_are_what_tensorboard_shows(tmp_path):
    record(tmp_path, 0, s1=0.5, s2=0.25)
    assert shown(tmp_path) == [(1, 0.5), (2, 0.25)]


def test_what_a_cut_off_attempt_wrote_after_its_checkpoint_is_hidden(tmp_path):
    record(tmp_path, 0, s1=0.5, s2=0.25, s3=8.0, s4=16.0)
    record(tmp_path, 2, s3=0.125)
    assert shown(tmp_path) == [(1, 0.5), (2, 0.25), (3, 0.125)]


def test_a_folder_that_is_taken_away_is_told_by_an_error_and_by_no_thread(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    tracker = TensorBoard(tmp_path, {}, 0)
    thread = tracker._writer.file_writer.event_writer._async_writer._worker
    assert type(thread).__module__ == WRITER
    (tmp_path / "tensorboard").rename(tmp_path / "elsewhere")  # at once, while the thread may be writing
    with pytest.raises(FileNotFoundError):
        log_on(tracker)
    thread.join()
    assert told == []
    other = threading.Thread(target=lambda: 1 // 0)
    other.start()
    other.join()
    assert [args.exc_type for args in told] == [ZeroDivisionError]


def test_a_run_directory_that_is_taken_away_is_left_to_the_next_checkpoint_to_tell(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    tracker = TensorBoard(run, {}, 0)
    thread = tracker._writer.file_writer.event_writer._async_writer._worker
    run.rename(tmp_path / "elsewhere")
    while thread.is_alive():  # until it meets that
        log_on(tracker)
    with pytest.raises(FileNotFoundError):
        tracker._writer.add_scalar("train/loss", 1.0, 1)
    log_on(tracker)
    tracker.close()
    assert not run.exists()
