"""A toy run of two processes whose weights lie in parts, one of which is killed while its second checkpoint is written.

Either is killed at each call to the disk that it does for that, and both go on; see `interrupted`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import traceback
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
import torch.distributed.checkpoint.hf_storage
import torch.distributed.fsdp
import torch.distributed.tensor
from broken_disk import Disk, kills
from interrupted_toy import differences, taken_up, what_is_lost
from torch import nn
from toy_training import Brightness, make

from maecli.parallel.world import LostProcess, World, start

NUM = 2
LOST = 3
"""Exit code of a process that lost the other."""


class Two(nn.Sequential):
    """A module of which each process has rows."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 2), nn.Linear(2, 1))


def go_on(folder: Path, world: World) -> None:
    """Bring the run in a folder to its end, from where it is, as one of its processes."""
    settings = {"train": {"epochs": 1}, "save_epochs": 0.34, "parallel": "fsdp"}
    trainer = make(folder if world.main else None, Brightness(noise=0.1), module=Two(), **settings)
    with taken_up(trainer, folder) if world.main else contextlib.nullcontext():
        trainer.join(world)
        trainer.fit()


def _process(folder: Path, rank: int, port: int, disk: Disk) -> None:
    torch.set_num_threads(1)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(NUM)}
    os.environ.update(place)
    world = start(rank, NUM, rank)
    try:
        with disk:
            go_on(folder, world)
    except LostProcess:
        os._exit(LOST)
    os._exit(0)


def run(folder: Path, disks: list[Disk]) -> list[int]:
    """Let both processes bring a run to its end; return how they ended."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank, disk in enumerate(disks):
        children.append(os.fork())
        if children[-1] == 0:
            try:
                _process(folder, rank, port, disk)
            finally:  # what it says is an error of the test
                traceback.print_exc()
                os._exit(1)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def noting(file: Path) -> Disk:
    """Return a disk that notes what each call is of."""

    def act(name: str, number: int, target: object) -> None:
        with file.open("a", encoding="utf-8") as notes:
            notes.write(f"{name} {target}\n")

    return Disk(act)


def second_save(calls: list[str]) -> range:
    """Return the numbers of the calls with which a process writes its second checkpoint of three."""
    ends = [at for at, call in enumerate(calls, start=1) if call.startswith("replace ") and call.endswith("/.last.tmp")]
    if ends:  # the first process points to each
        return range(ends[0] + 1, ends[1] + 2)
    return range(len(calls) // 3 + 1, 2 * len(calls) // 3 + 1)


def killed_in_a_save(root: Path, every: int) -> dict[str, Any]:
    """Return how many kills there were, one before each `every`-th call, and what was lost or became different.

    Of each process at least one is in the middle of its calls.
    """
    whole, notes = root / "whole", [root / f"calls-{rank}" for rank in range(NUM)]
    codes = run(whole, [noting(file) for file in notes])
    wrong = [f"undisturbed: {codes}"] * any(codes)
    calls = [second_save(file.read_text().splitlines()) for file in notes]
    kill_at = [(rank, at) for rank in range(NUM) for at in calls[rank][min(every, len(calls[rank])) // 2 :: every]]
    for victim, at in kill_at:
        folder = root / f"killed-{victim}-{at}"
        codes = run(folder, [kills(at) if rank == victim else Disk() for rank in range(NUM)])
        found = what_is_lost(folder, whole)
        codes += run(folder, [Disk() for _ in range(NUM)])
        if codes.pop(victim) != -9 or codes.pop(0) not in (0, LOST) or any(codes):
            found.append(f"ended with {codes}")
        wrong += [f"process {victim}, call {at}: {each}" for each in (*found, *differences(folder, whole))]
    return {"kills": len(kill_at), "wrong": wrong}
