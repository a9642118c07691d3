from __future__ import annotations

import pytest
from write_data import noise, write_class_folders, write_mask_folder, write_picture, write_pictures

from maecli.data.folds import Folds
from maecli.errors import DataError
from maecli.registry import registry

LABELLED = ("image", "label")


def folder(root, **options):
    plugin = registry().dataset("folder")
    return plugin(plugin.Options(root=root, **options))


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    write_class_folders(root, num=11)
    return root


def test_each_sample_is_in_the_test_part_of_one_fold(pets):
    folds = Folds(folder(pets), 4)
    tested = [key for number in range(1, 5) for key in folds.members(number)["test"]]
    assert sorted(tested) == sorted(folds.assignment())
    assert len(tested) == len(set(tested)) == 22


def test_folds_have_the_same_share_of_each_class_and_val_is_cut_from_the_rest(pets):
    folds = Folds(folder(pets, val_share=0.2), 4)
    for number in range(1, 5):
        members = folds.members(number)
        assert len(members["test"]) in (5, 6)
        assert len(members["val"]) in (3, 4)
        assert sum(map(len, members.values())) == 22
        assert abs(sum(key.startswith("cat") for key in members["test"]) - 2.75) < 1


def test_a_view_has_the_splits_of_the_fold(pets):
    view = Folds(folder(pets), 4).view(2)
    members = Folds(folder(pets), 4).members(2)
    assert {name: list(view.split(name, LABELLED).keys) for name in members} == members
    assert view.card(LABELLED).split_sizes == {name: len(keys) for name, keys in members.items()}
    assert sum(view.card(LABELLED).class_counts) == len(members["train"])


def test_the_run_of_all_folds_has_no_test_part(pets):
    members = Folds(folder(pets), 4).members(None)
    assert [len(members[name]) for name in ("train", "val", "test")] == [20, 2, 0]


def test_the_folds_do_not_depend_on_how_val_and_test_are_cut(pets):
    assert Folds(folder(pets), 3).assignment() == Folds(folder(pets, val_share=0.3, test_share=0), 3).assignment()


def test_a_test_split_that_is_given_stays_apart(tmp_path):
    for name, num in (("train", 6), ("val", 3), ("test", 2)):
        write_class_folders(tmp_path / name, num=num)
    folds = Folds(folder(tmp_path), 3)
    assert len(folds.assignment()) == 18
    assert sorted(folds.members(None)["test"]) == sorted(folds.test)
    assert not {*folds.members(1)["train"], *folds.members(1)["test"]} & {*folds.test}
    assert folds.remarks() == [
        "the 4 pictures of the test split that is given are in no fold: mae eval measures on them"
    ]


def test_pictures_without_a_label_are_learnt_from_and_never_tested_on(tmp_path):
    write_class_folders(tmp_path / "train", num=4)
    write_pictures(tmp_path / "unlabeled", 5)
    folds = Folds(folder(tmp_path), 2)
    for number in (1, 2):
        members = folds.members(number)
        assert sum(key.startswith("unlabeled") for key in members["train"]) == 5
        assert len(members["test"]) == 4


def test_a_group_is_in_one_fold_with_its_unlabelled_samples(tmp_path):
    write_pictures(tmp_path, 24)
    rows = [f"{i:03d}.png,{'' if i % 6 == 0 else 'cat' if i % 2 else 'dog'},p{i // 3}" for i in range(24)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,group", *rows]))
    folds = Folds(folder(tmp_path), 2)
    for number in (1, 2):
        members = folds.members(number)
        groups = {name: {int(key[:3]) // 3 for key in keys} for name, keys in members.items()}
        assert not groups["test"] & (groups["train"] | groups["val"])
        assert not groups["train"] & groups["val"]


def test_masks_are_spread_by_what_they_show(tmp_path):
    write_mask_folder(tmp_path, 12)
    folds = Folds(folder(tmp_path), 3)
    for number in range(1, 4):
        tested = folds.members(number)["test"]
        assert sum(int(key[-7:-4]) % 2 for key in tested) == 2
        assert len(tested) == 4
    assert folds.remarks() == []


def test_a_class_of_few_masks_is_told(tmp_path):
    write_mask_folder(tmp_path, 5)
    assert Folds(folder(tmp_path), 3).remarks() == ["fewer than 3 pictures show dog: not every fold is tested on it"]


def test_samples_in_memory_stay_there():
    digits = registry().dataset("digits")
    view = Folds(digits(digits.Options()), 5).view(1)
    assert type(view.split("train", LABELLED)).__name__ == "TensorSplit"
    assert len(view.split("test", LABELLED)) in (287, 288)


def test_too_few_samples_of_a_class_are_refused_with_a_number_that_fits(pets, tmp_path):
    with pytest.raises(DataError, match="class 'cat' is in 11 pictures, too few for 12 folds; give --folds 11, or add"):
        Folds(folder(pets), 12).assignment()
    write_class_folders(tmp_path, num=4)
    write_picture(tmp_path / "yak/1.png", noise(0, 8, 8, 3))
    with pytest.raises(DataError, match="class 'yak' is in one of the pictures alone, so a run that is tested on it"):
        Folds(folder(tmp_path), 2).assignment()


def test_too_few_samples_at_all_are_refused(tmp_path):
    write_pictures(tmp_path, 3)
    with pytest.raises(DataError, match="5 folds need as many pictures to be tested on, and there are 3"):
        Folds(folder(tmp_path), 5).assignment()
