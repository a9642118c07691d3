"""JSON and YAML are read within bounds; what is wrong with a document is told in one sentence, at once."""

from __future__ import annotations

import os
import time
import tracemalloc

import pytest
import yaml

from maecli.errors import DamagedFile
from maecli.storage import documents
from maecli.storage.documents import MAX_DEPTH, MAX_YAML_BYTES, dump_yaml, parse_json, parse_yaml, read_json, read_yaml

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
"""Less than 400 bytes, which stand for 9 ** 9 letters."""
MERGE_BOMB = "a0: &a0 {k: x}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}], k{i}: x}}\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "with its aliases written out it has more than 1,048,576 letters"),
        (MERGE_BOMB, "with its aliases written out it has more than 1,048,576 letters"),
        ("[" * 200 + "]" * 200, "nested more than 64 deep"),
        ("- " * 100_000, "nested more than 64 deep"),
        ("{a: " * 65, "nested more than 64 deep"),
        ("a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40, "nested more than 64 deep"),
        ("[" * 100_000, "nest"),
        ("a: " + "9" * 5000, r"line 1: '99999999999999999999… \(5,000 digits\)' is no number of 64 bits"),
        ("a: 0x" + "f" * 5000, "is no number of 64 bits"),
        ("a: 1e999999", "line 1: '1e999999' is no number of 64 bits"),
        ("a: 0b_", "'0b_' is no number"),
        ("&a [*a]", r"line 1: the alias \*a stands for what it is a part of"),
        ("&a {<<: *a}", r"line 1: the alias \*a stands for what it is a part of"),
        ("a: *b", "undefined alias|stands for nothing"),
        ("a:\n  <<: 1", "line 2: << takes a mapping, or a list of them"),
        ("!!python/object/apply:os.system [ls]", "the tag .*os.system is not read"),
        ("!!set {a}", "the tag .* is not read"),
        ("!!binary aGk=", "the tag .* is not read"),
        ("!!map [a, b]", "the tag .* is not read"),
        ("!!seq {a: b}", "the tag .* is not read"),
        ("!!int x", "'x' is no number"),
        ("!!bool x", "neither true nor false"),
        ("[1]: 2", "line 1: a key must be text"),
        ("? {a: b}\n: c", "line 1: a key must be text"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands there twice, first in line 1; keep one of them"),
        (
            "a:\n  - b:\n      c: 1\n      'c': 2",
            "line 4: the key 'c' stands there twice, first in line 3; keep one of them",
        ),
        ('a: "\\0"', "there is a NUL"),
        ("a: \0", "control characters"),
        ("a: \ud800", "letters that UTF-8 cannot hold"),
        ('a: ["\\ud800", "\\U99999999"]', "chr|no letter"),
        ("a\n---\nb", "line 2: a second document begins"),
        ("a: [", "expected"),
    ],
)
def test_what_cannot_be_yaml_of_ours_is_refused_at_once(text, reason):
    begin = time.process_time()
    with pytest.raises(ValueError, match=reason) as raised:
        parse_yaml(text)
    assert type(raised.value) is ValueError
    assert len(str(raised.value)) < 300
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1e-3\nb: '1e-3'\nc: 1E5\nd: -.5e+1", {"a": 1e-3, "b": "1e-3", "c": 1e5, "d": -5.0}),
        ("[1, -0x1F, 010, 0b11, 1_000, +7]", [1, -31, 8, 3, 1000, 7]),
        ("[1.5, .5, -.inf, 1., 1_0.5]", [1.5, 0.5, float("-inf"), 1.0, 10.5]),
        ("[yes, No, on, OFF, true, ~, null, ]", [True, False, True, False, True, None, None]),
        (
            "[2024-01-01, 2024-13-45, 1:30, =, '5', !!str 5]",
            ["2024-01-01", "2024-13-45", "1:30", "=", "5", "5"],
        ),
        ("1: a\nno: b\n0.50: c\n~: d", {"1": "a", "no": "b", "0.50": "c", "~": "d"}),
        ("a: &a [1, {b: 2}]\nc: *a", {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}),
        ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]", [{"x": 1}, {"x": 2, "y": 2}, {"x": 1, "y": 2}]),
        ("- &k key\n- *k : 1", ["key", {"key": 1}]),
        ("a: |\n  1\n  2\nb: >\n  x", {"a": "1\n2\n", "b": "x"}),
    ],
)
def test_yaml_means_what_people_write(text, value):
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    "text", ["a: 1\nb: [x, 'y', 1.5, null, true]", "- {a: {b: c}}\n- |\n  x\n  y", "a: 0o7\nb: .5"]
)
def test_plain_documents_are_read_as_the_library_reads_them(text):
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.slow
def test_the_largest_documents_take_little_time_and_memory():
    alias = "- &a [" + "1," * 1000 + "]\n- [" + "*a," * 340 + "]"
    for text in ("- a: b\n" * (MAX_YAML_BYTES // 7), "[" + "1," * (MAX_YAML_BYTES // 2 - 1) + "]", alias):
        begin = time.process_time()
        parse_yaml(text)
        assert time.process_time() - begin < 15
    tracemalloc.start()
    parse_yaml(alias)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20
    with pytest.raises(ValueError, match="longer than 262,144 bytes"):
        parse_yaml("#" * (MAX_YAML_BYTES + 1))


def test_nothing_is_shared_and_nothing_written_with_anchors():
    value = parse_yaml("a: &a [1]\nb: *a\nc: {<<: &d {x: [2]}}\ne: *d")
    value["a"].append(2)
    assert value["b"] == [1]
    shared = ["x"]
    assert dump_yaml({"a": shared, "b": shared}) == "a:\n- x\nb:\n- x\n"


@pytest.mark.parametrize(
    "text", ["1e5", "1e-3", "2024-01-01", "1:30", "yes", "=", "<<", "0x1", "caf\udce9", "- a", ".5e1"]
)
def test_text_comes_back_as_text(text):
    assert parse_yaml(dump_yaml({"a": text})) == {"a": text}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested more than 64 deep"),
        ("[" * 200 + "]" * 200, "nested more than 64 deep"),
        ('{"a":' * MAX_DEPTH + "{}" + "}" * MAX_DEPTH, "nested more than 64 deep"),
        ("9" * 5000, "a number has 5,000 digits"),
        ("-" + "9" * 400, "a number has 401 digits"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_what_cannot_be_json_of_ours_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason) as raised:
        parse_json(text)
    assert type(raised.value) is ValueError


def test_json_may_say_a_key_twice_and_hold_half_characters_of_names():
    assert parse_json('{"a": 1, "a": "\\udce9", "b": NaN}')["a"] == "\udce9"


def test_files_are_named_with_what_is_wrong(tmp_path, monkeypatch):
    def said(read, data: bytes) -> str:
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(DamagedFile) as raised:
            read(tmp_path / "x")
        return str(raised.value).removeprefix(f"{tmp_path / 'x'} ")

    assert said(read_yaml, b"\xff") == "is not text in UTF-8"
    assert said(read_json, b"\xff") == "is not text in UTF-8"
    assert said(read_json, b"{").startswith("is not valid JSON (Expecting")
    assert said(read_yaml, b"a: *b").startswith("is not valid YAML (")
    assert said(read_yaml, b" " * (MAX_YAML_BYTES + 1)) == "is larger than 262,144 bytes, so it is none of mae's"
    monkeypatch.setattr(documents, "MAX_JSON_BYTES", 10)
    assert said(read_json, b" " * 11) == "is larger than 10 bytes, so it is none of mae's"
    (tmp_path / "bom").write_bytes("\ufeff[1]".encode())
    assert read_json(tmp_path / "bom") == read_yaml(tmp_path / "bom") == [1]


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", r"pipe cannot be read \(it is no file\)"),
        (tmp_path, r"cannot be read \(it is no file\)"),
        (tmp_path / ("x" * 5000), r"cannot be read \(File name too long\)"),
        (tmp_path / "a\0b", r"cannot be read \(embedded null byte\)"),
    ):
        with pytest.raises(DamagedFile, match=reason):
            read_yaml(path)
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "none")
