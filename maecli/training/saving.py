"""Saving in several processes: the first writes what it has as a whole, and each its part of what lies in parts."""

from __future__ import annotations

import contextlib
from pathlib import Path

from maecli.errors import MaeError
from maecli.parallel.world import World
from maecli.parallel.wrap import in_parts
from maecli.training.checkpoint import MODEL, STATE, Snapshot, shards_of, write_tensors
from maecli.training.checkpoint_folder import LEAST_KEPT, CheckpointFolder
from maecli.training.shards import shard_name, write_shards


def save_together(
    checkpoints: CheckpointFolder | None, world: World, snapshot: Snapshot, best: bool = False, keep: int = LEAST_KEPT
) -> None:
    """Do what `CheckpointFolder.save` does. All processes call it at once; the first alone has `checkpoints`.

    Raises in all processes what one of them raises, and MaeError where one does not see the folder to write parts to.
    """
    if not any(in_parts(tensor) for tensor in (*snapshot.model.values(), *snapshot.state.values())):
        with world.together():
            if checkpoints is not None:
                checkpoints.save(snapshot, best, keep)
        return
    files = {MODEL: snapshot.model, STATE: snapshot.state}
    with contextlib.ExitStack() as stack:

        def staged() -> Path | None:
            if checkpoints is None:
                return None
            names = [shard_name(rank) for rank in range(world.size)]
            return stack.enter_context(checkpoints.staged(snapshot.step, names))

        folder = world.first(staged)
        if folder is None:
            return
        with world.together():
            if not folder.is_dir():
                raise MaeError(
                    f"process {world.rank} of {world.size} does not see {folder.parent}; with parallel: fsdp each "
                    "writes its part of a checkpoint, so --out has to be a folder that all of them share"
                )
        parts = {file: {name: each for name, each in named.items() if in_parts(each)} for file, named in files.items()}
        shards = {file: write_shards(shards_of(folder / file), named, world) for file, named in parts.items()}
        with world.together():
            if checkpoints is not None:
                checksums = {}
                for file, recorded in ((MODEL, snapshot.metadata), (STATE, snapshot.counters)):
                    whole = {name: each for name, each in files[file].items() if name not in parts[file]}
                    checksums[file] = write_tensors(folder / file, whole, recorded, shards[file])
                stack.close()  # which gives the folder its name
                checkpoints.finish(snapshot.step, checksums, best, keep)
