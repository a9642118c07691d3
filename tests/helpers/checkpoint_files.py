"""Checkpoints as somebody else would have written them: with other contents, or of before there were checksums."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from maecli.training.checkpoint import CHECKSUM, OF_TENSORS, RECORD, checksum_of_record, checksum_of_tensors

Record = dict[str, Any]
Tensors = dict[str, torch.Tensor]


def rewrite(
    file: Path,
    change_record: Callable[[Record], object] = lambda _: None,
    change_tensors: Callable[[Tensors], object] = lambda _: None,
    checked: bool = True,
) -> None:
    """Write a file of a checkpoint anew, with sound checksums or without any; pointers to it name it and no more."""
    with safe_open(file, "pt") as opened:
        record = json.loads(opened.metadata()[RECORD])
    tensors = load_file(file)
    change_record(record)
    change_tensors(tensors)
    record.pop(OF_TENSORS, None)
    if checked:
        record[OF_TENSORS] = checksum_of_tensors(tensors)
    text = json.dumps(record)
    save_file(tensors, file, {RECORD: text} | ({CHECKSUM: checksum_of_record(text)} if checked else {}))
    for pointer in (file.parents[1] / name for name in ("last", "previous", "best")):
        if pointer.exists():
            pointer.write_text(pointer.read_text().split()[0] + "\n")


def without_checksums(run: Path) -> None:
    """Give a run's checkpoints the form that they had before there were checksums."""
    for file in (run / "checkpoints").glob("step-*/*.safetensors"):
        rewrite(file, lambda record: record.pop("run", None), checked=False)
