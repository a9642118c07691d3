"""Whether the data of a run that is resumed are those that it began with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from maecli.data.card import DataCard, SplitName
from maecli.data.classes.class_names import describe_change
from maecli.data.files.sample_files import UNREADABLE
from maecli.data.fingerprint import WHOLE, Fingerprint, fingerprint_of
from maecli.data.views.by_key import NONE, Positions
from maecli.data.views.keys import Keys, take
from maecli.data.views.members import KeptSplits
from maecli.errors import DataError
from maecli.run.directory import RunDirectory
from maecli.run.open import Built
from maecli.storage.tables import cell_text
from maecli.training.checkpoint import Checkpoint

SPLITS: tuple[SplitName, ...] = ("train", "val")
NUM_NAMED = 3
WAY_OUT = "bring back the data, or begin anew with another --out"
BEFORE = "when the run began"
SINCE = f"than {BEFORE}"


def same_data(
    built: Built,
    last: Checkpoint | None,
    run: RunDirectory,
    everything: bool,
    say: Callable[[str], None],
    done: str = "resumed",
) -> dict[str, Any]:
    """Return what the checkpoints of a run record of its data, once they are seen to be those of the last checkpoint.

    `done` is what is to be done with that run. With `everything` no content is left unread. What could not be compared
    is said.
    Raises DataError when the data are others: the run would go on as none that was begun.
    """
    if everything:
        say("reading the contents of all data")
    now: dict[str, Fingerprint] = {name: _fingerprint(built, name, everything) for name in SPLITS}
    if last is not None:
        metadata = last.metadata()
        samples = metadata.get("samples")
        recorded = {name: samples.get(name) if isinstance(samples, dict) else None for name in now}
        known = {name: read for name, value in recorded.items() if (read := Fingerprint.read(value)) is not None}
        complaints = [_other_classes(metadata.get("card"), built.card, built.task.fields)]
        for name in SPLITS:
            value = recorded[name]
            if name in known:
                gone = _gone(built, name) if known[name].names != now[name].names else None
                complaints.append(gone or difference_of(name, known[name], now[name]))
            elif isinstance(value, str) and value != now[name].names:  # all that older runs kept
                complaints.append(_other_samples(name, None, now[name]))
        for complaint in filter(None, complaints):
            raise DataError(f"{run} cannot be {done}: {complaint}; {WAY_OUT}")
        for sentence in _remarks(recorded, known, now, everything):
            say(sentence)
        now |= {name: _joined(before, now[name]) for name, before in known.items()}
    return {name: fingerprint.model_dump(mode="json") for name, fingerprint in now.items()}


def _gone(built: Built, name: SplitName) -> str | None:
    """Return in words which samples that a run began with are not there; None where all are, or it is not known."""
    dataset = built.data.dataset
    if not isinstance(dataset, KeptSplits):
        return None
    split, members = dataset.split(name, built.task.fields).keys, dataset.members.get(name, ())
    there, ids = map(cell_text, split), list[int]()
    key = next(there, None)
    for i, member in enumerate(members):  # of which those that are there stand in their order
        if member == key:
            key = next(there, None)
        else:
            ids.append(i)
    gone = take(members, ids)
    if not len(gone):
        return None
    are = "is" if len(gone) == 1 else "are"
    return f"its {name} split has other samples now ({len(split):,} of them) {SINCE}: {_listed(gone)} {are} gone"


def _fingerprint(built: Built, name: SplitName, everything: bool) -> Fingerprint:
    """Look at the samples that a loader has, as they come from the data: it may have left out some, and decoded all."""
    split, keys = built.data.split(name), built.loader(name).split.keys
    if len(keys) < len(split):
        split = split.view(np.flatnonzero(Positions(Keys.of(keys)).find(split.keys) != NONE).tolist())
    return fingerprint_of(split, built.task.fields, everything)


def test_samples(built: Built, last: Checkpoint | None) -> dict[str, Any]:
    """Return what the checkpoints of a run record of its test split, which `mae eval` compares and `--resume` does not.

    It is what the `last` checkpoint recorded, where there is one that did.
    """
    recorded = (last.metadata().get("samples") or {}).get("test") if last is not None else None
    before = Fingerprint.read(recorded)
    now = before or fingerprint_of(built.data.split("test"), built.task.fields)
    return now.model_dump(mode="json")


def _joined(before: Fingerprint, now: Fingerprint) -> Fingerprint:
    """Return what is known of data that were compared: also the contents that only the first look read."""
    if before.kind != now.kind:
        return now
    return now.model_copy(update={"facts": before.facts | now.facts, "hashes": before.hashes | now.hashes})


def difference_of(name: str, before: Fingerprint, now: Fingerprint) -> str | None:
    """Return in words how a split differs from what it was, None where it does not as far as both were looked at."""
    if before.names != now.names:
        return _other_samples(name, before, now)
    if before.kind != now.kind:
        return None
    if before.num_parts != now.num_parts:
        return f"its {name} split is in {now.num_parts:,} files now, and was in {before.num_parts:,} when the run began"
    replaced = [part for part, content in sorted(now.hashes.items()) if before.hashes.get(part, content) != content]
    if lost := [part for part in replaced if now.hashes[part] == UNREADABLE]:
        return f"{_listed(lost)} ({name}) cannot be read any more"
    if replaced:
        return f"{_listed(replaced)} ({name}) {'has' if len(replaced) == 1 else 'have'} other content {SINCE}"
    for fact, digest in now.facts.items():
        if before.facts.get(fact, digest) != digest:
            if fact in ("sizes", "contents"):
                return f"{now.kind} of its {name} split have other content {SINCE}"
            what = "label" if fact == "labels" else fact.removeprefix(WHOLE)
            return f"the {what} of some samples ({name}) is not what it was when the run began"
    return None


def _other_samples(name: str, before: Fingerprint | None, now: Fingerprint) -> str:
    """Say that the samples of a split have other names, and which are new or gone, where all were recorded."""
    if before is not None and before.sorted_names == now.sorted_names:
        return f"its {name} split has its samples in another order {SINCE}"
    words = f"its {name} split has other samples now ({now.num_samples:,} of them) {SINCE}"
    if before is None or before.kind != now.kind or not (before.complete and now.complete):
        return words
    new, gone = sorted(now.hashes.keys() - before.hashes.keys()), sorted(before.hashes.keys() - now.hashes.keys())
    changes = [
        f"{_listed(parts)} {'is' if len(parts) == 1 else 'are'} {what}"
        for parts, what in ((new, "new"), (gone, "gone"))
        if parts
    ]
    return f"{words}: {' and '.join(changes)}" if changes else words


def _other_classes(recorded: object, card: DataCard, fields: Sequence[str]) -> str | None:
    """Return in words how the classes that a task learns differ from those of a recorded card."""
    if not isinstance(recorded, dict):
        return None
    for field, key, now in (("label", "classes", card.classes), ("mask", "mask_classes", card.mask_classes)):
        before = recorded.get(key)
        if field in fields and isinstance(before, list) and before != list(now):
            return f"{describe_change(now, before)} {SINCE}"
    if "label" in fields and recorded.get("multi_label", card.multi_label) != card.multi_label:
        return f"its samples have {'several labels' if card.multi_label else 'one label'} each now, unlike {BEFORE}"
    return None


def _remarks(
    recorded: dict[str, Any], known: dict[str, Fingerprint], now: dict[str, Fingerprint], everything: bool
) -> list[str]:
    """Return sentences, each once, about what was not compared."""
    remarks = []
    for name, value in recorded.items():
        if name in known:
            if known[name].kind != now[name].kind:
                remarks.append("the data set reads its samples in another way now, so their names alone were compared")
        elif isinstance(value, str):
            remarks.append("this run kept no fingerprint of the contents of its data, so names alone were compared")
        elif value is None:
            remarks.append("this run kept no fingerprint of its data, so whether they are the same was not compared")
        else:
            remarks.append("this run's fingerprint of its data cannot be read, so the data were not compared")
    pairs = [(known[name], now[name]) for name in known if known[name].kind == now[name].kind]
    total = sum(after.num_parts for _, after in pairs)
    compared = sum(_num_compared(before, after) for before, after in pairs)
    if any(before.times != after.times for before, after in pairs):
        part = f", as far as {compared:,} of {total:,} were compared; --verify-data compares all" * (compared < total)
        remarks.append(f"files of the data have another time {SINCE}, and the same content{part}")
    if everything and compared < total:
        remarks.append(
            f"this run recorded the contents of {compared:,} of {total:,} files only, which are the same; from its "
            "next checkpoint on it records all"
        )
    return list(dict.fromkeys(remarks))


def _num_compared(before: Fingerprint, now: Fingerprint) -> int:
    whole = now.kind == "tensors" or ("contents" in before.facts and "contents" in now.facts)
    return now.num_parts if whole else len(before.hashes.keys() & now.hashes.keys())


def _listed(names: Sequence[str]) -> str:
    """Return a few names in words."""
    if len(names) > NUM_NAMED:
        return f"{', '.join(names[:NUM_NAMED])} and {len(names) - NUM_NAMED:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
