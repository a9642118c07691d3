"""The page of signatures: all that a plugin may import, made from the code.

python tests/api_page.py > docs/api.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import api_surface

from maecli import api, testing

COMMAND = "uv run python tests/api_page.py > docs/api.md"

INTRODUCTION = f"""\
<!-- Made from the code by `{COMMAND}`; not written by hand. -->
# Signatures

What `from maecli import api` offers, each with its signature and the first words of its docstring;
`help(api.Dataset)` has the rest. What is to be done with it stands in [plugins](plugins.md). Of a class, what it
inherits is listed at its base; a field `= …` has a default."""


def page() -> str:
    """Return the page as Markdown."""
    return "\n\n".join([INTRODUCTION, *_module("api", api), *_module("maecli.testing", testing)]) + "\n"


def _module(path: str, module: ModuleType) -> Iterator[str]:
    """Yield the parts of a module, its drawers after its own names."""
    yield f"## `{path}`"
    drawers = []
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            drawers.append((f"{path}.{name}", value))
        else:
            yield from _entry(name, value)
    for drawer in drawers:
        yield from _module(*drawer)


def _entry(name: str, value: Any) -> Iterator[str]:
    yield f"### `{name}`"
    is_code = isinstance(value, type) or inspect.isfunction(value)
    if is_code and (about := _first_words(value)):
        yield about
    lines = [line.removeprefix("def ") for line in api_surface.lines(name, value, signature)]
    yield "\n".join(["```text", *(line.removeprefix(f"{name}.") for line in lines), "```"])


def signature(function: Any) -> str:
    """Return a signature as it is written: annotations without the quotes of what was not evaluated."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return re.sub(r"<(?:function|class) '?([\w.]+)'?(?: at 0x[0-9a-f]+)?>", r"\1", text)


def _first_words(value: Any) -> str:
    """Return the first paragraph of a docstring of its own."""
    return " ".join(inspect.cleandoc(value.__doc__ or "").partition("\n\n")[0].split())


if __name__ == "__main__":
    print(page(), end="")
