from __future__ import annotations

import subprocess
import sys

import pytest

from maecli.registry import registry
from maecli.testing import Synthetic, check_tracker, imports
from maecli.testing.finding import Advice
from maecli.testing.imports import check_import, import_costs


@pytest.fixture
def without_torch(monkeypatch):
    """Measure in a process that does not load torch first: these modules need none."""
    monkeypatch.setattr(imports, "BASE", ())


@pytest.fixture
def modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "jax.py").write_text("")
    (tmp_path / "mae_light.py").write_text("")
    (tmp_path / "mae_heavy.py").write_text("import jax")
    (tmp_path / "mae_slow.py").write_text(
        "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    )


def test_a_heavy_or_slow_module_is_advice_and_a_light_one_none(modules, without_torch):
    with pytest.raises(Advice) as caught:
        check_import("mae_heavy")
    assert str(caught.value) == (
        "importing mae_heavy loads jax; import it in the function that uses it, so that listing and other runs do not "
        "wait for it"
    )
    with pytest.raises(
        Advice, match=r"importing mae_slow takes 0\.\d\d s beyond torch, more than 0\.3 s; move what is computed"
    ):
        check_import("mae_slow")
    check_import("mae_light")


def test_what_every_plugin_stands_on_is_not_its_own_cost(modules):
    assert import_costs(["mae_heavy"], ["jax"])["mae_heavy"].heavy == ()


def test_a_class_of_a_module_that_cannot_be_imported_by_its_name_is_not_measured(without_torch):
    class Lines(registry().tracker("jsonl")):
        """Lines of JSON."""

        __module__ = "nowhere"

    [finding] = [finding for finding in check_tracker(Lines) if finding.note]
    assert (finding.check, finding.problem) == ("imports", None)
    assert finding.note == "nowhere cannot be imported by itself: ModuleNotFoundError: No module named 'nowhere'"


@pytest.mark.slow
def test_the_kit_needs_no_pytest_before_a_test_runs():
    program = "import sys, maecli.testing; sys.exit('pytest' in sys.modules or 'maecli_plugins' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert Synthetic.__module__ == "maecli.testing.synthetic"
