from __future__ import annotations

import pytest

from maecli.layouts.described import LAYOUTS
from maecli.layouts.read import read_layout


@pytest.mark.parametrize("described", LAYOUTS, ids=lambda described: described.title.replace(" ", "-"))
def test_each_described_layout_is_read_as_is_said(described):
    layout = read_layout(sorted(described.tree), lambda path: path.endswith((".jpg", ".png")))
    assert layout.reading(len(layout.samples), len(set(layout.labels.values()))) == described.reading
