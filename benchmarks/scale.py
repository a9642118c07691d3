"""What data of 10⁴ to 10⁶ samples cost: seconds and memory of each verb's start, as a folder, as tar and as Parquet.

    uv run python benchmarks/scale.py --work /tmp/scale                  all forms, 10⁴, 10⁵, 10⁶; a few GB of disk
    uv run python benchmarks/scale.py --forms tar --sizes 10000,1000000

Pictures of 8 × 8 pixels (70 bytes of PNG, 256 different ones) in ten classes are made by code, once. Each measurement
is a process of its own, whose CPU time (user and system, of children too) and greatest memory the system tells.
Training is timed until its first step, too, whose line stands in `metrics.jsonl`. Memory per sample is what a form's
largest size takes more than its smallest one, per sample more.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SHARD = 10_000
"""Samples of a shard, or of a Parquet file."""
CLASSES, DIFFERENT = 10, 256
FORMS = ("folder", "tar", "parquet")
SIZES = (10_000, 100_000, 1_000_000)
STEPS = 2
QUICK = (
    *("--model", "vit-tiny", "--img-size", "8", "--patch-size", "4", "--device", "cpu", "--workers", "0"),
    *("--set", "model.depth=1", "--set", "model.embed_dim=16", "--set", "model.num_heads=2"),
    *("--set", "dataset.val_share=0.0002", "--set", "dataset.test_share=0.0002"),  # so that little is measured
    *("--batch-size", "64", "--set", f"train.max_steps={STEPS}", "--set", "trackers=[jsonl]"),
)
DECODER = tuple(f"task.decoder_{key}" for key in ("embed_dim=16", "depth=1", "num_heads=2"))
DECODER = tuple(word for setting in DECODER for word in ("--set", setting))


def pictures() -> list[bytes]:
    """Return the files of a few different pictures, (8, 8) in colour."""
    made = []
    for seed in range(DIFFERENT):
        buffer = io.BytesIO()
        colour = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
        Image.fromarray(np.broadcast_to(colour, (8, 8, 3)).copy()).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


def samples(num: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield number, file and class of each sample."""
    made = pictures()
    for i in range(num):
        yield i, made[i % DIFFERENT], i % CLASSES


def write_folder(root: Path, num: int) -> None:
    """Write a folder for each class, with a thousand files in each folder below it."""
    for i, data, label in samples(num):
        folder = root / f"class-{label}" / f"{i // SHARD:04d}"
        if i % SHARD < CLASSES:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:08d}.png").write_bytes(data)


def write_tar(root: Path, num: int) -> None:
    root.mkdir(parents=True)
    made = samples(num)
    for number in range(-(-num // SHARD)):
        with tarfile.open(root / f"shard-{number:06d}.tar", "w") as archive:
            for i, data, label in (next(made) for _ in range(min(SHARD, num - number * SHARD))):
                for name, content in ((f"{i:08d}.png", data), (f"{i:08d}.cls", str(label).encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def write_parquet(root: Path, num: int) -> None:
    """Write files as the library `datasets` does: a picture as bytes and path, a class with its names in the schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {
        "image": {"_type": "Image"},
        "label": {"names": [f"class-{i}" for i in range(CLASSES)], "_type": "ClassLabel"},
    }
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([("image", image), ("label", pa.int64())], metadata=about)
    made = samples(num)
    for number in range(files := -(-num // SHARD)):
        rows = [next(made) for _ in range(min(SHARD, num - number * SHARD))]
        columns = [
            pa.array([{"bytes": data, "path": f"{i:08d}.png"} for i, data, _ in rows], image),
            pa.array([label for _, _, label in rows], pa.int64()),
        ]
        pq.write_table(
            pa.table(columns, schema=schema), root / f"train-{number:05d}-of-{files:05d}.parquet", row_group_size=1000
        )


WRITERS: dict[str, Callable[[Path, int], None]] = {"folder": write_folder, "tar": write_tar, "parquet": write_parquet}


def make(work: Path, form: str, num: int) -> Path:
    """Make a set, unless it is there as a whole."""
    root, done = work / f"{form}-{num}", work / f"{form}-{num}.made"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        begun = time.perf_counter()
        WRITERS[form](root, num)
        done.write_text("")
        print(f"{form} of {num:,} made in {time.perf_counter() - begun:.0f} s", flush=True)
    return root


def measured(work: Path, arguments: list[str]) -> dict[str, float]:
    """Return wall and CPU seconds, and greatest MB of memory of a process, of `mae` with these arguments.

    With `step` and `step cpu`: those until the first line of its metrics, where it writes some.
    """
    log = work / "last.log"
    metrics = Path(arguments[-1]) / "metrics.jsonl"
    until: dict[str, float] = {}
    begun = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "maecli", *arguments], stdout=file, stderr=file, cwd=work)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            if not until and metrics.is_file() and metrics.stat().st_size:
                until = {"step": time.perf_counter() - begun, "step cpu": cpu_seconds(process.pid)}
            time.sleep(0.02)
    _, status, usage = ended
    seconds = time.perf_counter() - begun
    if status:
        sys.exit(f"mae {' '.join(arguments)} failed:\n{log.read_text()[-2000:]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"wall": seconds, "cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / unit, **until}


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process that is running, not a number where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return math.nan


def verbs(form: str, root: Path, out: Path) -> dict[str, list[str]]:
    """Return what is measured of a set, in order: the first call also makes the index of shards."""
    data = ["--dataset", form, "--root", str(root), *(["--set", "dataset.layout=classes"] if form == "folder" else [])]
    return {
        "first": ["pretrain", *data, *QUICK, *DECODER, "--dry-run"],
        "dry run": ["pretrain", *data, *QUICK, *DECODER, "--dry-run"],
        "pretrain": ["pretrain", *data, *QUICK, *DECODER, "--out", str(out / "pretrain")],
        "finetune": ["finetune", *data, *QUICK, "--task", "classify", "--out", str(out / "finetune")],
        "eda": ["eda", *data, "--samples", "1000", "--out", str(out / "eda")],
    }


def measure_form(work: Path, form: str, sizes: Sequence[int], only: Sequence[str]) -> None:
    """Print a row for each size and verb, and then what a sample more costs each verb."""
    rows: dict[str, dict[int, dict[str, float]]] = {}
    for num in sizes:
        root, out = make(work, form, num), work / f"{form}-{num}-out"
        shutil.rmtree(out, ignore_errors=True)
        for verb, arguments in verbs(form, root, out).items():
            if only and verb not in only:
                continue
            usage = measured(work, arguments)
            rows.setdefault(verb, {})[num] = usage
            print(
                f"| {form} | {num:,} | {verb} | {usage['wall']:.1f} | {usage['cpu']:.1f} | {usage['mb']:,.0f} |",
                flush=True,
            )
            if "step" in usage:
                print(f"  first step after {usage['step']:.1f} s, {usage['step cpu']:.1f} s of CPU", flush=True)
    least, most = min(sizes), max(sizes)
    for verb, by_num in rows.items() if least < most else ():
        few, many = by_num[least], by_num[most]
        seconds, size = (many["cpu"] - few["cpu"]) / (most - least), (many["mb"] - few["mb"]) / (most - least)
        print(f"{form}, {verb}: {seconds * 1e6:.0f} µs of CPU and {size * 2**20:.0f} bytes for each sample more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/scale"))
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--only", default="", help="verbs to measure, as in the table")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print("| form | samples | verb | seconds | CPU seconds | MB at most |\n|---|---|---|---|---|---|")
    for form in options.forms.split(","):
        only = options.only.split(",") if options.only else []
        measure_form(options.work, form, [int(size) for size in options.sizes.split(",")], only)


if __name__ == "__main__":
    main()
