"""Trying strangers' modules in a process of its own, which one that ends or hangs its process takes with it.

The process writes a line to a file when it begins with a plugin and one when it is through; whichever it has begun
and not ended when it is gone is to blame, and the others are tried again without it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from maecli.registry.discovery import Listing
from maecli.registry.switches import Switches

SECONDS = 300.0
"""How long a process has before whatever it is importing is taken to hang."""


def try_apart(listings: Sequence[Listing]) -> list[Listing]:
    """Return the listings with what importing each unchecked module shows. Imports none of them here."""
    settled = {each.key: each for each in listings if each.status == "unchecked"}
    left = list(settled)
    while left:
        begun, found, end = _one_process({key: settled[key] for key in left})
        settled |= found
        left = [key for key in left if key not in found]
        if left:
            culprit = begun if begun in left else left[0]
            one = settled[culprit]
            settled[culprit] = one.refused("broken", f"{one.kind} {one.name!r} cannot be imported: it {end}")
            left.remove(culprit)
    return [settled.get(each.key, each) if each.status == "unchecked" else each for each in listings]


def _one_process(asked: Mapping[str, Listing]) -> tuple[str | None, dict[str, Listing], str]:
    """Return what was begun last, what came of those that were ended, and how the process ended."""
    with tempfile.TemporaryDirectory(prefix="mae-plugins-") as folder:
        told = Path(folder) / "told.jsonl"
        told.touch()
        # What this process can import that one can too, and nothing beside it: -P leaves the working folder out.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-P", "-m", __name__, str(told), *asked]
        try:
            done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=SECONDS, check=False)
            end = _ending(done.returncode)
        except subprocess.TimeoutExpired:
            end = f"did not end in {SECONDS:g} seconds"
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    begun = [line["begun"] for line in lines if "begun" in line]
    found = {
        line["ended"]: dataclasses.replace(asked[line["ended"]], **line["found"]) for line in lines if "ended" in line
    }
    return begun[-1] if begun else None, found, end


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended its process with exit code {code}"
    try:
        return f"ended its process by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended its process by signal {-code}"


def main(told: str, *keys: str) -> None:
    """Import what stands behind the keys, and write to the file `told` what came of each."""
    from maecli.registry.lookup import Registry  # which imports this module

    found = Registry(switches=Switches.read(say=lambda _: None))  # which was told to whoever asked for the trial
    with Path(told).open("a", encoding="utf-8") as file:
        for listing in found.listings:
            if listing.key not in keys or listing.status != "unchecked":
                continue
            print(json.dumps({"begun": listing.key}), file=file, flush=True)
            one = found.check(listing)
            result = {"status": one.status, "reason": one.reason}
            print(json.dumps({"ended": listing.key, "found": result}), file=file, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
