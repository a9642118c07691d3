"""Every figure of the recipe california-impute, on the real california_housing.csv.

    uv run python benchmarks/california.py --data DIR
    uv run python benchmarks/california.py --data DIR --only seeds

Each part is a sweep in a folder of its own below --work: with three seeds 20% and 30% of the cells hidden by chance
(seeds), with one seed each mechanism at four shares (mechanisms), and with one seed both linear scalers (scalers). What
is finished is kept, so the command can be stopped at any time, and given again it goes on. After each sweep the records
of its runs are added to --results, from which `mae results` makes the table, and what each imputer gets is printed.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from verbs import mae

RECIPE, FILE = "california-impute", "california_housing.csv"
PARTS = {
    "seeds": (),
    "scalers": ("--seeds", "1", "--grid", "dataset.hide_share=0.2", "--grid", "dataset.scaler=standard,minmax"),
    "mechanisms": (
        *("--seeds", "1", "--grid", "dataset.hide=mcar,mar,mnar"),
        *("--grid", "dataset.hide_share=0.1,0.2,0.3,0.5"),
    ),
}
"""Part → what it gives beside the recipe; the most important one first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MAE_DATA", "data")), help=f"has {FILE}")
    parser.add_argument("--work", type=Path, default=Path("runs/california"), help="folder of the sweeps")
    parser.add_argument("--results", type=Path, default=Path("docs/results.md"), help="table to add the runs to")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS], help="parts; default: all")
    args = parser.parse_args()
    for part in args.only:
        out = args.work / f"sweep-{part}"
        mae("sweep", "--recipe", RECIPE, "--root", args.data / FILE, "--out", out, "--resume", *PARTS[part])
        mae("results", out, "--out", args.results)
        print_errors(out)


def print_errors(sweep: Path) -> None:
    """Print for each run on test what each imputer gets of each metric, and of both scales."""
    for file in sorted(sweep.glob("*/evaluation/test.json")):
        evaluation = json.loads(file.read_text())
        print(f"\n{file.parts[-3]}, {evaluation['num_samples']:,} rows")
        for metric in evaluation["metrics"]:
            values = {"this model": metric["value"], **metric["baselines"]}
            print(f"  {metric['label']}: " + ", ".join(f"{by} {value:.4f}" for by, value in values.items()))
        for table in evaluation["tables"]:
            if table["title"] == "Hidden numbers, by scaler":
                for scaler, of, *values in table["rows"]:
                    by = zip(table["columns"][2:], values, strict=True)
                    print(f"  {of}, {scaler}: " + ", ".join(f"{name} {value}" for name, value in by))


if __name__ == "__main__":
    main()
