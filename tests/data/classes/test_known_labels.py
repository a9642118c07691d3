from __future__ import annotations

import cards
import numpy as np
import pytest

from maecli.data.classes.known_labels import JoinedLabels, KnownLabels

CLASSES = ("cat", "dog", "emu")


def card(multi_label=False):
    return cards.card(
        fields=("image", "label"),
        channels=3,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        classes=CLASSES,
        multi_label=multi_label,
        split_sizes={"train": 1},
    )


def known(root, keys, multi_label=False):
    labels = KnownLabels(root, card(multi_label))
    return [labels[key].tolist() for key in keys]


def write_labels(root, text, keys, encoding="utf-8"):
    for key in keys:
        (root / key).parent.mkdir(exist_ok=True)
        (root / key).touch()
    (root / "labels.csv").write_text(text, encoding=encoding)


def test_the_nearest_folder_that_is_a_class_labels_a_picture(tmp_path):
    keys = ["dog/1.png", "dog/emu/1.png", "emu/other/1.png", "other/1.png", "1.png", "cat"]
    assert known(tmp_path, keys) == [1, 2, 2, -1, -1, -1]


def test_a_folder_that_differs_from_a_class_by_case_or_blanks_only_is_that_class(tmp_path):
    assert known(tmp_path, ["Dog/1.png", "EMU /1.png", "dogs/1.png"]) == [1, 2, -1]


def test_a_folder_may_be_called_by_the_code_before_the_name_of_a_class(tmp_path):
    classes = ("n01440764 tench", "n01443537 goldfish", "7 up", "7 high", "a12 x", "a12 y")
    labels = KnownLabels(tmp_path, card().model_copy(update={"classes": classes, "class_counts": ()}))
    keys = ["n01443537/1.png", "n01440764 tench/1.png", "7/1.png", "a12/1.png", "goldfish/1.png"]
    assert [int(labels[key]) for key in keys] == [1, 0, -1, -1, -1]


def test_the_folder_that_was_given_counts_too(tmp_path):
    (tmp_path / "emu").mkdir()
    assert known(tmp_path / "emu", ["1.png", "x/1.png", "cat/1.png"]) == [2, 2, 0]


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na/1.png,dog\ncat/2.png,emu\n",
        "\ufeffLabel;File;split\ndog;./a/1.png;train\nemu;cat\\2.png;test\n",
    ],
)
def test_the_labels_file_comes_before_folders(tmp_path, text):
    write_labels(tmp_path, text, ["a/1.png", "cat/2.png"])
    assert known(tmp_path, ["a/1.png", "cat/2.png", "cat/3.png"]) == [1, 2, 0]


def test_names_that_are_no_class_and_empty_cells_are_no_labels(tmp_path):
    write_labels(tmp_path, "file,label\ncat/1.png,gnu\ncat/2.png,\n", ["cat/1.png", "cat/2.png"])
    assert known(tmp_path, ["cat/1.png", "cat/2.png"]) == [-1, -1]


def test_names_are_those_of_classes_but_for_case_and_blanks(tmp_path):
    write_labels(tmp_path, "image,class\n1.png,Cat\n2.png,DOG \n3.png,gnu\nlost.png,emu\n", ["1.png", "2.png", "3.png"])
    assert known(tmp_path, ["1.png", "2.png", "3.png"]) == [0, 1, -1]


def test_a_table_with_tabs_is_read_too(tmp_path):
    write_labels(tmp_path, "", ["1.png"])
    (tmp_path / "labels.csv").rename(tmp_path / "Labels.TSV")
    (tmp_path / "Labels.TSV").write_text("file\tlabel\n1.png\temu\n")
    assert known(tmp_path, ["1.png"]) == [2]


def test_several_labels_are_complete_in_the_file_and_one_alone_as_a_folder(tmp_path):
    keys = [f"{i}.png" for i in range(1, 5)]
    write_labels(tmp_path, "file,label\n1.png,cat; emu\n2.png,dog\n3.png,\n4.png,cat;gnu\n", keys)
    found = known(tmp_path, [*keys, "dog/5.png", "5.png"], multi_label=True)
    unknown = [-1, -1, -1]
    assert found == [[1, 0, 1], [0, 1, 0], unknown, unknown, [-1, 1, -1], unknown]
    assert KnownLabels(tmp_path, card(True))["1.png"].dtype == np.int8
    assert KnownLabels(tmp_path, card())["2.png"].dtype == np.int64


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("name,kind\n1.png,cat\n", "utf-8", "line 1: no column 'label' among name, kind"),
        ("file,label\n2.png,cat\n", "utf-8", "line 2: '2.png' is not a picture in "),
        ("file,label\n1.png,caf\xe9\n", "latin-1", "not UTF-8 text; save it as CSV in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_says_so_and_stops_nothing(tmp_path, text, encoding, words):
    write_labels(tmp_path, text, ["1.png"], encoding)
    labels = KnownLabels(tmp_path, card())
    assert labels.problem.startswith(f"no prediction is marked by labels.csv: {tmp_path / 'labels.csv'}")
    assert words in labels.problem
    assert labels["1.png"] == -1
    assert labels["cat/1.png"] == 0


@pytest.mark.parametrize(
    ("labels", "multi_label", "named"),
    [
        pytest.param(("fox", "dog"), False, "'fox'", id="one label"),
        pytest.param(("fox;dog", "yak"), True, "'fox', 'yak'", id="several labels"),
        pytest.param(("Dog", ""), False, "", id="alike and empty"),
    ],
)
def test_labels_that_the_model_does_not_know_are_told(tmp_path, labels, multi_label, named):
    keys = ["1.png", "2.png"]
    rows = "".join(f"{key},{label}\n" for key, label in zip(keys, labels, strict=True))
    write_labels(tmp_path, f"file,label\n{rows}", keys)
    told = f"files that are labelled {named} count as unlabelled: the run knows no such class"
    assert KnownLabels(tmp_path, card(multi_label)).problem == (told if named else "")


def test_a_class_is_named_where_it_is_known(tmp_path):
    labels = KnownLabels(tmp_path, card())
    assert [labels.name(key) for key in ("dog/1.png", "other/1.png")] == ["dog", None]


def test_of_several_classes_all_that_are_present_are_named_where_all_are_known(tmp_path):
    write_labels(tmp_path, "file,label\na.png,emu;cat\n", ["a.png", "dog/b.png"])
    labels = KnownLabels(tmp_path, card(multi_label=True))
    assert [labels.name(key) for key in ("a.png", "dog/b.png")] == ["cat;emu", None]


def joined(root, folders, keys):
    labels = JoinedLabels(root, [root / folder for folder in folders], card())
    return [labels.name(key) for key in keys]


def test_several_folders_know_the_labels_of_their_files(tmp_path):
    (tmp_path / "one").mkdir()
    write_labels(tmp_path / "one", "file,label\na.png,emu\ncat/b.png,dog\n", ["a.png", "cat/b.png", "cat/c.png"])
    keys = ["one/a.png", "one/cat/b.png", "one/cat/c.png", "two/dog/d.png", "two/e.png", "one/a.png#3"]
    assert joined(tmp_path, ["one", "two"], keys) == ["emu", "dog", "cat", "dog", None, "emu"]


def test_the_table_of_the_folder_that_holds_all_comes_before_what_folders_are_called(tmp_path):
    write_labels(tmp_path, "file,label\ncat/a.png,dog\n", ["cat/a.png", "cat/b.png"])
    assert joined(tmp_path, ["cat", ""], ["cat/a.png", "cat/b.png"]) == ["dog", "cat"]


def test_a_table_of_one_of_several_folders_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "one").mkdir()
    write_labels(tmp_path / "one", "file,label\na.png,yak\n", ["a.png"])
    labels = JoinedLabels(tmp_path, [tmp_path / "one"], card())
    assert labels.problem == "files that are labelled 'yak' count as unlabelled: the run knows no such class"
