"""Two machines: what a run on both gives, and what becomes of it where one of them is lost, or the cable between them.

    sudo uv run python benchmarks/nodes.py

Two network namespaces stand for the machines: each has a name, an address and processes of its own, a cable (veth) to
the other and nothing else but a disk that both see. What runs on each is the command of docs/scale.md for several
machines, with a small encoder on the CPU. Says of each way to lose a machine what the other says and after how many
seconds, and how far the weights of the finished run are from those of one process. Exits 1 where they are not those.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maecli.training.checkpoint import STATE
from maecli.training.checkpoint_folder import CheckpointFolder

DOCS = Path(__file__).parents[1] / "docs/scale.md"
NODES = ("node-a", "node-b")
ADDRESSES = ("10.86.0.1", "10.86.0.2")
EPOCHS, STEPS, LOST_AFTER = 30, 4, 5
"""Of the run, steps in one of them, and after how many a machine is lost."""
TOLERANCE = 1e-4
"""Share of their norm by which weights may lie apart where sums are rounded in another order, over the whole run."""
PATIENCE_S = 600.0
SMALL = (
    *("--model", "vit", "--img-size", "16", "--patch-size", "4", "--device", "cpu", "--precision", "float32"),
    *("--epochs", str(EPOCHS), "--batch-size", "16", "--base-lr", "0.005", "--workers", "0"),
    *("--set", "dataset.test_share=0", "--set", "trackers=[jsonl]", "--set", "checkpoint.every_epochs=1"),
    *("--set", "model.embed_dim=32", "--set", "model.depth=2", "--set", "model.num_heads=2"),
    *("--set", "task.decoder_embed_dim=32", "--set", "task.decoder_depth=1", "--set", "task.decoder_num_heads=2"),
)


@dataclass
class Node:
    """A machine."""

    name: str
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: list[str]) -> None:
        """Start a command on it, whose words are added to its log."""
        named = ["unshare", "--uts", "bash", "-c", f'hostname {self.name}; exec "$@"', "node", *command]
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", self.name, *named],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ
                    | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                )
            )

    def kill(self) -> None:
        """Kill all processes on it, at once."""
        for pid in _ip("netns", "pids", self.name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self.processes:
            process.wait()

    def ended(self) -> int | None:
        """Return the exit code of what was started last, None while it runs."""
        return self.processes[-1].poll()

    def said(self) -> list[str]:
        """Return what mae said there."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line[line.index("mae: ") :] for line in lines if "mae: " in line]


def _ip(*words: str) -> str:
    """Return what `ip` prints. Exits where it fails, as in a container that may not make networks."""
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def two_nodes(logs: Path) -> Iterator[tuple[Node, Node]]:
    """Give two machines with a cable between them, which are taken away at the end."""
    hosts = "".join(f"{address} {name}\n" for address, name in zip(ADDRESSES, NODES, strict=True))
    with contextlib.ExitStack() as stack:
        nodes = []
        for name in NODES:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            folder = Path("/etc/netns") / name
            folder.mkdir(parents=True)
            stack.callback(shutil.rmtree, folder)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}", encoding="utf-8")
            node = Node(name, logs / f"{name}.log")
            stack.callback(node.kill)
            nodes.append(node)
        first, second = NODES
        _ip("link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second)
        for name, address in zip(NODES, ADDRESSES, strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", name, "link", "set", device, "up")
        yield nodes[0], nodes[1]


def documented(shared: Path) -> list[str]:
    """Return the script of docs/scale.md for several machines, for one process on each of these."""
    found = re.search(
        r"((?:^    .*\n)+^    torchrun --nnodes 2 (?:.*\\\n)+.*\n)", DOCS.read_text("utf-8"), re.MULTILINE
    )
    assert found is not None, "docs/scale.md has the script"
    script = textwrap.dedent(found[1]).replace("HOST", NODES[0]).replace("/shared/", f"{shared}/")
    script = script.replace("--nproc-per-node 8", "--nproc-per-node 1")
    return ["bash", "-c", f"{script.rstrip()} {shlex.join(SMALL)}"]


def write_pictures(root: Path) -> None:
    """Write 64 training and 16 validation pictures."""
    rng = np.random.default_rng(0)
    for split, num in (("train", 64), ("val", 16)):
        (root / split).mkdir(parents=True)
        for i in range(num):
            Image.fromarray(rng.integers(0, 256, (20, 18, 3), dtype=np.uint8)).save(root / split / f"{i:02d}.png")


def wait_for(what: str, holds: Callable[[], bool], *nodes: Node) -> float:
    """Return after how many seconds something held. Exits with what the machines said where it takes too long."""
    begin = time.monotonic()
    while not holds():
        if time.monotonic() - begin > PATIENCE_S:
            tails = "\n".join(f"--- {node.name}\n{node.log.read_text(errors='replace')[-6000:]}" for node in nodes)
            sys.exit(f"{what}: not within {PATIENCE_S:g} s\n{tails}")
        time.sleep(0.1)
    return time.monotonic() - begin


def last_step(run: Path) -> int:
    last = CheckpointFolder(run / "checkpoints").pointed("last")
    return 0 if last is None else last.step


def weights(run: Path) -> dict[str, Tensor]:
    return CheckpointFolder(run / "checkpoints").current("last").tensors()


def state(run: Path) -> dict[str, Tensor]:
    """Return all that the last checkpoint of a run holds."""
    return weights(run) | CheckpointFolder(run / "checkpoints").current("last").tensors(STATE)


def compare(run: Path, one: Path, two: Path | None = None) -> tuple[str, bool]:
    """Return how far a run is from that of one process, and of two of which none was lost; and whether it is near.

    Of the whole: where a gradient is nothing but rounding, as of the bias of keys, AdamW makes full steps of it.
    """
    mine, theirs = (torch.cat([each.flatten().double() for _, each in sorted(weights(w).items())]) for w in (run, one))
    far = ((mine - theirs).norm() / theirs.norm()).item()
    told = f"step {last_step(run)}; weights differ from those of one process by {far:.1e} of their norm"
    if two is None:
        return told, far <= TOLERANCE
    ours, undisturbed = state(run), state(two)
    same = ours.keys() == undisturbed.keys() and all(ours[name].equal(each) for name, each in undisturbed.items())
    told += f", and, with moments, from those of two of which none was lost in {'no bit' if same else 'some bits'}"
    return told, far <= TOLERANCE and same


def train(nodes: tuple[Node, Node], shared: Path) -> Path:
    """Start the run on both machines, in a fresh folder."""
    for node in nodes:
        node.start(documented(shared))
    return shared / "runs/pretrain"


def wait_for_end(nodes: tuple[Node, Node]) -> None:
    """Wait until the command has ended on both machines. Exits where it did not end well."""
    wait_for("the run's end", lambda: all(node.ended() is not None for node in nodes), *nodes)
    codes = [node.ended() for node in nodes]
    if codes != [0, 0]:
        sys.exit(f"it ended with exit codes {codes}")


@dataclass(frozen=True)
class Loss:
    """A way to lose one of the machines, `lost`, or the cable to it."""

    what: str
    lost: int
    cut: bool = False


LOSSES = (
    Loss("kill -9 of all on the second machine", 1),
    Loss("the cable is cut", 1, cut=True),
    Loss("kill -9 of all on the first machine, where they meet", 0),
)


def lose(nodes: tuple[Node, Node], shared: Path, loss: Loss) -> Path:
    """Lose a machine in mid-run, bring it back, and let the run end."""
    lost, other = nodes[loss.lost], nodes[1 - loss.lost]
    run = train(nodes, shared)
    wait_for("the first checkpoints", lambda: last_step(run) >= LOST_AFTER * STEPS, *nodes)
    heard = len(other.said())
    if loss.cut:
        _ip("-n", lost.name, "link", "set", "cable", "down")
    else:
        lost.kill()
    seconds = wait_for(
        "a word of the other machine", lambda: len(other.said()) > heard or other.ended() is not None, *nodes
    )
    print(f"  {other.name} after {seconds:.1f} s: {(other.said()[heard:] or ['its launcher ended'])[0]}", flush=True)
    before = last_step(run)
    lost.kill()
    if loss.cut:
        _ip("-n", lost.name, "link", "set", "cable", "up")
    if loss.lost == 0:
        seconds += wait_for("the end of its launcher", lambda: other.ended() is not None, *nodes)
        print(f"  its launcher ended after {seconds:.1f} s, so the script is started on both")
        other.start(documented(shared))
    lost.start(documented(shared))
    seconds = wait_for("the next checkpoint", lambda: last_step(run) > before, *nodes)
    print(
        f"  started anew: on from step {before} of {EPOCHS * STEPS}, the next checkpoint after {seconds:.1f} s",
        flush=True,
    )
    wait_for_end(nodes)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        sys.exit("two machines are made of network namespaces, which takes Linux, root and iproute2")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that they are taken away
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        root = Path(place)
        write_pictures(root / "pictures")
        one = root / "one"
        alone = ["pretrain", "--root", str(root / "pictures"), "--out", str(one), *SMALL]
        subprocess.run([sys.executable, "-m", "maecli", *alone], check=True, capture_output=True)
        nodes = stack.enter_context(two_nodes(root))
        begin = time.monotonic()
        two = train(nodes, root)
        wait_for_end(nodes)
        two = two.rename(root / "two")
        told, good = compare(two, one)
        print(f"two machines, none of which is lost: {time.monotonic() - begin:.0f} s\n  {told}", flush=True)
        for loss in LOSSES:
            print(f"{loss.what}:", flush=True)
            run = lose(nodes, root, loss)
            told, as_well = compare(run, one, two)
            good &= as_well
            print(f"  {told}", flush=True)
            shutil.rmtree(run)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
