"""What the names of folders say of the pictures in them: split and class; what groups say of their splits.

The first two take key → the path that counts, so that a level above can be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from maecli.api import DataError, SplitName
from maecli.api.pictures import SPLIT_WORDS, LabelRow


def folder_splits(paths: Mapping[str, str]) -> dict[str, SplitName]:
    """Return the split of every picture that lies in a split's folder."""
    first = {key: path.split("/")[0].lower() for key, path in paths.items() if "/" in path}
    return {key: SPLIT_WORDS[name] for key, name in first.items() if name in SPLIT_WORDS}


def folder_labels(paths: Mapping[str, str]) -> dict[str, str]:
    """Return the class folder of every picture that lies in one; nothing if there are fewer than two.

    Where there is a `train/`, only its folders are classes; other pictures have the
    label if they lie in `val/` or `test/` under the same name, and none otherwise.
    """
    splits = folder_splits(paths)
    has_train = "train" in splits.values()
    names = {key: paths[key].split("/")[1 if key in splits else 0 :] for key in (splits if has_train else paths)}
    labels = {key: parts[0] for key, parts in names.items() if len(parts) > 1}
    if has_train:
        classes = {label for key, label in labels.items() if splits[key] == "train"}
        labels = {key: label for key, label in labels.items() if label in classes}
    return labels if len(set(labels.values())) > 1 else {}


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
