"""How much memory and time `mae infer` takes to segment a volume, such as a whole body of 600 × 512 × 512 at 1 mm.

    uv run python benchmarks/large_volume.py
    uv run python benchmarks/large_volume.py --size 150 256 256 --suffix .nii

Trains a small segmentation of the bodies of `phantom_volumes.py` for an epoch (ViT 128 × 4, parts of 96 × 96 × 96 in
patches of 16 × 16 × 16, head conv), enlarges a body to the size by repeating voxels, with noise, and infers its classes
in a process of its own. Prints the greatest resident memory of that, which is what the process and libraries take with
it, beside that of a small volume, and voxels per second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from phantom_volumes import make_set, make_volume
from verbs import mae

SMALL = 96, 96, 96
SETTINGS = (
    *("--task", "segment", "--model", "vit", "--img-size", "96", "--patch-size", "16", "--head", "conv"),
    *("--set", "model.embed_dim=128", "--set", "model.depth=4", "--set", "model.num_heads=4"),
    *("--set", "data.fit=crop", "--set", "train.epochs=1", "--set", "train.batch_size=2"),
    *("--set", "train.warmup_epochs=0", "--set", "dataset.spacing=[1,1,1]", "--set", "dataset.val_share=0.25"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/large-volume"), help="folder for volumes and the run")
    parser.add_argument("--size", type=int, nargs=3, default=(600, 512, 512), help="voxels along each axis")
    parser.add_argument("--suffix", choices=(".nii.gz", ".nii"), default=".nii.gz")
    args = parser.parse_args()
    run = args.work / "run"
    if not (run / "report.html").exists():
        make_set(args.work / "volumes", 4, 1)
        mae("finetune", "--root", args.work / "volumes", "--dataset", "volumes", *SETTINGS, "--out", run, "--overwrite")
    for size in (SMALL, tuple(args.size)):
        path = args.work / f"{'x'.join(map(str, size))}{args.suffix}"
        if not path.exists():
            write_large(path, size)
        seconds, peak = infer(path, run, args.work / "predicted")
        num = int(np.prod(size))
        print(f"{path.name}: {peak / 2**30:.2f} GiB, {seconds:.0f} s, {num / seconds / 1e6:.2f} million voxels/s")


def write_large(path: Path, size: Sequence[int]) -> None:
    """Write a body of that size at 1 mm, int16."""
    values, _ = make_volume(0)
    places = np.ix_(*(np.arange(length) * side // length for length, side in zip(size, values.shape, strict=True)))
    noise = np.random.default_rng(0).integers(-20, 21, size, dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(values[places] + noise, np.eye(4)), path)  # type: ignore[attr-defined]


def infer(volume: Path, run: Path, out: Path) -> tuple[float, int]:
    """Return the seconds, and the greatest resident bytes, of the process that infers the classes of a volume."""
    words = ("infer", volume, "--run", run, "--out", out, "--overwrite")
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "maecli", *map(str, words)])
    _, status, usage = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(code)
    return time.perf_counter() - began, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
