"""What groups say of the splits of their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from maecli.api import DataError, SplitName
from maecli.api.pictures import LabelRow


def check_groups(path: Path, splits: Mapping[str, SplitName], rows: Mapping[str, LabelRow]) -> None:
    """Raise `DataError` for a group whose pictures were given to two splits."""
    first: dict[str, str] = {}
    for key, row in rows.items():
        if not row.group or key not in splits:
            continue
        other = first.setdefault(row.group, key)
        if splits[other] != splits[key]:
            raise DataError(
                f"{path}, line {row.line}: group {row.group!r} is in {splits[key]} here and in {splits[other]} "
                f"in line {rows[other].line}; a group must stay in one split"
            )
