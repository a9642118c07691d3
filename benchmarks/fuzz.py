"""Give every reader of files so many damaged ones: does anything but errors of ours come out, and how soon?

    uv run python benchmarks/fuzz.py --inputs 1000000 --out /tmp/fuzz

Readers, samples and damages are those of `tests/fuzz`, which try a share of them. Inputs are dealt in blocks of a
seed each, every block in a process of its own under the bounds of the tests: 2 s of CPU time for an input, 2 GiB of
memory. What was done stands in `done.jsonl` below --out, so that a call that was stopped goes on, and one with more
--inputs adds to it. An input at which a reader fails, hangs or crashes is kept in `failed/`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "helpers")]

from fuzz import test_fuzz_specs, test_labels, test_pictures, test_shards, test_tables, test_volumes, test_weights  # noqa: E402
from fuzz.mutate import Reader  # noqa: E402

BLOCK = 500
"""Inputs of a seed."""
MOST_SECONDS = 600
"""Of a block by the clock; what takes longer hangs."""


@dataclass(frozen=True)
class Block:
    """What came out of the inputs of a seed."""

    reader: str
    seed: int
    num: int
    seconds: float
    """Of CPU time."""
    came: dict[str, int]
    failure: str = ""


def all_readers() -> list[Reader]:
    modules = (test_fuzz_specs, test_labels, test_pictures, test_shards, test_tables, test_volumes, test_weights)
    return [*(reader for module in modules for reader in module.READERS), test_pictures.heic()]


def load_libraries(readers: Sequence[Reader], out: Path) -> None:
    """Read whole files once, so that processes share what is imported for that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for reader in readers:
            folder = out / "work" / reader.name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            reader.survives(folder, num=0)
            shutil.rmtree(folder)


def run_block(reader: Reader, seed: int, folder: Path, answer: Connection) -> None:
    """Let a reader read the inputs of a seed, and send what came out. Runs in a process of its own."""
    begin, came, failure = time.process_time(), Counter[str](), ""
    try:
        came = reader.survives(folder, BLOCK, seed)
    except AssertionError as error:
        failure = " ".join(str(error).split())[:500]
    answer.send(Block(reader.name, seed, came.total(), time.process_time() - begin, dict(came), failure))


def in_a_process(reader: Reader, seed: int, out: Path) -> Block:
    """Return what came out of the inputs of a seed, whatever becomes of the process; keep the input that ended it."""
    folder = out / "work" / f"{reader.name.replace(' ', '-')}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    mine, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=run_block, args=(reader, seed, folder, theirs))
    process.start()
    theirs.close()
    failure = "" if mine.poll(MOST_SECONDS) else f"no end within {MOST_SECONDS} s"
    try:
        block = Block(reader.name, seed, 0, 0.0, {}, failure) if failure else mine.recv()
    except EOFError:
        process.join()
        block = Block(reader.name, seed, 0, 0.0, {}, f"the process ended with {process.exitcode}")
    process.kill()
    process.join()
    if block.failure:
        (out / "failed").mkdir(exist_ok=True)
        shutil.copytree(folder, out / "failed" / folder.name, dirs_exist_ok=True)
    shutil.rmtree(folder)
    return block


def read_blocks(file: Path) -> list[Block]:
    return [Block(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def work(readers: Sequence[Reader], blocks: int, out: Path, processes: int) -> Iterator[Block]:
    """Yield what came out of each block that was not done before; all readers in turn, so that each gets its share."""
    done = {(block.reader, block.seed) for block in read_blocks(out / "done.jsonl")}
    todo = [(reader, seed) for seed in range(blocks) for reader in readers if (reader.name, seed) not in done]
    with ThreadPoolExecutor(processes) as pool, (out / "done.jsonl").open("a") as file:
        for block in pool.map(lambda each: in_a_process(*each, out), todo):
            file.write(json.dumps(asdict(block)) + "\n")
            file.flush()
            yield block


def tell(blocks: Sequence[Block]) -> None:
    """Print a line for each reader, and one for all."""
    print(f"{'reader':<22}{'inputs':>10}{'per CPU s':>11}{'read':>9}{'refused':>9}{'failed':>8}")
    names = sorted({block.reader for block in blocks})
    for name in [*names, "all"]:
        own = [block for block in blocks if name in (block.reader, "all")]
        num, seconds = sum(block.num for block in own), sum(block.seconds for block in own if not block.failure)
        read, failed = sum(block.came.get("read", 0) for block in own), sum(bool(block.failure) for block in own)
        print(f"{name:<22}{num:>10,}{num / max(seconds, 1e-9):>11,.0f}{read:>9,}{num - read:>9,}{failed:>8}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all readers together")
    parser.add_argument("--out", type=Path, required=True, help="folder of what was done, and of inputs that failed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--readers", nargs="*", help="names of readers; default: all")
    given = parser.parse_args()
    readers = [reader for reader in all_readers() if not given.readers or reader.name in given.readers]
    torch.set_num_threads(1)
    load_libraries(readers, given.out)
    for block in work(readers, -(-given.inputs // (BLOCK * len(readers))), given.out, given.processes):
        if block.failure:
            print(f"{block.reader}, seed {block.seed}: {block.failure}", flush=True)
    blocks = read_blocks(given.out / "done.jsonl")
    tell(blocks)
    sys.exit(any(block.failure for block in blocks))


if __name__ == "__main__":
    main()
