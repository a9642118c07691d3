"""How a person's folders are laid out: which files are samples, which are their masks, and which folders name what."""

from maecli.layouts.layout import READINGS, Layout, Reading
from maecli.layouts.read import foreign_in_words, read_layout

__all__ = ["READINGS", "Layout", "Reading", "foreign_in_words", "read_layout"]
