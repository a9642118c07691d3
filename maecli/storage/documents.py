"""JSON and YAML files, read within bounds of size, depth and time; whatever is wrong with one is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from maecli.errors import DamagedFile

MAX_JSON_BYTES = 64 * 2**20
MAX_YAML_BYTES = 256 * 2**10


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises FileNotFoundError when there is none, DamagedFile for everything else that keeps it from being read.
    """
    text = read_text(path, MAX_JSON_BYTES)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(path, f"is not valid JSON ({' '.join(str(error).split())})") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return what a JSON file of one object holds. Raises like `read_json`."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise DamagedFile(path, "holds no JSON object")
    return value


def parse_yaml(text: str) -> Any:
    """Return a YAML value. Raises ValueError with a reason in few words."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds. Raises like `read_json`."""
    try:
        return parse_yaml(read_text(path, MAX_YAML_BYTES))
    except ValueError as error:
        raise DamagedFile(path, f"is not valid YAML ({error})") from error


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a file in UTF-8. Raises FileNotFoundError when there is none, else DamagedFile."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(path, f"cannot be read ({error.strerror or error})") from error
    if len(data) > max_bytes:
        raise DamagedFile(path, f"is larger than {max_bytes:,} bytes, so it is none of mae's")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFile(path, "is not text in UTF-8") from error
