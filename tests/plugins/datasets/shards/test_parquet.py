"""Pictures in Parquet files, as the library `datasets` writes them."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from maecli_plugins.datasets.shards import parquet as parquet_module
from maecli_plugins.datasets.shards import parquet_rows
from maecli_plugins.datasets.shards.parquet import Parquet
from write_shards import CLASSES, picture, write_parquet

from maecli import api
from maecli.data.files.kept import CHECKSUM, FOLDER, _write


def parquet(root: Path, **options: object) -> Parquet:
    return Parquet(Parquet.Options(root=root, **options))


def test_each_row_is_a_picture_with_its_class_by_name(tmp_path):
    write_parquet(tmp_path, "data/train-00000-of-00001.parquet")
    dataset = parquet(tmp_path, val_share=0, test_share=0)
    assert dataset.card().classes == ("cat", "hen")
    split = dataset.split("train", ("image", "label"))
    for i in (17, 0, 18, 3):
        expected = api.pictures.read_picture(api.pictures.PictureWithin("it", picture(i)))
        assert np.array_equal(split[i]["image"], expected)
        assert dataset.card().classes[int(split[i]["label"])] == CLASSES[i % 2]
    assert split.keys[17] == "data/train-00000-of-00001.parquet/00000017"
    assert np.array_equal(pickle.loads(pickle.dumps(split))[5]["image"], split[5]["image"])


def test_splits_follow_from_the_names_of_files(tmp_path):
    for split in ("train", "validation", "test"):
        write_parquet(tmp_path, f"{split}-00000-of-00001.parquet", num=4)
    assert parquet(tmp_path).card().split_sizes == {"train": 4, "val": 4, "test": 4}


def test_no_more_than_a_bound_is_kept_of_row_groups(tmp_path, monkeypatch):
    write_parquet(tmp_path)
    split = parquet(tmp_path, val_share=0, test_share=0).split("train")
    before = [split[i]["image"].tobytes() for i in range(20)]
    assert len(split._kept) == 5
    monkeypatch.setattr(parquet_module, "MAX_KEPT", 1)
    split._kept.clear()
    assert [split[i]["image"].tobytes() for i in range(20)] == before
    assert len(split._kept) == 1


def test_what_holds_no_picture_or_label_is_left_out_and_told(tmp_path):
    write_parquet(tmp_path, num=8, labels=[0, 1, -1, 9, 0, 1, 0, 1])
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": None, "path": "x.png"}, {"bytes": b"nothing", "path": None}, None], image)
    pq.write_table(pa.table({"image": rows}), tmp_path / "b.parquet")
    dataset = parquet(tmp_path)
    assert sum(dataset.card().split_sizes.values()) == 8
    assert sum(dataset.card(("image", "label")).split_sizes.values()) == 6
    assert [fault.path for fault in dataset.faults()] == [f"b.parquet/0000000{i}" for i in range(3)]


@pytest.mark.parametrize(
    ("labels", "classes", "without"),
    [
        ([0.0, 1.0, None, float("nan"), -1.0, 1.0], ("0", "1"), 3),
        ([True, False, None, True, False, True], ("False", "True"), 1),
        ([2.0, 0.5, 2.0, float("inf"), 1.0, 2.0], ("1", "2"), 2),
    ],
    ids=["floats", "booleans", "fractions"],
)
def test_labels_are_whole_numbers_of_any_type_and_fractions_are_told(labels, classes, without, tmp_path):
    pq.write_table(pa.table({"image": [picture(i) for i in range(6)], "label": labels}), tmp_path / "a.parquet")
    dataset = parquet(tmp_path, val_share=0, test_share=0)
    card = dataset.card(("image", "label"))
    assert card.classes == classes
    assert card.left_out == {"without a label": without}
    told = ["has labels that name no class, such as '0.5' in row 00000001; 2 pictures have none"]
    assert [fault.reason for fault in dataset.faults()] == told * (0.5 in labels)


def test_columns_are_told_by_type_or_by_options(tmp_path):
    table = pa.table({"photo": pa.array([picture(i) for i in range(6)]), "kind": ["a", "b"] * 3})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(api.DataError, match=r"no column of pictures; dataset.column names it, of photo, kind"):
        parquet(tmp_path).card()
    assert parquet(tmp_path, column="photo").card().classes == ()
    dataset = parquet(tmp_path, column="photo", label_column="kind")
    assert dataset.card().classes == ("a", "b")
    assert dataset.split("train")[0]["image"].shape == (3, 8, 8)


def test_damaged_and_changed_files_are_told(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(api.DataError, match="is no Parquet file, or damaged"):
        parquet(tmp_path).card()
    with pytest.raises(api.DataError, match="no file"):
        parquet(tmp_path, shards="b*.parquet").card()
    write_parquet(tmp_path)
    split = parquet(tmp_path).split("train")
    write_parquet(tmp_path, num=3)
    with pytest.raises(api.BrokenSample, match="was changed"):
        split[0]


def test_a_footer_at_which_pyarrow_would_end_the_process_is_told(tmp_path):
    pq.write_table(pa.table({"image": [picture(i) for i in range(4)]}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    optional, required = (b"\x15\x0c\x25" + repetition + b"\x18\x05image" for repetition in (b"\x02", b"\x00"))
    assert content.count(optional) == 1, "type, repetition and name, as the compact protocol has them"
    (tmp_path / "a.parquet").write_bytes(content.replace(optional, required))
    with pytest.raises(api.DataError, match="is no Parquet file, or damaged"):
        parquet(tmp_path).card()


def test_threads_share_what_is_kept(tmp_path, monkeypatch):
    write_parquet(tmp_path, num=40)
    split = parquet(tmp_path, val_share=0, test_share=0).split("train")
    before = [split[i]["image"].tobytes() for i in range(40)]
    monkeypatch.setattr(parquet_module, "MAX_KEPT", 1)
    with ThreadPoolExecutor(8) as pool:
        order = [7 * i % 40 for i in range(400)]
        assert list(pool.map(lambda i: split[i]["image"].tobytes(), order)) == [before[i] for i in order]


def test_a_picture_that_every_row_repeats_is_unpacked_in_parts(tmp_path, monkeypatch):
    picture_bytes = picture(0)
    rows = pa.array([{"bytes": picture_bytes, "path": "x.png"}] * 500)
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet", row_group_size=500)
    assert (tmp_path / "a.parquet").stat().st_size < 20 * len(picture_bytes)
    monkeypatch.setattr(parquet_rows, "MAX_BATCH", 20 * len(picture_bytes))
    monkeypatch.setattr(parquet_module, "MAX_GROUP", 40 * len(picture_bytes))
    most = 0
    real = parquet_rows._bytes

    def watched(values):
        nonlocal most
        most = max(most, values.nbytes)
        return real(values)

    monkeypatch.setattr(parquet_rows, "_bytes", watched)
    split = parquet(tmp_path, val_share=0, test_share=0).split("train")
    assert len(split) == 500
    assert split.read(499) == split.read(0) == picture_bytes
    assert not split._kept
    assert 0 < most < 40 * len(picture_bytes)


def test_an_index_of_another_file_or_that_others_changed_is_made_anew(tmp_path):
    write_parquet(tmp_path, num=8)
    expected = list(parquet(tmp_path).split("train").keys)
    index = tmp_path / FOLDER / "a.parquet.npz"
    whole = index.read_bytes()
    write_parquet(tmp_path / "other", num=20)
    assert len(parquet(tmp_path / "other").joined.keys) == 20
    for foreign in ((tmp_path / "other" / FOLDER / "a.parquet.npz").read_bytes(), whole[:-9], b"none"):
        index.write_bytes(foreign)
        assert list(parquet(tmp_path, shards="a.parquet").split("train").keys) == expected
        assert len(index.read_bytes()) == len(whole)
    with np.load(index) as arrays:
        changed = {**arrays, "starts": arrays["starts"] + 70, "lengths": arrays["lengths"] + 70}
    np.savez(index, **changed)
    assert parquet(tmp_path, shards="a.parquet").split("train")[0]["image"].shape == (3, 8, 8)
    assert index.read_bytes() == whole


@pytest.mark.parametrize("column", ["starts", "lengths"])
def test_an_index_that_lies_as_if_it_was_ours_is_told_with_the_way_out(tmp_path, column):
    write_parquet(tmp_path, num=8)
    assert len(parquet(tmp_path).joined.keys) == 8
    index = tmp_path / FOLDER / "a.parquet.npz"
    with np.load(index) as file:
        arrays = {name: file[name] for name in file.files if name != CHECKSUM}
    assert _write(index, arrays | {column: arrays[column] + 70})
    with pytest.raises(api.DataError, match=r"none of the 6 train pictures tried.* delete the index in \.mae-index/"):
        parquet(tmp_path).card()
