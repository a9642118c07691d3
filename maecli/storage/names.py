"""Names of folders and files that every system takes."""

from __future__ import annotations

import unicodedata
from hashlib import blake2b

LONGEST, LONGEST_BYTES = 80, 160
"""In letters, and as a disk writes them: it has 255 bytes for a name, and more is put before and behind."""


def file_name(text: str) -> str:
    """Return a text as a name: letters and digits of any script, and . _ + -; a long one ends with a digest of itself.

    Empty where no letter and no digit is left.
    """
    letters = (each if _is_plain(each) else " " for each in unicodedata.normalize("NFC", text.replace("%", "pct")))
    plain = "-".join("".join(letters).split()).strip("-.")
    if not any(each.isalnum() for each in plain):
        return ""
    if len(plain) <= LONGEST and len(plain.encode()) <= LONGEST_BYTES:
        return plain
    short = plain[: LONGEST - 9].encode()[: LONGEST_BYTES - 9].decode(errors="ignore")
    return f"{short}-{blake2b(plain.encode(), digest_size=4).hexdigest()}"


def _is_plain(letter: str) -> bool:
    """Whether a letter may stand in a name; marks belong to the letters before them."""
    return letter.isalnum() or letter in "._+-" or unicodedata.category(letter).startswith("M")
