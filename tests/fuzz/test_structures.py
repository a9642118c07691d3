"""Files that are whole and say odd things, made by hypothesis: read, or refused by one sentence of ours, at once."""

from __future__ import annotations

import json
import struct
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.mutate import little_memory
from fuzz.test_labels import read_table as read_labels
from fuzz.test_tables import read_as_series, read_as_table
from fuzz.test_volumes import ENTRIES, NIFTI, look_at_all, read_list
from maecli.errors import BrokenSample, MaeError

SECONDS = 2.0
SOME = settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
FIELDS = {  # of NIfTI-1: offset, how often, and type
    "dim": (40, 8, "<h"),
    "datatype": (70, 1, "<h"),
    "bitpix": (72, 1, "<h"),
    "pixdim": (76, 8, "<f"),
    "vox_offset": (108, 1, "<f"),
    "scl_slope": (112, 2, "<f"),
    "forms": (252, 2, "<h"),
    "quaternion": (256, 6, "<f"),
    "affine": (280, 12, "<f"),
}
NUMBERS = {
    "<h": st.sampled_from([-32768, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 128, 512, 1792, 2304, 32767]),
    "<f": st.one_of(st.sampled_from([0.0, -1.0, 1e-30, 352.0, 1e30]), st.floats(width=32)),
}
WORDS = st.sampled_from(
    [
        *("0", "1", "-1", "a", "", "ignore", "CT", "../x.nii.gz", "/etc/passwd", "a.nii.gz", "\0", "\ud800", "1e999"),
        "x" * 300,
    ]
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), WORDS),
    lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(WORDS, part, max_size=4)),
    max_leaves=8,
)
DESCRIPTION = st.fixed_dictionaries(
    {"training": st.one_of(JSON, st.just(ENTRIES), st.lists(st.dictionaries(st.sampled_from(["image", "label"]), JSON)))
    },
    optional=dict.fromkeys(("labels", "channel_names", "modality", "validation", "test"), JSON),
)  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(["", "NA", "1", "2.5", "1,5", "1.000,5", "1e999", "-inf", "nan", "2024-02-30", "2024-01-01"]),
    st.sampled_from(["01:00", "9" * 400, "١", "½", "=1+1", "a", "b.png", "cat", "train", "\x1b[31m", "\u2028", "0x1F"]),
    st.text(max_size=5),
    st.dates().map(str),
    st.floats().map(str),
)  # fmt: skip
ROWS = st.integers(1, 4).flatmap(lambda num: st.lists(st.lists(CELLS, min_size=num, max_size=num), max_size=24))


def check(read: Callable[[Path], object], name: str, data: bytes) -> None:
    """Let a reader read a file."""
    with tempfile.TemporaryDirectory() as folder, little_memory(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, name)
        path.write_bytes(data)
        begin = time.process_time()
        told = "."
        try:
            read(path)
        except (MaeError, BrokenSample) as error:
            told = str(error)
        assert 0 < len(told) < 1000
        assert time.process_time() - begin < SECONDS


def lines(rows: list[list[str]], separator: str = ",", header: str = "date,file,label,x") -> bytes:
    names = header.split(",")[: len(rows[0]) if rows else 1]
    quoted = (separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in [names, *rows])
    return "\n".join(quoted).encode("utf-8", "surrogatepass")


@SOME
@given(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3), st.data())
def test_headers_of_volumes(names, data):
    content = bytearray(NIFTI[0])
    for name in names:
        start, num, kind = FIELDS[name]
        place = start + data.draw(st.integers(0, num - 1)) * struct.calcsize(kind)
        struct.pack_into(kind, content, place, data.draw(NUMBERS[kind]))
    check(look_at_all, "volume.nii", bytes(content))


@SOME
@given(DESCRIPTION)
def test_lists_of_volumes(description):
    check(read_list, "dataset.json", json.dumps(description).encode())


@SOME
@given(ROWS, st.sampled_from(",;\t|"))
@pytest.mark.parametrize("read", [read_as_table, read_as_series])
def test_tables_and_series(read, rows, separator):
    check(read, "table.csv", lines(rows, separator))


@SOME
@given(ROWS)
def test_tables_of_labels(rows):
    check(read_labels, "labels.csv", lines(rows, header="file,label,split,group"))
