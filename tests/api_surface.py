"""Names and signatures of `maecli.api`, its drawers and `maecli.testing`.

python tests/api_surface.py > tests/api/api_names.txt
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from maecli import api, testing


def surface() -> list[str]:
    """Return a line for each name that is offered, and for each public method and field of its classes."""
    own = (line for name in api.__all__ for line in lines(name, getattr(api, name)))
    return [*own, *lines("testing", testing)]


def lines(name: str, value: Any, signature: Callable[[Any], str] | None = None) -> Iterator[str]:
    """Yield the lines of a name, the signatures in them as `signature` writes them."""
    signature = signature or _signature
    if isinstance(value, ModuleType):
        yield from (line for inner in value.__all__ for line in lines(f"{name}.{inner}", getattr(value, inner)))
    elif isinstance(value, type):
        yield f"class {name}({', '.join(_name(base) for base in value.__bases__ if base is not object)})"
        yield from (f"{name}.{line}" for line in sorted(_members(value, signature)))
    elif inspect.isfunction(value):
        yield f"def {name}{signature(value)}"
    elif name == "API_VERSION":
        yield f"{name} = {value}"
    else:
        yield f"{name}: {_name(type(value))}"


def _members(cls: type[Any], signature: Callable[[Any], str]) -> Iterator[str]:
    """Yield what a class defines itself: what it inherits from one of ours is told there."""
    own = vars(cls)
    if issubclass(cls, BaseModel):
        for field in cls.__annotations__:
            if field in cls.model_fields:
                default = "" if cls.model_fields[field].is_required() else " = …"
                yield f"{field}: {cls.__annotations__[field]}{default}"
    elif "__init__" in own:
        yield f"__init__{signature(own['__init__'])}"
    for name, annotation in {} if issubclass(cls, BaseModel) else own.get("__annotations__", {}).items():
        if not name.startswith("_"):
            yield f"{name}: {annotation}"
    for name, value in own.items():
        if name.startswith(("_", "model_")):
            continue
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if inspect.isfunction(function):
            kind = "" if function is value else f"{type(value).__name__} "
            yield f"{name}{signature(function)} {kind}".rstrip()
        elif isinstance(value, property):
            yield f"{name} -> {value.fget.__annotations__.get('return') if value.fget else None} property"
        elif isinstance(value, type) and value.__qualname__.startswith(f"{cls.__name__}."):
            yield f"{name} class"


def _signature(function: Any) -> str:
    text = str(inspect.signature(function)).replace("'", "")
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _name(cls: Any) -> str:
    name = getattr(cls, "__name__", str(cls))
    ours = dataclasses.is_dataclass(cls) or getattr(cls, "__module__", "").startswith(("maecli", "builtins"))
    return name if ours else f"{getattr(cls, '__module__', '')}.{name}"


if __name__ == "__main__":
    print("\n".join(surface()))
