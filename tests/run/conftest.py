"""Runs of tests that look at what else came out: their charts are left out, unless a test is marked `charts`."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_charts_that_nobody_looks_at(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("charts") is None:
        request.getfixturevalue("without_charts")
