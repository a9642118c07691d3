"""How many tensors a safetensors file may list: reading a list of a million takes minutes."""

from __future__ import annotations

from pathlib import Path

MAX_TENSORS = 20_000
"""The largest models have under 3,000."""
MAX_LISTED = 10**8
"""Bytes of a list; safetensors reads none that is longer."""
ABSURD = "no model has so many"


def check_list(path: Path, most: int = MAX_TENSORS) -> None:
    """Raise ValueError for a file that lists more tensors, before they are read one by one."""
    with path.open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
        num = file.read(min(num_bytes, MAX_LISTED)).count(b'"data_offsets"')
    if num > most:
        raise ValueError(f"it lists {num:,} tensors, more than {most:,}; {ABSURD}")
