"""What the names of folders say of the pictures in them: split and class.

Both take key → the path that counts, so that a level above can be left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from maecli.data.card import SplitName
from maecli.data.label_files import SPLIT_WORDS


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
