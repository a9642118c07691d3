"""How a person's folders are laid out: which files are samples, which are their masks, and which folders name what.

What reads them is loaded when a folder is read.
"""

from typing import TYPE_CHECKING, Any

from maecli.layouts.layout import READINGS, Layout, Reading

if TYPE_CHECKING:
    from maecli.layouts.read import foreign_in_words, read_layout

__all__ = ["READINGS", "Layout", "Reading", "foreign_in_words", "read_layout"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from maecli.layouts import read

    return getattr(read, name)
