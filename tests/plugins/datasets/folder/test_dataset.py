from __future__ import annotations

import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.folder.dataset import Folder
from PIL import Image, ImageFile
from write_data import encoded, noise, write_class_folders, write_mixed_folder, write_picture, write_pictures

from maecli import api
from maecli.modalities.pictures import picture_files


def reasons(data: Folder) -> dict[str, str]:
    return {fault.path: fault.reason for fault in data.faults()}


def folder(root: Path, **options) -> Folder:
    return Folder(Folder.Options(root=root, **options))


def keys_of(data: Folder, fields=("image",)) -> dict[str, list[str]]:
    return {name: list(data.split(name, fields).keys) for name in api.SPLIT_NAMES}


def write_labels(root: Path, *lines: str, header: str = "file,label") -> None:
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def error_of(data: Folder) -> str:
    with pytest.raises(api.DataError) as caught:
        data.card()
    return str(caught.value)


def test_a_flat_folder_is_enough_to_pretrain(tmp_path):
    names = write_pictures(tmp_path, 40)
    data = folder(tmp_path)
    card, keys = data.card(), keys_of(data)
    assert card.split_sizes == {"train": 32, "val": 4, "test": 4}
    assert sorted(keys["train"] + keys["val"] + keys["test"]) == names
    assert (card.fields, card.classes, card.class_counts) == (("image",), (), ())
    assert (card.channels, card.size, card.dtype, card.value_range) == (3, (8, 8), "uint8", (0.0, 255.0))
    assert "val (0.1) and test (0.1) cut from train with the fixed seed 0" in card.split_origin


@pytest.fixture
def probed(monkeypatch) -> list[Path]:
    """Return the files whose headers are read."""
    paths: list[Path] = []
    read = picture_files.probe_picture

    def noted(path: Path, **how):
        paths.append(path)
        return read(path, **how)

    monkeypatch.setattr(picture_files, "probe_picture", noted)
    return paths


def test_at_a_glance_a_few_headers_stand_for_all(tmp_path, probed):
    write_class_folders(tmp_path)
    (tmp_path / "cat/005.png").write_bytes(b"no picture")
    data, told = folder(tmp_path), []
    data.told_by(told.append).glance(8)
    card = data.card(("image", "label"))
    assert len(probed) == 8
    assert {path.parent.name for path in probed} == {"cat", "dog"}
    assert sum(card.split_sizes.values()) == 40
    assert (card.channels, card.size, card.classes) == (3, (8, 8), ("cat", "dog"))
    assert data.split("train")[0]["image"].shape == (3, 8, 8)
    assert told == ["going by 8 of 40 pictures"]


@pytest.mark.parametrize("num", [40, 100])
def test_a_glance_at_no_fewer_than_there_are_is_a_look_at_all(tmp_path, probed, num):
    write_pictures(tmp_path, 40)
    data = folder(tmp_path)
    data.glance(num)
    assert data.card() == folder(tmp_path).card()
    assert len(probed) == 80


def test_pictures_with_masks_are_all_looked_at(tmp_path, probed):
    write_pictures(tmp_path / "images", 6)
    for i in range(6):
        write_picture(tmp_path / f"masks/{i:03d}.png", noise(i, 8, 8) % 2)
    data = folder(tmp_path)
    data.glance(2)
    assert sum(data.card().split_sizes.values()) == len({path for path in probed if "images" in path.parts}) == 6


def test_samples_are_the_decoded_files(tmp_path):
    names = write_pictures(tmp_path, 10)
    split = folder(tmp_path, val_share=0, test_share=0).split("train")
    assert split.keys == names
    for i in range(10):
        np.testing.assert_array_equal(split[i]["image"], noise(i, 8, 8, 3).transpose(2, 0, 1))
        assert set(split[i]) == {"image"}


def test_nested_files_of_one_name_are_different_samples(tmp_path):
    write_picture(tmp_path / "a/1.jpg", noise(0, 8, 8, 3))
    write_picture(tmp_path / "b/1.png", noise(1, 8, 8, 3))
    assert folder(tmp_path, val_share=0, test_share=0).split("train").keys == ["a/1.jpg", "b/1.png"]


def test_class_folders_are_labels(tmp_path):
    write_class_folders(tmp_path, ("dog", "cat"), num=20)
    data = folder(tmp_path)
    card = data.card()
    assert card.classes == ("cat", "dog")
    assert card.class_counts == (16, 16)
    assert card.split_sizes == {"train": 32, "val": 4, "test": 4}
    for name in api.SPLIT_NAMES:
        split = data.split(name, ("image", "label"))
        labels = [int(split[i]["label"]) for i in range(len(split))]
        assert labels == [int(key.startswith("dog/")) for key in split.keys]
        assert len(set(Counter(labels).values())) == 1  # stratified
    assert split[0]["label"].dtype == np.int64
    assert split[0]["label"].shape == ()


def test_one_folder_is_not_a_class(tmp_path):
    write_class_folders(tmp_path, ("images",), num=10)
    assert folder(tmp_path).card().classes == ()


def test_without_labels_the_error_says_how_to_give_them(tmp_path):
    write_pictures(tmp_path, 5)
    with pytest.raises(api.DataError) as caught:
        folder(tmp_path).split("train", ("image", "label"))
    assert str(caught.value) == (
        f"no picture in {tmp_path} has a label; put the pictures of each class into a folder of their own, "
        "or write a labels.csv with the columns file and label"
    )


def test_unlabelled_pictures_serve_pretraining_only(tmp_path):
    write_class_folders(tmp_path, num=10)
    names = write_pictures(tmp_path, 20)
    data = folder(tmp_path)
    assert set(names) <= set(keys_of(data)["train"])
    labelled = keys_of(data, ("image", "label"))
    assert sum(len(keys) for keys in labelled.values()) == 20
    assert not set(names) & set(labelled["train"])
    assert "20 pictures have no label" in data.card().notes
    assert data.card(("image", "label")).left_out == {"without a label": 20}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders_are_kept(tmp_path, val):
    for name, num in (("train", 5), (val, 2), ("test", 3)):
        write_class_folders(tmp_path / name, num=num)
    data = folder(tmp_path)
    assert data.card().split_sizes == {"train": 10, "val": 4, "test": 6}
    assert data.card().classes == ("cat", "dog")
    assert data.card().split_origin == "train, val, test: given by folders or labels.csv"
    assert all(key.startswith(f"{val}/") for key in data.split("val").keys)


def test_a_missing_split_is_cut_from_train(tmp_path):
    write_class_folders(tmp_path / "train", num=20)
    write_class_folders(tmp_path / "test", num=5)
    data = folder(tmp_path)
    assert data.card().split_sizes == {"train": 36, "val": 4, "test": 10}
    assert all(key.startswith("train/") for key in data.split("val").keys)
    assert data.card().split_origin == (
        "train, test: given by folders or labels.csv; "
        "val (0.1) cut from train with the fixed seed 0, stratified by class"
    )


def test_what_lies_beside_the_split_folders_is_unlabelled_train_data(tmp_path):
    write_class_folders(tmp_path / "train", num=10)
    write_class_folders(tmp_path / "val" / "images", ("x", "y"), num=2)
    write_class_folders(tmp_path, ("unsorted", "more"), num=3)
    data = folder(tmp_path, test_share=0)
    assert data.card().classes == ("cat", "dog")
    assert data.card().split_sizes == {"train": 26, "val": 4, "test": 0}
    assert len(data.split("val", ("label",))) == 0


def test_split_folders_need_a_train_folder(tmp_path):
    write_class_folders(tmp_path / "val", num=2)
    assert "has pictures for val, but none for train; add a folder train/" in error_of(folder(tmp_path))


@pytest.mark.parametrize("how", ["plain", "windows"])
def test_labels_come_from_a_table(tmp_path, how):
    names = write_pictures(tmp_path / "in", 10)
    lines = [f"in/{name},{'odd' if i % 2 else 'even'}" for i, name in enumerate(names[:8])]
    text = "\n".join(["file,label", *lines, f"in/{names[8]},"])
    if how == "windows":
        text = text.replace("\n", "\r\n").replace("/", "\\").replace(",", ";")
        (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("file;label", "File;Label").encode())
    else:
        (tmp_path / "labels.csv").write_text(text)
    data = folder(tmp_path, val_share=0.25, test_share=0.25)
    assert data.card().classes == ("even", "odd")
    labelled = keys_of(data, ("label",))
    assert {name: len(keys) for name, keys in labelled.items()} == {"train": 4, "val": 2, "test": 2}
    split = data.split("train", ("image", "label"))
    assert [int(split[i]["label"]) for i in range(4)] == [int(key[3:6]) % 2 for key in split.keys]
    assert not any("csv" in note for note in data.card().notes)


def test_the_table_rules_over_folder_names(tmp_path):
    write_class_folders(tmp_path, ("a", "b"), num=5)
    write_labels(tmp_path, "a/000.png,x", "b/000.png,y")
    assert folder(tmp_path).card().classes == ("x", "y")


def test_the_table_may_give_splits_and_the_rest_is_train(tmp_path):
    names = write_pictures(tmp_path, 10)
    rows = [f"{names[0]},a,test", f"{names[1]},b,validation", f"{names[2]},a,", f"{names[3]},b,train"]
    write_labels(tmp_path, *rows, header="file,label,split")
    keys = keys_of(folder(tmp_path))
    assert (keys["test"], keys["val"], len(keys["train"])) == ([names[0]], [names[1]], 8)


def test_groups_stay_together(tmp_path):
    names = write_pictures(tmp_path, 40)
    rows = [f"{name},{'ab'[i // 4 % 2] if i % 4 else ''},p{i // 4}" for i, name in enumerate(names)]
    write_labels(tmp_path, *rows, header="file,label,group")
    data = folder(tmp_path, val_share=0.2, test_share=0.2)
    groups = {name: {int(key[:3]) // 4 for key in keys} for name, keys in keys_of(data).items()}
    assert [len(groups[name]) for name in api.SPLIT_NAMES] == [6, 2, 2]
    assert len(set.union(*groups.values())) == 10
    assert data.card().split_sizes == {
        "train": 24,
        "val": 8,
        "test": 8,
    }  # with the unlabelled one of each group


def test_a_group_follows_the_split_given_to_one_of_it(tmp_path):
    names = write_pictures(tmp_path, 6)
    rows = [f"{names[0]},a,test,p", f"{names[1]},a,,p", f"{names[2]},b,train,q"]
    write_labels(tmp_path, *rows, header="file,label,split,group")
    assert keys_of(folder(tmp_path, val_share=0))["test"] == names[:2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no column 'file' among none; the first line must name the columns file and label"),
        ("photo,label\n000.png,a", "line 1: no column 'file' among photo, label"),
        ("file,kind\n000.png,a", "line 1: no column 'label' among file, kind"),
        ("file,label\n000.png,a\n\nnone.png,b\nno.png,b", "line 4: 'none.png' is not a picture in"),
        (
            "file,label\n000.png,a\n./000.png,b",
            "line 3: './000.png' stands in line 2 already, as 'a' there and as 'b' here; keep one of them",
        ),
        ("file,label\n000.png,a,b", "line 2: 3 cells under 2 columns"),
        ("file,label,split\n000.png,a,extra", "line 2: unknown split 'extra'; use train, val or test"),
        (
            "file,label,split,group\n000.png,a,train,p\n001.png,a,test,p",
            "line 3: group 'p' is in test here and in train in line 2; a group must stay in one split",
        ),
    ],
)
def test_errors_in_the_table_name_the_line(tmp_path, text, words):
    write_pictures(tmp_path, 2)
    (tmp_path / "labels.csv").write_text(text)
    message = error_of(folder(tmp_path))
    assert message.startswith(f"{tmp_path / 'labels.csv'}, line")
    assert words in message


def test_a_row_of_a_picture_that_is_gone_is_left_out_and_named(tmp_path):
    names = write_pictures(tmp_path, 3)
    write_labels(tmp_path, *(f"{name},{i % 2}" for i, name in enumerate(names)), "gone.png,1")
    data = folder(tmp_path, val_share=0, test_share=0)
    assert data.card(("image", "label")).class_counts == (2, 1)
    assert data.faults() == [api.Fault("gone.png", "stands in labels.csv, line 5, but is not there")]
    assert data.card().reading.endswith("labels.csv (columns file, label)")


def test_labels_that_look_alike_are_refused_joined_or_kept(tmp_path):
    names = write_pictures(tmp_path, 3)
    write_labels(tmp_path, f"{names[0]},Cat", f"{names[1]},cat", f"{names[2]},cat")
    assert "dataset.similar_labels=join" in error_of(folder(tmp_path))
    assert folder(tmp_path, similar_labels="join").card().classes == ("cat",)
    assert folder(tmp_path, similar_labels="keep").card().classes == ("Cat", "cat")


def test_a_table_may_have_tabs_and_be_called_so(tmp_path):
    names = write_pictures(tmp_path, 2)
    (tmp_path / "labels.tsv").write_text(f"image\tclass\n{names[0]}\ta\n{names[1]}\tb\n")
    card = folder(tmp_path).card()
    assert card.classes == ("a", "b")
    assert "labels.tsv (columns image, class)" in card.reading
    assert not any("ignored" in note for note in card.notes)
    write_labels(tmp_path, f"{names[0]},a")
    assert error_of(folder(tmp_path)) == f"{tmp_path} has labels.csv and labels.tsv; keep one table of labels"


def test_a_table_in_another_encoding_is_refused(tmp_path):
    write_pictures(tmp_path, 1)
    (tmp_path / "labels.csv").write_bytes("file,label\n000.png,größe".encode("latin-1"))
    assert error_of(folder(tmp_path)).endswith(
        "labels.csv: not UTF-8 text; save it as CSV in UTF-8 (in Excel: CSV UTF-8)"
    )


def test_a_mixed_folder_keeps_what_is_readable_and_lists_the_rest(tmp_path):
    mixed = write_mixed_folder(tmp_path)
    data = folder(tmp_path, val_share=0, test_share=0)
    card, split = data.card(), data.split("train")
    assert (card.channels, card.dtype, card.size) == (3, "uint8", None)
    assert set(split.keys) == set(mixed.readable) | set(mixed.truncated)
    truncated = {}
    for i, key in enumerate(split.keys):
        try:
            image = split[i]["image"]
        except api.BrokenSample as broken:
            truncated[broken.fault.path] = broken.fault.reason
        else:
            assert (image.shape, image.dtype) == ((3, *mixed.readable[key][1:]), np.uint8)
    assert truncated == dict.fromkeys(mixed.truncated, "truncated file")
    assert set(reasons(data)) == set(mixed.broken) | set(mixed.truncated) | set(mixed.arrays)
    for key, word in (mixed.broken | mixed.truncated).items():
        assert word in reasons(data)[key]
    for key in mixed.arrays:
        assert reasons(data)[key] == "has 5 channels where 3 are wanted"
    assert card.converted.keys() == {
        "grey, given three equal channels",
        "of 16 bits, scaled to 8 by 65,535",
        "transparent or flagged as alpha, laid on white (dataset.channels=4 keeps it as a band)",
    }


def test_a_lower_pixel_limit_leaves_large_pictures_out(tmp_path):
    write_pictures(tmp_path, 3)
    write_picture(tmp_path / "large.png", noise(0, 9, 8, 3))
    data = folder(tmp_path, max_pixels=64)
    assert reasons(data) == {"large.png": "has 72 pixels, more than max_pixels (64)"}


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([(6, 6, 5)] * 3 + [(6, 6, 4)], (5, "uint8")),
        ([(6, 6)] * 3, (1, "uint8")),
    ],
)
def test_arrays_have_the_usual_number_of_channels(tmp_path, arrays, expected):
    for i, shape in enumerate(arrays):
        np.save(tmp_path / f"{i}.npy", noise(i, *shape))
    card = folder(tmp_path).card()
    assert (card.channels, card.dtype) == expected


def test_the_channels_can_be_chosen(tmp_path):
    write_pictures(tmp_path, 4)
    data = folder(tmp_path, channels=1)
    assert data.card().channels == 1
    assert data.split("train")[0]["image"].shape == (1, 8, 8)
    assert data.card().converted == {"in colour, made grey": 4}


def test_a_16_bit_set_keeps_its_depth(tmp_path):
    values = np.array([[0, 65_535], [0, 65_535]], np.uint16)
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(encoded(Image.fromarray(values), "PNG"))
    data = folder(tmp_path)
    card = data.card()
    assert (card.dtype, card.value_range, card.mean, card.std) == ("uint16", (0.0, 65_535.0), (0.5,), (0.5,))
    assert data.split("train")[0]["image"].dtype == np.uint16
    assert any("16 bits" in note for note in card.notes)


@pytest.mark.parametrize(
    ("values", "value_range", "mean"), [([0.25, 0.75], (0.0, 1.0), 0.5), ([-3.0, 5.0], (-3.0, 5.0), 0.5)]
)
def test_a_float_set_tells_its_range(tmp_path, values, value_range, mean):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.array([values, values], np.float32))
    card = folder(tmp_path).card()
    assert (card.dtype, card.value_range, card.mean) == ("float32", value_range, (mean,))


def test_the_card_measures_the_train_pictures(tmp_path):
    write_pictures(tmp_path, 20)
    data = folder(tmp_path)
    split = data.split("train")
    pixels = np.stack([split[i]["image"] for i in range(len(split))]) / 255
    assert data.card().mean == pytest.approx(pixels.mean((0, 2, 3)))
    assert data.card().std == pytest.approx(pixels.std((0, 2, 3)))
    assert "mean and std were measured on 16 train pictures chosen by the fixed seed" in data.card().notes


def test_other_files_are_counted_and_hidden_ones_are_not(tmp_path):
    write_pictures(tmp_path, 3)
    for name in ("notes.txt", "more.txt", "README", ".hidden.png", ".DS_Store"):
        (tmp_path / name).touch()
    data = folder(tmp_path)
    assert "ignored, not pictures: 1 without suffix, 2 .txt" in data.card().notes
    assert not data.faults()


def test_a_link_in_a_circle_does_not_hang(tmp_path):
    write_pictures(tmp_path / "in", 3)
    (tmp_path / "in/again").symlink_to(tmp_path)
    assert sum(folder(tmp_path).card().split_sizes.values()) == 3


def test_a_folder_without_pictures_says_what_it_holds_and_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").touch()
    message = error_of(folder(tmp_path))
    assert f"no pictures in {tmp_path}: it holds 1 .txt; point --root at the folder that holds your pictures" in message
    assert "(.apng, .avif, .avifs, .bmp, .btf" in message
    for name in ("photos.zip", "1.cr2"):
        (tmp_path / name).touch()
    message = error_of(folder(tmp_path))
    assert "it holds 1 .cr2, 1 .txt, 1 .zip (an archive: unpack it); 1.cr2 is a camera's raw file, which" in message
    message = error_of(folder(tmp_path / "photos.zip"))
    assert message.endswith(
        "is not a folder; unpack it if it is an archive, and point --root at the one that holds your pictures"
    )


def test_pictures_are_found_by_content_and_what_is_like_them_is_counted(tmp_path, pretrained):
    write_pictures(tmp_path, 4)
    (tmp_path / "003.png").rename(tmp_path / "scan")
    for name in ("1.nef", "2.nef", "a/@eaDir/1.jpg", "000.png.bak"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    run = shutil.copytree(pretrained, tmp_path / "runs/one")
    card = folder(tmp_path).card()
    assert card.reading == "4 pictures"
    assert card.left_out == {
        "in a/@eaDir/, kept by a NAS": 1,
        "in runs/, written by mae": len([*run.rglob("*.png")]),
        "named as a camera's raw file (*.nef)": 2,
    }


def test_a_folder_of_broken_pictures_says_why(tmp_path):
    (tmp_path / "a.png").touch()
    assert error_of(folder(tmp_path)) == f"none of the 1 pictures in {tmp_path} can be used; a.png, for one: empty file"


def test_pictures_that_all_fail_to_decode_say_why(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(noise(0, 64, 64, 3)), "PNG")[:5000])
    assert "none of the 1 train pictures tried" in error_of(folder(tmp_path))
    assert "a.png, for one: truncated file" in error_of(folder(tmp_path))


def test_a_missing_folder_says_so(tmp_path):
    assert f"{tmp_path / 'none'} is not a folder; point --root" in error_of(folder(tmp_path / "none"))


def test_the_root_must_be_given():
    with pytest.raises(api.SpecError, match="the data set folder needs --root, the folder that holds your pictures"):
        Folder(Folder.Options())


def test_the_shares_must_leave_something_for_train(tmp_path):
    with pytest.raises(
        api.SpecError, match=r"dataset\.val_share \(0\.5\) and dataset\.test_share \(0\.5\) must add up"
    ):
        folder(tmp_path, val_share=0.5, test_share=0.5)


def test_splits_travel_to_loader_workers(tmp_path):
    write_class_folders(tmp_path, num=3)
    split = folder(tmp_path).split("train", ("image", "label"))
    copy = pickle.loads(pickle.dumps(split))
    np.testing.assert_array_equal(copy[0]["image"], split[0]["image"])


def test_only_headers_are_read_until_a_picture_is_asked_for(tmp_path, monkeypatch):
    for suffix in (".png", ".jpg", ".webp", ".bmp", ".tif"):
        write_pictures(tmp_path / suffix[1:], 2, suffix=suffix)
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image))
    assert len(folder(tmp_path, val_share=0, test_share=0).split("train")) == 10
    assert decoded == []
