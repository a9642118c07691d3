"""A folder of `mae export --edge` where only numpy, pillow and onnxruntime are: does it answer as mae does?

    uv run python benchmarks/edge.py RUN FOLDER [--precision float32]

Makes the environment, runs the folder's program there on FOLDER's pictures, and compares each probability with that of
`mae infer`. Exits 1 where a class differs in float32, or a picture is missing.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = ("numpy", "pillow", "onnxruntime")


def run(*command: object) -> str:
    return subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE, text=True).stdout


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--precision", default="int8")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mae = Path(sys.executable).with_name("mae")
        run(mae, "export", given.run, "--edge", folder / "edge", "--precision", given.precision)
        run("uv", "venv", "--quiet", "--python", sys.executable, folder / "empty")
        python = folder / "empty/bin/python"
        run("uv", "pip", "install", "--quiet", "--python", python, *NEEDED)
        listing = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"
        print(f"installed: {run(python, '-I', '-c', listing)}", end="")
        print(run(python, "-I", folder / "edge/predict.py", given.pictures, "--out", folder / "edge.csv"), end="")
        run(mae, "infer", given.pictures, "--run", given.run, "--out", folder / "inferred", "--quiet")
        ours, theirs = rows(folder / "inferred/predictions.csv"), rows(folder / "edge.csv")
    columns = [name for name in next(iter(ours.values())) if name.startswith("p_")]
    common = ours.keys() & theirs.keys()
    farthest = max(abs(float(ours[key][name]) - float(theirs[key][name])) for key in common for name in columns)
    same = sum(ours[key]["class"] == theirs[key]["class"] for key in common)
    print(
        f"{len(common):,} of {len(ours):,} pictures; {same:,} classes alike; farthest probability {farthest:.2g} apart"
    )
    return int(len(common) != len(ours) or (given.precision == "float32" and same != len(common)))


if __name__ == "__main__":
    sys.exit(main())
