"""Imports that cost nothing: measuring one takes a process that loads torch."""

from __future__ import annotations

import pytest

from maecli.testing import imports


@pytest.fixture
def told_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every module be light."""

    def costs(modules, base):
        return {name: imports.ImportCost(0.0, ()) for name in modules}

    monkeypatch.setattr(imports, "import_costs", costs)
