"""What pretraining is worth on volumes at 2, 4 and 16 labelled ones of 80, on bodies made by code.

    uv run python benchmarks/phantom.py
    uv run python benchmarks/phantom.py --seeds 3

Makes the set below --work as `phantom_volumes.py` does, 96 volumes to learn from (80, and 16 to choose by) and 24 of
test, all from fixed seeds, and runs the sweep `phantom.yaml` on it: fine-tuned after pretraining on the 80 volumes,
from scratch on the same schedule, and from scratch for the time of both. What is finished is kept, so the command can
be stopped at any time, and given again it goes on. The records of the runs are added to --results, from which
`mae results` makes the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from phantom_volumes import make_set
from verbs import mae

RECIPE = Path(__file__).with_name("phantom.yaml")
NUM_TRAIN, NUM_TEST = 96, 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/phantom"), help="folder for the set and the sweep")
    parser.add_argument("--results", type=Path, default=Path("docs/results.md"), help="table to add the runs to")
    parser.add_argument("--seeds", default="1", help="how many, or which; the set stays the same")
    args = parser.parse_args()
    make_set(args.work / "phantom", NUM_TRAIN, NUM_TEST)
    out = args.work / "sweep"
    settings = ("--config", RECIPE, "--root", args.work / "phantom", "--seeds", args.seeds)
    mae("sweep", *settings, "--out", out, "--resume")
    mae("results", out, "--out", args.results)


if __name__ == "__main__":
    main()
