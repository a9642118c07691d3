"""Verbs of `mae`, each in a process of its own, as a person would give them."""

from __future__ import annotations

import subprocess
import sys


def mae(*words: object) -> None:
    """Run a verb. Raises SystemExit with its code where it fails."""
    command = [sys.executable, "-m", "maecli", *map(str, words)]
    print("mae", *command[3:], flush=True)
    if code := subprocess.run(command).returncode:
        raise SystemExit(code)
