"""A run that is stopped, by a signal or a fault, keeps what is finished and goes on as if it never had been."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from toy_training import Brightness, fit_and_stop, last_of, make, records, weights

from maecli.data.batch import Batch
from maecli.errors import DataError, Fault, Interrupted, LoadingError, MaeError, TimeIsUp
from maecli.loading.parcels import carried
from maecli.loading.resident import ResidentLoader
from maecli.loading.workers import WorkerEnded
from maecli.parallel import world as world_module
from maecli.progress import Progress
from maecli.schema import PluginSection
from maecli.training.loop import clock, stopping
from maecli.training.loop import trainer as trainer_module
from maecli.training.loop.stopping import set_alarm, told_aside
from maecli.training.loop.trainer import Trainer


@pytest.mark.parametrize("stop", range(1, 9))
def test_stopping_at_any_step_and_resuming_equals_never_stopping(tmp_path, stop):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    settings: dict[str, Any] = {"log_every_steps": 2, "train": {"micro_batch_size": 3}}
    whole = make(tmp_path / "whole", Brightness(noise=0.1), **settings)
    whole.fit()

    first = make(tmp_path / "parts", Brightness(noise=0.1), save_epochs=100, **settings)
    fit_and_stop(first, stop)
    second = make(tmp_path / "parts", Brightness(noise=0.1), **settings)
    second.load(last_of(tmp_path / "parts"))
    assert second.step == stop
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))
    for name in ("train/loss", "train/lr", "val/error"):
        assert records(first, name) + records(second, name) == records(whole, name)
    assert second.best == whole.best
    assert second.seconds_before > 0


@pytest.mark.parametrize("stop", [2, 4])
def test_resuming_is_exact_where_the_last_batch_is_kept(tmp_path, stop):
    settings: dict[str, Any] = {"num": 14, "train": {"epochs": 2, "last_batch": "keep"}}
    whole = make(task=Brightness(noise=0.1), **settings)
    sizes: list[int] = []
    plain = whole.train_step
    whole.train_step = lambda batch: (sizes.append(len(batch)), plain(batch))[1]  # type: ignore[func-returns-value, method-assign, assignment]
    whole.fit()
    assert sizes == [3, 4, 3, 4] * 2

    first = make(tmp_path, Brightness(noise=0.1), save_epochs=100, **settings)
    fit_and_stop(first, stop)
    second = make(tmp_path, Brightness(noise=0.1), **settings)
    second.load(last_of(tmp_path))
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))


def test_the_first_signal_saves_and_the_second_acts_as_always(tmp_path):
    trainer = make(tmp_path, save_epochs=100)
    step = trainer.train_step
    found = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    as_always = signal.getsignal(signal.SIGINT)

    def interrupted(batch: Batch) -> None:
        step(batch)
        os.kill(os.getpid(), signal.SIGINT)
        while signal.getsignal(signal.SIGINT) is not as_always:
            time.sleep(0.001)  # or the two would be one
        os.kill(os.getpid(), signal.SIGINT)

    trainer.train_step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    signal.signal(signal.SIGINT, found)


def test_signals_are_left_as_they_were_found():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    make().fit()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("num_val", [0, 5])
def test_a_signal_during_the_last_step_is_saved_before_anything_is_measured(tmp_path, num_val):
    trainer = make(tmp_path, num_val=num_val, save_epochs=100)
    step = trainer.train_step

    def last(batch: Batch) -> None:
        step(batch)
        if trainer.step + 1 == trainer.schedule.total_steps:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.train_step = last  # type: ignore[method-assign]
    if num_val:
        with pytest.raises(Interrupted, match=r"^saved at step 9; --resume goes on from there$"):
            trainer.fit()
    else:
        trainer.fit()
    assert last_of(tmp_path).step == 9
    again = make(tmp_path, num_val=num_val)
    again.load(last_of(tmp_path))
    assert again.validation_due == bool(num_val)
    again.fit()
    assert len(records(again, "val/error")) == bool(num_val)


def slowly(trainer: Trainer, seconds: float) -> Trainer:
    """Let each step of a trainer take at least so long."""
    step = trainer.train_step

    def slow(batch: Batch) -> None:
        time.sleep(seconds)
        step(batch)

    trainer.train_step = slow  # type: ignore[method-assign]
    return trainer


def time_that_is_up(trainer: Trainer) -> TimeIsUp | None:
    """Train, and return what ends that before its end."""
    try:
        trainer.fit()
    except TimeIsUp as stop:
        return stop
    return None


@pytest.mark.parametrize("alarm", [True, False], ids=["in a step, by its alarm", "between steps"])
def test_a_time_that_is_up_stops_at_a_step_and_again_until_the_run_is_finished(tmp_path, monkeypatch, alarm):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = make(tmp_path / "whole", Brightness(noise=0.1), save_epochs=100)
    whole.fit()
    found: list[Any] = []
    now = [0.0]

    def of_a_minute(batch: Batch) -> None:
        now[0] += 60
        if alarm and now[0] > trainer.stop.until:
            signal.raise_signal(signal.SIGALRM)
        step(batch)

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for starts in range(1, 10):
        trainer = make(tmp_path / "parts", Brightness(noise=0.1), save_epochs=100)
        if starts > 1:
            trainer.load(last_of(tmp_path / "parts"))
        step, trainer.train_step = trainer.train_step, of_a_minute  # type: ignore[method-assign]
        trainer.stop.until = now[0] + 150
        stop = time_that_is_up(trainer)
        found += records(trainer, "train/loss")
        assert len(found) == trainer.step == last_of(tmp_path / "parts").step
        if stop is None:
            break
        assert str(stop) == f"the time of --max-time is up: saved at step {trainer.step} of 9; resume to go on"
        assert (stop.exit_code, stop.progressed) == (0, True)
    assert starts > 2
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(trainer), strict=True))
    assert found == records(whole, "train/loss")


def test_the_time_of_a_save_is_kept_in_reserve(tmp_path, monkeypatch):
    trainer = make(tmp_path, train={"epochs": 30})
    step, save, now = trainer.train_step, trainer.checkpoints.save, [0.0]

    def of_two_seconds(batch: Batch) -> None:
        now[0] += 2
        step(batch)

    def of_half_a_minute(*told: Any) -> Any:
        now[0] += 30
        return save(*told)

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(trainer, "train_step", of_two_seconds)
    monkeypatch.setattr(trainer.checkpoints, "save", of_half_a_minute)
    trainer.stop.until = 3 * (3 * 2 + 30) + 33  # an epoch has three steps and a save; 33 s are left after three
    with pytest.raises(TimeIsUp):
        trainer.fit()
    assert 9 <= trainer.step <= 11
    assert now[0] <= trainer.stop.until + 2


def test_a_time_that_is_up_while_data_never_come_ends_the_wait(tmp_path):
    trainer = make(tmp_path, save_epochs=100)
    trainer.stop.until = time.monotonic() + 600

    def wait() -> None:
        trainer.stop.until = time.monotonic() + 0.1
        set_alarm(trainer.stop.until)
        time.sleep(60)

    trainer.train_loader = interruptible(trainer.train_loader, 4, wait)
    with pytest.raises(TimeIsUp, match="saved at step 4 of 9"):
        trainer.fit()
    assert time.monotonic() < trainer.stop.until + 30
    assert last_of(tmp_path).step == 4


def test_a_time_that_was_up_before_the_first_step_has_brought_nothing(tmp_path):
    trainer = make(tmp_path)
    trainer.stop.until = time.monotonic()
    trainer.train_loader = interruptible(trainer.train_loader, 0, lambda: time.sleep(60))
    with pytest.raises(TimeIsUp) as caught:
        trainer.fit()
    assert not caught.value.progressed


def test_the_alarm_of_the_process_is_left_to_others_without_a_time(tmp_path):
    before = signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM)
    make(tmp_path).fit()
    left, handler = signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM)
    assert handler is before[1]
    assert (left > 0) == (before[0] > 0)


def wait_for_a_signal(number: int | None) -> None:
    if number is not None:
        os.kill(os.getpid(), number)
    time.sleep(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM])
def test_what_follows_training_is_stopped_at_once_and_is_still_to_be_done(tmp_path, number):
    trainer = make(tmp_path)
    trainer.fit()
    if number == signal.SIGALRM:
        trainer.stop.until = time.monotonic() + 0.1
    with pytest.raises(Interrupted) as caught:
        trainer.stoppable(lambda: wait_for_a_signal(number if number == signal.SIGTERM else None))
    told = {
        signal.SIGTERM: "saved at step 9, the last; --resume goes on with what follows training",
        signal.SIGALRM: "the time of --max-time is up: saved at step 9 of 9; resume to go on",
    }
    assert str(caught.value) == told[number]


class SignalAt:
    """Sends SIGTERM at the instant of that number of those at which Python may hear one."""

    OF = tuple(module.__file__ for module in (contextlib, clock, stopping, trainer_module, world_module))

    def __init__(self, instant: int, act: Callable[[], object], counts: Callable[[], bool] = lambda: True) -> None:
        self.instant, self.act, self.counts = instant, act, counts
        self.sent = False

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in self.OF:
            return None
        if not self.sent and self.counts():
            self.instant -= 1
            if self.instant < 0:
                self.sent = True
                os.kill(os.getpid(), signal.SIGTERM)
        return self._trace

    def __call__(self) -> None:
        found = sys.gettrace()
        sys.settrace(self._trace)
        try:
            self.act()
        finally:
            sys.settrace(found)


def test_a_signal_at_any_instant_of_waiting_for_data_is_saved(tmp_path):
    for instant in range(1000):
        (folder := tmp_path / f"{instant}").mkdir()
        trainer = make(folder, save_epochs=100, num=4, num_val=2, train={"epochs": 1})
        signal_at = SignalAt(instant, trainer.fit, lambda stop=trainer.stop: stop._at_once)
        interrupted = None
        try:
            signal_at()
        except Interrupted as stop:
            interrupted = stop
        if not signal_at.sent:
            break
        assert trainer.stop.asked
        if not trainer.step:
            assert str(interrupted) == "stopped before the first step; there is nothing to save"
            continue
        assert last_of(folder).step == trainer.step
        if interrupted is None:  # it came when all was done
            assert trainer.is_done
            assert not trainer.validation_due
        else:
            assert str(interrupted) == f"saved at step {trainer.step}; --resume goes on from there"
    assert trainer.is_done
    assert 30 < instant < 999


def test_a_signal_at_any_instant_of_what_follows_training_stops_it_or_comes_after(tmp_path):
    trainer, found = make(tmp_path), signal.getsignal(signal.SIGTERM)
    trainer.fit()
    signal.signal(signal.SIGTERM, lambda *_: None)  # before and after
    for instant in range(2000):
        trainer.stop.signal, ended = None, []
        signal_at = SignalAt(instant, lambda ended=ended: trainer.stoppable(lambda: ended.append(True)))
        with contextlib.suppress(Interrupted):
            signal_at()
        if not signal_at.sent:
            break
    signal.signal(signal.SIGTERM, found)
    assert ended
    assert 30 < instant < 1999


def test_a_terminal_that_is_closed_saves_unless_that_is_to_be_ignored(tmp_path):
    found = signal.getsignal(signal.SIGHUP)
    try:
        for how, steps in ((signal.SIG_DFL, 4), (signal.SIG_IGN, 9)):  # nohup has it ignored
            signal.signal(signal.SIGHUP, how)
            trainer = make(tmp_path, save_epochs=100)
            trainer.train_loader = interruptible(trainer.train_loader, 4, lambda: os.kill(os.getpid(), signal.SIGHUP))
            with contextlib.suppress(Interrupted):
                trainer.fit()
            assert last_of(tmp_path).step == steps
            assert signal.getsignal(signal.SIGHUP) == how
    finally:
        signal.signal(signal.SIGHUP, found)


def test_a_process_that_is_forked_ends_by_a_signal_as_ever(tmp_path):
    def act() -> None:
        begun, begins = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(begins, b".")  # Python forgets what comes before
            time.sleep(60)
            os._exit(0)
        os.read(begun, 1)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM

    trainer = make(tmp_path)
    trainer.train_loader = interruptible(trainer.train_loader, 4, act)
    trainer.fit()
    assert trainer.is_done


class Stuck(Progress):
    """Says of the second epoch what nobody reads, so that it waits until there is room for it."""

    def say(self, text: str) -> None:
        if text.startswith("epoch 2"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)


def test_words_that_nobody_reads_keep_no_signal_from_saving(tmp_path):
    trainer, begin = make(tmp_path, save_epochs=100), time.monotonic()
    trainer.telling.progress = Stuck()
    with pytest.raises(Interrupted, match="saved at step 6"):
        trainer.fit()
    assert last_of(tmp_path).step == 6
    assert time.monotonic() - begin < 50


def test_a_trainer_runs_in_a_thread_without_signals():
    trainer = make()
    thread = threading.Thread(target=trainer.fit)
    thread.start()
    thread.join()
    assert trainer.step == 9


def test_a_time_is_kept_in_a_thread_too(tmp_path):
    trainer, ended = slowly(make(tmp_path), 0.05), []
    trainer.stop.until = time.monotonic() + 0.1
    thread = threading.Thread(target=lambda: ended.append(time_that_is_up(trainer)))
    thread.start()
    thread.join()
    assert isinstance(ended[0], TimeIsUp)
    assert trainer.step < 5


class Interruptible(ResidentLoader):
    """A loader that does something before one of its batches."""

    act: Any = None
    before_batch = 0

    def _fetch(self, plan: Any, spec: Any) -> Any:
        for number, batch in enumerate(super()._fetch(plan, spec)):
            if self.act is not None and number == self.before_batch:
                self.act()
            yield batch


def interruptible(loader: Any, before_batch: int, act: Any) -> Interruptible:
    other = Interruptible(loader.split, loader.preprocess, loader.device, loader.seed)
    other.act, other.before_batch = act, before_batch
    return other


def worker_ends() -> None:
    raise LoadingError("a data worker was killed by SIGKILL; use fewer")


def worker_is_killed() -> None:
    raise carried(WorkerEnded("was killed by SIGKILL", "use fewer"))  # as it comes from another process


def folder_is_gone() -> None:
    raise carried(DataError("nothing can be read", [Fault("a.png", "is gone")]))


def data_never_come() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


KILLED = "a data worker was killed by SIGKILL; use fewer; step {} is saved, and --resume goes on from there"
GONE = "nothing can be read (the data set is that in /pets); step {} is saved, and --resume goes on from there"
TOLD = {
    worker_ends: KILLED,
    worker_is_killed: KILLED,
    folder_is_gone: GONE,
    data_never_come: "saved at step {}; --resume goes on from there",
}


@pytest.mark.parametrize("act", TOLD)
@pytest.mark.parametrize(("split", "before_batch", "step"), [("train", 4, 4), ("train", 6, 6), ("val", 0, 3)])
def test_when_data_fail_what_is_finished_is_saved_and_resumed_as_if_nothing_had_been(
    tmp_path, act, split, before_batch, step
):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = make(tmp_path / "whole", Brightness(noise=0.1))
    whole.fit()
    toy = PluginSection.model_validate({"name": "toy", "root": "/pets"})
    first = make(tmp_path / "parts", Brightness(noise=0.1), save_epochs=100, dataset=toy)
    if split == "train":
        first.train_loader = interruptible(first.train_loader, before_batch, act)
    else:
        first.val_loader = interruptible(first.val_loader, before_batch, act)
    begin = time.monotonic()
    with pytest.raises(MaeError) as caught:
        first.fit()
    assert time.monotonic() - begin < 30
    assert str(caught.value) == TOLD[act].format(step)
    assert caught.value.exit_code == {folder_is_gone: 3, data_never_come: 130}.get(act, 1)

    second = make(tmp_path / "parts", Brightness(noise=0.1))
    second.load(last_of(tmp_path / "parts"))
    assert second.step == step
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))
    for name in ("train/loss", "val/error"):
        assert records(first, name) + records(second, name) == records(whole, name)
    assert second.best == whole.best


@pytest.mark.parametrize("act", [worker_ends, folder_is_gone])
@pytest.mark.parametrize("resumed", [False, True])
def test_when_data_fail_after_the_last_step_it_is_told_that_resuming_goes_on(tmp_path, act, resumed):
    toy = PluginSection.model_validate({"name": "toy", "root": "/pets"})
    trainer = make(tmp_path, dataset=toy)
    trainer.fit()
    if resumed:
        trainer = make(tmp_path, dataset=toy)
        trainer.load(last_of(tmp_path))
    with pytest.raises(MaeError) as caught:
        trainer.stoppable(act)
    assert str(caught.value) == TOLD[act].format(9)
    assert caught.value.exit_code == {folder_is_gone: 3}.get(act, 1)


class Lost(ResidentLoader):
    """A loader that finds nothing any more."""

    def _fetch(self, plan: Any, spec: Any) -> Any:
        yield from ()


def test_a_validation_of_which_nothing_can_be_read_ends_the_run_and_is_made_up_for(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = make(tmp_path / "whole", Brightness(noise=0.1))
    whole.fit()
    first = make(tmp_path / "parts", Brightness(noise=0.1), save_epochs=100)
    val = first.val_loader
    assert val is not None

    def step(batch: Batch, step: Any = first.train_step) -> None:
        step(batch)
        if first.step == 4:
            first.val_loader = Lost(val.split, val.preprocess, val.device, val.seed)

    first.train_step = step  # type: ignore[method-assign]
    with pytest.raises(
        DataError, match=r"^none of the 5 val samples can be read, so there is nothing to measure; step 6 is saved,"
    ):
        first.fit()
    assert [step for step, _ in records(first, "val/error")] == [3]
    second = make(tmp_path / "parts", Brightness(noise=0.1))
    second.load(last_of(tmp_path / "parts"))
    assert (second.step, second.validation_due) == (6, True)
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))
    assert records(first, "val/error") + records(second, "val/error") == records(whole, "val/error")
    assert second.best == whole.best


def test_data_that_fail_before_the_first_step_leave_nothing_to_save(tmp_path):
    trainer = make(tmp_path)
    trainer.train_loader = interruptible(trainer.train_loader, 0, worker_ends)
    with pytest.raises(LoadingError, match=r"^a data worker was killed by SIGKILL; use fewer$"):
        trainer.fit()
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_in_a_save_leaves_the_last_good_checkpoint_alone(tmp_path, monkeypatch, error):
    trainer = make(tmp_path, save_epochs=1)

    def fails(*_: object) -> None:
        raise error

    def step(batch: Batch, step: Any = trainer.train_step) -> None:
        step(batch)
        if trainer.step == 4:
            monkeypatch.setattr("maecli.training.checkpoint_folder.write_tensors", fails)

    trainer.train_step = step  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        trainer.fit()
    last = last_of(tmp_path)
    assert last.step == 3
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best", "last", "step-000003"]
    again = make(tmp_path)
    again.load(last)
    assert again.step == 3


def test_what_a_signal_says_waits_for_no_lock_that_it_interrupts():
    lock, said = threading.Lock(), []

    def say(line):
        with lock:
            said.append(line)

    with lock:  # as rich's, while it writes
        thread = told_aside(say, "saving, then stopping")
    thread.join(10)
    assert said == ["saving, then stopping"]
