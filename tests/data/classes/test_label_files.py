from __future__ import annotations

import time

import pytest

from maecli.data.classes import label_files
from maecli.data.classes.label_files import read_labels, split_in_path
from maecli.data.classes.label_rows import LabelRow
from maecli.data.tabular import dialect
from maecli.errors import DataError

KNOWN = frozenset({"a/1.png", "2.png", "x\\y.png"})


def read(tmp_path, text: str):
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return read_labels(tmp_path / "labels.csv", KNOWN)


def test_no_table_is_no_rows(tmp_path):
    assert read_labels(tmp_path / "labels.csv", KNOWN) is None


def test_columns_stand_in_any_order_and_others_are_ignored(tmp_path):
    rows = read(tmp_path, "Group,comment,LABEL,split,file\np,nice,cat,Validation,a/1.png\n,,,,2.png\n")
    assert rows == {"a/1.png": LabelRow(2, "cat", "val", "p"), "2.png": LabelRow(3, "", None, "")}


@pytest.mark.parametrize("name", ["a/1.png", "./a/1.png", "a\\1.png", ".\\a\\1.png"])
def test_paths_may_be_those_of_windows(tmp_path, name):
    assert list(read(tmp_path, f"file,label\n{name},cat\n") or ()) == ["a/1.png"]


def test_a_name_that_is_known_as_it_stands_is_taken_so(tmp_path):
    assert list(read(tmp_path, "file,label\nx\\y.png,cat\n") or ()) == ["x\\y.png"]


def rows_of(tmp_path, text: str, keys, **options):
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return read_labels(tmp_path / "labels.csv", frozenset(keys), **options)


def test_rows_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(label_files, "ROWS_AT_ONCE", 2)
    rows = rows_of(tmp_path, "file,label\n1.png,cat\n.\\2.png,dog\n1.png,cat\n3.png,\n", ["1.png", "2.png", "3.png"])
    assert {key: (row.line, row.label) for key, row in rows.items()} == {
        "1.png": (2, "cat"),
        "2.png": (3, "dog"),
        "3.png": (5, ""),
    }
    assert rows.reading == "labels.csv (columns file, label; 1 row there twice)"


def labels_of(tmp_path, text: str, keys, **options) -> dict[str, str]:
    return {key: row.label for key, row in rows_of(tmp_path, text, keys, **options).items()}


def refusal(tmp_path, text: str, keys=("1.png", "2.png", "3.png"), **options) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path, text, keys, **options)
    assert str(caught.value).startswith(f"{tmp_path / 'labels.csv'}, line ")
    return str(caught.value).removeprefix(f"{tmp_path / 'labels.csv'}, ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file\tlabel\n1.png\tcat, small\n2.png\tdog\n", "file, label"),
        ("file;label, coarse;class\n1.png;x;cat, small\n2.png;x;dog\n", "file, class"),
        ("sep=;\nfile;label\n1.png;cat, small\n2.png;dog\n", "file, label"),
        ('"File Name","Class"\n1.png,"cat, small"\n2.png,dog\n', "File Name, Class"),
        ('target,image-path\n"cat, small",1.png\ndog,2.png\n', "image-path, target"),
        ('id,image,category\n7,1.png,"cat, small"\n8,2.png,dog\n', "image, category"),
        ('name,id,label\nTom,1,"cat, small"\nRex,2,dog\n', "id, label"),
    ],
    ids=["tabs", "semicolons", "excel", "quotes", "other-names", "column-of-pictures", "ids"],
)
def test_separators_and_names_of_columns_are_those_that_people_use(tmp_path, text, said):
    rows = rows_of(tmp_path, text, ["1.png", "2.png"])
    assert {key: row.label for key, row in rows.items()} == {"1.png": "cat, small", "2.png": "dog"}
    assert rows.reading == f"labels.csv (columns {said})"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_tables_that_excel_writes_as_unicode_are_read(tmp_path, encoding):
    (tmp_path / "labels.csv").write_bytes("file\tlabel\r\n1.png\tgrün\r\n".encode(encoding))
    assert read_labels(tmp_path / "labels.csv", frozenset({"1.png"})) == {"1.png": LabelRow(2, "grün", None, "")}


@pytest.mark.parametrize("word", ["subset", "set", "partition"])
def test_a_column_of_splits_may_be_called_otherwise(tmp_path, word):
    rows = rows_of(tmp_path, f"file,label,{word}\n1.png,cat,train\n2.png,dog,Val\n", ["1.png", "2.png"])
    assert [row.split for row in rows.values()] == ["train", "val"]
    rows = rows_of(tmp_path, f"file,label,{word}\n1.png,cat,7\n2.png,dog,train\n", ["1.png", "2.png"])
    assert [row.split for row in rows.values()] == [None, None]
    assert rows.reading.endswith("(columns file, label)")


NFC, NFD = "gr\u00fcn.png", "gru\u0308n.png"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (NFC, NFD),
        (NFD, NFC),
        ("A/1.PNG", "a/1.png"),
        ("a/1", "a/1.png"),
        ("A\\1", "a/1.png"),
        ("{root}/a/1.png", "a/1.png"),
        ("{above}/a/1.png", "a/1.png"),
        ("1.png", "images/1.png"),
        ("a/1.png", "images/a/1.png"),
        ("1", "images/1.png"),
    ],
    ids=["nfc", "nfd", "case", "suffix", "windows", "absolute", "from-above", "below", "part", "bare"],
)
def test_a_name_means_the_only_picture_that_it_can(tmp_path, name, key):
    name = name.format(root=tmp_path, above=tmp_path.name)
    assert labels_of(tmp_path, f"file,label\n{name},cat\n", [key, "other/b.png"]) == {key: "cat"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [("1", ["1.png", "1.jpg"]), ("A.PNG", ["a.png", "a.PNG"]), ("1.png", ["cat/1.png", "dog/1.png"])],
    ids=["suffix", "case", "folder"],
)
def test_a_name_that_may_mean_several_pictures_is_refused_with_them(tmp_path, name, keys):
    one, other = sorted(keys)
    expected = f"line 2: {name!r} may be {one} and {other}; write paths relative to {tmp_path}, with their suffix"
    assert refusal(tmp_path, f"file,label\n{name},cat\n", keys) == expected


def test_a_name_without_its_folder_is_no_other_picture_where_names_have_folders(tmp_path):
    rows = rows_of(tmp_path, "file,label\na/1.png,cat\n2.png,dog\n", ["a/1.png", "b/2.png"])
    assert list(rows) == ["a/1.png"]
    assert [str(fault) for fault in rows.faults] == ["2.png: stands in labels.csv, line 3, but is not there"]


def test_a_table_of_names_without_folders_says_so(tmp_path):
    rows = rows_of(tmp_path, "file,label\n1.png,cat\n", ["images/1.png"])
    assert rows.reading == "labels.csv (columns file, label; files without their folders)"


def test_a_repeated_header_and_a_repeated_row_are_passed_over_and_counted(tmp_path):
    rows = rows_of(tmp_path, "file,label\n1.png,cat\nFile, Label\n2.png,dog\n1.png,cat\n", ["1.png", "2.png"])
    assert rows == {"1.png": LabelRow(2, "cat", None, ""), "2.png": LabelRow(4, "dog", None, "")}
    assert rows.reading == "labels.csv (columns file, label; 1 repeated header passed over; 1 row there twice)"


def test_rows_of_pictures_that_are_gone_are_faults_unless_they_are_most(tmp_path):
    (tmp_path / "notes.txt").touch()
    text = "file,label\n1.png,cat\n2.png,dog\ngone.png,cat\nnotes.txt,dog\n"
    rows = rows_of(tmp_path, text, ["1.png", "2.png"])
    assert list(rows) == ["1.png", "2.png"]
    assert [str(fault) for fault in rows.faults] == [
        "gone.png: stands in labels.csv, line 4, but is not there",
        "notes.txt: stands in labels.csv, line 5, but is there, but no picture",
    ]
    words = f"line 2: '1.png' is not a picture in {tmp_path}, nor are 2 more of its 4 rows; write paths relative to it"
    assert refusal(tmp_path, text, ["2.png"]) == words
    assert refusal(tmp_path, text, ["2.png", "1.jpg"]) == words + ", such as 1.jpg"
    assert list(rows_of(tmp_path, text, ["2.png"], most_vanished=1.0)) == ["2.png"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("cat", "Cat"), ("big cat", "big  cat"), ("big cat", "big_cat"), ("1", "01"), ("1", "1.0"), ("a b", "a\u00a0b")],
    ids=["case", "blanks", "underscore", "zero", "point", "no-break"],
)
def test_labels_that_look_alike_are_refused_with_their_lines_or_joined(tmp_path, one, other):
    text, keys = f"file,label\n1.png,{one}\n2.png,{one}\n3.png,{other}\n", ["1.png", "2.png", "3.png"]
    assert refusal(tmp_path, text) == (
        f"line 4: the label {other!r} (1 of them) differs from {one!r} in line 2 (2) by case, blanks or writing alone; "
        "write one of them, or join all such by --set dataset.similar_labels=join, or take them for classes of their "
        "own by =keep"
    )
    assert labels_of(tmp_path, text, keys, similar="keep")["3.png"] == other
    rows = rows_of(tmp_path, text, keys, similar="join")
    assert {row.label for row in rows.values()} == {one}
    assert "1 label joined that differ" in rows.reading


def test_labels_are_the_same_with_blanks_around_them_and_in_either_unicode_form(tmp_path):
    text = "file,label\n1.png, gr\u00fcn\n2.png,gru\u0308n \n3.png,gr\u00fcn\u200b\n"
    assert set(labels_of(tmp_path, text, ["1.png", "2.png", "3.png"]).values()) == {"gr\u00fcn"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.png,cat\n2.png,dog\n", "line 1: names a picture and no columns; write file,label in a line above it"),
        ("file,class,category\n1.png,a,b\n", "line 1: 'class' and 'category' may both be the column label; call the"),
        ("file,label,Label\n1.png,a,b\n", "line 1: 'label' and 'Label' may both be the column label"),
        ("file,label\n1.png,a\nlabel,file\nb,2.png\n", "line 3: a second header, whose columns stand in another order"),
        ("file,label,split\n1.png,a,train\n1.png,a,test\n", "already, with another split or group; keep one"),
        ("file,label\n1.png,a\n,b\n", "line 3: no name of a file in the column file"),
        ("file,label\n1.png,cat\n2.png,cat;dog\n", "line 3: 'cat;dog' names several labels, and a picture has one"),
        ("file,label\n1.png,cat|dog\n2.png,dog|emu\n", "line 2: 'cat|dog' names several labels"),
    ],
    ids=["headless", "two-labels", "label-twice", "other-header", "two-splits", "no-file", "several", "only-several"],
)
def test_what_may_be_misread_is_refused_with_its_line(tmp_path, text, words):
    assert words in refusal(tmp_path, text)


def test_cells_may_hold_several_labels_where_they_are_asked_for(tmp_path):
    assert labels_of(tmp_path, "file,label\n1.png,cat;dog\n", ["1.png"], several=True) == {"1.png": "cat;dog"}
    assert labels_of(tmp_path, "file,label\n1.png,black;white\n", ["1.png"]) == {"1.png": "black;white"}


@pytest.mark.parametrize("column", ["split", "group"])
def test_labels_may_be_left_out_where_splits_or_groups_are_given(tmp_path, column):
    assert read(tmp_path, f"file,{column}\n2.png,test\n") == {
        "2.png": LabelRow(2, "", "test" if column == "split" else None, "test" if column == "group" else "")
    }


def test_a_table_of_files_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 1: no column 'label' among file, note; the first line must name"):
        read(tmp_path, "file,note\n2.png,x\n")


def test_a_row_of_labels_has_an_end(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    for text, line in (("file,label\n" + "," * 2**21, 2), ("file,label\n" + '"' + "\n" * 5000, 1002), ("x" * 2**21, 1)):
        path.write_text(text)
        with pytest.raises(DataError, match=f"line {line}: too long for a row"):
            read_labels(path, frozenset({"a.png"}))
    monkeypatch.setattr(dialect, "MAX_BYTES", 100)
    path.write_text("file,label\n" + "a.png,x\n" * 50)
    with pytest.raises(DataError, match="is larger than 100 bytes"):
        read_labels(path, frozenset({"a.png"}))


@pytest.mark.slow
def test_a_hundred_thousand_rows_of_labels_take_a_second(tmp_path):
    keys = [f"{i:06d}.png" for i in range(100_000)]
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{key},cat\n" for key in keys))
    begin = time.process_time()
    assert len(read_labels(tmp_path / "labels.csv", frozenset(keys)) or {}) == 100_000
    assert time.process_time() - begin < 3


@pytest.mark.parametrize("name", ["9" * 400, "a/" * 3000])
def test_a_name_that_no_disk_takes_is_one_that_is_not_there(tmp_path, name):
    with pytest.raises(DataError, match="is not a picture in"):
        read(tmp_path, f"file,label\n{name},cat\n")


@pytest.mark.parametrize(
    ("path", "split"),
    [("a-train-0.tar", "train"), ("a_validation_0.tar", "val"), ("TEST/0.tar", "test"), ("contest-0.tar", None)],
)
def test_a_word_in_a_path_says_the_split(path, split):
    assert split_in_path(path) == split
