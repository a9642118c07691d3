"""How people write that a cell holds nothing."""

from __future__ import annotations

from collections.abc import Iterable

MISSING = frozenset(
    {
        *("", "-", "--", "---", ".", "..", "?", "*"),
        *("na", "n/a", "n.a.", "n.a", "#n/a", "#n/a n/a", "#na", "<na>", "nd", "n.d.", "not available"),
        *("nan", "-nan", "+nan", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "nat"),
        *("null", "nil", "none", "\\n", "missing", "#null!", "#value!", "#div/0!", "#ref!", "#num!", "#name?"),
    }
)
"""In lower case, stripped: of spreadsheets, R, SAS, SQL, pandas and people. Numbers that stand for nothing, such as
-999, are not guessed: they are named by whoever knows."""


class Missing:
    """Tells cells that hold nothing: those of `MISSING`, in whatever case, and others that a person names exactly."""

    def __init__(self, others: Iterable[str] = ()) -> None:
        self.others = frozenset(others)

    def __call__(self, cell: str) -> bool:
        """Whether a stripped cell holds nothing."""
        return not cell or cell.lower() in MISSING or cell in self.others
