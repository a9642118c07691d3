"""A sweep whose runs take two steps each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

STEPS = {
    "train": {"max_steps": 2, "batch_size": 128, "warmup_epochs": 0},
    "trackers": ["jsonl"],
    "log_every_steps": 1,
    "device": "cpu",
    "precision": "float32",
}
TREE: dict[str, Any] = {
    "pretrain": {
        "dataset": {"name": "digits"},
        "model": {"name": "vit", "patch_size": 4, "img_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
        "task": {"decoder_embed_dim": 16, "decoder_depth": 1, "decoder_num_heads": 2},
        **STEPS,
    },
    "finetune": {"task": {"name": "classify"}, **STEPS},
}


@pytest.fixture
def tree() -> dict[str, Any]:
    """Return the section of a tiny sweep on digits, to be changed at will."""
    return copy.deepcopy(TREE)


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a sweep file, the tiny one with changes."""

    def write(name: str = "tiny", **changes: Any) -> Path:
        file = tmp_path / f"{name}.yaml"
        section = {key: value for key, value in (copy.deepcopy(TREE) | changes).items() if value is not None}
        file.write_text(yaml.safe_dump({"sweep": section}, sort_keys=False))
        return file

    return write
