"""A plugin's options in words: name, type, default and description, as its pydantic fields have them."""

from __future__ import annotations

import json
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

REQUIRED, COMPUTED = "required", "computed"
_LIMITS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


@dataclass(frozen=True)
class Option:
    """One option, as `--set KEY=VALUE` takes it."""

    key: str
    type: str
    default: str
    description: str


def describe_options(section: str, model: type[BaseModel]) -> list[Option]:
    """Return the options of a plugin, `section` (dataset, task or model) before their names."""
    return [
        Option(f"{section}.{name}", _with_limits(field), _default(field), field.description or "")
        for name, field in model.model_fields.items()
    ]


def value_words(value: Any) -> str:
    """Return a value as `--set` takes it."""
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return json.dumps(value, default=str, ensure_ascii=False)


def type_words(annotation: Any) -> str:
    """Return a type in few words: `int | null`, `mean | cls`, `list of 2: int`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is type(None):
        return "null"
    if origin is Annotated:
        return f"{type_words(parts[0])}{_limits(parts[1:])}"
    if origin is Literal:
        return " | ".join(value_words(part) for part in parts)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(type_words(part) for part in parts))
    if origin is tuple:
        if len(parts) == 2 and parts[1] is Ellipsis:
            return f"list of {type_words(parts[0])}"
        inner = list(dict.fromkeys(type_words(part) for part in parts))
        return f"list of {len(parts)}: {', '.join(inner)}"
    if origin in (list, set, frozenset, Sequence):
        return f"list of {type_words(parts[0])}" if parts else "list"
    if annotation is bool:
        return "true | false"
    if annotation is str:
        return "text"
    if isinstance(annotation, type) and issubclass(annotation, Path):
        return "path"
    return str(getattr(annotation, "__name__", annotation))


def _with_limits(field: FieldInfo) -> str:
    words = type_words(field.annotation)
    bare = words.removesuffix(" | null")  # which the limits do not concern
    return f"{bare}{_limits(field.metadata)}{words.removeprefix(bare)}"


def _limits(metadata: Sequence[Any]) -> str:
    """Return the limits among pydantic's metadata: ` >= 0, < 1`."""
    parts = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
    found = [f"{sign} {getattr(part, name)}" for part in parts for name, sign in _LIMITS if hasattr(part, name)]
    return " " + ", ".join(found) if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    try:
        return value_words(field.get_default(call_default_factory=True))
    except Exception:  # a factory may need the other options, and whatever a stranger's does is theirs
        return COMPUTED
