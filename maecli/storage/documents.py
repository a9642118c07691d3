"""JSON and YAML, read within bounds of size, depth and time; whatever is wrong with a document is one sentence.

YAML is read as YAML 1.1 reads it, with these differences: every key is text, as it is written; 1e-3 is a number; dates
and 1:30 are text; nothing stands twice in one mapping; the tags are those of JSON's types.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, Event, ScalarEvent

from maecli.errors import DamagedFile

MAX_JSON_BYTES = 16 * 2**20
MAX_YAML_BYTES = 256 * 2**10
MAX_DEPTH = 64
"""Of lists and mappings in each other, with every alias replaced by what it stands for."""
MAX_YAML_SIZE = 2**20
"""Letters and values with every alias replaced; no document of MAX_YAML_BYTES without aliases has as many."""
_MAX_BITS = 64
_MAX_DIGITS = 300  # of JSON's; below what a float can hold, so that no int is too large to become one
_LONG_NUMBER = re.compile(rf"[0-9]{{{_MAX_DIGITS}}}")

_TAG = "tag:yaml.org,2002:"
_FLOAT = (
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
    r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
_PLAIN = {
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF",
    "int": r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)",
    "float": _FLOAT,
    "merge": "<<",
}
"""What text without quotes is, by YAML 1.1."""
_SURROGATE = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")
_MAX_SLOW = 2**16


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises FileNotFoundError when there is none, DamagedFile for everything else that keeps it from being read.
    """
    text = read_text(path, MAX_JSON_BYTES)
    try:
        return parse_json(text)
    except ValueError as error:
        raise DamagedFile(path, f"is not valid JSON ({error})") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return what a JSON file of one object holds. Raises like `read_json`."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise DamagedFile(path, "holds no JSON object")
    return value


def parse_json(text: str) -> Any:
    """Return a JSON value. Raises ValueError with a reason in few words."""
    try:
        value = json.loads(text, parse_int=_json_int if _LONG_NUMBER.search(text) else None)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from error
    level, depth = [value], 0
    while level := [each for inside in map(_inside, level) for each in inside if isinstance(each, (dict, list))]:
        depth += 1
        if depth >= MAX_DEPTH:
            raise ValueError(_too_deep())
    return value


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _json_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds. Raises like `read_json`."""
    try:
        return parse_yaml(read_text(path, MAX_YAML_BYTES))
    except ValueError as error:
        raise DamagedFile(path, f"is not valid YAML ({error})") from error


def parse_yaml(text: str) -> Any:
    """Return a YAML value, in which nothing is shared. Raises ValueError with a reason in few words."""
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"it is longer than {MAX_YAML_BYTES:,} bytes")
    slow = len(text) <= _MAX_SLOW and _SURROGATE.search(text)
    loader = _SlowLoader if slow else _Loader
    try:
        _check_events(yaml.parse(text, Loader=loader))
        root = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds letters that UTF-8 cannot hold") from error
    except OverflowError as error:  # an escape beyond Unicode
        raise ValueError("it holds an escape of no letter") from error
    if root is None:
        return None
    _check_size(root, {})
    return _Values().value(root)


def dump_yaml(value: Any) -> str:
    """Return YAML in the order of `value`, without anchors and aliases."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes every value where it belongs, and quotes text that `parse_yaml` would take for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(_TAG + "float", re.compile(rf"(?:{_FLOAT})\Z"), list("-+.0123456789"))


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a file in UTF-8. Raises FileNotFoundError when there is none, else DamagedFile."""
    try:
        if path.exists() and not path.is_file() and not path.is_relative_to("/dev"):  # a pipe may never end
            raise DamagedFile(path, "cannot be read (it is no file)")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise DamagedFile(path, f"cannot be read ({reason or error})") from error
    if len(data) > max_bytes:
        raise DamagedFile(path, f"is larger than {max_bytes:,} bytes, so it is none of mae's")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedFile(path, "is not text in UTF-8") from error


def _too_deep() -> str:
    return f"it is nested more than {MAX_DEPTH} deep"


def _check_events(events: Iterable[Event]) -> None:
    """Raise ValueError for more than one document, for NUL, and for nesting without end.

    Before anything is built: a builder calls itself for every level.
    """
    num_documents = 0
    around: list[str | None] = []  # the anchors of the lists and mappings that an event is in
    for event in events:
        if isinstance(event, CollectionStartEvent):
            around.append(event.anchor)
        elif isinstance(event, CollectionEndEvent):
            around.pop()
        elif isinstance(event, AliasEvent) and event.anchor in around:
            raise ValueError(f"{_line(event)}: the alias *{str(event.anchor)[:80]} stands for what it is a part of")
        elif isinstance(event, ScalarEvent) and "\0" in event.value:
            raise ValueError(f"{_line(event)}: there is a NUL in {event.value[:80]!r}")
        num_documents += isinstance(event, DocumentStartEvent)
        if num_documents > 1:
            raise ValueError(f"{_line(event)}: a second document begins")
        if len(around) > MAX_DEPTH:
            raise ValueError(_too_deep())


def _check_size(node: Any, sizes: dict[int, int]) -> int:
    """Return how many letters and values a node has with every alias written out. Raises ValueError for too many.

    `sizes` are those of the nodes that were seen before: what an alias stands for is always among them.
    """
    if id(node) not in sizes:
        if isinstance(node, yaml.ScalarNode):
            parts = [len(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            parts = [_check_size(each, sizes) for each in node.value]
        else:
            parts = [_check_size(key, sizes) + _check_size(value, sizes) for key, value in node.value]
        sizes[id(node)] = 1 + sum(parts)
    if sizes[id(node)] > MAX_YAML_SIZE:
        raise ValueError(f"{_line(node)}: with its aliases written out it has more than {MAX_YAML_SIZE:,} letters")
    return sizes[id(node)]


class _Values(yaml.constructor.SafeConstructor):
    """What the nodes of a document mean here: see the module. Each alias is built anew, so that nothing is shared."""

    def value(self, node: Any, depth: int = 1) -> Any:
        """Return what a node stands for at a depth of lists and mappings."""
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if depth > MAX_DEPTH:
            raise ValueError(_too_deep())
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(each, depth + 1) for each in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, depth)
        raise _unread(node)

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        """Return a mapping whose keys are text as it is written; they go before those of a mapping merged by <<."""
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, str] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"{_line(key)}: a key must be text, not a list or mapping")
            if key.tag == _TAG + "merge":
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                if not all(isinstance(part, yaml.MappingNode) for part in parts):
                    raise ValueError(f"{_line(key)}: << takes a mapping, or a list of them")
                for part in reversed(parts):
                    merged |= self.value(part, depth + 1)
            elif key.value in own:
                first = f"first in {lines[key.value]}; keep one of them"
                raise ValueError(f"{_line(key)}: the key {key.value[:80]!r} stands there twice, {first}")
            else:
                own[key.value], lines[key.value] = self.value(value, depth + 1), _line(key)
        return merged | own

    def scalar(self, node: Any) -> bool | int | float | str | None:
        """Return text, or what text without quotes means."""
        text, kind = node.value, node.tag.removeprefix(_TAG)
        if kind in ("str", "merge"):
            return str(text)
        if kind == "null":
            return None
        if kind in ("int", "float"):
            return self.number(node, kind)
        if kind != "bool":
            raise _unread(node)
        if text.lower() not in self.bool_values:
            raise ValueError(f"{_line(node)}: {text[:80]!r} is neither true nor false")
        return bool(self.bool_values[text.lower()])

    def number(self, node: Any, kind: str) -> int | float:
        """Return a number of 64 bits."""
        text = node.value
        try:
            number: int | float = (self.construct_yaml_int if kind == "int" else self.construct_yaml_float)(node)
            if isinstance(number, int) and number.bit_length() > _MAX_BITS:
                raise ValueError("it is too large")
            if isinstance(number, float) and math.isinf(number) and "inf" not in text.lower():
                raise ValueError("it is too large")
        except (ValueError, IndexError) as error:
            shown = text if len(text) < 40 else f"{text[:20]}… ({len(text):,} digits)"
            raise ValueError(f"{_line(node)}: {shown!r} is no number of {_MAX_BITS} bits") from error
        return number


class _Rules:
    """What text without quotes is."""

    yaml_implicit_resolvers: ClassVar[Any] = {
        None: [(_TAG + kind, re.compile(rf"(?:{pattern})\Z")) for kind, pattern in _PLAIN.items()]
    }


class _SlowLoader(_Rules, yaml.SafeLoader):
    """Reads escapes of half characters, which libyaml does not: names of folders that are no UTF-8 hold those."""


class _Loader(_Rules, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Ten times as fast where PyYAML has libyaml."""


def _unread(node: Any) -> ValueError:
    return ValueError(f"{_line(node)}: the tag {node.tag[:80]} is not read; leave it out")


def _line(part: Any) -> str:
    return f"line {part.start_mark.line + 1}"
