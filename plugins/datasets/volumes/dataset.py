"""One's own volumes."""

from __future__ import annotations

from pydantic import Field

from maecli import api

from .finding import Found, find_class_names, find_volumes, patient_of
from .volume_set import VolumeOptions, VolumeSet


class Volumes(VolumeSet):
    """One's own volumes, such as CT or MR, with or without a class for each voxel.

    Source: your own files; nothing is copied or changed.
    Format: NIfTI (`.nii`, `.nii.gz`), arrays `.npy` (D, H, W), (C, D, H, W), and with the extra `dicom` series of
        DICOM, named by the first of their slices. Axes are brought to right, front and top (RAS), however a file
        stores them, and spacings to one: values linearly, classes by the nearest voxel. A fourth axis holds channels;
        channels may be files of their own, by `channels` or as nnU-Net names them (_0000, _0001 …). Volumes of one
        slice, in colour, or with other channels than most are left out.
    Masks: in `labels/` by the names of their volumes (`labelsTr/` beside `imagesTr/`, too), or beside these as
        NAME_seg, NAME_label or NAME_mask; of the shape and place of their volumes. Numbers are named by `dataset.json`,
        `classes.txt`, or a CSV of id and name; class 0 is the background.
    Descriptions: `dataset.json` as nnU-Net or the Medical Segmentation Decathlon have it, and lists of MONAI.
    Splits: folders train, val and test (`imagesTs`, too), or the lists of a description; else one volume in ten for
        each of val and test, cut with the fixed seed 0, all volumes of a patient together (`sub-…` as BIDS names them,
        or `patient`). Volumes without masks, where others have some, stay in train, and test volumes without masks are
        left out.
    Values: of a CT -175 to 250 HU, of others robust z-scores; see the option `intensity`. NaN is missing.
    Licence: yours to know.
    """

    name = "volumes"
    recipe = "volumes"
    named_by_root = True

    class Options(VolumeOptions):
        channels: tuple[str, ...] = Field(
            default=(),
            description="how the names of the files of a volume end, a file for each channel, as in [_t1, _t2]; "
            "default: as nnU-Net names them, else a file is a volume",
        )
        patient: str = Field(
            default="",
            description="regular expression that finds the patient in the path of a volume; default: sub-…, as BIDS "
            "names them, else each volume is a patient",
        )
        description: str = Field(
            default="", description="name of the JSON file that lists the volumes; default: dataset.json"
        )

    options: Options
    source = "your own files"
    licence = "yours to know"

    def __init__(self, options: Options) -> None:
        if options.root is None:
            raise api.SpecError(f"the data set {self.name} needs --root, the folder that holds your volumes")
        super().__init__(options)

    def find(self) -> Found:
        return find_volumes(self.root, self.options.description, self.options.channels)

    def class_names(self) -> tuple[str, ...]:
        return find_class_names(self.root, self._found.described)

    def patient_of(self, key: str) -> str:
        return patient_of(key, self.options.patient)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Volumes]
