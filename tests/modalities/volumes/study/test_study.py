from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.volumes.dataset import Volumes as OwnVolumes
from write_volumes import save, scan, write_volumes

from maecli.modalities.study import Study
from maecli.modalities.volumes.modality import Volumes
from maecli.modalities.volumes.study.sides import Pair, pairs_of
from maecli.modalities.volumes.study.subject import classes_in


def studied(root: Path, **options) -> Study:
    dataset = OwnVolumes(OwnVolumes.Options(root=root, **options))
    study = Volumes().study(dataset.split, dataset.card())
    assert study is not None
    return study


def told(root: Path, **options) -> dict[str, str]:
    return {finding.kind: finding.told for finding in studied(root, **options).findings}


@pytest.fixture
def root(tmp_path):
    write_volumes(tmp_path)
    (tmp_path / "classes.txt").write_text("background\nkidney_left\nkidney_right\n")
    return tmp_path


def test_sound_volumes_are_shown_with_nothing_to_tell_but_the_order_of_their_axes(root):
    study = studied(root)
    assert [finding.kind for finding in study.findings] == ["orientations"]
    space, values, classes = study.topics
    assert len(space.tables[0].rows) == 6
    assert space.tables[0].rows[0][2:5] == ("12 × 10 × 8", "3 × 3 × 3", "36 × 30 × 24")
    assert set(values.charts[0].points) == {row[0] for row in space.tables[0].rows}
    assert classes.tables[0].rows[0] == ("kidney_left", 6, *[0.486] * 3)  # 18 voxels of 27 mm³


def test_classes_are_counted_and_placed():
    mask = np.zeros((4, 2, 2), np.uint8)
    mask[1], mask[3, 0, 0] = 1, 7
    found = classes_in(mask)
    assert {number: (each.voxels, each.from_left) for number, each in found.items()} == {1: (4, 1.0), 7: (1, 3.0)}


def test_a_mask_with_voxels_that_are_no_number_shows_no_classes(root):
    save(root / "labels/case0.nii.gz", np.full(scan(0)[1].shape, np.nan, np.float32))
    [table] = studied(root).topics[2].tables
    assert {row[1] for row in table.rows} == {5}


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("background", "kidney_left", "kidney_right"), [Pair("kidney", 1, 2)]),
        (("Right Adrenal Gland", "liver", "left adrenal gland"), [Pair("adrenal gland", 2, 0)]),
        (("rib_left_1", "rib_left_2", "rib_right_1"), [Pair("rib 1", 0, 2)]),
        (("L kidney", "R kidney"), [Pair("kidney", 0, 1)]),
        (("left", "lung"), []),
    ],
)
def test_pairs_are_names_that_differ_by_their_side(names, pairs):
    assert pairs_of(names) == pairs


def test_left_parts_on_the_right_are_told(root):
    _, mask = scan(0)
    save(root / "labels/case0.nii.gz", mask[::-1].copy())
    assert "lies to the right of what is called right in images/case0.nii.gz (kidney)" in told(root)["sides swapped"]
    (root / "classes.txt").write_text("background\nkidney_right\nkidney_left\n")
    save(root / "labels/case0.nii.gz", mask)
    assert "right in all volumes (kidney)" in told(root)["sides swapped"]


def test_numbers_that_no_list_names_are_told(root):
    mask = scan(0)[1]
    mask[0, 0, 0] = 9
    save(root / "labels/case0.nii.gz", mask)
    sentence = told(root)["number without a name"]
    assert sentence.startswith("Masks of images/case0.nii.gz hold the number 9, which no list names")


def test_values_that_are_no_hounsfield_units_among_a_ct_are_told(root):
    save(root / "images/case1.nii.gz", scan(1)[0] + np.int16(1000))
    assert told(root, intensity="window")["other values"].startswith("Values of images/case1.nii.gz do not look like")


def test_spacings_that_differ_and_oblong_voxels_are_told(tmp_path):
    for i, step in enumerate((3.0, 10.0, 10.0)):
        save(tmp_path / f"{i}.nii.gz", scan(i)[0], np.diag([2.0, 2.0, step, 1.0]))
    found = told(tmp_path, val_share=0, test_share=0)
    assert "from 2 × 2 × 3 mm to 2 × 2 × 10 mm: all are brought to 2 × 2 × 10 mm" in found["spacings"]
    assert "covers 16 × 16 × 80 mm; oblong patches, as --set model.patch_size=[8,8,2]" in found["oblong voxels"]


def test_missing_voxels_are_told(tmp_path):
    for i in range(3):
        values = scan(i)[0].astype(np.float32)
        values[:6] = np.nan if i == 1 else values[:6]
        save(tmp_path / f"{i}.nii.gz", values)
    assert "1 volume has voxels that are no number (NaN), up to 50.0% of 1.nii.gz" in told(tmp_path)["missing voxels"]
