"""Weights in several files, as Hugging Face writes large ones: an index says which file holds which tensor.

model.safetensors.index.json      {"weight_map": {"embeddings.cls_token": "model-00001-of-00002.safetensors", …}}
model-00001-of-00002.safetensors
model-00002-of-00002.safetensors
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from maecli.errors import MaeError, SpecError
from maecli.storage.documents import read_json
from maecli.text import some

INDEX = ".index.json"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors|\.bin)")


def read_index(path: Path) -> dict[Path, list[str]]:
    """Return the files that an index names, each with its tensors.

    Raises MaeError for an index that is damaged, that names a file outside its folder, or one that is not there.
    """
    index = read_json(path)
    placed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(placed, dict) or not placed or not all(isinstance(name, str) for name in placed.values()):
        raise MaeError(f"{path} is no index of weights: it has no weight_map from tensors to files")
    shards: dict[Path, list[str]] = {}
    for tensor, name in placed.items():
        shards.setdefault(path.parent / _inside(name, path), []).append(tensor)
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise MaeError(f"{path} names {some(missing)}, which {path.parent} lacks; fetch what is missing")
    return shards


def _inside(name: str, index: Path) -> PurePosixPath:
    """Return the name of a file below the index. Raises MaeError for one that leads elsewhere."""
    path, foreign = PurePosixPath(name), PureWindowsPath(name)
    if not path.parts or path.is_absolute() or foreign.drive or foreign.root or ".." in foreign.parts or "\0" in name:
        raise MaeError(f"{index} names {name[:200]!r}, which is no file below its folder; nothing of it was read")
    return path


def check_whole(path: Path) -> None:
    """Raise SpecError for one of several files that belong together."""
    found = _SHARD.fullmatch(path.name)
    if found and int(found[3]) > 1:
        index = path.with_name(f"{found[1]}{found[4]}{INDEX}")
        way = f"give the folder, {path.parent}" if index.is_file() else f"fetch the others and {index.name} beside it"
        raise SpecError(f"{path} is part {int(found[2])} of {int(found[3])} of some weights; {way}")
