"""Shares of splits that somebody asked for, and that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from maecli.data.card import SplitName
from maecli.data.dataset import Dataset
from maecli.schema import RunSpec

ASKED = ("flag", "--set")
"""Sources of what was asked for now."""
CUT: tuple[SplitName, ...] = ("val", "test")


def useless_shares(spec: RunSpec, dataset: Dataset) -> Iterator[str]:
    """Yield a sentence for each share that was asked for and of which no split is cut."""
    for name in CUT:
        if spec.sources.get(f"dataset.{name}_share") not in ASKED:
            continue
        if name == "test" and spec.data.folds is not None:
            yield "--test-share does nothing here: each of the folds is the test split of a run"
        elif name in dataset.given_splits():
            yield f"--{name}-share does nothing here: the {name} split is given, by folders or a table"
