from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from maecli_plugins.datasets.volumes.dataset import Volumes
from write_volumes import SIZE, save, scan, write_list, write_nnunet, write_volumes

from maecli.api import SPLIT_NAMES, DataError, SpecError

MASKED = ("image", "mask")


def opened(root, **options) -> Volumes:
    return Volumes(Volumes.Options(root=root, **options))


def keys(dataset, fields=("image",)) -> dict[str, list[str]]:
    return {name: list(dataset.split(name, fields).keys) for name in SPLIT_NAMES}


def faults(dataset) -> dict[str, str]:
    return {fault.path: fault.reason for fault in dataset.faults()}


def test_folders_of_volumes_and_masks(tmp_path):
    write_volumes(tmp_path)
    dataset = opened(tmp_path)
    card = dataset.card(MASKED)
    assert (card.mask_classes, card.background, card.void) == (("background", "left", "right"), 0, 255)
    assert (card.channels, card.size, card.dtype, card.missing) == (1, SIZE, "int16", False)
    assert (card.value_range, card.volumes.spacing) == ((-175, 250), (3, 3, 3))
    assert card.split_sizes == {"train": 4, "val": 1, "test": 1}
    assert card.reading == ("6 volumes, 6 with masks of 3 classes, voxels of 3 × 3 × 3 mm, values from -175 to 250")
    assert "values look like Hounsfield units" in card.notes[0]
    sample = dataset.split("train", MASKED)[0]
    own = {"own_mask", "own_size", "own_spacing"}
    assert set(sample) == {"image", "mask", "centres", *own}
    assert set(dataset.split("val", MASKED)[0]) == {"image", "mask", *own}
    organ = sample["image"][0][sample["mask"] == 1]
    assert organ.min() > 80


def test_masks_beside_their_volumes_and_a_table_of_classes(tmp_path):
    for i in range(3):
        values, mask = scan(i)
        save(tmp_path / f"p{i}.nii.gz", values)
        save(tmp_path / f"p{i}_seg.nii.gz", mask)
    (tmp_path / "labels.csv").write_text("id,name\n0,background\n1,spleen\n2,liver\n")
    assert opened(tmp_path).card(MASKED).mask_classes == ("background", "spleen", "liver")


def test_numbers_name_classes_that_nobody_named(tmp_path):
    write_volumes(tmp_path, 3)
    (tmp_path / "classes.txt").unlink()
    assert opened(tmp_path).card(MASKED).mask_classes == ("background", "class 1", "class 2")


def test_masks_that_number_no_classes_say_nothing_of_how_many_there_are(tmp_path):
    write_volumes(tmp_path, 4)
    (tmp_path / "classes.txt").unlink()
    save(tmp_path / "labels/case1.nii.gz", np.full(SIZE, np.nan, np.float32))
    save(tmp_path / "labels/case2.nii.gz", np.full(SIZE, 70_000, np.int32))
    dataset = opened(tmp_path)
    assert dataset.card(MASKED).mask_classes == ("background", "class 1", "class 2")
    assert faults(dataset) == {
        "labels/case1.nii.gz": "holds numbers that are not whole, which name no class",
        "labels/case2.nii.gz": "holds the number 70,000, and there is room for 32,768 classes",
    }


def test_nnunet_with_channels_in_files_of_their_own(tmp_path):
    write_nnunet(tmp_path)
    dataset = opened(tmp_path)
    card = dataset.card(MASKED)
    assert (card.channels, card.dtype, card.volumes.window) == (2, "float32", None)
    assert card.volumes.endings == ("_0000", "_0001")
    assert card.left_out == {"test volumes without masks, which are not learnt from": 1}
    assert sum(card.split_sizes.values()) == 4
    assert dataset.split("train", MASKED)[0]["image"].shape == (2, *SIZE)


def test_files_that_are_no_channels_where_others_are_are_told(tmp_path):
    write_nnunet(tmp_path)
    save(tmp_path / "imagesTr/overview.nii.gz", scan(9)[0])
    reason = "is no channel of a volume, as the names of those end with _0000 and _0001"
    assert faults(opened(tmp_path)) == {"imagesTr/overview.nii.gz": reason}


def test_nnunets_test_volumes_with_masks_are_the_test_split(tmp_path):
    write_nnunet(tmp_path)
    save(tmp_path / "labelsTs/case_004.nii.gz", scan(4)[1])
    dataset = opened(tmp_path, val_share=0.25)
    assert keys(dataset, MASKED)["test"] == ["imagesTs/case_004_0000.nii.gz"]
    assert dataset.card(MASKED).split_sizes == {"train": 3, "val": 1, "test": 1}
    assert not dataset.card(MASKED).left_out


def test_a_list_gives_splits_and_says_what_values_are(tmp_path):
    write_list(tmp_path)
    dataset = opened(tmp_path)
    card = dataset.card(MASKED)
    assert "the description says CT" in card.notes[0]
    assert keys(dataset)["val"] == ["imagesTr/img3.nii.gz"]
    assert card.left_out == {"test volumes without masks, which are not learnt from": 1}
    assert {*dataset.given_splits()} == {"val"}
    assert card.mask_classes == ("background", "left", "right")


def test_folds_of_a_list_are_told_to_be_left_aside(tmp_path):
    write_list(tmp_path)
    content = json.loads((tmp_path / "dataset.json").read_text())
    assert not any("folds" in note for note in opened(tmp_path).card().notes)
    for fold, entry in enumerate(content["training"]):
        entry["fold"] = fold
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    [note] = [note for note in opened(tmp_path).card().notes if "folds" in note]
    assert note.startswith("the list deals its volumes to 3 folds, which are not followed")
    assert note.endswith("--folds 3 deals them anew")


def test_folders_give_splits_and_volumes_without_masks_are_learnt_from(tmp_path):
    for i in range(6):
        values, mask = scan(i)
        folder = "test" if i == 5 else "train"
        save(tmp_path / folder / f"images/{i}.nii.gz", values)
        if i != 0:
            save(tmp_path / folder / f"labels/{i}.nii.gz", mask)
    dataset = opened(tmp_path)
    assert keys(dataset)["test"] == ["test/images/5.nii.gz"]
    assert "train/images/0.nii.gz" in keys(dataset)["train"]
    assert "train/images/0.nii.gz" not in keys(dataset, MASKED)["train"]
    assert "test: given by folders" in dataset.card().split_origin


@pytest.mark.parametrize(("name", "options"), [("sub-{}_run-{}", {}), ("p{}-{}", {"patient": r"p(\d+)-"})])
def test_volumes_of_a_patient_stay_together(tmp_path, name, options):
    for i in range(8):
        save(tmp_path / f"{name.format(i // 2, i % 2)}.nii.gz", scan(i)[0])
    dataset = opened(tmp_path, val_share=0.25, test_share=0.25, **options)
    of_patient = {}
    for split, names in keys(dataset).items():
        for key in names:
            assert of_patient.setdefault(dataset.groups()[key], split) == split
    assert len(of_patient) == 4
    assert "by patient" in dataset.card().split_origin


def test_spacings_are_brought_to_their_median_or_to_a_given_one(tmp_path):
    for i, step in enumerate((2.0, 3.0, 3.0)):
        save(tmp_path / f"{i}.nii.gz", scan(i)[0], np.diag([step, 3.0, 3.0, 1.0]))
    assert opened(tmp_path, val_share=0, test_share=0).card().volumes.spacing == (3, 3, 3)
    split = opened(tmp_path, val_share=0, test_share=0, spacing=(1, 3, 6)).split("train")
    assert {split.size(i) for i in range(3)} == {(24, 10, 4), (36, 10, 4)}
    as_they_are = opened(tmp_path, resample=False).card()
    assert (as_they_are.volumes.spacing, as_they_are.size) == (None, SIZE)


def test_values_that_are_no_hounsfield_units_become_robust_z_scores(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.nii.gz", (scan(i)[0] + 1000).astype(np.uint16))
    dataset = opened(tmp_path)
    card = dataset.card()
    assert (card.volumes.window, card.value_range, card.dtype) == (None, (-5, 5), "float32")
    assert "do not look like Hounsfield units" in card.notes[0]
    ranged = opened(tmp_path, intensity="range").card()
    assert ranged.value_range[0] == 0
    assert ranged.value_range[1] > 1000
    assert opened(tmp_path, window=(0, 500)).card().value_range == (0, 500)


def test_bad_files_are_left_out_with_a_sentence_each(tmp_path):
    write_volumes(tmp_path, 10)
    images, labels = tmp_path / "images", tmp_path / "labels"
    (images / "case1.nii.gz").write_bytes(b"")
    nib.save(nib.Nifti1Image(np.zeros(SIZE, [("R", "u1"), ("G", "u1"), ("B", "u1")]), None), images / "case2.nii.gz")
    save(images / "case3.nii.gz", np.zeros((*SIZE[:2], 1), np.int16))
    nib.save(nib.Nifti1Image(np.zeros((*SIZE, 4), np.int16), np.eye(4)), images / "case4.nii.gz")
    save(labels / "case5.nii.gz", np.zeros((3, 3, 3), np.uint8))
    save(labels / "case6.nii.gz", scan(6)[1], np.eye(4))
    save(labels / "other.nii.gz", scan(6)[1])
    found = faults(opened(tmp_path))
    assert found == {
        "images/case1.nii.gz": found["images/case1.nii.gz"],
        "images/case2.nii.gz": "holds colours (R, G, B), and a volume a number for each voxel",
        "images/case3.nii.gz": "is a single slice (12 × 10 × 1); a volume has several along each axis",
        "images/case4.nii.gz": "has 4 channels, and 1 is wanted; a fourth axis counts as channels",
        "labels/case5.nii.gz": "it has 3 × 3 × 3 voxels and images/case5.nii.gz 12 × 10 × 8",
        "labels/case6.nii.gz": "it and images/case6.nii.gz lie 35.1 voxels apart by their headers",
        "labels/other.nii.gz": "is the mask of no volume here",
    }
    assert sum(map(len, keys(opened(tmp_path), MASKED).values())) == 4
    assert sum(map(len, keys(opened(tmp_path)).values())) == 6


def test_numbers_beyond_the_classes_are_faults_of_eda(tmp_path):
    write_volumes(tmp_path, 3)
    (tmp_path / "classes.txt").write_text("background\nleft\n")
    told = [fault.reason for fault in opened(tmp_path).all_faults()]
    assert told[0] == "its mask labels/case0.nii.gz holds the number 2, and classes go from 0 to 1"


def test_an_empty_folder_of_masks_is_told(tmp_path):
    save(tmp_path / "images/a.nii.gz", scan(0)[0])
    (tmp_path / "labels").mkdir()
    with pytest.raises(DataError, match=r"no volume in .* has a mask: labels/ is empty; masks lie in labels/"):
        opened(tmp_path).card(MASKED)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "is no description of volumes: it has none of channel_names, labels, training"),
        ("{", "cannot be read as JSON"),
        ('{"training": [{"label": "a"}]}', "entry 0 of training names no file as its image"),
        ('{"labels": {"a": "b"}}', "one of them is a number"),
    ],
)
def test_a_description_that_cannot_be_read_is_named(tmp_path, content, reason):
    write_volumes(tmp_path, 3)
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=reason):
        opened(tmp_path).card()


def test_a_folder_without_volumes_and_options_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match="holds no volumes"):
        opened(tmp_path).card()
    with pytest.raises(DataError, match="does not exist"):
        opened(tmp_path / "none").card()
    with pytest.raises(SpecError, match="must rise"):
        opened(tmp_path, window=(3, 1))
    with pytest.raises(SpecError, match="needs --root"):
        Volumes(Volumes.Options())


def test_missing_voxels_are_missing(tmp_path):
    for i in range(3):
        values = scan(i)[0].astype(np.float32)
        values[0] = np.nan
        save(tmp_path / f"{i}.nii.gz", values)
    dataset = opened(tmp_path)
    assert (dataset.card().missing, dataset.card().dtype) == (True, "float32")
    assert any("no number (NaN) count as missing" in note for note in dataset.card().notes)
    assert np.isnan(dataset.split("train")[0]["image"][0, 0]).all()


def test_a_run_that_begins_from_another_reads_volumes_as_that_did_unless_options_say_otherwise(tmp_path):
    write_volumes(tmp_path / "a")
    card = opened(tmp_path / "a", spacing=(6, 3, 3), window=(-100, 100)).card(MASKED)
    for i in range(3):
        save(tmp_path / f"b/{i}.nii.gz", scan(i)[0])
        save(tmp_path / f"b/{i}_seg.nii.gz", np.minimum(scan(i)[1], 1))
    other, third = opened(tmp_path / "b"), opened(tmp_path / "b", spacing=(3, 3, 6))
    for each in (other, third):
        each.begin_from(card)
    assert other.card().volumes == card.volumes
    assert (other.card().mean, other.card().std) == (card.mean, card.std)
    assert other.card(MASKED).mask_classes == ("background", "class 1")
    assert (third.card().volumes.spacing, third.card().volumes.window) == ((3, 3, 6), (-100, 100))
    assert third.card().mean != card.mean


def test_a_run_reads_volumes_as_it_learnt_them(tmp_path):
    write_volumes(tmp_path / "a")
    card = opened(tmp_path / "a", spacing=(6, 3, 3)).card(MASKED)
    save(tmp_path / "b/x.nii.gz", scan(0)[0].astype(np.float32))
    other = opened(tmp_path / "b")
    other.read_as(card)
    assert other.card().volumes == card.volumes
    assert other.split("train")[0]["image"].shape == (1, 6, 10, 8)
    assert other.split("train")[0]["image"].dtype == np.int16


def test_microscopic_spacings_are_not_rounded_to_nothing(tmp_path):
    for i in range(3):
        save(tmp_path / f"v{i}.nii.gz", scan(i)[0], np.diag([4.125e-6, 2e-5, 0.78125, 1]))
    reading = Volumes(Volumes.Options(root=tmp_path)).card().volumes
    assert reading.spacing == (4.125e-6, 2e-5, 0.7812)
