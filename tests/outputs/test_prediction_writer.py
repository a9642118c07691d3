from __future__ import annotations

import errno
import json
import os
import threading

import numpy as np
import pytest
import torch

from maecli.errors import BrokenSample, Fault, MaeError
from maecli.outputs import named_files, prediction_writer
from maecli.outputs.named_files import OutputFiles
from maecli.outputs.prediction_writer import PredictionWriter
from maecli.outputs.rows import RowWriter
from maecli.training.task import Prediction

KEYS = [f"{i}.png" for i in range(12)]


@pytest.fixture
def faults():
    return []


def encode(values, source):
    if source is None:
        raise BrokenSample("source", "truncated file")
    return source.suffix, f"{values.tolist()} like {source.name}".encode()


@pytest.fixture
def writer(tmp_path, faults):
    """Return a writer to be used once, and entered together with its rows."""
    rows = RowWriter(tmp_path / "rows.jsonl", tmp_path / "rows.csv")
    return PredictionWriter(rows, OutputFiles(tmp_path / "files", tmp_path / "out"), KEYS, faults.append, encode)


def batch(*numbers, contents=lambda i: b"%d" % i):
    return [(KEYS[i], Prediction({"number": i}, {".txt": contents(i)}), None) for i in numbers]


def numbers_in(folder):
    return [json.loads(line)["number"] for line in (folder / "rows.jsonl").read_text().splitlines()]


def test_rows_keep_the_order_of_the_inputs_whatever_that_of_the_batches(writer, tmp_path):
    with writer.rows, writer:
        writer.add(batch(2, 5, 8))
        writer.add(batch(0, 3), [KEYS[1]])
        writer.add(batch(11, 7, 4, 6))
        writer.add(batch(10))
    assert numbers_in(tmp_path) == [0, 2, 3, 4, 5, 6, 7, 8, 10, 11]  # nobody said what became of 9
    assert {path.name: path.read_text() for path in (tmp_path / "files").iterdir()} == {
        f"{i}.png.txt": str(i) for i in range(12) if i not in (1, 9)
    }


def test_values_are_written_in_the_form_of_their_samples_file(writer, tmp_path):
    values = {"": np.array([1.5]), ".mask": np.array([2])}
    with writer.rows, writer:
        writer.add([(KEYS[0], Prediction({"number": 0}, values=values), tmp_path / "a.csv")])
    written = {path.name: path.read_text() for path in (tmp_path / "files").iterdir()}
    assert written == {"0.png.csv": "[1.5] like a.csv", "0.png.mask.csv": "[2] like a.csv"}


def test_a_sample_whose_file_can_no_longer_be_read_is_left_out(writer, tmp_path, faults):
    with writer.rows, writer:
        writer.add([(KEYS[0], Prediction({"number": 0}, values={"": np.zeros(1)}), None), *batch(1)])
    assert faults == [Fault(KEYS[0], "truncated file")]
    assert numbers_in(tmp_path) == [1]


def test_files_are_encoded_beside_the_thread_that_brings_them_and_without_gradients(writer, tmp_path):
    def contents(i):
        return lambda: f"{threading.current_thread() is here} {torch.is_grad_enabled()}".encode()

    here = threading.current_thread()
    with writer.rows, writer:
        writer.add(batch(0, contents=contents))
    assert (tmp_path / "files/0.png.txt").read_text() == "False False"


def test_rows_are_on_the_disk_while_others_are_made(writer, tmp_path):
    gate, written = threading.Event(), threading.Event()

    def late():
        written.set()
        gate.wait(10)
        return b""

    with writer.rows, writer:
        writer.add(batch(0))
        writer.add(batch(1, contents=lambda _: late))
        assert written.wait(10)
        writer.rows._file.flush()
        assert numbers_in(tmp_path) == [0]
        gate.set()
    assert numbers_in(tmp_path) == [0, 1]


def test_whoever_is_faster_than_the_disk_waits_for_it(writer):
    gate = threading.Event()
    brought = []

    def bring():
        for i in range(8):
            writer.add(batch(i, contents=lambda _: lambda: bytes(gate.wait(10))))
            brought.append(i)

    with writer.rows, writer:
        bringing = threading.Thread(target=bring)
        bringing.start()
        bringing.join(0.3)
        assert len(brought) <= prediction_writer.BATCHES_AHEAD + 1
        gate.set()
        bringing.join(10)
    assert brought == list(range(8))


@pytest.mark.parametrize("at_the_end", [False, True])
def test_an_encoder_that_raises_ends_it_with_its_own_message(writer, tmp_path, at_the_end):
    def broken():
        raise ValueError("no ink left")

    def bring_until_told():
        with writer.rows, writer:
            writer.add(batch(0, contents=lambda _: broken))
            if at_the_end:
                return
            while True:  # no batch of these is waited for in vain
                writer.add(batch(1))

    with pytest.raises(ValueError, match="no ink left"):
        bring_until_told()
    assert not writer._thread.is_alive()
    assert numbers_in(tmp_path) == []
    assert not (tmp_path / "rows.csv").exists()


def test_a_full_disk_is_told(writer, monkeypatch):
    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(named_files, "create", full)
    with pytest.raises(MaeError, match="the disk is full"), writer.rows, writer:
        writer.add(batch(0, 1, 2))


def test_what_no_name_fits_is_a_fault_and_gets_no_row(writer, tmp_path, faults, monkeypatch):
    create = named_files.create

    def picky(file, data):
        if data == b"1":
            raise OSError(errno.EINVAL, "Invalid argument")
        create(file, data)

    monkeypatch.setattr(named_files, "create", picky)
    with writer.rows, writer:
        writer.add(batch(0, 1, 2))
    assert numbers_in(tmp_path) == [0, 2]
    assert [str(fault) for fault in faults] == ["1.png: what was made of it cannot be written: invalid argument"]


def test_a_name_that_is_taken_is_told_in_the_row(writer, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/0.png.txt").touch()
    with writer.rows, writer:
        writer.add(batch(0))
    row = json.loads((tmp_path / "rows.jsonl").read_text())
    assert row["file.txt"].startswith("files/0.png~")
    assert (tmp_path / "out").parent.joinpath(row["file.txt"]).read_text() == "0"


def test_an_end_before_its_time_drops_what_waits(writer, tmp_path):
    gate, begun = threading.Event(), threading.Event()

    def slow():
        begun.set()
        gate.wait(10)
        return b""

    def stop():
        begun.wait(10)
        threading.Timer(0.2, gate.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), writer.rows, writer:  # noqa: PT012
        writer.add(batch(*range(6), contents=lambda _: slow))
        writer.add(batch(*range(6, 12)))
        stop()
    assert not writer._thread.is_alive()
    assert list((tmp_path / "files").glob("*")) in ([], [tmp_path / "files/0.png.txt"])
    before = sorted(tmp_path.rglob("*"))
    threading.Event().wait(0.1)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written once the block has ended"


def test_no_file_is_synced_by_itself(writer, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with writer.rows, writer:
        for i in range(12):
            writer.add(batch(i))
    assert len(synced) == 2, "the rows, twice"
