"""Tiny volumes in the layouts that people have, each with a box of two organs in a body of noise."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

SIZE = (12, 10, 8)
RAS_3MM = np.diag([3.0, 3.0, 3.0, 1.0])


def scan(seed: int, size: tuple[int, ...] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Return a CT (D, H, W) int16 in HU of a body in air, and its mask: a left organ of 1 and a right one of 2."""
    rng = np.random.default_rng(seed)
    values, mask = np.full(size, -1000, np.int16), np.zeros(size, np.uint8)
    body = tuple(slice(1, length - 1) for length in size)
    values[body] = rng.integers(-60, 60, [length - 2 for length in size])
    mask[2:4, 3:6, 2:5], mask[size[0] - 4 : size[0] - 2, 3:6, 2:5] = 1, 2
    values[mask > 0] += 150
    return values, mask


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = RAS_3MM, axes: str = "RAS") -> Path:
    """Write voxels (D, H, W) in RAS as a NIfTI file whose axes go as `axes` says; both lie at the same place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, affine)
    to = nib.orientations.axcodes2ornt(axes)
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), to)), path)
    return path


def write_volumes(root: Path, num: int = 6) -> None:
    """Write volumes with masks in folders, and what numbers mean."""
    for i in range(num):
        values, mask = scan(i)
        save(root / f"images/case{i}.nii.gz", values, axes="LPS" if i % 2 else "RAS")
        save(root / f"labels/case{i}.nii.gz", mask)
    (root / "classes.txt").write_text("background\nleft\nright\n")


def write_nnunet(root: Path, num: int = 4, channels: int = 2) -> None:
    """Write nnU-Net's layout, with a test volume whose mask nobody has."""
    for i in range(num + 1):
        values, mask = scan(i)
        folder = "Ts" if i == num else "Tr"
        for channel in range(channels):
            save(root / f"images{folder}/case_{i:03d}_{channel:04d}.nii.gz", values + np.int16(channel))
        if i < num:
            save(root / f"labelsTr/case_{i:03d}.nii.gz", mask)
    content = {
        "channel_names": {str(channel): f"MR{channel}" for channel in range(channels)},
        "labels": {"background": 0, "left": 1, "right": 2},
        "numTraining": num,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))


def write_list(root: Path, name: str = "dataset.json", num: int = 4) -> None:
    """Write volumes with a list as the decathlon and MONAI have it: the last one is of validation, one more of test."""
    entries = []
    for i in range(num):
        values, mask = scan(i)
        save(root / f"imagesTr/img{i}.nii.gz", values)
        save(root / f"labelsTr/label{i}.nii.gz", mask)
        entries.append({"image": f"./imagesTr/img{i}.nii.gz", "label": f"./labelsTr/label{i}.nii.gz"})
    save(root / "imagesTs/img9.nii.gz", scan(9)[0])
    content = {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "left", "2": "right"},
        "training": entries[:-1],
        "validation": entries[-1:],
        "test": ["./imagesTs/img9.nii.gz"],
    }
    (root / name).write_text(json.dumps(content))


def write_btcv(root: Path, folders: tuple[str, str] = ("img", "label"), num: int = 6) -> None:
    """Write BTCV's layout, as published or as MONAI has it, with masks of the published names."""
    for i in range(1, num + 1):
        values, mask = scan(i)
        save(root / folders[0] / f"img{i:04d}.nii.gz", values, axes="LAS")
        save(root / folders[1] / f"label{i:04d}.nii.gz", mask, axes="LAS")
