"""Names of columns, each different from the others."""

from __future__ import annotations

from collections.abc import Sequence


def distinct_names(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a name for each column, and a sentence for each that the header gives twice or not at all.

    The second `price` becomes `price (2)`, and the third column without a name `column 3`.
    """
    names: list[str] = []
    sentences: list[str] = []
    taken = set(header)
    first: dict[str, int] = {}
    for place, name in enumerate(header, start=1):
        if not name:
            own = _free(f"column {place}", taken, start=1)
            sentences.append(f"column {place} has no name; it is called {own!r}")
        elif name in first:
            own = _free(name, taken, start=2)
            sentences.append(
                f"column {place} has the name of column {first[name]}, {name[:60]!r}; it is called {own!r}"
            )
        else:
            own = name
            first[name] = place
        taken.add(own)
        names.append(own)
    return names, sentences


def _free(name: str, taken: set[str], start: int) -> str:
    """Return a name, with a number from `start` behind it where that is needed."""
    candidate, number = (name, 1) if start == 1 else (f"{name} ({start})", start)
    while candidate in taken:
        number += 1
        candidate = f"{name} ({number})"
    return candidate
