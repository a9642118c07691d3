"""Two readings that are as likely: what is then chosen, or refused."""

from __future__ import annotations

from collections.abc import Mapping

from maecli.errors import DataError
from maecli.layouts.layout import Reading


class Judge:
    """Settles doubts by the reading that a person chose; without one, refuses, or takes what leaves nothing out."""

    def __init__(self, where: str, choice: Reading, lenient: bool = False) -> None:
        self.where, self.choice, self.lenient = where, choice, lenient

    def settle(self, what: str, readings: Mapping[Reading, str], otherwise: Reading) -> Reading:
        """Return one of two readings, each told in words. Raises `DataError` naming both.

        `otherwise` is taken where the choice of the person is neither of them, or nothing may be refused.
        """
        if self.choice in readings:
            return self.choice
        if self.choice != "auto" or self.lenient:
            return otherwise
        ways = " or ".join(f"{words} (--set dataset.layout={name})" for name, words in readings.items())
        raise DataError(f"{self.where}: {what}, which can be read in two ways: {ways}; choose one of them")
