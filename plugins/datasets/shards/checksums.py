"""The checksums of shards that `mae pack` wrote: see `shards.json` beside them."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from maecli import api

LIST = "shards.json"
MAX_BYTES = 2**24


class Packed(NamedTuple):
    """What the list says of a shard."""

    sha256: str
    num_samples: int


def checksums(root: Path) -> dict[str, Packed]:
    """Return what is known of each shard by its name, none without a list. Raises DataError for what is no list."""
    path = root / LIST
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_BYTES:  # a pipe may never end
            raise ValueError(f"no file of {MAX_BYTES:,} bytes at most")
        shards = json.loads(path.read_bytes())["shards"]
        return {name: Packed(str(facts["sha256"]), int(facts["samples"])) for name, facts in shards.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise api.DataError(
            f"{path} is no list of the shards of mae pack; remove it, or pack the pictures anew"
        ) from error


def digest(sums: Mapping[str, Packed]) -> str:
    """Return a few letters that differ for other checksums."""
    return hashlib.blake2b(
        repr(sorted((name, *packed) for name, packed in sums.items())).encode(), digest_size=8
    ).hexdigest()
