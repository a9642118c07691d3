"""What every plugin's options have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of a plugin's options: a pydantic model whose unknown keys are refused.

    Give every field a `Field(description=…)`: it is the help text that users read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
