"""Pictures in tar files: read where they lie, by an index that is made once."""

from __future__ import annotations

import gzip
import os
import pickle
import signal
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from maecli_plugins.datasets.shards import joined as joined_module
from maecli_plugins.datasets.shards import tar as tar_module
from maecli_plugins.datasets.shards.tar import Tar
from maecli_plugins.datasets.shards.tar_members import index_tar
from write_data import write_class_folders
from write_shards import labelled_members, picture, write_shards, write_tar

from maecli import api
from maecli.data.files.kept import CHECKSUM, FOLDER, _write
from maecli.data.labels import labels_by_key
from maecli.loading import make_loader
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.preprocess import Preprocess
from maecli.registry import registry
from maecli.schema import AugmentSpec, DataSpec


def tar(root: Path, **options: object) -> Tar:
    return Tar(Tar.Options(root=root, **options))


def reasons(dataset: Tar) -> dict[str, str]:
    return {fault.path: fault.reason for fault in dataset.faults()}


def pixels(split: api.Split) -> dict[str, bytes]:
    return {key: split[i]["image"].tobytes() for i, key in enumerate(split.keys)}


def test_every_sample_is_read_where_it_lies(tmp_path):
    write_shards(tmp_path, num=10)
    dataset = tar(tmp_path, val_share=0, test_share=0)
    split = dataset.split("train", ("image", "label"))
    assert list(split.keys) == [f"toys-00000{s}.tar/{10 * s + i:06d}.png" for s in (0, 1) for i in range(10)]
    for i in (19, 3, 0, 12):  # in any order
        expected = api.pictures.read_picture(api.pictures.PictureWithin("it", picture(i)))
        assert np.array_equal(split[i]["image"], expected)
        assert split[i]["label"] == i % 2
        assert split.size(i) == (8, 8)
        assert split.files(i) == [tmp_path / f"toys-00000{i // 10}.tar"]
    assert list(labels_by_key(dataset, "train", split).values()) == [i % 2 for i in range(20)]


def test_the_pixels_are_those_of_the_same_files_in_a_folder(tmp_path):
    kinds = {
        "a.jpg": "JPEG",
        "b.webp": "WEBP",
        "c.tif": "TIFF",
        "d.ppm": "PPM",
        "e.bmp": "BMP",
        "f.gif": "GIF",
        "g.jp2": "JPEG2000",
    }
    files = {name: picture(i, kind, (40, 30)) for i, (name, kind) in enumerate(kinds.items())}
    (tmp_path / "files").mkdir()
    for name, data in files.items():
        (tmp_path / "files" / name).write_bytes(data)
    write_tar(tmp_path / "shards" / "all.tar", files.items())
    options = {"val_share": 0, "test_share": 0}
    folder_plugin = registry().dataset("folder")
    folder = folder_plugin(folder_plugin.Options(root=tmp_path / "files", **options)).split("train")
    shards = tar(tmp_path / "shards", **options).split("train")
    assert {f"all.tar/{key}": data for key, data in pixels(folder).items()} == pixels(shards)


def test_classes_are_named_by_a_list_or_by_what_labels_say(tmp_path):
    write_shards(tmp_path)
    assert tar(tmp_path).card().classes == ("0", "1")
    (tmp_path / "classes.txt").write_text("cat\ndog\nhen\n")
    card = tar(tmp_path).card()
    assert card.classes == ("cat", "dog", "hen")
    assert card.class_counts[2] == 0
    (tmp_path / "classes.txt").write_text("cat\n")
    dataset = tar(tmp_path)
    assert sum(len(dataset.split(name, ("label",))) for name in api.SPLIT_NAMES) == 20
    assert "labels name the class 1" in reasons(dataset)["classes.txt"]


def test_classes_of_several_folders_are_joined_by_name(tmp_path):
    for folder, names in (("p", "cat\ndog\n"), ("q/deep", "ant\ncat\n")):
        write_shards(tmp_path / folder, num=10, num_shards=1)
        (tmp_path / folder.split("/")[0] / "classes.txt").write_text(names)
    dataset = tar(tmp_path, val_share=0, test_share=0)
    card = dataset.card(("image", "label"))
    assert card.classes == ("cat", "dog", "ant")
    assert card.class_counts == (10, 5, 5)
    split = dataset.split("train", ("image", "label"))
    assert [int(split[i]["label"]) for i in (0, 1, 10, 11)] == [0, 1, 2, 0]
    assert "classes are joined by name, of 2 lists: p/classes.txt, q/classes.txt" in card.notes
    (tmp_path / "q" / "classes.txt").write_text("ant\n")
    dataset = tar(tmp_path)
    assert dataset.card(("image", "label")).classes == ("cat", "dog", "ant")
    assert "labels name the class 1" in reasons(dataset)["q/classes.txt"]


def test_numbers_with_a_list_in_one_folder_and_none_in_another_are_refused(tmp_path):
    for folder in ("p", "q"):
        write_shards(tmp_path / folder, num=10, num_shards=1)
    assert tar(tmp_path).card().classes == ("0", "1")
    (tmp_path / "p" / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(
        api.DataError, match=r"p/classes\.txt in .* names the classes of some shards, and labels of others"
    ):
        tar(tmp_path).card()
    write_tar(tmp_path / "q" / "toys-000000.tar", [("a.png", picture(0)), ("a.cls", b"dog"), ("b.png", picture(1))])
    assert tar(tmp_path).card().classes == ("cat", "dog")


def test_labels_may_be_names_in_json_or_text(tmp_path):
    members = [
        ("a.png", picture(0)),
        ("a.json", b'{"kind": "hen"}'),
        ("a.txt", b"owl"),
        ("b.png", picture(1)),
        ("b.txt", b"jay"),
    ]
    write_tar(tmp_path / "x.tar", members)
    assert tar(tmp_path).card().classes == ()
    assert tar(tmp_path, label_field="kind").card().classes == ("hen",)
    assert tar(tmp_path, labels="txt").card().classes == ("jay", "owl")
    assert tar(tmp_path, labels="none").card().fields == ("image",)


def test_splits_follow_from_the_names_of_shards(tmp_path):
    for i, split in enumerate(("train", "val", "test")):
        write_tar(tmp_path / f"{split}-000000.tar", labelled_members(4, start=4 * i))
    dataset = tar(tmp_path)
    assert {name: len(dataset.split(name)) for name in api.SPLIT_NAMES} == {"train": 4, "val": 4, "test": 4}
    assert dataset.given_splits() == {"val", "test"}
    assert "by the names of shards" in dataset.card().split_origin


def test_what_is_cut_does_not_depend_on_how_many_shards_there_are(tmp_path):
    write_shards(tmp_path, num=30)
    dataset = tar(tmp_path)
    sizes = {name: len(dataset.split(name, ("label",))) for name in api.SPLIT_NAMES}
    assert sizes == {"train": 48, "val": 6, "test": 6}
    keys = [key for name in api.SPLIT_NAMES for key in dataset.split(name).keys]
    assert len(set(keys)) == 60
    assert np.bincount([int(dataset.split("val", ("label",))[i]["label"]) for i in range(6)]).tolist() == [3, 3]


def test_the_index_is_made_once_and_anew_for_what_was_changed(tmp_path, monkeypatch):
    write_shards(tmp_path)
    made: list[str] = []
    real = joined_module._made

    def noting(shards, make, say):
        made.extend(shard.name for shard in shards)
        return real(shards, make, say)

    monkeypatch.setattr(joined_module, "_made", noting)
    before = pixels(tar(tmp_path).split("train"))
    assert made == ["toys-000000.tar", "toys-000001.tar"]
    made.clear()
    assert pixels(tar(tmp_path).split("train")) == before
    assert made == []
    write_tar(tmp_path / "toys-000001.tar", labelled_members(20, start=100))
    os.utime(tmp_path / "toys-000001.tar", (1, 1))
    assert pixels(tar(tmp_path).split("train")) != before
    assert made == ["toys-000001.tar"]
    made.clear()
    kept = tmp_path / FOLDER / "toys-000000.tar.npz"
    kept.write_bytes(kept.read_bytes()[:-40])  # half written
    tar(tmp_path).card()
    assert made == ["toys-000000.tar"]


def test_where_shards_are_read_only_the_index_is_in_the_cache(tmp_path, monkeypatch):
    write_shards(tmp_path / "shards")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "shards" / FOLDER).write_text("nothing can be written here, not even by root")
    said: list[str] = []
    tar(tmp_path / "shards").told_by(said.append).card()
    assert len(list((tmp_path / "cache" / "mae" / "index").iterdir())) == 2
    (tmp_path / "cache" / "mae" / "index").rename(tmp_path / "away")
    (tmp_path / "cache" / "mae" / "index").write_text("neither here")
    tar(tmp_path / "shards").told_by(said.append).card()
    assert "cannot be kept" in said[0]


def test_many_shards_are_indexed_in_processes(tmp_path, monkeypatch):
    write_shards(tmp_path, num=6, num_shards=3)
    alone = pixels(tar(tmp_path).split("train"))
    (tmp_path / FOLDER).rename(tmp_path / ".away")
    monkeypatch.setattr(joined_module, "IN_PROCESSES", 0)
    assert pixels(tar(tmp_path).split("train")) == alone


def killed(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")
def test_a_process_of_the_index_that_is_killed_is_told_in_a_sentence(tmp_path, monkeypatch, mae):
    write_shards(tmp_path, num=6, num_shards=3)
    monkeypatch.setattr(joined_module, "IN_PROCESSES", 0)
    monkeypatch.setattr(tar_module, "index_tar", killed)
    outcome = mae("eda", "--dataset", "tar", "--root", tmp_path, "--out", tmp_path / "out")
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1] == (
        "mae: a process that helps was killed by SIGKILL, as the system does when memory runs out; free some, and retry"
    )


def test_a_split_goes_to_other_processes(tmp_path):
    write_shards(tmp_path)
    split = tar(tmp_path).split("train", ("image", "label"))
    assert pixels(pickle.loads(pickle.dumps(split))) == pixels(split)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_in_mid_epoch_with_the_batches_that_were_left(tmp_path, workers):
    write_shards(tmp_path)
    dataset = tar(tmp_path)
    preprocess = Preprocess.of(dataset.card(), (8, 8), None, None, None, Pictures(), None)
    split = dataset.split("train")

    def batches(start: int, num_workers: int) -> list[bytes]:
        spec, augment = DataSpec(workers=num_workers), AugmentSpec(crop="random-resized", flip=True)
        loader = make_loader(split, preprocess, torch.device("cpu"), 3, spec)
        return [batch["image"].numpy().tobytes() for batch in loader.train_batches(augment, 5, start, 10)]

    whole = batches(0, 0)  # an epoch has 6 steps
    assert batches(4, workers) == whole[4:]


def test_a_shard_that_is_cut_short_keeps_what_is_whole(tmp_path):
    path = write_tar(tmp_path / "x.tar", labelled_members(10))
    path.write_bytes(path.read_bytes()[: 9 * 4 * 512 // 2])
    dataset = tar(tmp_path)
    assert "cut short" in reasons(dataset)["x.tar"]
    assert 0 < len(dataset.joined.keys) < 10


def test_a_damaged_header_costs_the_member_that_it_is_of(tmp_path):
    write_tar(tmp_path / "x.tar", [(f"{i}.png", picture(i)) for i in range(6)])
    data = bytearray((tmp_path / "x.tar").read_bytes())
    with tarfile.open(tmp_path / "x.tar") as shard:
        places = [shard.getmember(f"{i}.png").offset for i in range(6)]
    for i in (0, 3):
        data[places[i] + 2] ^= 1
    (tmp_path / "x.tar").write_bytes(data)
    dataset = tar(tmp_path)
    assert list(dataset.joined.keys) == [f"x.tar/{i}.png" for i in (1, 2, 4, 5)]
    assert sorted(fault.reason for fault in dataset.faults()) == [
        f"has a damaged header at byte {places[i]:,}; what lies from there to byte {places[i + 1]:,} is left out"
        for i in (0, 3)
    ]


def test_members_that_cannot_be_used_are_left_out_and_told(tmp_path):
    members = [
        ("/etc/a.png", picture(0)),
        ("../b.png", picture(1)),
        ("c.png", picture(2)),
        ("c.jpg", picture(3, "JPEG")),
        ("d.png", picture(4)),
        ("d.cls", b"\xff\xfe"),
        ("c.png", picture(5)),
        ("e.png", b"nothing"),
        ("._f.png", b"of macOS"),
        ("g.txt", b"no picture"),
    ]
    write_tar(tmp_path / "x.tar", members)
    dataset = tar(tmp_path)
    assert list(dataset.joined.keys) == ["x.tar/c.png", "x.tar/d.png"]
    found = reasons(dataset)
    assert "leads out of its shard" in found["x.tar//etc/a.png"]
    assert "leads out of its shard" in found["x.tar/../b.png"]
    assert "second picture" in found["x.tar/c.jpg"]
    assert "earlier sample" in found["x.tar/c.png"]
    assert "no text" in found["x.tar/d.cls"]
    assert "x.tar/e.png" in found
    assert len(found) == 6


def test_links_out_of_a_shard_and_folders_in_it_are_no_pictures(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (("a.png", tarfile.SYMTYPE), ("b.png", tarfile.LNKTYPE), ("c", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    with pytest.raises(api.DataError, match="none of 1 shard"):
        tar(tmp_path).card()


def test_a_hard_link_is_the_file_that_it_names_and_other_links_are_told(tmp_path):
    with tarfile.open(write_tar(tmp_path / "x.tar", labelled_members(4)), "a") as archive:
        for name, kind, target in (
            ("a.png", tarfile.LNKTYPE, "./000001.png"),
            ("a.cls", tarfile.LNKTYPE, "000001.cls"),
            ("b.png", tarfile.LNKTYPE, "missing.png"),
            ("c.png", tarfile.SYMTYPE, "000001.png"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    dataset = tar(tmp_path, val_share=0, test_share=0)
    split = dataset.split("train", ("image", "label"))
    assert list(split.keys)[4:] == ["x.tar/a.png"]
    assert np.array_equal(split[4]["image"], split[1]["image"])
    assert split[4]["label"] == split[1]["label"] == 1
    assert reasons(dataset) == {
        "x.tar/b.png": "is a hard link to what its shard does not hold",
        "x.tar/c.png": "is a symbolic link, which is not followed; pack it with tar --dereference",
    }


def test_a_tar_behind_the_end_of_another_is_told(tmp_path):
    first, second = (write_tar(tmp_path / f"{i}.x", labelled_members(4, start=4 * i)) for i in (0, 1))
    (tmp_path / "x.tar").write_bytes(first.read_bytes() + second.read_bytes())
    dataset = tar(tmp_path)
    assert len(dataset.joined.keys) == 4
    assert (
        f"goes on as another tar, as cat joins them, which is not read; keep them apart (byte {first.stat().st_size:,})"
        in (reasons(dataset)["x.tar"])
    )


def test_pictures_without_a_label_serve_pretraining_alone(tmp_path):
    write_tar(tmp_path / "x.tar", [*labelled_members(20), ("z.png", picture(99))])
    dataset = tar(tmp_path)
    assert "x.tar/z.png" in list(dataset.split("train").keys)
    assert "x.tar/z.png" not in list(dataset.split("train", ("label",)).keys)
    assert dataset.card(("image", "label")).left_out == {"without a label": 1}
    assert "1 picture has no label" in dataset.card().notes


def test_a_shard_that_changes_while_it_is_read_is_no_other_picture(tmp_path):
    write_shards(tmp_path)
    split = tar(tmp_path).split("train")
    write_tar(tmp_path / "toys-000000.tar", labelled_members(20, start=50))
    with pytest.raises(api.BrokenSample, match="was changed"):
        split[0]
    (tmp_path / "toys-000001.tar").unlink()
    with pytest.raises(api.BrokenSample, match="cannot be read"):
        split[len(split) - 1]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.tar.gz", gzip.compress(b"a", mtime=0), "compressed.*unpack it"),
        ("x.tar", gzip.compress(b"a", mtime=0), "is compressed .gzip."),
        ("x.tar", b"", "is no tar file"),
        ("x.tar", b"nothing" * 200, "is no tar file"),
        ("x.zip", b"", "no shard .* mae pack"),
    ],
)
def test_what_is_no_shard_is_told_in_a_sentence(name, data, words, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(api.DataError, match=words):
        tar(tmp_path).card()


def test_a_root_that_is_missing_is_told(tmp_path):
    with pytest.raises(api.DataError, match="is not a folder"):
        tar(tmp_path / "missing").card()
    with pytest.raises(api.SpecError, match="needs --root"):
        Tar(Tar.Options())
    write_class_folders(tmp_path, num=2)
    with pytest.raises(api.DataError, match="mae pack"):
        tar(tmp_path).card()


def test_shards_are_chosen_by_patterns_or_by_naming_one(tmp_path):
    write_shards(tmp_path)
    write_tar(tmp_path / "deep" / "more.tar", labelled_members(3, start=70))
    assert tar(tmp_path).shard_names() == ["deep/more.tar", "toys-000000.tar", "toys-000001.tar"]
    assert tar(tmp_path, shards="toys-*.tar").shard_names() == ["toys-000000.tar", "toys-000001.tar"]
    assert tar(tmp_path, shards=["*-000001.tar", "deep/more.tar"]).shard_names() == ["deep/more.tar", "toys-000001.tar"]
    alone = tar(tmp_path / "deep" / "more.tar")
    assert alone.shard_names() == ["more.tar"]
    assert len(alone.joined.keys) == 3


def test_linked_shards_are_read_and_told_and_hidden_ones_are_not_read(tmp_path):
    for name in ("root/a.tar", "root/.trash/old.tar", "away/b.tar", "away/c.tar"):
        write_tar(tmp_path / name, labelled_members(4))
    root = tmp_path / "root"
    (root / "more").symlink_to(tmp_path / "away")
    (root / "c.tar").symlink_to(tmp_path / "away" / "c.tar")
    (root / "d.tar").symlink_to(tmp_path / "nowhere")
    said: list[str] = []
    dataset = tar(root).told_by(said.append)
    assert len(dataset.joined.keys) == 16
    assert dataset.shard_names() == ["a.tar", "c.tar", "more/b.tar", "more/c.tar"]
    (line,) = said
    assert line.startswith("3 files, such as c.tar, lie out of the folder by a link")
    assert reasons(dataset) == {"d.tar": "is a link that leads nowhere"}
    assert tar(root, shards="**/b.tar").shard_names() == ["more/b.tar"]
    assert tar(root, shards="*/*.tar").shard_names() == ["more/b.tar", "more/c.tar"]
    assert tar(root, shards=".trash/*.tar").shard_names() == [".trash/old.tar"]


def test_a_compressed_shard_beside_others_is_told_unless_it_lies_there_unpacked(tmp_path):
    write_shards(tmp_path)
    for name in ("toys-000000.tar.gz", "deep/more.tar.gz", "old.tgz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(b"a", mtime=0))
    found = reasons(tar(tmp_path))
    assert found.keys() == {"deep/more.tar.gz", "old.tgz"}
    assert "unpack it to a plain .tar" in found["old.tgz"]
    assert not tar(tmp_path, shards="toys-*.tar").faults()


def test_a_run_reads_pictures_as_the_one_before_it(tmp_path):
    write_tar(tmp_path / "x.tar", [(f"{i}.png", picture(i)) for i in range(10)])
    card = tar(tmp_path).card().model_copy(update={"channels": 1})
    dataset = tar(tmp_path)
    dataset.read_as(card)
    assert dataset.split("train")[0]["image"].shape == (1, 8, 8)


def header(type: bytes, size: int, data: bytes = b"", form: int = tarfile.GNU_FORMAT) -> bytes:
    info = tarfile.TarInfo("p")
    info.type, info.size = type, size
    return info.tobuf(form) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


@pytest.mark.parametrize(
    "behind",
    [
        header(tarfile.XHDTYPE, 2**60),
        header(tarfile.GNUTYPE_LONGNAME, 2**60),
        header(tarfile.XHDTYPE, 0) * 10_000,
        header(tarfile.XHDTYPE, 14, b"14 size=-1536\n") + header(tarfile.REGTYPE, 5),
        header(tarfile.XHDTYPE, 44, b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n") + header(tarfile.REGTYPE, 5),
    ],
    ids=["endless notes", "endless name", "notes on notes", "a step back", "sparse without a map"],
)
def test_headers_that_contradict_themselves_end_a_shard(tmp_path, behind):
    write_shards(tmp_path, num=4)
    path = tmp_path / "toys-000000.tar"
    with tarfile.open(path) as archive:
        end = max(info.offset_data + 512 * -(-info.size // 512) for info in archive.getmembers())
    path.write_bytes(path.read_bytes()[:end] + behind)
    dataset = tar(tmp_path)
    assert len(dataset.joined.keys) == 8
    assert reasons(dataset) == {"toys-000000.tar": "is cut short; what lies whole before that is read"}


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_as_long_as_its_shard_is_not_read_whole(kind, tmp_path):
    first, last = (write_tar(tmp_path / f"{i}.tar", [(f"{i}.png", picture(i))]).read_bytes() for i in (0, 1))
    begin, length = 512 + 512 * -(-len(picture(0)) // 512), 1 << 26
    with (tmp_path / "x.tar").open("wb") as shard:
        shard.write(first[:begin] + header(kind, length))
        shard.seek(length, os.SEEK_CUR)
        shard.write(last)
    index_tar(tmp_path / "0.tar", {}, "auto", "label", 100)  # what is imported for it is not counted
    tracemalloc.start()
    index = index_tar(tmp_path / "x.tar", {}, "auto", "label", 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert list(index.names) == ["0.png", "1.png"]
    assert peak < length / 8


def test_an_index_of_somebody_else_is_not_believed(tmp_path):
    """It may come with the data, with the right stamp and checksum."""
    write_shards(tmp_path, num=4)
    whole = pixels(tar(tmp_path, val_share=0, test_share=0).split("train"))
    place = tmp_path / FOLDER / "toys-000000.tar.npz"
    with np.load(place) as file:
        arrays = {name: file[name] for name in file.files if name != CHECKSUM}
    num = len(arrays["starts"])
    for name, value in {
        "starts": np.full(num, -1),
        "lengths": np.full(num, 2**60),
        "kinds": np.full(num, 9),
        "labels": np.full(num, 9),
        "sizes": np.ones(num, np.int32),
        "about": np.frombuffer(b"[" * 100_000, np.uint8),
    }.items():
        assert _write(place, {**arrays, name: value})
        assert pixels(tar(tmp_path, val_share=0, test_share=0).split("train")) == whole
    np.savez_compressed(place, **arrays, more=np.zeros(2**24))
    assert pixels(tar(tmp_path, val_share=0, test_share=0).split("train")) == whole
