"""`mae plan`."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from maecli.cli.application import app, print_json, stderr_progress
from maecli.cli.ask.options import JsonOption, QuietOption, TimeOption, asks
from maecli.cli.show.answers import show_next, text_table
from maecli.spec.ask import Ask
from maecli.terminal import PlainConsole
from maecli.text import bytes_in_words

if TYPE_CHECKING:
    from maecli.plan.offers import Offer


@app.command(epilog="Example: mae plan --dataset folder --root pictures --time 10m")
@asks(
    "finetune",
    *("dataset", "root", "workers", "labels", "task", "model", "patch_size", "img_size", "init", "init_partial"),
    *("freeze", "freeze_blocks", "adapt", "head", "epochs", "batch_size", "micro_batch_size", "base_lr", "device"),
    *("precision", "sets"),
)
def plan(ask: Ask, time: TimeOption = None, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show what suits your data, this machine and your time: of pretraining, or with --task of fine-tuning."""
    from maecli.plan.budget import parse_time
    from maecli.registry import registry
    from maecli.verbs.plan import plan as verb

    if "task.name" not in ask.flags:
        ask = dataclasses.replace(ask, verb="pretrain")
    time_s = parse_time(time) if time is not None else None
    data, offers = verb(ask, registry(), stderr_progress(quiet), time_s=time_s)
    show(ask.verb, data, offers, as_json)


def show(verb: str, data: str, offers: Sequence[Offer], as_json: bool) -> None:
    """Print the ways to train, and the command of each."""
    from maecli.plan.words import TO_COMPARE, flag, of_choice
    from maecli.progress import duration

    if as_json:
        print_json({"data": data, "choices": [_as_json(verb, offer) for offer in offers]})
        return
    console = PlainConsole()
    console.print(data)
    console.print()
    rows = []
    for offer in offers:
        seconds, timing = offer.seconds, offer.choice.timing
        memory = bytes_in_words(timing.memory_bytes) if timing is not None else ""
        took = f"about {duration(seconds)}" if seconds is not None else ""
        took += f", of which {duration(offer.compared_s)} to compare" if offer.compared_s else ""
        rows.append((offer.name, of_choice(offer.choice), took, memory, offer.gives_up or "–"))
    console.print(text_table(("choice", "trains", "time", "memory", "gives up"), rows))
    if any(offer.compared_s for offer in offers):
        console.print(f"\nto compare: {TO_COMPARE}", soft_wrap=True)
    show_next([(_command(verb, offer), f"the {offer.name} choice") for offer in offers if offer.name == "planned"])
    for offer in offers:
        if offer.name != "planned":
            console.print(f"  {offer.name}: the same with --time {flag(offer.time_s)}{_size(offer)}", soft_wrap=True)


def _command(verb: str, offer: Offer) -> str:
    """Return the command that does what is offered: this one, with the verb in its place."""
    words = [word for word in sys.argv[1:] if word not in ("--json", "-q", "--quiet")]
    return shlex.join(["mae", verb, *words[1:]])


def _size(offer: Offer) -> str:
    """Return the flags that say the size of pictures and patches, where they are not the planned ones."""
    if offer.side is None:
        return ""
    patch = offer.choice.spec.model.options.get("patch_size")
    return f" --img-size {offer.side}" + (f" --patch-size {patch}" if isinstance(patch, int) else "")


def _as_json(verb: str, offer: Offer) -> dict[str, object]:
    choice = offer.choice
    return {
        "name": offer.name,
        "verb": verb,
        "estimated_seconds": None if offer.seconds is None else round(offer.seconds, 1),
        "compared_seconds": round(offer.compared_s, 1),
        "time_s": offer.time_s,
        "memory_bytes": choice.timing.memory_bytes if choice.timing is not None else None,
        "steps": choice.steps,
        "steps_per_epoch": choice.steps_per_epoch,
        "gives_up": offer.gives_up,
        "settings": choice.settings,
    }
