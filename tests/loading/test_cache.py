"""Decoded samples that processes share: each is decoded once, whoever needs it next."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from maecli.loading import cache as caches
from maecli.loading import workers
from maecli.loading.cache import SampleCache
from maecli.loading.parcels import Parcel
from maecli.loading.workers import WorkerEnded, WorkerPool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs record locks")

NUM = 48
ROOM = 12_500
"""Bytes that one sample of `decode` takes, and a little."""
HANDLES = Path("/proc/self/fd")


def decode(index):
    image = np.random.default_rng(index).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    return {"image": image, "label": np.int64(index)}


class Reading:
    """Work that reads some samples; what goes with them is how many it decoded."""

    def __init__(self, cache):
        self.cache = cache

    def __call__(self, ids):
        samples, num_decoded = [], 0
        for index in ids:
            sample = self.cache.get(index)
            if sample is None:
                sample = decode(index)
                num_decoded += 1
                self.cache.put(index, sample)
            samples.append(sample)
        tensors = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}
        return Parcel(tensors, num_decoded)


def epoch(run, number):
    """Read every sample once in an order of its own. Return how many were decoded."""
    order = np.random.default_rng(number).permutation(NUM).reshape(-1, 4).tolist()
    num_decoded = 0
    for ids, parcel in zip(order, run(iter(order)), strict=True):
        assert parcel.tensors["label"].tolist() == ids
        assert np.array_equal(parcel.tensors["image"], np.stack([decode(index)["image"] for index in ids]))
        num_decoded += parcel.rest
    return num_decoded


@pytest.mark.parametrize("num_workers", [0, 1, 2, 4])
@pytest.mark.parametrize(
    ("room", "decoded"),
    [(NUM, [NUM, 0, 0]), (NUM // 2, [NUM, NUM // 2, NUM // 2]), (0.9, [NUM] * 3), (0, [NUM] * 3)],
    ids=["all", "half", "less than one", "none"],
)
def test_any_number_of_workers_decodes_as_often_as_one(num_workers, room, decoded):
    work = Reading(SampleCache(NUM, int(room * ROOM)))
    if num_workers == 0:
        assert [epoch(lambda jobs: map(work, jobs), number) for number in range(3)] == decoded
        return
    with WorkerPool(work, num_workers) as pool:
        assert [epoch(pool.run, number) for number in range(3)] == decoded


def test_new_processes_find_what_earlier_ones_decoded():
    cache = SampleCache(NUM, NUM * ROOM)
    for decoded in (NUM, 0):
        with WorkerPool(Reading(cache), 2) as pool:
            assert epoch(pool.run, decoded) == decoded


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_are_not_forked_share_it_too(monkeypatch, method):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where they find `Reading`
    monkeypatch.setattr(workers, "multiprocessing", multiprocessing.get_context(method))
    with WorkerPool(Reading(SampleCache(NUM, NUM // 2 * ROOM)), 2) as pool:
        assert [epoch(pool.run, number) for number in range(3)] == [NUM, NUM // 2, NUM // 2]


def test_it_goes_to_no_process_but_one_that_is_being_started():
    with pytest.raises(RuntimeError, match="inheritance"):
        pickle.dumps(SampleCache(NUM, ROOM))


ARRAYS = {
    "picture": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "number": np.int64(7),
    "of no axes": np.array(1.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "turned": np.arange(6, dtype=np.int16)[::-2],
    "boolean": np.array([[True, False]]),
    "half": np.array([1, np.nan, np.inf], np.float16),
    "big-endian": np.arange(3, dtype=">i4"),
    "words": np.array(["a", "été"]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_with_its_dtype_shape_and_bits(name):
    cache = SampleCache(2, 10_000)
    sample = {"odd": np.zeros(5, np.uint8), name: ARRAYS[name]}
    assert cache.put(1, sample)
    assert cache.put(0, decode(0)) is False
    back = cache.get(1)
    assert list(back) == list(sample)
    array = np.asarray(ARRAYS[name])
    assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
    assert back[name].tobytes() == array.tobytes()
    assert back[name].flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        back[name][...] = 0


@pytest.mark.parametrize("array", [np.array([{}]), np.zeros(2, [("x", "u1")])], ids=["objects", "records"])
def test_what_is_no_plain_number_is_not_kept(array):
    cache = SampleCache(1, 10_000)
    assert not cache.put(0, {"array": array})
    assert cache.get(0) is None
    assert cache.reason is None


def test_the_first_that_is_put_stays():
    cache = SampleCache(2, 10 * ROOM)
    assert cache.put(1, decode(1))
    assert not cache.put(1, decode(0))
    assert np.array_equal(cache.get(1)["image"], decode(1)["image"])
    assert cache.get(0) is None


def test_a_smaller_sample_takes_room_that_is_too_little_for_another():
    cache = SampleCache(3, 2 * ROOM)
    large = {"image": np.zeros(2 * ROOM, np.uint8)}
    assert [cache.put(0, large), cache.put(1, decode(1)), cache.put(2, decode(2))] == [False, True, True]
    assert [cache.get(index) is not None for index in range(3)] == [False, True, True]


@pytest.mark.parametrize("index", [-1, 2])
def test_a_sample_that_the_cache_has_no_slot_for_is_a_bug(index):
    cache = SampleCache(2, ROOM)
    with pytest.raises(IndexError, match=f"^sample {index} of 2$"):
        cache.get(index)
    with pytest.raises(IndexError, match=f"^sample {index} of 2$"):
        cache.put(index, decode(0))


class Dying:
    """Work that reads a sample, or is killed at the write of a given number while it keeps it."""

    def __init__(self, cache):
        self.read = Reading(cache)

    def __call__(self, job):
        index, die_at = job
        if die_at is not None:
            self.die(die_at)
        return self.read([index])

    def die(self, number):
        write, seen = caches._write, []

        def dying(file, part, offset):
            seen.append(None)
            if len(seen) == number:
                write(file, part[: len(part) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            write(file, part, offset)

        caches._write = dying


@pytest.mark.parametrize("number", [1, 3, 5], ids=["locked, reserving", "writing", "locked, publishing"])
def test_a_worker_that_is_killed_while_it_keeps_a_sample_stops_nobody_and_leaves_no_half_of_it(number):
    begin = time.monotonic()
    cache = SampleCache(NUM, NUM * ROOM)
    with WorkerPool(Dying(cache), 2) as pool:
        jobs = [(0, None), (1, number), *((index, None) for index in range(2, 8))]
        with pytest.raises(WorkerEnded, match="SIGKILL"):
            list(pool.run(iter(jobs)))
        for later in range(2):
            parcels = list(pool.run((index, None) for index in range(10)))
            for index, parcel in enumerate(parcels):
                assert np.array_equal(parcel.tensors["image"][0], decode(index)["image"])
            lost = {index for index, parcel in enumerate(parcels) if parcel.rest}
            if later:  # the other process is ended too, perhaps while it keeps a sample
                assert len(lost - {1}) <= 1
    assert time.monotonic() - begin < 120


class Slow(Reading):
    """Work that takes its time between finding room for a sample and taking it."""

    def __call__(self, ids):
        truncate = os.ftruncate

        def slow(file, length):
            time.sleep(0.3)
            truncate(file, length)

        os.ftruncate = slow
        try:
            return super().__call__(ids)
        finally:
            os.ftruncate = truncate


@pytest.mark.parametrize("jobs", [[[0], [1], [2]], [[0], [0], [0]]], ids=["others", "the same"])
def test_processes_that_keep_samples_at_once_take_room_one_after_the_other(jobs):
    cache = SampleCache(3, 3 * ROOM)
    with WorkerPool(Slow(cache), 3) as pool:
        assert len(list(pool.run(iter(jobs)))) == 3
    assert all(np.array_equal(cache.get(index)["image"], decode(index)["image"]) for (index,) in jobs)
    room_for_others = [cache.put(index, decode(index)) for index in range(3)]
    assert room_for_others == [[index] not in jobs for index in range(3)]


def test_without_memory_for_more_it_keeps_what_it_has_and_says_why(monkeypatch):
    cache = SampleCache(3, 10 * ROOM)
    assert cache.put(0, decode(0))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as short:
        short.setattr(os, "pwrite", full)
        assert not cache.put(1, decode(1))
    assert cache.reason == "No space left on device"
    assert not cache.put(2, decode(2))
    assert np.array_equal(cache.get(0)["image"], decode(0)["image"])
    assert cache.get(1) is None


def test_where_the_system_names_no_memory_a_temporary_file_serves(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = SampleCache(NUM, NUM * ROOM)
    assert list(tmp_path.iterdir()) == []
    assert [epoch(lambda jobs: map(Reading(cache), jobs), number) for number in range(2)] == [NUM, 0]


def test_where_there_is_no_file_either_nothing_is_kept_and_the_cause_is_told(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    cache = SampleCache(2, ROOM)
    assert cache.reason == "No space left on device"
    assert not cache.put(0, decode(0))
    assert cache.get(0) is None


def test_without_record_locks_nothing_is_kept_and_the_cause_is_told(monkeypatch):
    monkeypatch.setattr(caches, "fcntl", None)
    cache = SampleCache(2, ROOM)
    assert cache.reason == "this system has no record locks"
    assert not cache.put(0, decode(0))
    assert cache.get(0) is None


@pytest.mark.skipif(not HANDLES.exists(), reason="needs /proc")
def test_its_handles_are_closed_with_it_and_samples_outlive_it():
    gc.collect()
    before = len(list(HANDLES.iterdir()))
    cache = SampleCache(2, 2 * ROOM)
    cache.put(0, decode(0))
    sample = cache.get(0)
    del cache
    gc.collect()
    assert np.array_equal(sample["image"], decode(0)["image"])
    del sample
    gc.collect()
    assert len(list(HANDLES.iterdir())) == before
