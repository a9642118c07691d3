"""Kill toy runs at their calls to the disk, and let them go on.

    TORCH_CPP_LOG_LEVEL=FATAL python tests/helpers/interrupted.py FOLDER [EVERY]

One of one process at each call, and one of two processes at each call, or each EVERY-th, of a save. Prints how many
kills there were, and what was lost or became different.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from interrupted_shards import killed_in_a_save
from interrupted_toy import killed_at_each_call


def main() -> None:
    torch.set_num_threads(1)
    root, every = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for name in ("two", "one"):
        (root / name).mkdir()
    print(json.dumps({"two": killed_in_a_save(root / "two", every), "one": killed_at_each_call(root / "one")}))


if __name__ == "__main__":
    main()
