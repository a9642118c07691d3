"""The pace of a run is that of the steps which wait for their data, not of those that find them ready."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from maecli.loading.reading import read_sample
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.begin.request import request
from maecli.run.begin.timing import END_S, Timing, pace, time_run
from maecli.run.open import open_run
from maecli.run.together import make_trainer
from maecli.spec.ask import Ask
from tests.helpers.write_data import write_pictures

DECODING_S = 0.05
SMALL = ("model.embed_dim=16", "model.depth=1", "model.num_heads=2", "model.img_size=8", "model.patch_size=4")


def test_steps_that_find_their_batches_ready_do_not_count():
    assert pace([5.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]) == 2.0


def test_waiting_that_comes_in_bursts_counts_and_a_step_that_was_held_up_hardly_does():
    assert pace([1.0] * 4 + [1.0, 3.0, 1.0, 3.0]) == 2.0
    assert pace([1.0] * 10 + [1.0] * 9 + [100.0]) == pytest.approx(1.2)


def test_a_single_step_is_its_own_pace():
    assert pace([0.5]) == 0.5


def test_a_run_takes_what_its_parts_take_and_its_end():
    timing = Timing(first_s=1.0, step_s=0.1, validation_s=2.0, save_s=0.5, memory_bytes=0)
    assert timing.training_s(100, 3, 2) == pytest.approx(1 + 10 + 6 + 1)
    assert timing.total_s(100, 3, 2) == pytest.approx(18 + END_S)


def test_the_first_epoch_takes_longer_once_and_only_as_far_as_a_run_goes_through_it():
    timing = Timing(1.0, 0.1, 0.0, 0.0, memory_bytes=0, first_epoch_s=4.0, steps_per_epoch=20)
    assert timing.steps_s(200) == pytest.approx(200 * 0.1 + 4)
    assert timing.steps_s(10) == pytest.approx(10 * 0.1 + 2)
    assert timing.training_s(200, 0, 0) == pytest.approx(1 + timing.steps_s(200))
    assert timing.durations(10).step_s == pytest.approx(0.3)
    assert timing.durations(200).step_s == pytest.approx(0.12)


@pytest.mark.parametrize("cache", [1.0, 0.0], ids=["all are kept", "none is kept"])
def test_what_only_the_first_epoch_decodes_is_not_counted_in_every_step(tmp_path, monkeypatch, cache):
    now = [0.0]

    def slowly(split, index):
        now[0] += DECODING_S
        return read_sample(split, index)

    monkeypatch.setattr("maecli.loading.reading.read_sample", slowly)
    monkeypatch.setattr("maecli.run.begin.timing.time", SimpleNamespace(monotonic=lambda: now[0]))
    write_pictures(tmp_path / "pictures", 100)
    flags = {"dataset.root": str(tmp_path / "pictures"), "train.batch_size": 4, "device": "cpu"}
    sets = (*SMALL, f"data.cache={cache}", "data.workers=0", "data.loading=streamed")
    built = open_run(request(Ask("pretrain", flags=flags, sets=sets), registry()), registry(), Progress().say)
    timing = time_run(make_trainer(built, None, Progress()), seconds=0.1)
    reading_s = timing.first_epoch_s / timing.steps_per_epoch
    assert timing.step_s + reading_s == pytest.approx(4 * DECODING_S)
    assert (timing.step_s if cache else reading_s) == 0
