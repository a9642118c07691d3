from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from installed import look_again

from maecli.errors import PluginError
from maecli.registry import Registry, registry
from maecli.verbs.recipes import describe, list_recipes

SWEEP = """
about: |
  First
  sentence, on two lines. The second.
  Repeats: something. Cost: not yet measured.
pretrain: {}
finetune-segment: {}
sweep: {}
"""


@pytest.fixture
def others(tmp_path, monkeypatch):
    """A registry with two recipes of a stranger's package, one of them empty."""
    package = tmp_path / "mae_of_recipes"
    package.mkdir()
    (package / "ratio.yaml").write_text(SWEEP.replace("something. Cost", "something.\n  Cost"))
    (package / "empty.yaml").write_text("about: nothing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    look_again()  # another test of this process may have looked for it in vain, or imported another of this name
    return Registry([EntryPoint("recipes", "mae_of_recipes", "mae")])


def test_a_recipe_in_short(others):
    found = describe("ratio", others)
    assert (found.about, found.sections, found.cost) == (
        "First sentence, on two lines.",
        ("sweep", "pretrain", "finetune-segment"),
        "not yet measured",
    )
    assert found.command == "mae sweep --recipe ratio"


def test_a_recipe_without_a_section_is_refused(others):
    with pytest.raises(PluginError, match="recipe 'empty' of . . has no section".replace(". .", r"\? \?")):
        describe("empty", others)


def test_all_but_the_defaults_are_listed(mae):
    listed = {each["name"]: each for each in mae("recipes", "--json").json["recipes"]}
    assert listed.keys() == set(registry().names("recipe")) - {"defaults"}
    assert listed["digits"]["sections"] == ["pretrain", "finetune"]
    assert [each.name for each in list_recipes(registry(), pytest.fail)] == sorted(listed)
    table = mae("recipes").stdout
    assert all(name in table for name in listed)


def test_what_is_shipped_says_what_it_costs():
    assert [each.name for each in list_recipes(registry(), pytest.fail) if not each.cost] == []


def test_the_list_is_legible_in_a_narrow_terminal(mae, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = mae("recipes").stdout.splitlines()
    assert lines[lines.index("demo (pretrain, finetune; 70 s on 2 cores with AMX)") + 1].startswith(
        "    What `mae demo` runs"
    )
    assert max(map(len, lines)) <= 60


def test_one_recipe_is_printed_as_it_is(mae):
    assert mae("recipes", "digits").stdout == registry().recipe("digits")
    assert mae("recipes", "digits", "--json").json["text"] == registry().recipe("digits")
    outcome = mae("recipes", "digts")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("mae: unknown recipe 'digts'; did you mean 'digits'?; installed: ")
