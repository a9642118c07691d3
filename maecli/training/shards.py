"""Tensors that lie in parts in several processes, as files: each writes its own parts, and any number reads them.

step-000800/model/shard-00001-model-00001-of-00001.safetensors    what the first process has of each tensor, and so on

The files are those of torch's distributed checkpoint (`HuggingFaceStorageWriter`): safetensors that name the place of
each part, with nothing pickled.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maecli.errors import MaeError
from maecli.parallel.world import World
from maecli.storage.files import disk_errors

if TYPE_CHECKING:
    from torch.distributed.checkpoint.api import CheckpointException

SUFFIX = ".safetensors"


def shard_name(rank: int) -> str:
    """Return the name that torch gives the file of a process."""
    return f"shard-{rank + 1:05d}-model-00001-of-00001{SUFFIX}"


def write_shards(folder: Path, tensors: Mapping[str, Any], world: World) -> dict[str, str]:
    """Write what each process has of DTensors to a file of its own; return the checksums of all files, by their names.

    All processes call it at once, and all raise what one of them raises. The files are on the disk then.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    failure: BaseException | None = None
    with world.guarded():
        try:
            save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))
        except CheckpointException as error:
            failure = _first_of(error)
    own = folder / shard_name(world.rank)
    with world.together(), disk_errors(folder):
        if failure is not None:
            raise failure
        checksum = checksum_of_file(own) if own.exists() else ""  # of fewer rows than processes, some have nothing
    sums = world.gathered(checksum)
    return {shard_name(rank): checksum for rank, checksum in enumerate(sums) if checksum}


def read_shards(folder: Path, checksums: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors as wholes, on the CPU, whatever number of processes wrote them.

    Raises MaeError where the files are not those of the checksums, or do not make up whole tensors.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    found = {path.name for path in folder.iterdir() if path.suffix == SUFFIX}  # all that torch would read
    if found != checksums.keys():
        raise MaeError(f"it has {len(found)} shards that are not the {len(checksums)} which were saved")
    for name, checksum in checksums.items():
        if checksum_of_file(folder / name) != checksum:
            raise MaeError(f"the shard {name} differs from its checksum")
    tensors = {}
    for name, stored in HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata.items():
        assert isinstance(stored, TensorStorageMetadata), "safetensors hold nothing else"
        if sum(chunk.sizes.numel() for chunk in stored.chunks) != stored.size.numel():
            raise MaeError(f"the shards do not make up the whole of {name}")  # nor is memory taken for it
        tensors[name] = torch.zeros(stored.size, dtype=stored.properties.dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # as is meant: each reads by itself
        try:
            load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
        except CheckpointException as error:
            raise _first_of(error) from error
    return tensors


def _first_of(error: CheckpointException) -> BaseException:
    """Return what the first of the processes that failed raised; torch's own error is no `Exception`."""
    return error.failures[min(error.failures)][0]


def checksum_of_file(path: Path) -> str:
    """Return that of all bytes: torch writes these files, so that nothing of ours can be recorded in them."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
