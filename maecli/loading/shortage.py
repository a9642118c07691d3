"""What a machine can have too little of, as a sentence with its way out."""

from __future__ import annotations

import errno

IN_MAIN = "--set data.workers=0 reads in the main process"
LESS_MEMORY = f"use less with a smaller --batch-size, --set data.cache=0 or fewer --workers; {IN_MAIN}"


def shortage(error: BaseException) -> str | None:
    """Return what there is too little of and the way out, where that is what an error, or one behind it, comes from."""
    behind: BaseException | None = error
    while behind is not None:
        if sentence := _shortage(behind):
            return sentence
        behind = behind.__cause__ or behind.__context__
    return None


def _shortage(error: BaseException) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return f"too few file handles{_allowed()}; raise the limit with ulimit -n; {IN_MAIN}"
    if number == errno.EAGAIN or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        return f"too few processes are allowed; raise the limit with ulimit -u, or use fewer --workers; {IN_MAIN}"
    if number == errno.ENOMEM or isinstance(error, MemoryError) or "allocate memory" in str(error):
        return f"memory ran out; {LESS_MEMORY}"
    return None


def _allowed() -> str:
    try:
        import resource  # not on Windows
    except ImportError:
        return ""
    return f" ({resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} are allowed)"
