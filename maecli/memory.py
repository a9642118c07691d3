"""When memory runs out: whichever library notices it, a person is told what to make smaller."""

from __future__ import annotations

import errno
import re

from maecli.errors import MaeError

_WORDS = re.compile(
    r"out of memory|(can't|can ?not|could not|unable to|failed to) allocate|not enough memory|insufficient memory"
    r"|alloc_failed|bad alloc|bad_alloc",
    re.IGNORECASE,
)
_LONGEST = 200  # letters of a library's reason


def out_of_memory(error: BaseException) -> MaeError | None:
    """Return the error that tells a person of a lack of memory; None where another reason ended the work.

    Libraries say it in their own ways: MemoryError, torch.OutOfMemoryError, or a RuntimeError in words.
    """
    if not (isinstance(error, MemoryError) or _is_in_words(error)):
        return None
    reason = " ".join(str(error).split())
    reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}…"
    return MaeError(
        f"memory is used up{f' ({reason})' if reason else ''}; try a smaller --batch-size, --micro-batch-size, "
        "--img-size or model, or fewer --workers; what was saved before is untouched"
    )


def _is_in_words(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    names = {kind.__name__ for kind in type(error).__mro__}  # cv2.error is no RuntimeError
    return bool(names & {"RuntimeError", "error"}) and bool(_WORDS.search(str(error)))
