"""What every plugin's options have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of a plugin's options: a pydantic model whose unknown keys are refused.

    Give every field a `Field(description=…)`: it is the help text that users read. A field that only changes the
    default of one in a base class keeps that one's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        bases = [base for base in cls.__mro__[1:] if issubclass(base, Options)]
        for name, field in cls.model_fields.items():
            inherited = [base.model_fields[name].description for base in bases if name in base.model_fields]
            field.description = field.description or next(filter(None, inherited), None)
