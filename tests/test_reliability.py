"""docs/reliability.md names a test for each promise: they are all there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def test_every_test_that_is_linked_is_there():
    links = re.findall(r"\[`(\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)
    assert len(links) == PAGE.count("](../")
    missing = [f"{path}: {name}" for name, path in links if not _holds(ROOT / path, name)]
    assert missing == []


def test_every_promise_has_a_test():
    promised, _, _ = PAGE.partition("## Last measured")
    rows = [line for line in promised.splitlines() if line.startswith("| ") and not line.startswith("| what ")]
    promises = [row for row in rows if row.count(" | ") == 2]
    assert len(promises) > 10
    assert [row for row in promises if "](../tests/" not in row] == []


def _holds(file: Path, name: str) -> bool:
    return file.is_file() and re.search(rf"^def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE) is not None
