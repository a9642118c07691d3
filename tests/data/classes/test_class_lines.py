"""Names of classes by the lines of `classes.txt`."""

from __future__ import annotations

import re

import pytest

from maecli.data.classes import class_lines
from maecli.data.classes.class_lines import read_class_lines
from maecli.errors import DataError


def test_each_line_that_holds_anything_names_a_class(tmp_path):
    assert read_class_lines(tmp_path) == ()
    (tmp_path / "classes.txt").write_bytes("\ufeffcat\n\n sea lion \n".encode())
    assert read_class_lines(tmp_path) == ("cat", "sea lion")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"cat\ndog\ncat", "names cat twice; the number of a class is that of its line, from 0"),
        (b"caf\xe9", "is not a text in UTF-8; save it as one"),
        (b"x" * 65, "is larger than 64 bytes, which no list of classes is"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, monkeypatch, content, why):
    monkeypatch.setattr(class_lines, "MAX_BYTES", 64)
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(f"{path} {why}")):
        read_class_lines(tmp_path)
