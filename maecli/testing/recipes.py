"""What a recipe promises. Of a sweep the form is looked at, not each of its runs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from maecli.errors import nearest
from maecli.registry import Registry
from maecli.schema import PLUGIN_SECTIONS, SPECS
from maecli.spec.ask import Ask
from maecli.spec.layers import nest
from maecli.spec.recipes import SWEEP, parse_yaml, read_document, read_sweep
from maecli.spec.resolve import stack
from maecli.spec.validate import validate
from maecli.sweep.definition import make_sweep
from maecli.testing.finding import Stages, expect


class RecipeSubject:
    """A recipe that is looked at."""

    def __init__(self, name: str, plugins: Registry) -> None:
        self.name, self.plugins, self.where = name, plugins, f"recipe {name}"
        self.text = plugins.recipe(name)

    @cached_property
    def tree(self) -> Any:
        return parse_yaml(self.text, self.where)

    @property
    def sections(self) -> list[str]:
        """VERB and VERB-TASK, as the recipe has them."""
        return [name for name in map(str, self.tree) if name.split("-")[0] in SPECS]


def reading(subject: RecipeSubject) -> None:
    """The file is YAML, with sections that verbs read."""
    for verb in SPECS:
        read_document(subject.text, verb, subject.where, required=False)
    known = (*SPECS, SWEEP)
    others = [name for name in map(str, subject.tree) if name != "about"]
    close = nearest(others[0], known) if others else ""
    expect(
        bool(subject.sections) or SWEEP in subject.tree,
        f"{subject.where} has {', '.join(others) or 'nothing'}{close}; write settings below {', '.join(known)}",
    )


def settings(subject: RecipeSubject) -> None:
    """Every section names installed plugins, and keys and values that they and the verb take."""
    for section in subject.sections:
        verb, _, task = section.partition("-")
        flags = {"task.name": task} if task else {}
        flat, _ = stack(Ask(verb, recipe=subject.name, flags=flags), subject.plugins)
        tree = nest(flat)
        sections = [section for section in PLUGIN_SECTIONS if section in tree]  # who runs the recipe chooses the others
        validate({section: {"name": ""} for section in PLUGIN_SECTIONS} | tree, verb, subject.plugins, sections)
    sweep = read_sweep(subject.text, subject.where)
    if sweep is not None:
        make_sweep({"name": subject.name, **sweep})


STAGES: Stages = ((reading,), (settings,))
