"""What a checkpoint costs where weights lie in parts: each process writes its own, or the first writes what all gather.

And what it takes to begin with one that the first process has read: wholes for all, or to each its parts.

    uv run python benchmarks/shards.py

Of 20 million parameters in matrices of 1,024 × 1,024, two moments for each, in two processes on the CPU that gloo
connects. Both ways in turn; of the first process, or to begin of the other, medians of the seconds, and the most memory
beyond what it had.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch
import torch.multiprocessing
from torch import Tensor, nn

from maecli.memory import forget_peak_bytes, peak_bytes, resident_bytes
from maecli.parallel.world import World, start
from maecli.parallel.wrap import handed_out_in_parts, placed_like, shard
from maecli.storage.ledger import Ledger
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.saving import save_together

PROCESSES, LAYERS = 2, 20
KINDS = ("raw", "exp_avg", "exp_avg_sq")
Named = dict[str, Tensor]


def work(rank: int, root: Path, times: int) -> None:
    """Save in both ways, as one of the processes; the first one prints."""
    torch.set_num_threads(1)
    world = start(rank, PROCESSES, rank)
    module = made(world)
    model = dict(module.state_dict())
    state = {
        f"optim.{kind}.{name}": value.clone() for kind in ("exp_avg", "exp_avg_sq") for name, value in model.items()
    }
    folder = CheckpointFolder(root / "checkpoints") if world.main else None
    took, cpus, peaks = defaultdict(list), defaultdict(list), defaultdict(list)
    for step in range(1, 2 * times + 1):
        way = "gathered" if step % 2 else "shards"
        before = resident_bytes()
        forget_peak_bytes()
        begin, cpu = time.perf_counter(), time.process_time()
        if way == "gathered":
            model_, state_ = (gathered(each) for each in (model, state))
            save(folder, world, step, model_, state_)
            del model_, state_
        else:
            save(folder, world, step, model, state)
        took[way].append(time.perf_counter() - begin)
        cpus[way].append(time.process_time() - cpu)
        peaks[way].append(peak_bytes() - before)
    for way in took if world.main else ():
        seconds, cpu = statistics.median(took[way]), statistics.median(cpus[way])
        print(f"{way:9} {seconds:6.2f} s, {cpu:.2f} s of CPU, peak +{max(peaks[way]) / 1e6:4.0f} MB", flush=True)


def begin(rank: int, way: str) -> None:
    """Begin with tensors of the first process, as one of the processes; the second one prints."""
    torch.set_num_threads(1)
    world = start(rank, PROCESSES, rank)
    module = made(world)
    like = {f"{kind}.{name}": value for kind in KINDS for name, value in module.state_dict().items()}
    wholes = {name: torch.ones(value.shape) for name, value in like.items()} if world.main else {}
    before = resident_bytes()
    forget_peak_bytes()
    if way == "wholes":
        handed = {name: placed_like(each, like[name]) for name, each in world.handed_out(wholes).items()}
    else:
        handed = handed_out_in_parts(wholes, like, world)
    if rank == 1:
        print(f"begin with {way:6} peak +{(peak_bytes() - before) / 1e6:.0f} MB for {len(handed)} tensors", flush=True)


def made(world: World) -> nn.Module:
    module = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(LAYERS)))
    shard(module, world)
    return module


def gathered(tensors: Named) -> Named:
    return {name: tensor.full_tensor() for name, tensor in tensors.items()}  # type: ignore[attr-defined]


def save(folder: CheckpointFolder | None, world: World, step: int, model: Named, state: Named) -> None:
    save_together(folder, world, step, model, state, {}, {}, best=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29555", "LOCAL_WORLD_SIZE": str(PROCESSES)}
    with tempfile.TemporaryDirectory() as place:
        Ledger(Path(place), "run").begin()
        torch.multiprocessing.spawn(work, (Path(place), given.times), nprocs=PROCESSES)
        files = [path for path in Path(place).rglob("*.safetensors") if "step-" in str(path)]
        for step in sorted({path.relative_to(place).parts[1] for path in files}):
            own = [path.stat().st_size for path in files if path.relative_to(place).parts[1] == step]
            print(f"{step}: {len(own)} files, {sum(own) / 1e6:.1f} MB, the largest {max(own) / 1e6:.1f} MB")
    for way in ("wholes", "parts"):
        torch.multiprocessing.spawn(begin, (way,), nprocs=PROCESSES)


if __name__ == "__main__":
    main()
