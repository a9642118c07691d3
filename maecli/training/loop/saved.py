"""What is said where reading the data ends a run of which something is saved."""

from __future__ import annotations

from maecli.errors import DataError, LoadingError
from maecli.schema import RunSpec


def with_what_is_saved(error: Exception, spec: RunSpec, step: int) -> DataError | LoadingError | None:
    """Return an error of the data that also says at which step a run goes on, and where they lie; None of another."""
    saved = f"step {step} is saved, and --resume goes on from there"
    if isinstance(error, LoadingError):
        return LoadingError(f"{error}; {saved}")
    if isinstance(error, DataError):
        root = spec.dataset.options.get("root")
        where = f" (the data set is that in {root})" if root else ""
        return DataError(f"{error}{where}; {saved}", error.faults)
    return None
