"""How the files of volumes become samples: decided once for a data set, and kept in its card."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

SPREAD = 5.0
"""Robust standard deviations from the median at which values are cut off."""
Spacing = tuple[float, float, float]


class VolumeReading(BaseModel):
    """How the volumes of a data set are read, and so a person's own for a model that was trained on them.

    Axes go to the right, to the front and to the top (RAS), whatever their order in a file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spacing: Spacing | None = Field(
        default=None, description="mm from voxel to voxel to the right, front and top; None: as each file has them"
    )
    window: tuple[float, float] | None = Field(
        default=None,
        description="values that are told apart, those outside being cut off; None: robust z-scores of each volume",
    )
    endings: tuple[str, ...] = Field(
        default=(), description="how the names of the files of a volume end, a file for each channel; none: one file"
    )

    void: int | None = Field(
        default=None, description="the number in the files of masks where nothing is judged; None: there is none"
    )

    @model_validator(mode="after")
    def _rises(self) -> VolumeReading:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"a window goes from {self.window[0]:g} to {self.window[1]:g}; its second end is higher")
        if self.spacing is not None and min(self.spacing) <= 0:
            raise ValueError(f"a spacing of {self.spacing} mm; each is above 0")
        return self

    @property
    def value_range(self) -> tuple[float, float]:
        """What samples' values lie in."""
        return self.window or (-SPREAD, SPREAD)
