"""The checksums of shards that `mae pack` wrote: see the `shards.json` in the folder of each."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from maecli import api

LIST = "shards.json"
MAX_BYTES = 2**24


class Packed(NamedTuple):
    """What the list says of a shard."""

    sha256: str
    num_samples: int


def checksums(shards: Sequence[Path]) -> dict[Path, Packed]:
    """Return what the list in a shard's own folder says of it, where it does. Raises DataError for what is no list."""
    lists = {folder: _list(folder) for folder in {shard.parent for shard in shards}}
    return {shard: lists[shard.parent][shard.name] for shard in shards if shard.name in lists[shard.parent]}


def _list(folder: Path) -> dict[str, Packed]:
    """Return what a folder's list says of each shard by its name, nothing where there is none."""
    path = folder / LIST
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
