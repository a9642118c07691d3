"""Two readings that are as likely: what is then chosen, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from maecli.data.card import SplitName
from maecli.errors import DataError
from maecli.layouts.layout import Reading

NUMBERS = {1: "one way", 2: "two ways", 3: "three ways"}


def unknown(path: str) -> bool | None:
    """Say that it is not known whether a file is in colour."""
    return None


class Judge:
    """Settles doubts by the reading that a person chose; without one, refuses, or takes what leaves nothing out."""

    def __init__(
        self,
        where: str,
        choice: Reading,
        lenient: bool = False,
        *,
        is_grey: Callable[[str], bool | None] = unknown,
        split_folders: Mapping[str, SplitName] | None = None,
        classes_are_told: bool = False,
    ) -> None:
        self.where, self.choice, self.lenient = where, choice, lenient
        self.is_grey, self.split_folders, self.classes_are_told = is_grey, split_folders or {}, classes_are_told

    def settle(
        self, what: str, readings: Mapping[Reading, str], otherwise: Reading, outside: str = "", more: str = ""
    ) -> Reading:
        """Return one of some readings, each told in words. Raises `DataError` naming all.

        `otherwise` is taken where the choice of the person is none of them, or nothing may be refused. `outside` is
        a reading that is chosen otherwise than by `layout`, and `more` another way out.
        """
        if self.choice in readings:
            return self.choice
        if self.choice != "auto" or self.lenient:
            return otherwise
        ways = [f"{words} (--set dataset.layout={name})" for name, words in readings.items()]
        ways += [outside] if outside else []
        either = " or ".join(ways)
        more = f", {more}" if more else ""
        raise DataError(
            f"{self.where}: {what}, which can be read in {NUMBERS[len(ways)]}: {either}; choose one of them{more}"
        )
