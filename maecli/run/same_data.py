"""Whether the data of a run that is resumed are those that it began with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maecli.data.card import DataCard, SplitName
from maecli.data.fingerprint import WHOLE, Fingerprint, Look, look_at
from maecli.data.sample import Split
from maecli.data.sample_files import UNREADABLE
from maecli.errors import SpecError
from maecli.loading.loader import Loader
from maecli.run.directory import RunDirectory
from maecli.run.open import Built
from maecli.training.checkpoint import Checkpoint

NUM_NAMED = 3
WAY_OUT = "bring back the data, or begin anew with another --out"
SINCE = "than when the run began"


@dataclass(frozen=True)
class Seen:
    """A split as a run begins or goes on."""

    name: str
    look: Look
    order: str
    """Digest of number, names and order of its samples: all that older runs kept."""


def same_data(
    built: Built, last: Checkpoint | None, run: RunDirectory, everything: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return what the checkpoints of a run record of its data, once they are seen to be those of the last checkpoint.

    With `everything` no content is left unread. What could not be compared is said.
    Raises SpecError when the data are others: the run would go on as none that was begun.
    """
    fields = built.task.fields
    if everything:
        say("reading the contents of all data")
    names: tuple[SplitName, ...] = ("train", "val")
    seen = [_see(name, built.loader(name), built.data.split(name), fields, everything) for name in names]
    now = {split.name: split.look.fingerprint for split in seen}
    if last is not None:
        metadata = last.metadata()
        samples = metadata.get("samples")
        recorded = {name: samples.get(name) if isinstance(samples, dict) else None for name in now}
        known = {name: read for name, value in recorded.items() if (read := Fingerprint.read(value)) is not None}
        complaints = [_other_classes(metadata.get("card"), built.card, fields)]
        for split in seen:
            if split.name in known:
                complaints.append(_difference(split, known[split.name], now[split.name]))
            elif isinstance(value := recorded[split.name], str) and value != split.order:
                complaints.append(_other_samples(split, None))
        for complaint in filter(None, complaints):
            raise SpecError(f"{run} cannot be resumed: {complaint}; {WAY_OUT}")
        for sentence in _remarks(recorded, known, now, everything):
            say(sentence)
        now |= {name: _joined(known[name], now[name]) for name in known}
    return {name: fingerprint.model_dump(mode="json") for name, fingerprint in now.items()}


def _see(name: str, loader: Loader, source: Split, fields: Sequence[str], everything: bool) -> Seen:
    """Look at the samples that a loader has, as they come from the data: it may have left out some, and decoded all."""
    keys = loader.split.keys
    if len(keys) < len(source):
        kept = set(keys)
        source = source.view([i for i, key in enumerate(source.keys) if key in kept])
    order = "\n".join([str(len(keys)), *keys]).encode("utf-8", "surrogateescape")
    return Seen(name, look_at(source, fields, everything), hashlib.blake2b(order, digest_size=8).hexdigest())


def _joined(before: Fingerprint, now: Fingerprint) -> Fingerprint:
    """Return what is known of data that were compared: also the contents that only the first look read."""
    return now if before.kind != now.kind else now.model_copy(update={"facts": before.facts | now.facts})


def _difference(seen: Seen, before: Fingerprint, now: Fingerprint) -> str | None:
    """Return in words how a split differs from what it was, None where it does not as far as both were looked at."""
    name, look = seen.name, seen.look
    if before.names.digest != now.names.digest:
        return _other_samples(seen, before)
    if before.kind != now.kind:
        return None
    if before.num_parts != now.num_parts:
        return f"its {name} split is in {now.num_parts:,} files now, and was in {before.num_parts:,} when the run began"
    other = [fact for fact in now.facts if fact in before.facts and before.facts[fact].digest != now.facts[fact].digest]
    replaced = [part for part in now.sampled if before.sampled.get(part, now.sampled[part]) != now.sampled[part]]
    for fact in other:
        replaced += look.changed(fact, before.facts[fact]) if fact in ("sizes", "contents") else []
    replaced = sorted({*replaced})
    if lost := [part for part in replaced if now.sampled.get(part) == UNREADABLE]:
        return f"{_listed(lost)} ({name}) cannot be read any more"
    if replaced:
        return f"{_listed(replaced)} ({name}) {'has' if len(replaced) == 1 else 'have'} other content {SINCE}"
    for fact in other:
        if fact in ("sizes", "contents"):
            return f"files of its {name} split have other content {SINCE}"
        what = "label" if fact == "labels" else fact.removeprefix(WHOLE)
        changed = _listed(look.changed(fact, before.facts[fact])) or "some samples"
        return f"the {what} of {changed} ({name}) is not what it was when the run began"
    return None


def _other_samples(seen: Seen, before: Fingerprint | None) -> str:
    """Say that the samples of a split have other names, and which are new or gone, as far as that can be told."""
    names, parts = seen.look.names, seen.look.parts
    words = f"its {seen.name} split has other samples now ({len(names):,} of them) {SINCE}"
    if before is None:
        return words
    if before.names.sums == names.tally(names.marks).sums:
        return f"its {seen.name} split has its samples in another order {SINCE}"
    new = [names.names[i] for i in names.changed(before.names, names.marks)]
    gone: list[str] = []
    if before.kind == seen.look.kind:
        gone = sorted(before.sampled.keys() - {*parts})
        if before.num_parts == len(before.sampled):
            new = [part for part in parts if part not in before.sampled]
    changes = [
        f"{_listed(parts)} {'is' if len(parts) == 1 else 'are'} {what}"
        for parts, what in ((new, "new"), (gone, "gone"))
        if parts
    ]
    return f"{words}: {' and '.join(changes)}" if changes else words


def _other_classes(recorded: object, card: DataCard, fields: Sequence[str]) -> str | None:
    """Return in words how the classes that a task learns differ from those of a recorded card."""
    for field, key, now in (("label", "classes", card.classes), ("mask", "mask_classes", card.mask_classes)):
        before = recorded.get(key) if isinstance(recorded, dict) else None
        if field not in fields or not isinstance(before, list) or before == list(now):
            continue
        if len(before) != len(now):
            return f"its data have {len(now):,} classes now, and had {len(before):,} when the run began"
        number = next(i for i, (old, new) in enumerate(zip(before, now, strict=True)) if old != new)
        return f"class {number} of its data is {now[number]!r} now, and was {before[number]!r} when the run began"
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
    return now.num_parts if whole else len(before.sampled.keys() & now.sampled.keys())


def _listed(names: Sequence[str]) -> str:
    """Return a few names in words."""
    if len(names) > NUM_NAMED:
        return f"{', '.join(names[:NUM_NAMED])} and {len(names) - NUM_NAMED:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
