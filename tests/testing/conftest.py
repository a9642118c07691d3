"""Imports that cost nothing: measuring one takes a process that loads torch."""

from __future__ import annotations

import pytest

from maecli.testing import imports

HEAVY = "a_heavy_module"


@pytest.fixture
def told_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every module be light but the one named `a_heavy_module`."""

    def costs(modules, base):
        return {name: imports.ImportCost(0.0, ("jax",) if name == HEAVY else ()) for name in modules}

    monkeypatch.setattr(imports, "import_costs", costs)
