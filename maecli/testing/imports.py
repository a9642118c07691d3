"""What importing a plugin's module costs, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maecli.testing.finding import Advice, NotLookedAt
from maecli.text import some

LIMIT_S = 0.3
"""Seconds of processor time beyond `BASE` that nobody minds."""
BASE = ("torch", "maecli.api")
"""What every plugin stands on, and need not answer for."""
HEAVY = (
    *("albumentations", "cv2", "jax", "matplotlib", "pandas", "scipy", "sklearn", "skimage", "tensorboard"),
    *("tensorflow", "tifffile", "timm", "torchaudio", "torchvision", "transformers"),
)
"""Libraries that take long to load, and had better be imported where they are used."""

PROGRAM = """
import gc, importlib, json, sys, time
base, heavy, modules = map(json.loads, sys.argv[1:])
for name in base:
    importlib.import_module(name)
costs = {}
for name in modules:
    gc.freeze()  # else going over all that torch left falls on whichever module is at hand
    before, begin = set(sys.modules), time.process_time()
    importlib.import_module(name)
    costs[name] = time.process_time() - begin, sorted((set(sys.modules) - before) & set(heavy))
print(json.dumps(costs))
"""


@dataclass(frozen=True)
class ImportCost:
    """What the import of one module took."""

    seconds: float
    heavy: tuple[str, ...]
    """Heavy libraries that it loaded."""


def import_costs(modules: Sequence[str], base: Sequence[str]) -> dict[str, ImportCost]:
    """Return the cost of each module, imported in this order after those of `base`.

    What one has loaded costs the next ones nothing. Raises `NotLookedAt` where one cannot be imported by its name, as
    in a test file.
    """
    command = [sys.executable, "-P", "-c", PROGRAM, *(json.dumps(list(names)) for names in (base, HEAVY, modules))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise NotLookedAt(f"{some(modules)} cannot be imported by itself: {lines[-1] if lines else done.returncode}")
    measured = json.loads(done.stdout.splitlines()[-1])
    return {name: ImportCost(seconds, tuple(heavy)) for name, (seconds, heavy) in measured.items()}


def imports(subject: Any) -> None:
    """The module is imported fast, and loads no heavy library."""
    check_import(subject.plugin.__module__)


def check_import(module: str) -> None:
    """Raise `Advice` where importing a plugin's module loads heavy libraries, or takes too long."""
    for _ in range(2):  # the first time it may have to be compiled
        cost = import_costs([module], BASE)[module]
        if cost.seconds <= LIMIT_S:
            break
    if cost.heavy:
        raise Advice(
            f"importing {module} loads {', '.join(cost.heavy)}; import it in the function that uses it, so that "
            "listing and other runs do not wait for it"
        )
    if cost.seconds > LIMIT_S:
        raise Advice(
            f"importing {module} takes {cost.seconds:.2f} s beyond torch, more than {LIMIT_S} s; move what is computed "
            "or imported at its top into the functions that need it"
        )
