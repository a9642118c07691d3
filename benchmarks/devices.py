"""What 1 to 1,024 devices give for MAE's ViTs, by arithmetic, and what failures cost, by a seeded simulation.

    uv run python benchmarks/devices.py        the tables of docs/scale.md

All assumptions are the constants below; nothing is measured here.

Shapes: L layers, D width, N tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PEAK = 989e12
"""Floating-point operations per second: NVIDIA H100 SXM, bfloat16, dense (its data sheet)."""
USED = 0.4
"""Share of that peak that training reaches: PaLM reports 46% (arXiv:2204.02311, table 3), Llama 3 38% to 43%
(arXiv:2407.21783, table 4); small ViTs reach less."""
IN_NODE, BETWEEN_NODES = 450e9, 50e9
"""Bytes per second and direction of a device: NVLink 4 within a node of 8; InfiniBand of 400 Gb/s between nodes."""
NODE = 8
PICTURE_BYTES, DECODE_S = 115e3, 5e-3
"""Of a mean picture of ImageNet-1k (138 GiB, 1.28 million), and the time of a core to decode it and cut a part."""
CORES = 16
"""Of a host, for each device."""
PICTURES, EPOCHS, BATCH = 1_281_167, 800, 4096
"""MAE's pretraining (arXiv:2111.06377, appendix A.1)."""
DISK = 2e9
"""Bytes per second to storage that all devices share."""
DEVICE_MTBF_H = 54 * 24 * 16384 / 419
"""Hours between failures of a device: 419 in 54 days of 16,384 (arXiv:2407.21783, section 3.3.4)."""
RESTART_S = 300.0
"""From a failure to the first step again."""
DEVICES = (1, 8, 64, 1024)
RUNS, SEED = 200, 0
WORK_S, INTERVALS = 14 * 86400.0, (600.0, 3600.0, 6 * 3600.0)


@dataclass(frozen=True)
class Size:
    """An encoder of MAE at 224 × 224, with its decoder of 8 layers of 512."""

    name: str
    layers: int
    width: int
    patch: int

    @property
    def tokens(self) -> int:
        return (224 // self.patch) ** 2

    def parameters(self) -> float:
        """Weights of encoder and decoder: 12 D² a layer, and what maps patches and widths."""
        pixels = 3 * self.patch**2
        encoder = 12 * self.width**2 * self.layers + pixels * self.width
        return encoder + 12 * 512**2 * 8 + self.width * 512 + 512 * pixels

    def flops(self) -> float:
        """Return what a sample's training step takes: thrice the forward pass, in which a quarter is encoded."""
        encoder = forward(self.layers, self.width, self.tokens // 4 + 1)
        return 3 * (encoder + forward(8, 512, self.tokens + 1))


SIZES = (Size("ViT-B/16", 12, 768, 16), Size("ViT-L/16", 24, 1024, 16), Size("ViT-H/14", 32, 1280, 14))


def forward(layers: int, width: int, tokens: int) -> float:
    """Return operations of a forward pass: 24 N D² + 4 N² D for each layer, a product and a sum being two."""
    return layers * (24 * tokens * width**2 + 4 * tokens**2 * width)


def reduce_s(num_bytes: float, devices: int) -> float:
    """Return the time to sum gradients over devices: in a ring each sends 2 (n - 1) / n of them (arXiv:1802.05799)."""
    if devices == 1:
        return 0.0
    inside, nodes = min(devices, NODE), devices / NODE
    seconds = 2 * (inside - 1) / inside * num_bytes / IN_NODE
    return seconds + (2 * (nodes - 1) / nodes * num_bytes / NODE / BETWEEN_NODES if nodes > 1 else 0.0)


def daly_s(checkpoint_s: float, mtbf_s: float) -> float:
    """Return the best time between checkpoints. Source: Daly 2006, "A higher order estimate of the optimum checkpoint
    interval", equation 37; its first term is Young's, sqrt(2 C M)."""
    if checkpoint_s >= 2 * mtbf_s:
        return mtbf_s
    root = math.sqrt(checkpoint_s / (2 * mtbf_s))
    return math.sqrt(2 * checkpoint_s * mtbf_s) * (1 + root / 3 + root**2 / 9) - checkpoint_s


def lost_share(work_s: float, interval_s: float, checkpoint_s: float, mtbf_s: float, seed: int = SEED) -> float:
    """Return which share of the time was no progress, mean of simulated runs whose failures are independent."""
    random = np.random.default_rng(seed)
    totals = []
    for _ in range(RUNS):
        clock = done = 0.0
        failure = random.exponential(mtbf_s)
        while done < work_s:
            part = min(interval_s, work_s - done)
            end = clock + part + checkpoint_s
            if failure < end:  # what is after the last checkpoint is lost
                clock = failure + RESTART_S
                failure = clock + random.exponential(mtbf_s)
            else:
                clock, done = end, done + part
        totals.append(clock)
    return 1 - work_s / float(np.mean(totals))


def row(cells: Sequence[object]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def heading(*columns: str) -> str:
    return f"{row(columns)}\n{row(['---'] * len(columns))}"


def arithmetic() -> None:
    """Print what a step takes, what it needs, and what bounds it; summing runs beside computing."""
    print(heading("encoder", "devices", "samples/s", "800 epochs", "compute", "sum", "reading", "cores", "bound by"))
    for size in SIZES:
        for devices in DEVICES:
            step = BATCH * size.flops() / (devices * PEAK * USED)
            summed = reduce_s(size.parameters() * 2, devices)  # of bfloat16
            rate = BATCH / max(step, summed)
            decoding = rate * DECODE_S
            bound = "summing" if summed > step else "computing"
            if decoding > CORES * devices:
                bound = "decoding"
            times = f"{1e3 * step:,.1f} ms", f"{1e3 * summed:.1f} ms"
            hours = f"{PICTURES * EPOCHS / rate / 3600:,.1f} h"
            needs = f"{rate * PICTURE_BYTES / 1e9:.2f} GB/s", f"{decoding:,.0f}"
            print(row((size.name, f"{devices:,}", f"{rate:,.0f}", hours, *times, *needs, bound)))


def failures() -> None:
    """Print what checkpoints cost and what failures lose, for the best interval and for others."""
    print(
        heading("encoder", "devices", "checkpoint", "a failure each", "best interval", "lost", "10 min", "1 h", "6 h")
    )
    for size in SIZES:
        num_bytes = size.parameters() * 12  # float32 weights and the two moments of AdamW
        checkpoint = num_bytes / DISK
        for devices in DEVICES:
            mtbf = DEVICE_MTBF_H * 3600 / devices
            best = daly_s(checkpoint, mtbf)
            shares = [lost_share(WORK_S, interval, checkpoint, mtbf) for interval in (best, *INTERVALS)]
            saved = f"{num_bytes / 2**30:.1f} GiB, {checkpoint:.1f} s"
            lost = (f"{share:.2%}" for share in shares)
            print(row((size.name, f"{devices:,}", saved, f"{mtbf / 3600:,.0f} h", f"{best / 60:.0f} min", *lost)))


if __name__ == "__main__":
    for size in SIZES:
        print(f"{size.name}: {size.parameters() / 1e6:.0f} million weights, {size.flops() / 1e9:.0f} GFLOP a sample")
    arithmetic()
    failures()
