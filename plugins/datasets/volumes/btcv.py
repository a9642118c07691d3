"""BTCV: abdominal organs in CT."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from maecli import api
from maecli.api import volumes

from .described import Described, read_description
from .finding import Found
from .volume_set import Millimetres, VolumeOptions, VolumeSet

CLASSES = (
    "background",
    *("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach", "aorta"),
    *("inferior vena cava", "portal and splenic vein", "pancreas", "right adrenal gland", "left adrenal gland"),
)
PLACES = ("", "RawData/Training/", "Training/", "averaged-training/", "Abdomen/RawData/Training/")
"""Folders below the root that the volumes may lie in, as archives unpack."""
LAYOUTS = (("img", "label"), ("imagesTr", "labelsTr"))
"""Folders of volumes and of masks: as published, and as MONAI has them."""
LIST = "dataset_0.json"
NUMBER = re.compile(r"(\d{4})")


class BTCV(VolumeSet):
    """BTCV: 13 abdominal organs in CT (Multi-Atlas Labeling Beyond the Cranial Vault), 30 volumes with masks.

    Source: synapse.org, syn3193805, after registration; nothing is downloaded.
    Format: NIfTI below `img/` and `label/` (img0001.nii.gz, label0001.nii.gz), as published, also in RawData/Training/;
        or below `imagesTr/` and `labelsTr/` with `dataset_0.json`, as MONAI has them. 0 is the background.
    Splits: each volume is another patient. Published figures that can be compared are of five folds, by --folds 5; the
        20 test volumes, whose masks nobody has, are left out. For a single run a tenth chooses and a fifth tests, cut
        with the fixed seed 0; `split=list` tests on the validation list of `dataset_0.json` instead (24 and 6).
    Values: -175 to 250 HU at 1.5 × 1.5 × 2 mm, as of UNETR, arXiv:2103.10504.
    Licence: as agreed at synapse.org; no redistribution.
    """

    name = "btcv"
    recipe = "btcv"

    class Options(VolumeOptions):
        spacing: tuple[Millimetres, Millimetres, Millimetres] | None = Field(
            default=(1.5, 1.5, 2.0), description="mm from voxel to voxel to the right, front and top"
        )
        window: tuple[float, float] | None = Field(
            default=volumes.SOFT_TISSUE, description="lowest and highest HU that are told apart"
        )
        test_share: float = Field(default=0.2, ge=0, lt=1, description="share of the volumes taken as test")
        split: Literal["cut", "list"] = Field(
            default="cut", description="cut: by val_share and test_share; list: test is validation of dataset_0.json"
        )

    options: Options
    source = "synapse.org, syn3193805"
    licence = "as agreed at synapse.org; no redistribution"
    title = "BTCV: 13 abdominal organs in CT"

    def find(self) -> Found:
        described = self._described()
        for place in PLACES:
            for images, masks in LAYOUTS:
                if cases := _cases(self.root, place + images, place + masks):
                    return Found(cases, self._listed(cases, described), described)
        raise api.DataError(
            f"{self.root} holds no BTCV: neither img/ and label/ nor imagesTr/ and labelsTr/ with .nii.gz below it; "
            "get it from synapse.org (syn3193805), or give --root the folder that holds them"
        )

    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    def _described(self) -> Described | None:
        if self.options.split == "cut":
            return None
        if not (self.root / LIST).is_file():
            raise api.DataError(f"{self.root / LIST} does not exist, whose validation dataset.split=list tests on")
        return read_description(self.root / LIST)

    def _listed(self, cases: list[volumes.Case], described: Described | None) -> dict[str, api.SplitName]:
        """Return which volumes are of test by the list, where that is asked for."""
        listed = described.cases if described is not None else None
        numbers = {_number(case.key) for case, split in (listed or {}).items() if split == "val"}
        return {case.key: "test" for case in cases if _number(case.key) in numbers}


def _number(path: str) -> str:
    found = NUMBER.search(path.rpartition("/")[2])
    return found[1] if found else ""


def _cases(root: Path, images: str, masks: str) -> list[volumes.Case]:
    """Return the volumes of a folder with the masks of the same numbers; none where one of both is not there."""
    of_number = {_number(path): path for path in _files(root, masks)}
    return [volumes.Case((path,), of_number.get(_number(path))) for path in _files(root, images)] if of_number else []


def _files(root: Path, folder: str) -> list[str]:
    if not (root / folder).is_dir():
        return []
    found = (f"{folder}/{path}" for path in api.pictures.find_files(root / folder))
    return [path for path in found if path.lower().endswith(volumes.SUFFIXES) and _number(path)]


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [BTCV]
