"""What it costs that nothing is lost: the time and the bytes of a checkpoint, beside plain files of the same tensors.

    uv run python benchmarks/safety.py

Of the weights of ViT-S, ViT-B and ViT-L with an MAE decoder, and two moments for each: 12 bytes per parameter. One
is written as a run writes it: into a new folder, with a checksum of every tensor, each file and folder brought to the
disk, then pointed to. Plain files are the same tensors by safetensors alone. Both in turn; medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from maecli.storage.ledger import Ledger
from maecli.training.checkpoint_folder import CheckpointFolder

SIZES = {"ViT-S": 48e6, "ViT-B": 112e6, "ViT-L": 330e6}
"""Parameters of an encoder with MAE's decoder of 8 blocks of 512."""
EVERY_S = 600.0
"""How often a run saves itself within a long epoch."""


def tensors(number: float) -> dict[str, Tensor]:
    """Return so many parameters in matrices of 1,024 × 1,024, as layers have them."""
    generator = torch.Generator().manual_seed(0)
    return {f"layer{i}": torch.randn(1024, 1024, generator=generator) for i in range(round(number / 2**20))}


def seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--largest", type=float, default=400e6, help="parameters; larger models are left out")
    given = parser.parse_args()
    for name, number in SIZES.items():
        if number > given.largest:
            continue
        model = tensors(number)
        state = {f"{kind}.{key}": value.clone() for key, value in model.items() for kind in ("exp_avg", "exp_avg_sq")}
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            Ledger(root, "run").begin()
            folder, plain, safe = CheckpointFolder(root / "checkpoints"), [], []
            folder.path.mkdir()
            for step in range(given.times):
                plain.append(
                    seconds(lambda: (save_file(model, root / "model"), save_file(state, root / "state")))  # noqa: B023
                )
                safe.append(seconds(lambda: folder.save(step, model, state, {}, {"step": step}, False)))  # noqa: B023
            last = folder.current("last").path
            size = sum(file.stat().st_size for file in last.iterdir())
            beside = size - sum(file.stat().st_size for file in (root / "model", root / "state"))
        cost, without = statistics.median(safe), statistics.median(plain)
        print(
            f"{name}: {size / 1e6:,.0f} MB, of which {beside / 1e3:,.1f} kB are checksums and records; {cost:.2f} s, "
            f"plain files {without:.2f} s; {cost / EVERY_S:.2%} of the time at one every {EVERY_S / 60:.0f} minutes",
            flush=True,
        )


if __name__ == "__main__":
    main()
