"""VOC as its tests call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from maecli_plugins.datasets.voc.dataset import VOC

from maecli import api


@pytest.fixture
def voc() -> Callable[..., VOC]:
    """Return VOC in a folder, without downloading if not told otherwise."""
    return lambda root, **options: VOC(VOC.Options(root=root, **{"download": False} | options))


@pytest.fixture
def ids() -> Callable[..., set[str]]:
    """Return the pictures of a split of VOC by their numbers in the baseline."""

    def ids(data: VOC, name: api.SplitName, *fields: str) -> set[str]:
        return {Path(key).stem for key in data.split(name, fields).keys}

    return ids
