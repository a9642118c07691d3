"""How picture files are read where they leave it open: decided once for a data set, and kept in its card."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NpyLayout = Literal["auto", "hwc", "chw"]
PageMeaning = Literal["auto", "first", "channels"]
MaskPixels = Literal["auto", "numbers", "colours"]
NoData = Literal["header", "none", "nan"] | Annotated[float, Field(allow_inf_nan=False)]
"""What cells hold that are missing: what headers name, and this number if it is one; none: not even these."""
FolderReading = Literal["auto", "flat", "classes", "last-folder", "splits", "splits-flat", "classes-splits", "masks"]
"""What folders and names of files mean; see `maecli.layouts.layout.READINGS`."""
FULL_BITS = 16


class FileReading(BaseModel):
    """How the picture files of a data set are read, and so a person's own for a model that was trained on them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bits: int = Field(
        default=FULL_BITS,
        ge=8,
        le=FULL_BITS,
        description="bits that 16-bit files use: what is scaled to 8 bits, and the range where all files are of 16",
    )
    npy_layout: NpyLayout = Field(
        default="auto", description="channel axis of 3-D .npy arrays whose first and last axis have the same length"
    )
    tiff_pages: PageMeaning = Field(
        default="auto",
        description="pages of a TIFF that are no thumbnails: channels, or the first is the picture; auto: channels "
        "where the file describes them as such",
    )
    layout: FolderReading = Field(
        default="auto", description="which files of a folder are pictures, and which masks, as `dataset.layout` says"
    )
    nodata: NoData = Field(default="header", description="what cells hold that are missing, as `dataset.nodata` says")

    mask_foreground: int | None = Field(
        default=None, description="number in masks that is the second of two classes, as `dataset.mask_foreground` says"
    )
    mask_first: int = Field(
        default=0, ge=0, description="number of the first class in masks; smaller ones are not judged"
    )
    mask_palettes: MaskPixels = Field(default="auto", description="what counts in palettes of masks that name both")
    mask_greys: MaskPixels = Field(default="auto", description="the same of masks in grey")

    @property
    def most(self) -> int:
        """Return the greatest value of 16-bit files."""
        return int(2**self.bits - 1)
