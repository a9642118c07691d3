"""A model card as a file, in which what a person filled in stays."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from maecli.errors import DamagedFile, MaeError
from maecli.registry import Registry
from maecli.run.card.body import body
from maecli.run.card.facts import CardFacts, Use
from maecli.run.card.front import front
from maecli.run.checkpoint import find_checkpoint
from maecli.run.directory import RunDirectory, Say
from maecli.storage.documents import dump_yaml, parse_yaml, read_text
from maecli.storage.shareable import shareable, without_folders
from maecli.training.base import BASE
from maecli.training.checkpoint import Checkpoint

CARD = "README.md"
MAX_BYTES = 2**20
BELOW = "<!-- What stands below this line is yours: mae wrote it once, and leaves it when it writes the rest anew. -->"
TO_FILL_IN = """\
## Licence

To fill in before these weights are published, here and as `license:` in the head of this file: under which licence they
are, what the licences of the data and of weights that they began with ask for, and who is to be named.

## Intended use

To fill in: for what, by whom, and for what not.
"""
LICENCE = "# license: to fill in, such as mit; see https://huggingface.co/docs/hub/repositories-licenses\n"
OWN_KEYS = ("library_name", "pipeline_tag", "tags", "datasets", "base_model", "model-index")
"""Entries of the head that are written anew; others are a person's."""
OF_RUNS = Use("maecli", code="mae infer YOUR-FOLDER --run .", language="sh")


def write_run_card(run: RunDirectory, registry: Registry, say: Say) -> None:
    """Write the model card of a run, or write it anew."""
    try:
        checkpoint = find_checkpoint(run.path)
    except MaeError as error:
        say(f"no model card is written: {error}")
        return
    text = renewed_card(run.path / CARD, checkpoint, registry, OF_RUNS, say)
    if text is None:
        return
    if run.ledger.began and (run.path / CARD).exists():
        run.ledger.own(CARD)
    run.write(CARD, text)
    if run.ledger.began:
        run.ledger.note(CARD)


def renewed_card(path: Path, checkpoint: Checkpoint, registry: Registry, use: Use, say: Say) -> str | None:
    """Return the card to write to a path; None where what is there stays, or it cannot be told, which `say` is told.

    A file that mae did not write stays as it is.
    """
    try:
        earlier = read_text(path, MAX_BYTES)
    except FileNotFoundError:
        earlier = ""
    except DamagedFile as error:
        say(f"no model card is written: {error}")
        return None
    if earlier and BELOW not in earlier:
        say(f"{path} was not written by mae, so it stays, and no model card is written")
        return None
    try:
        return model_card(checkpoint, registry, use, earlier)
    except (MaeError, KeyError) as error:
        say(f"no model card is written: {error}")
        return None


def is_card(path: Path) -> bool:
    """Whether a file is a model card that mae wrote."""
    try:
        return BELOW in read_text(path, MAX_BYTES)
    except (FileNotFoundError, DamagedFile):
        return False


def model_card(checkpoint: Checkpoint, registry: Registry, use: Use, earlier: str = "") -> str:
    """Return the card of a checkpoint; what a person wrote into an `earlier` one stays.

    Raises MaeError for a checkpoint that cannot be read, and for an earlier card whose head is no YAML.
    """
    run = RunDirectory(checkpoint.path.parent.parent)
    name = run.path.resolve().name if run.is_run else checkpoint.path.name
    facts = CardFacts(run, checkpoint, registry, _with_base(checkpoint) if use is OF_RUNS else use, name)
    head, below = _of_a_person(earlier)
    entries = front(facts) | head
    licence = "" if "license" in head else LICENCE
    return shareable(f"---\n{dump_yaml(entries)}{licence}---\n\n{body(facts)}\n\n{BELOW}\n\n{below}")


def _with_base(checkpoint: Checkpoint) -> Use:
    """Return how a run is used: with the weights besides that its checkpoint leaves out, if it does."""
    metadata = checkpoint.metadata()
    if BASE not in metadata:
        return OF_RUNS
    init, checksum = without_folders(str(metadata["spec"]["init"])), metadata[BASE]["checksum"]
    needs = (
        f"the weights of {init} besides (checksum {checksum}), by --base: its checkpoints hold adapters alone; mae "
        "export merges both into files that need nothing else"
    )
    return replace(OF_RUNS, code=f"{OF_RUNS.code} --base {shlex.quote(init)}", rows={"Needs": needs})


def _of_a_person(card: str) -> tuple[dict[str, Any], str]:
    """Return the entries of the head, and the part below, that a person may have written."""
    if not card:
        return {}, TO_FILL_IN
    match = re.match(r"---\r?\n(.*?)^---\s*$", card, re.DOTALL | re.MULTILINE)
    try:
        head = parse_yaml(match[1]) if match else None
    except ValueError as error:
        raise DamagedFile(Path(CARD), f"has a head that is no YAML ({' '.join(str(error).split())[:120]})") from error
    entries = {key: value for key, value in head.items() if key not in OWN_KEYS} if isinstance(head, dict) else {}
    return entries, card.split(BELOW, 1)[1].lstrip("\n")
