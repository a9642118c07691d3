"""Every figure of the recipes etth1, etth1-ot and etth1-report, on the real ETTh1.csv.

    uv run python benchmarks/etth1.py --data DIR
    uv run python benchmarks/etth1.py --data DIR --only etth1-ot

Each recipe is a sweep in a folder of its own below --work, with the seeds that it names. What is finished is kept, so
the command can be stopped at any time, and given again it goes on. After each sweep the records of its runs are added
to --results, from which `mae results` makes the table.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from verbs import mae

ROOTS = {"etth1-report": "ETTh1.csv", "etth1-ot": ".", "etth1": "."}
"""Recipe → its data below the folder of ETTh1.csv; the quickest one first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MAE_DATA", "data")), help="has ETTh1.csv")
    parser.add_argument("--work", type=Path, default=Path("runs/etth1"), help="folder of the sweeps")
    parser.add_argument("--results", type=Path, default=Path("docs/results.md"), help="table to add the runs to")
    parser.add_argument("--only", nargs="+", choices=ROOTS, default=[*ROOTS], help="recipes; default: all")
    args = parser.parse_args()
    for recipe in args.only:
        out = args.work / f"sweep-{recipe}"
        mae("sweep", "--recipe", recipe, "--root", args.data / ROOTS[recipe], "--out", out, "--resume")
        mae("results", out, "--out", args.results)


if __name__ == "__main__":
    main()
