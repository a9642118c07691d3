from __future__ import annotations

from pathlib import Path

import pytest
from maecli_plugins.datasets.folder.dataset import Folder
from write_data import noise, write_picture

from maecli import api

WNIDS = ("n01440764", "n01443537", "n01751748")
NAMED = ("n01440764 tench", "n01443537 goldfish", "n01751748 sea snake")
LABELLED = ("image", "label")


def write_imagenet(root: Path, below: str = "ILSVRC/Data/CLS-LOC") -> Path:
    """Write a twin of ImageNet as Kaggle lays it out: val/ lies flat, tables stand beside; return its pictures' folder.

    Validation picture j is of class j % 3, the last but one of a class that train lacks, the last one in no table.
    """
    folder = root / below
    for k, wnid in enumerate(WNIDS):
        for i in range(10):
            write_picture(folder / f"train/{wnid}/{wnid}_{i}.png", noise(10 * k + i, 8, 9, 3))
    for j in range(8):
        write_picture(folder / f"val/ILSVRC2012_val_{j + 1:08d}.png", noise(100 + j, 8, 9, 3))
    write_picture(folder / "test/ILSVRC2012_test_00000001.png", noise(200, 8, 9, 3))
    wnids = [*(WNIDS[j % 3] for j in range(6)), "n02084071"]
    rows = [f"ILSVRC2012_val_{j + 1:08d},{wnid} 111 108 230 365 {wnid} 1 2 3 4 \n" for j, wnid in enumerate(wnids)]
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(rows))
    names = ("tench, Tinca tinca", "goldfish, Carassius auratus", "sea snake")
    lines = (f"{wnid} {name}\n" for wnid, name in zip(WNIDS, names, strict=True))
    (root / "LOC_synset_mapping.txt").write_text("".join(lines))
    return folder


def opened(root: Path, **options) -> Folder:
    return Folder(Folder.Options(root=root, **options))


def classes_of(data: Folder, name: api.SplitName) -> dict[str, str]:
    card, split = data.card(LABELLED), data.split(name, LABELLED)
    return {Path(key).stem: card.classes[int(split[i]["label"])] for i, key in enumerate(split.keys)}


@pytest.mark.parametrize("root", ["", "ILSVRC", "ILSVRC/Data/CLS-LOC"])
def test_flat_validation_pictures_have_the_classes_of_the_solution(tmp_path, root):
    write_imagenet(tmp_path)
    data = opened(tmp_path / root)
    card = data.card(LABELLED)
    assert card.classes == NAMED
    assert classes_of(data, "val") == {f"ILSVRC2012_val_{j + 1:08d}": NAMED[j % 3] for j in range(6)}
    assert (card.split_sizes, card.class_counts) == ({"train": 30, "val": 6, "test": 0}, (10, 10, 10))
    assert "6 labels by LOC_val_solution.csv; names of classes by LOC_synset_mapping.txt" in card.reading
    assert card.left_out["of a class in LOC_val_solution.csv that no folder has"] == 1


def test_the_official_validation_may_be_test_while_train_gives_val(tmp_path):
    write_imagenet(tmp_path)
    data = opened(tmp_path, split_folders={"val": "test"}, val_share=0.1)
    assert data.card(LABELLED).split_sizes == {"train": 27, "val": 3, "test": 6}
    assert all("/val/" in key for key in data.split("test", LABELLED).keys)
    assert all("/train/" in key for key in data.split("val", LABELLED).keys)


def test_folders_of_classes_in_val_need_no_table(tmp_path):
    folder = write_imagenet(tmp_path, "imagenet")
    for j, path in enumerate(sorted((folder / "val").iterdir())):
        (folder / "val" / WNIDS[j % 3]).mkdir(exist_ok=True)
        path.rename(folder / "val" / WNIDS[j % 3] / path.name)
    (tmp_path / "LOC_val_solution.csv").write_text("nonsense")
    (folder / "test/ILSVRC2012_test_00000001.png").unlink()
    data = opened(folder)
    assert data.card(LABELLED).classes == NAMED
    assert len(data.split("val", LABELLED)) == 8


def test_without_the_tables_nothing_changes(tmp_path):
    folder = write_imagenet(tmp_path, "far/away/from/the/tables")
    card = opened(folder).card(LABELLED)
    assert card.classes == WNIDS
    assert card.split_sizes["val"] == 0


@pytest.mark.parametrize("classes", [WNIDS, NAMED])
def test_a_run_keeps_the_names_that_it_learnt(tmp_path, classes):
    folder = write_imagenet(tmp_path)
    card = opened(folder).card(LABELLED).model_copy(update={"classes": classes})
    for root in (folder, write_imagenet(tmp_path / "other", "far/away/from/the/tables")):
        data = opened(root)
        data.read_as(card)
        assert data.card(LABELLED).classes == classes


def test_tables_of_ones_own_and_other_folders_are_left_alone(tmp_path):
    write_imagenet(tmp_path)
    for i in range(3):
        write_picture(tmp_path / f"ILSVRC/Data/CLS-LOC/train/cat/{i}.png", noise(i, 8, 9, 3))
    assert opened(tmp_path).card(LABELLED).classes == ("cat", *WNIDS)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("LOC_val_solution.csv", "a,b\n1,2\n", "line 1: no columns ImageId and PredictionString"),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nx,cat 1 2 3 4\n",
            "line 2: 'cat' of 'x' is no class of Imag",
        ),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nx,n01440764 1\nx,n01443537 1\n",
            "line 3: 'x' is of n01440764 in a line above already",
        ),
        ("LOC_synset_mapping.txt", "n01440764 tench\ncat\n", "line 2: not of the form n01440764 tench, Tinca tinca"),
    ],
)
def test_a_table_of_another_form_is_told_with_its_line(tmp_path, file, text, words):
    write_imagenet(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(api.DataError) as caught:
        opened(tmp_path).card(LABELLED)
    assert str(caught.value).startswith(f"{tmp_path / file}, {words}")
