"""Which encoder of a file is meant: it may hold several, such as a student and its teacher, or weights and their mean.

An encoder is named by the entries that lead to it, `teacher.backbone`; any of these alone does where it tells it apart.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from maecli.errors import SpecError
from maecli.weights.files import WeightFile
from maecli.weights.implementations import encoders_in

WHOLE = "."
"""The name of an encoder whose tensors have nothing before their names."""
MAX_NAMED = 8
"""Encoders that a message names of many, and that are compared with each other."""


@dataclass(frozen=True)
class Place:
    """Where an encoder stands in a file."""

    under: str
    """The entry that holds its tensors."""
    prefix: str
    """What stands before every name in it, such as `teacher.`."""

    @property
    def name(self) -> str:
        return ".".join(filter(None, (self.under, self.prefix.removesuffix(".")))) or WHOLE

    def answers(self, choice: str) -> bool:
        """Whether a choice names one or several entries, in their order, of those that lead here."""
        return f".{choice}." in f".{self.name}."


def choose(file: WeightFile, choice: str = "") -> WeightFile:
    """Return a file of which the encoder that is meant alone is left, beside what belongs to no encoder.

    A file without an encoder that is recognised stays as it is. Raises SpecError for several, and for a choice that
    none answers to.
    """
    places = _places(file)
    meant = _meant(places, choice)
    if not meant and (choice or places):
        raise SpecError(_none(file, places, choice))
    if not meant:
        return file
    if len(meant) <= MAX_NAMED:
        meant = _without_copies(file, meant)
    if len(meant) > 1:
        raise SpecError(_several(file, _short(meant, places)))
    return _only(file, meant[0], places)


def _several(file: WeightFile, names: Sequence[str]) -> str:
    shown = names[:MAX_NAMED]
    more = ", …" if len(names) > MAX_NAMED else ""
    ways = " or ".join(f"--init {file.path}#{name}" for name in shown)
    return f"{file.path} holds {len(names)} encoders: {', '.join(shown)}{more}; choose one, by {ways}"


def encoder_names(file: WeightFile) -> tuple[str, ...]:
    """Return the names by which the encoders of a file can be chosen."""
    places = _places(file)
    return tuple(_short(places, places))


def with_all_encoders(file: WeightFile) -> WeightFile:
    """Return a file with the tensors of all entries that hold encoders, under names that tell the entry."""
    entries = dict.fromkeys(place.under for place in _places(file))
    tensors = {
        f"{under}.{name}" if under else name: tensor for under in entries for name, tensor in file.parts[under].items()
    }
    return dataclasses.replace(file, tensors=tensors, under="", parts={"": tensors})


def _places(file: WeightFile) -> list[Place]:
    return [Place(under, prefix) for under, tensors in file.parts.items() for _, prefix in encoders_in(tensors)]


def _meant(places: Sequence[Place], choice: str) -> list[Place]:
    if not choice:
        return list(places)
    exactly = [place for place in places if place.name == choice]
    return exactly or [place for place in places if place.answers(choice)]


def _none(file: WeightFile, places: Sequence[Place], choice: str) -> str:
    if not places:
        return f"{file.path} holds no encoder that can be recognised, so none by the name {choice!r}"
    names = _short(places, places)
    listed = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
    return f"{file.path} holds no encoder {choice!r}; there is {listed}, as in --init {file.path}#{names[0]}"


def _short(places: Sequence[Place], everywhere: Sequence[Place]) -> list[str]:
    """Return for each place the first entry that leads there and to no other, else its whole name."""
    counts = Counter(entry for place in everywhere for entry in set(place.name.split(".")))
    return [
        next((entry for entry in place.name.split(".") if entry and counts[entry] == 1), place.name) for place in places
    ]


def _without_copies(file: WeightFile, places: Sequence[Place]) -> list[Place]:
    """Leave out encoders that hold what one before holds, as a module has that is registered under two names."""
    kept: dict[Place, Mapping[str, Tensor]] = {}
    for place in places:
        tensors = _own(file, place, places)
        if not any(_equal(tensors, others) for others in kept.values()):
            kept[place] = tensors
    return list(kept)


def _equal(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    return some.keys() == others.keys() and all(
        tensor.dtype == others[name].dtype and tensor.equal(others[name]) for name, tensor in some.items()
    )


def _own(file: WeightFile, place: Place, places: Sequence[Place]) -> dict[str, Tensor]:
    """Return the tensors of an encoder, without what stands before their names."""
    owner = _Owners(place, places)
    return {
        name.removeprefix(place.prefix): tensor
        for name, tensor in file.parts[place.under].items()
        if owner.of(name) == place.prefix
    }


class _Owners:
    """Which of the encoders in an entry a tensor belongs to: the one with the longest beginning of its name."""

    def __init__(self, place: Place, places: Sequence[Place]) -> None:
        self.prefixes = {other.prefix for other in places if other.under == place.under}

    def of(self, name: str) -> str | None:
        """Return the prefix of the encoder, None for what stands beside all of them."""
        while name:
            if name in self.prefixes:
                return name
            name = name[: name.rstrip(".").rfind(".") + 1]
        return "" if "" in self.prefixes else None


def _only(file: WeightFile, place: Place, places: Sequence[Place]) -> WeightFile:
    owner = _Owners(place, places)
    tensors = {
        name: tensor for name, tensor in file.parts[place.under].items() if owner.of(name) in (place.prefix, None)
    }
    name = "" if place.name == WHOLE else place.name
    return dataclasses.replace(file, tensors=tensors, under=place.under, parts={place.under: tensors}, encoder=name)
