from __future__ import annotations

import argparse
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from fuzz.mutate import little_memory
from maecli_plugins.datasets.cifar10.plain_pickle import read_plain_pickle

from maecli.errors import DataError

# What Python 2 wrote for {"data": np.arange(6, dtype=np.uint8).reshape(2, 3)}: bytes are strings there.
PYTHON_2 = (
    b"\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
    b"\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\x03\x04\xfftbs."
)


class Runs:
    """Unpickled in the ordinary way, this would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def written(path: Path, value: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "<i8", "f4", "?"])
def test_containers_and_arrays_come_back(tmp_path, protocol, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    value = {"a": [1, 2.5, None, True, "é", b"\xff"], "t": (array, np.asfortranarray(array))}
    read = read_plain_pickle(written(tmp_path / "file", value, protocol))
    assert read["a"] == value["a"]
    for given in read["t"]:
        np.testing.assert_array_equal(given, array)
        assert given.dtype == array.dtype


def test_bytes_of_python_2_are_bytes(tmp_path):
    (tmp_path / "file").write_bytes(PYTHON_2)
    np.testing.assert_array_equal(read_plain_pickle(tmp_path / "file")["data"], [[0, 1, 2], [3, 4, 255]])


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (Runs, "posix.system"),
        (lambda _: argparse.Namespace(a=1), "argparse.Namespace"),
        (lambda _: np.array([Runs(Path("x"))], dtype=object), "an array of 'O8'"),
        (lambda _: np.random.default_rng(0), r"numpy\.random"),
        (lambda _: eval, r"builtins\.eval|__builtin__\.eval"),
    ],
)
def test_anything_else_is_refused_by_name_and_runs_nothing(tmp_path, make, named):
    trace = tmp_path / "trace"
    path = written(tmp_path / "file", {"data": make(trace)})
    with pytest.raises(DataError, match=named) as caught:
        read_plain_pickle(path)
    assert str(path) in str(caught.value)
    assert "nothing was run" in str(caught.value)
    assert not trace.exists()


def test_a_shape_that_its_data_do_not_fill_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(PYTHON_2.replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"))
    with pytest.raises(DataError, match=r"an array of shape \(2, 4\) with 6 elements"):
        read_plain_pickle(tmp_path / "file")


@pytest.mark.parametrize("data", [b"", b"<html>", PYTHON_2[:-5]])
def test_what_is_no_pickle_is_named(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(DataError, match="file is truncated or no pickled file"):
        read_plain_pickle(tmp_path / "file")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="file cannot be read: No such file"):
        read_plain_pickle(tmp_path / "file")


def test_a_list_within_lists_that_stands_in_many_places_is_read_once(tmp_path):
    """Forty levels of two would be 2⁴⁰ lists."""
    value: list[object] = []
    for _ in range(40):
        value = [value, value]
    (tmp_path / "p").write_bytes(pickle.dumps(value))
    read = read_plain_pickle(tmp_path / "p")
    assert read[0] is read[1]


def test_a_pickle_that_remembers_under_a_huge_number_is_refused(tmp_path):
    """Python would make a list of 2³² places for it."""
    (tmp_path / "p").write_bytes(b"\x80\x02]r" + struct.pack("<I", 2**32 - 2) + b".")
    with little_memory(), pytest.raises(DataError, match="calls for memory for 4294967294 things"):
        read_plain_pickle(tmp_path / "p")


def test_a_pickle_has_a_size(tmp_path, monkeypatch):
    monkeypatch.setattr("maecli_plugins.datasets.cifar10.plain_pickle.MAX_BYTES", 10)
    (tmp_path / "p").write_bytes(pickle.dumps([1] * 100))
    with pytest.raises(DataError, match="is larger than 10 bytes"):
        read_plain_pickle(tmp_path / "p")
