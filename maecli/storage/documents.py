"""JSON and YAML, read within bounds of size, depth and time; whatever is wrong with a document is one sentence.

YAML is read as YAML 1.1 reads it, with these differences: every key is text, as it is written; 1e-3 is a number; dates
and 1:30 are text; nothing stands twice in one mapping; the tags are those of JSON's types.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

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
_PLAIN = (
    (_TAG + "null", re.compile(r"~|null|Null|NULL|")),
    (_TAG + "bool", re.compile(r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")),
    (_TAG + "int", re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)")),
    (
        _TAG + "float",
        re.compile(
            r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
            r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
        ),
    ),
    (_TAG + "merge", re.compile("<<")),
)
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
    try:
        return _Reading().value(_events(text))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds letters that UTF-8 cannot hold") from error
    except OverflowError as error:  # an escape beyond Unicode
        raise ValueError("it holds an escape of no letter") from error


def dump_yaml(value: Any) -> str:
    """Return YAML in the order of `value`, without anchors and aliases."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes every value where it belongs, and quotes text that `parse_yaml` would take for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(_TAG + "float", re.compile(rf"(?:{_PLAIN[3][1].pattern})\Z"), list("-+.0123456789"))


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


def _events(text: str) -> Iterator[Event]:
    """Yield the events of a document; libyaml finds them ten times as fast, but reads no escapes of half characters.

    A folder's name may hold those, where it is no UTF-8.
    """
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = yaml.SafeLoader(text) if len(text) <= _MAX_SLOW and _SURROGATE.search(text) else fast(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


@dataclass(frozen=True)
class _Anchored:
    """What an alias stands for."""

    value: Any
    size: int
    height: int


class _Open:
    """A list or mapping whose end has not come."""

    def __init__(self, anchor: str | None, line: int, is_mapping: bool) -> None:
        self.anchor, self.line, self.is_mapping = anchor, line, is_mapping
        self.items: list[Any] = []
        self.own: dict[str, Any] = {}
        self.merged: list[dict[str, Any]] = []
        self.key: str | None = None
        self.is_merge = False
        self.size, self.height = 1, 1

    @property
    def value(self) -> Any:
        if not self.is_mapping:
            return self.items
        lowest_first = reversed(self.merged)
        return {key: value for each in (*lowest_first, self.own) for key, value in each.items()}

    def add(self, value: Any, size: int, height: int, line: int) -> None:
        """Take the next item, or the value of the key that stands before it."""
        self.size += size
        self.height = max(self.height, height + 1)
        if not self.is_mapping:
            self.items.append(value)
        elif self.is_merge:
            parts = value if isinstance(value, list) else [value]
            if not all(isinstance(part, dict) for part in parts):
                raise ValueError(f"line {line}: << takes a mapping, or a list of them")
            self.merged += parts
        else:
            assert self.key is not None
            self.own[self.key] = value
        self.key, self.is_merge = None, False

    def take_key(self, text: str, is_merge: bool, line: int) -> None:
        self.key, self.is_merge = text, is_merge
        self.size += 1 + len(text)
        if not is_merge and text in self.own:
            raise ValueError(f"line {line}: the key {text[:80]!r} stands there twice")

    @property
    def wants_key(self) -> bool:
        return self.is_mapping and self.key is None


class _Reading:
    """Builds the value of one document from its events, without recursion."""

    def __init__(self) -> None:
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.size = 0
        self.root: Any = None

    def value(self, events: Iterator[Event]) -> Any:
        documents = 0
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise ValueError(f"line {line}: a second document begins")
            elif isinstance(event, AliasEvent):
                self._alias(event.anchor, line)
            elif isinstance(event, ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, (SequenceStartEvent, MappingStartEvent)):
                self._begin(event, line)
            elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
                done = self.stack.pop()
                self._put(done.value, done.size, done.height, done.anchor, done.line)
        return self.root

    def _begin(self, event: SequenceStartEvent | MappingStartEvent, line: int) -> None:
        is_mapping = isinstance(event, MappingStartEvent)
        _check_tag(event.tag, ("map",) if is_mapping else ("seq",), line)
        if self.stack and self.stack[-1].wants_key:
            raise ValueError(f"line {line}: a key must be text, not a list or mapping")
        self._grow(1, line)
        self.stack.append(_Open(event.anchor, line, is_mapping))
        if len(self.stack) > MAX_DEPTH:
            raise ValueError(_too_deep())

    def _scalar(self, event: ScalarEvent, line: int) -> None:
        self._grow(1 + len(event.value), line)
        if "\0" in event.value:
            raise ValueError(f"line {line}: there is a NUL in {event.value[:80]!r}")
        _check_tag(event.tag, ("null", "bool", "int", "float", "str"), line)
        is_merge = event.implicit[0] and event.value == "<<"
        if self.stack and self.stack[-1].wants_key:
            self._keep(event.anchor, event.value, 1 + len(event.value), 0)
            self.stack[-1].take_key(event.value, is_merge, line)
            return
        self._put(_scalar(event, line), 1 + len(event.value), 0, event.anchor, line)

    def _alias(self, name: str | None, line: int) -> None:
        name = name or ""
        if name not in self.anchors:
            open_ones = [each.anchor for each in self.stack]
            reason = "stands for what it is a part of" if name in open_ones else "stands for nothing"
            raise ValueError(f"line {line}: the alias *{name[:80]} {reason}")
        found = self.anchors[name]
        self._grow(found.size, line)
        if len(self.stack) + found.height > MAX_DEPTH:
            raise ValueError(_too_deep())
        if self.stack and self.stack[-1].wants_key:
            if not isinstance(found.value, str):
                raise ValueError(f"line {line}: a key must be text, and *{name[:80]} stands for something else")
            self.stack[-1].take_key(found.value, False, line)
            return
        self._put(_copy(found.value), found.size, found.height, None, line)

    def _put(self, value: Any, size: int, height: int, anchor: str | None, line: int) -> None:
        self._keep(anchor, value, size, height)
        if self.stack:
            self.stack[-1].add(value, size, height, line)
        else:
            self.root = value

    def _keep(self, anchor: str | None, value: Any, size: int, height: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = _Anchored(value, size, height)

    def _grow(self, size: int, line: int) -> None:
        self.size += size
        if self.size > MAX_YAML_SIZE:
            raise ValueError(f"line {line}: with its aliases written out it has more than {MAX_YAML_SIZE:,} letters")


def _check_tag(tag: str | None, known: tuple[str, ...], line: int) -> None:
    if tag not in (None, "!") and tag not in {_TAG + each for each in known}:
        raise ValueError(f"line {line}: the tag {str(tag)[:80]} is not read; leave it out")


def _scalar(event: ScalarEvent, line: int) -> Any:
    """Return the value of text, by its tag or, without quotes, by how it looks."""
    tag, text = event.tag, event.value
    if tag is None and event.implicit[0]:
        tag = next((tag for tag, looks in _PLAIN if looks.fullmatch(text)), None)
    if tag == _TAG + "null":
        return None
    if tag == _TAG + "bool" and _PLAIN[1][1].fullmatch(text):
        return text.lower() in ("true", "yes", "on")
    if tag in (_TAG + "int", _TAG + "float"):
        return _number(text, tag == _TAG + "int", line)
    if tag in (None, "!", _TAG + "str", _TAG + "merge"):
        return text
    raise ValueError(f"line {line}: {text[:80]!r} is neither true nor false")


def _number(text: str, is_int: bool, line: int) -> int | float:
    plain = text.replace("_", "").lower()
    try:
        if not is_int:
            number = float(plain.replace(".inf", "inf").replace(".nan", "nan"))
            if math.isinf(number) and "inf" not in plain:
                raise ValueError("it is too large")
            return number
        digits = plain.lstrip("+-")
        if len(digits) > 2 * _MAX_BITS:
            raise ValueError("it is too large")
        base = {"0b": 2, "0x": 16}.get(digits[:2], 8 if len(digits) > 1 and digits[0] == "0" else 10)
        value = int(digits, base)
        if value.bit_length() > _MAX_BITS:
            raise ValueError("it is too large")
    except ValueError as error:
        shown = text if len(text) < 40 else f"{text[:20]}… ({len(text):,} digits)"
        raise ValueError(f"line {line}: {shown!r} is no number of {_MAX_BITS} bits") from error
    return -value if plain.startswith("-") else value


def _copy(value: Any) -> Any:
    """Return lists and mappings anew; they are at most MAX_DEPTH deep."""
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value
