"""YAML documents as settings: specs, recipes with a section per verb, sweeps, and the values of `--set`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maecli.errors import DamagedFile, SpecError
from maecli.schema import SPECS
from maecli.spec.layers import PLANNED, Settings, Tree, flatten, nest
from maecli.storage import documents
from maecli.text import brief, shortened

DEFAULTS = "defaults"
"""The recipe that every run starts from."""
UNCHOSEN = (None, f"recipe {DEFAULTS}", PLANNED)
"""Where a setting comes from that nobody chose; None is the plugin's default."""
SWEEP = "sweep"
"""The section of a recipe that says which runs belong together; it serves no verb that trains."""


def parse_yaml(text: str, where: str) -> Any:
    """Return a YAML value. Raises SpecError, which begins with `where`."""
    try:
        return documents.parse_yaml(text)
    except ValueError as error:
        raise SpecError(f"{where} is not valid YAML: {error}") from error


def parse_sets(assignments: Sequence[str]) -> Settings:
    """Return the settings of `--set a.b=c` arguments; values are read as YAML."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"--set {brief(assignment)} is not of the form a.b=c")
        settings[key.strip()] = parse_yaml(text, f"--set {shortened(key)}")
    return flatten(nest(settings))


def read_document(text: str, verb: str, where: str, required: bool = True, task: str | None = None) -> Tree:
    """Return the settings for `verb` in a YAML document.

    A document is one spec, or a recipe with a section per verb; a section VERB-TASK serves that task instead. Raises
    SpecError when it is for other verbs only, unless it is not `required` to have anything for this one.
    """
    tree = parse_yaml(text, where)
    if not isinstance(tree, dict):
        raise SpecError(f"{where} must be a YAML mapping")
    sections = [name for name in tree if str(name).split("-")[0] in SPECS]
    if SWEEP in tree and not sections and required:
        raise SpecError(f"{where} is a sweep of many runs, not a spec of mae {verb}; run it by mae sweep")
    if sections or SWEEP in tree:
        unknown = set(tree) - set(sections) - {"about", SWEEP}
        if unknown:
            raise SpecError(f"{where}: a recipe has sections per verb, not {shortened(', '.join(sorted(unknown)))}")
        name = f"{verb}-{task}" if f"{verb}-{task}" in sections else verb
        if name not in sections:
            if not required:
                return {}
            raise SpecError(f"{where} has no section for {verb}, only for {', '.join(sections)}")
        section = tree[name] or {}
        if not isinstance(section, dict):
            raise SpecError(f"{where}: {name} must be a YAML mapping")
        return section
    if tree.get("verb", verb) != verb:
        raise SpecError(f"{where} is a spec of mae {shortened(str(tree['verb']))}, not of mae {verb}")
    return tree


def read_sweep(text: str, where: str) -> Tree | None:
    """Return the section `sweep` of a recipe or file, None where it has none."""
    tree = parse_yaml(text, where)
    section = tree.get(SWEEP) if isinstance(tree, dict) else None
    if section is not None and not isinstance(section, dict):
        raise SpecError(f"{where}: {SWEEP} must be a YAML mapping")
    return section


def read_config(path: Path, verb: str, task: str | None = None) -> Tree:
    """Return the settings for `verb` in a spec or recipe file."""
    return read_document(read_file(path), verb, str(path), task=task)


def read_file(path: Path) -> str:
    """Return the text of what `--config` names."""
    try:
        return documents.read_text(path, documents.MAX_YAML_BYTES)
    except FileNotFoundError as error:
        raise SpecError(f"--config {path} cannot be read: there is no such file") from error
    except DamagedFile as error:
        raise SpecError(f"--config {error}") from error
