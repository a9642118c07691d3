"""What every plugin promises of its class and its options."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel

from maecli import plugin_options
from maecli.spec.recipes import parse_yaml
from maecli.storage.documents import dump_yaml
from maecli.testing.finding import expect
from maecli.text import some


def check_class(plugin: type[Any]) -> None:
    """Raise `Broken` unless a plugin's class has a name and says what it is."""
    name = getattr(plugin, "name", None)
    expect(
        isinstance(name, str) and bool(name),
        f'{plugin.__name__} has no name; write name = "…" in the class, as the entry point has it after the dot',
    )
    expect(
        bool(inspect.cleandoc(plugin.__doc__ or "")),
        f"{plugin.__name__} has no docstring; say in it what {name} is: `mae plugins show {name}` prints it",
    )


def check_options(plugin: type[Any], base: type[plugin_options.Options]) -> None:
    """Raise `Broken` unless a plugin's options can be read, refused and explained."""
    model = plugin.Options
    expect(
        isinstance(model, type) and issubclass(model, base),
        f"{plugin.__name__}.Options is no {base.__name__}; derive it from api.{base.__name__}",
    )
    expect(
        model.model_config.get("extra") == "forbid",
        f"{plugin.__name__}.Options takes unknown keys, so a misspelt option would go unnoticed; leave "
        'model_config as api.Options has it (extra="forbid")',
    )
    bare = [name for name, field in model.model_fields.items() if not field.description]
    expect(
        not bare,
        f"{plugin.__name__}.Options describes {some(bare)} with no word; write Field(default=…, description=…): it is "
        "the help text",
    )
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    expect(
        not needed,
        f"{plugin.__name__}.Options wants {some(needed)} and has no default; give one, None where there is none: "
        f"`mae plugins show {plugin.name}` builds the options without any",
    )


def spec(subject: Any) -> None:
    """Options come back from a spec file as they went in."""
    options: BaseModel = subject.options
    written = dump_yaml(options.model_dump(mode="json"))
    again = type(options).model_validate(parse_yaml(written, "the options"))
    changed = [name for name in type(options).model_fields if getattr(again, name) != getattr(options, name)]
    expect(
        not changed,
        f"the options {some(changed)} come back from a spec file as another value, such as "
        f"{some(repr(getattr(again, name)) for name in changed[:1])} for "
        f"{some(repr(getattr(options, name)) for name in changed[:1])}; use types that JSON has, tuples and paths",
    )
