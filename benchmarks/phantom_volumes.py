"""Volumes made by code: a body of soft tissue with five organs that are ellipsoids, as a CT might show them.

Organs have their sides (liver right, spleen left, a kidney on each), and sizes, places, turns and values that vary from
body to body. Around them lie ellipsoids of no class with values like theirs. Every voxel is the mean of 2 × 2 × 2 finer
ones, so that borders are blurred as where a voxel shares two tissues; texture is smooth, noise is not.

Shapes: N a volume's side in voxels; axes go to the right, the front and the top of the body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

SIDE_MM = 216.0
FINER = 2
"""Cells of a voxel along each axis whose mean it is."""
AIR, FAT, BONE = -1000.0, -90.0, 180.0
NOISE, TEXTURE = 14.0, 8.0
"""Standard deviations in HU, of what is new in each voxel, and of what goes on for some voxels."""
NUM_STRANGE = 8
"""Ellipsoids of no class."""

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Organ:
    """How an organ usually is, in mm from the middle of the body, and HU above the tissue around it."""

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    contrast: float
    rim: float = 0.0
    """HU by which the outer part is brighter, as the cortex of a kidney is."""


ORGANS = (
    Organ("liver", (40, 12, 28), (46, 40, 38), 34),
    Organ("spleen", (-58, -20, 28), (22, 28, 30), 30),
    Organ("right kidney", (38, -34, -34), (20, 19, 29), 10, rim=45),
    Organ("left kidney", (-38, -34, -26), (20, 19, 29), 10, rim=45),
    Organ("pancreas", (-8, 14, -14), (36, 13, 13), 24),
)


def make_volume(seed: int, side: int = 32) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return the HU (N, N, N) of a body, and of each voxel the class that most of it is, 0 = none."""
    rng = np.random.default_rng(seed)
    fine, step = side * FINER, SIDE_MM / side / FINER
    axis = (np.arange(fine, dtype=np.float32) + 0.5) * step - SIDE_MM / 2
    place = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))  # mm (3, n, n, n)
    place = _moved(place, rng.uniform(-8, 8, 3), rng.uniform(-6, 6, 3)) / np.float32(rng.uniform(0.9, 1.1))
    tissue = rng.uniform(25, 45)
    values = np.full(place.shape[1:], AIR, np.float32)
    flat = np.array([1, 1, 0.35], np.float32)  # a body goes on below and above what is seen
    values[_distance(place, (0, 0, 0), (103, 84, 103), flat) < 1] = FAT
    body = _distance(place, (0, 0, 0), (95, 76, 95), flat) < 1
    values[body] = tissue
    classes = np.zeros(values.shape, np.uint8)
    for _ in range(NUM_STRANGE):
        there = _turned(place, rng.uniform(-70, 70, 3), rng)
        values[body & (_distance(there, (0, 0, 0), rng.uniform(7, 22, 3)) < 1)] = tissue + rng.uniform(-40, 50)
    for number, organ in enumerate(ORGANS, start=1):
        there = _turned(place, organ.centre + rng.normal(0, 7, 3), rng, degrees=20)
        distance = _distance(there, (0, 0, 0), organ.radii * rng.uniform(0.75, 1.2, 3))
        inside = body & (distance < 1)
        classes[inside] = number
        values[inside] = tissue + organ.contrast + rng.normal(0, 4) + organ.rim * (distance[inside] > 0.65)
    spine = _distance(place, (0, -56, 0), (15, 14, 15), (1, 1, 0)) < 1
    values[spine], classes[spine] = BONE, 0
    texture = gaussian_filter(rng.standard_normal((side,) * 3), 1.5)
    noise = gaussian_filter(rng.standard_normal((side,) * 3), 0.4)
    shown = _mean(values) + TEXTURE * texture / texture.std() + NOISE * noise / noise.std()
    shares = np.stack([_mean((classes == number).astype(np.float32)) for number in range(len(ORGANS) + 1)])
    return np.clip(shown.round(), -1024, 3071).astype(np.int16), shares.argmax(0).astype(np.uint8)


def _moved(place: Values, by: NDArray[np.float64], degrees: NDArray[np.float64]) -> Values:
    """Return places (3, …) as seen from a body that lies elsewhere and is turned."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix().astype(np.float32)
    return np.tensordot(turn, place - by.astype(np.float32).reshape(3, 1, 1, 1), 1)


def _turned(place: Values, centre: NDArray[np.float64], rng: np.random.Generator, degrees: float = 90) -> Values:
    return _moved(place, centre, rng.uniform(-degrees, degrees, 3))


def _distance(place: Values, centre: object, radii: object, weights: object = 1.0) -> Values:
    """Return how far places (3, …) lie from a centre, in radii of an ellipsoid."""
    centre, radii, weights = (np.broadcast_to(np.asarray(each, np.float32), 3) for each in (centre, radii, weights))
    scaled = (place - centre.reshape(3, 1, 1, 1)) * (weights / radii).reshape(3, 1, 1, 1)
    return np.sqrt((scaled**2).sum(0))


def _mean(values: Values) -> Values:
    """Return the means (N, N, N) of the finer cells of each voxel."""
    side = len(values) // FINER
    return values.reshape(side, FINER, side, FINER, side, FINER).mean((1, 3, 5))


def make_set(folder: Path, num_train: int, num_test: int, side: int = 32) -> None:
    """Write volumes and masks as nnU-Net has them (imagesTr, labelsTr, imagesTs, labelsTs); what is there stays.

    The seed of a volume is its number; those of test go on where training ends.
    """
    for part, numbers in (("Tr", range(num_train)), ("Ts", range(num_train, num_train + num_test))):
        for number in numbers:
            image = folder / f"images{part}" / f"phantom_{number:03d}_0000.nii.gz"
            mask = folder / f"labels{part}" / f"phantom_{number:03d}.nii.gz"
            if not (image.exists() and mask.exists()):
                for path, values in zip((image, mask), make_volume(number, side), strict=True):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    nibabel.save(nibabel.Nifti1Image(values, np.diag([SIDE_MM / side] * 3 + [1.0])), path)  # type: ignore[attr-defined]
    description = {
        "channel_names": {"0": "CT"},
        "labels": dict(_numbers()),
        "numTraining": num_train,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1) + "\n")


def _numbers() -> Iterator[tuple[str, int]]:
    for number, name in enumerate(("background", *(organ.name for organ in ORGANS))):
        yield name, number
