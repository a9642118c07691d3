"""`mae pack`: a folder of pictures as shards, and back."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
from pathlib import Path

import pytest
from attempts import Attempt
from PIL import Image
from write_data import noise, write_class_folders, write_mnist, write_picture, write_pictures
from write_shards import labelled_members, write_tar

from maecli.data.card import SPLIT_NAMES
from maecli.errors import DamagedFile, DataError, MaeError, SpecError
from maecli.outputs import shards
from maecli.progress import Progress
from maecli.registry import registry
from maecli.spec.ask import Ask
from maecli.verbs import pack as pack_module
from maecli.verbs.pack import PackResult, in_words, pack

SPLITS = ("train", "val", "test")


def packed(root: Path, out: Path, **options: int | None) -> PackResult:
    ask = Ask("pretrain", flags={"dataset.root": str(root)})
    return pack(ask, registry(), Progress(), out, **options)


def opened(name: str, root: Path):
    plugin = registry().dataset(name)
    return plugin(plugin.Options(root=root))


def samples(dataset) -> dict[tuple[str, str], tuple[bytes, int]]:
    """Return the pixels and the class of each sample, by its split and the name of its file."""
    found = {}
    for name in SPLITS:
        split = dataset.split(name, ("image", "label"))
        for i, key in enumerate(split.keys):
            parts = tuple(key.removesuffix(".png").split("/")[-2:])
            found[name, "/".join(parts)] = (split[i]["image"].tobytes(), int(split[i]["label"]))
    return found


def test_shards_hold_the_pictures_classes_and_splits_of_the_folder(tmp_path):
    write_class_folders(tmp_path / "pictures", num=20)
    result = packed(tmp_path / "pictures", tmp_path / "shards", shard_size=10)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir() if path.suffix == ".tar") == [
        *("test-000000.tar", "train-000000.tar", "train-000001.tar", "train-000002.tar", "train-000003.tar"),
        "val-000000.tar",
    ]
    assert in_words(result).startswith("40 pictures in 6 shards")
    before, after = opened("folder", tmp_path / "pictures"), opened("tar", tmp_path / "shards")
    assert after.card().classes == before.card().classes == ("cat", "dog")
    assert samples(after) == samples(before)
    with tarfile.open(tmp_path / "shards" / "train-000000.tar") as shard:
        names = shard.getnames()
        number = int(shard.extractfile(names[1]).read())
    assert names.pop() == ".sums"
    assert names[0].endswith(".png")
    assert names[1] == names[0].replace(".png", ".cls")
    assert ("cat", "dog")[number] == names[0].split("/")[0]
    assert {name.split("/")[0] for name in names} == {"cat", "dog"}  # in an order that mixes classes


def test_pictures_that_are_known_to_be_damaged_are_not_packed(mae, tmp_path):
    write_class_folders(tmp_path / "pictures", num=10)
    header, truncated = tmp_path / "pictures/cat/000.png", tmp_path / "pictures/dog/001.png"
    header.write_bytes(b"no picture")
    truncated.write_bytes(truncated.read_bytes()[:-30])
    for _ in range(2):  # the second time nothing is left to do
        outcome = mae("pack", tmp_path / "pictures", "--out", tmp_path / "shards", "--json")
        assert outcome.exit_code == 3
        assert outcome.json["samples"] == 18
        assert [fault["path"] for fault in outcome.json["faults"]] == ["cat/000.png", "dog/001.png"]
    dataset = opened("tar", tmp_path / "shards")
    assert len(samples(dataset)) == 18
    assert not dataset.faults()


def test_packing_twice_gives_the_same_bytes_and_does_nothing_twice(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "pictures", num=8)
    packed(tmp_path / "pictures", tmp_path / "one")
    packed(tmp_path / "pictures", tmp_path / "two")
    lists = [json.loads((tmp_path / name / shards.SHARDS).read_text()) for name in ("one", "two")]
    assert lists[0] == lists[1]
    assert lists[0]["finished"]
    monkeypatch.setattr(shards.ShardFolder, "write", lambda *_: pytest.fail("a shard is written again"))
    assert packed(tmp_path / "pictures", tmp_path / "one").num_there == 3


def test_what_a_kill_left_undone_is_done_by_the_same_command(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "pictures", num=20)
    packed(tmp_path / "pictures", tmp_path / "whole", shard_size=5)
    real, written = shards.ShardFolder.write, []

    def killed(self, name, members, source):
        if len(written) == 3:
            (self.path / f".{name}.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(name)
        real(self, name, members, source)

    monkeypatch.setattr(shards.ShardFolder, "write", killed)
    with pytest.raises(MaeError, match="the same command goes on"):
        packed(tmp_path / "pictures", tmp_path / "cut", shard_size=5)
    monkeypatch.undo()
    assert not json.loads((tmp_path / "cut" / shards.SHARDS).read_text())["finished"]
    assert packed(tmp_path / "pictures", tmp_path / "cut", shard_size=5).num_there == 3
    for path in (tmp_path / "whole").glob("*.*"):
        assert path.read_bytes() == (tmp_path / "cut" / path.name).read_bytes()


@pytest.mark.slow
def test_killed_again_and_again_the_same_command_ends_with_the_same_shards(server, tmp_path):
    write_class_folders(tmp_path / "pictures", num=10)
    packed(tmp_path / "pictures", tmp_path / "whole", shard_size=8)
    command = ["pack", str(tmp_path / "pictures"), "--out", str(tmp_path / "cut"), "--shard-size", "8"]
    for call in (2, 6, 5):  # before the first list, and the first shard, is named, and before that shard is in the list
        assert Attempt(server, tmp_path / "log", command, ["die_at_call", call]).wait() == -signal.SIGKILL
    packed(tmp_path / "pictures", tmp_path / "cut", shard_size=8)
    whole, cut = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.is_file()}
        for name in ("whole", "cut")
    )
    assert cut == whole


@pytest.mark.parametrize("changed", ["pictures", "labels"])
def test_shards_of_what_changed_since_are_written_anew(tmp_path, changed):
    names = write_pictures(tmp_path / "pictures", 12)
    table = tmp_path / "pictures" / "labels.csv"

    def label(classes: str) -> None:
        rows = (f"{name},{classes[i % 2]},{SPLITS[i // 4]}\n" for i, name in enumerate(names))
        table.write_text("".join(["file,label,split\n", *rows]))

    label("ab")
    packed(tmp_path / "pictures", tmp_path / "shards", shard_size=4)
    if changed == "labels":
        label("ba")
    else:
        for i, name in enumerate(names):
            write_picture(tmp_path / "pictures" / name, noise(100 + i, 8, 8, 3))
    result = packed(tmp_path / "pictures", tmp_path / "shards", shard_size=4)
    assert (result.num_there, result.num_anew) == (0, result.num_shards)
    after, before = (samples(opened(*each)) for each in (("tar", tmp_path / "shards"), ("folder", table.parent)))
    assert sorted(after.values()) == sorted(before.values())


def test_larger_pictures_are_resized_and_smaller_ones_stay_as_they_are(tmp_path):
    write_picture(tmp_path / "pictures" / "large.png", noise(0, 30, 60, 3))
    write_picture(tmp_path / "pictures" / "small.png", noise(1, 10, 12, 3))
    Image.fromarray(noise(2, 50, 40, 3)).save(tmp_path / "pictures" / "b.c.JPG", "JPEG")
    packed(tmp_path / "pictures", tmp_path / "shards", max_side=20)
    found = {}
    for path in (tmp_path / "shards").glob("*.tar"):
        with tarfile.open(path) as shard:
            for name in shard.getnames()[:-1]:
                found[name] = shard.extractfile(name).read()
    assert sorted(found) == ["b_c.jpg", "large.png", "small.png"]
    assert found["small.png"] == (tmp_path / "pictures" / "small.png").read_bytes()
    with Image.open(io.BytesIO(found["large.png"])) as picture:
        assert picture.size == (20, 10)
    with Image.open(io.BytesIO(found["b_c.jpg"])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (16, 20))


def damaged_shard(tmp_path: Path, num: int = 16) -> Path:
    """Return the first of the shards of two classes of 10 pictures each, `num` of which are in it."""
    write_class_folders(tmp_path / "pictures", num=10)
    packed(tmp_path / "pictures", tmp_path / "shards", shard_size=num)
    return tmp_path / "shards" / "train-000000.tar"


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("part", ["header of a picture", "picture", "header of a label", "label", "padding"])
def test_a_flipped_bit_in_a_shard_costs_the_sample_that_it_is_in_alone(part, tmp_path):
    path = damaged_shard(tmp_path)
    with tarfile.open(path) as shard:
        members = [shard.getmember(name) for name in shard.getnames()[6:8]]
    before = samples(opened("tar", tmp_path / "shards"))
    member = members["label" in part]
    inside = {"padding": member.size + 1}.get(part, 0)
    flip(path, member.offset + 5 if "header" in part else member.offset_data + inside)
    dataset = opened("tar", tmp_path / "shards")
    after = samples(dataset)
    lost = before.keys() - after.keys()
    assert len(lost) == len(dataset.faults()) == (part != "padding")
    assert after == {key: sample for key, sample in before.items() if key not in lost}
    assert {name.removesuffix(".png") for _, name in lost} <= {members[0].name.removesuffix(".png")}
    assert not dataset.card().left_out


def test_pictures_of_a_damaged_shard_are_counted_where_no_name_is_known(tmp_path):
    path = damaged_shard(tmp_path)
    whole = path.read_bytes()
    with tarfile.open(path) as shard:
        names = shard.getnames()
        third, sums = (shard.getmember(names[i]) for i in (4, -1))
    path.write_bytes(whole[: third.offset] + b"\1" * 5 * 1024 + whole[third.offset + 5 * 1024 :])
    dataset = opened("tar", tmp_path / "shards")
    assert len(dataset.split("train")) + len(dataset.faults()) + sum(dataset.card().left_out.values()) == 16
    assert 11 < len(dataset.split("train")) < 15
    path.write_bytes(whole[: sums.offset])
    dataset = opened("tar", tmp_path / "shards")
    with pytest.raises(DataError, match="no picture to train on"):
        dataset.card()
    (fault,) = dataset.joined.faults
    assert "has lost the checksums of its pictures: pack it anew" in fault.reason
    plugin = registry().dataset("tar")
    trusting = plugin(plugin.Options(root=tmp_path / "shards", verify=False))
    assert len(trusting.split("train")) == 16


def test_of_a_shard_that_is_left_out_whole_the_pictures_are_counted(tmp_path):
    path = damaged_shard(tmp_path, num=8)
    with tarfile.open(path) as shard:
        flip(path, shard.getmember(".sums").offset)
    dataset = opened("tar", tmp_path / "shards")
    assert len(dataset.faults()) == 1
    assert dataset.card().left_out == {"more of damaged shards": 7}


def test_a_shard_is_compared_with_the_list_in_its_own_folder(tmp_path):
    path = damaged_shard(tmp_path)
    (tmp_path / "shards" / "more").mkdir()
    write_tar(tmp_path / "shards" / "more" / path.name, labelled_members(6))  # of the same name, and of somebody else
    dataset = opened("tar", tmp_path / "shards")
    assert sum(len(dataset.split(name)) for name in SPLIT_NAMES) == 26
    assert not dataset.faults()
    with tarfile.open(path) as shard:
        flip(path, shard.getmember(shard.getnames()[6]).offset_data + 60)
    (tmp_path / "root").mkdir()
    path.parent.rename(tmp_path / "root" / "packed")
    (fault,) = opened("tar", tmp_path / "root").faults()
    assert fault.reason == "is damaged: it is not what mae pack wrote"


def test_an_index_stays_when_its_list_is_given_another_shard(tmp_path, monkeypatch):
    path = damaged_shard(tmp_path, num=8)
    opened("tar", path.parent).card()
    known = json.loads((path.parent / "shards.json").read_text())
    made = []
    monkeypatch.setattr("maecli_plugins.datasets.shards.joined._made", lambda shards, *_: made.extend(shards) or [])
    known["shards"]["train-000009.tar"] = known["shards"][path.name]
    (path.parent / "shards.json").write_text(json.dumps(known))
    opened("tar", path.parent).card()
    assert made == []
    known["shards"][path.name]["sha256"] = "0"
    (path.parent / "shards.json").write_text(json.dumps(known))
    with pytest.raises(KeyError):
        opened("tar", path.parent).card()
    assert [shard.name for shard in made] == [path.name]


def test_a_damaged_shard_is_written_anew_by_the_same_command(tmp_path):
    write_class_folders(tmp_path / "pictures", num=10)
    packed(tmp_path / "pictures", tmp_path / "shards", shard_size=8)
    path = tmp_path / "shards" / "train-000000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    result = packed(tmp_path / "pictures", tmp_path / "shards", shard_size=8)
    assert path.read_bytes() == whole
    assert result.num_there == result.num_shards - 1
    assert in_words(result).endswith("; 1 written anew, as damaged, missing or of files that changed")


def test_programs_are_told_which_shards_were_there_and_which_are_written_anew(mae, tmp_path):
    path = damaged_shard(tmp_path)
    flip(path, 700)
    said = mae("pack", tmp_path / "pictures", "--out", tmp_path / "shards", "--shard-size", 16, "--json").json
    assert (said["shards"], said["there"], said["anew"]) == (3, 2, 1)


def test_what_cannot_be_packed_is_told(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "pictures", num=4)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(SpecError, match="is not empty"):
        packed(tmp_path / "pictures", tmp_path / "full")
    packed(tmp_path / "pictures", tmp_path / "shards")
    with pytest.raises(SpecError, match="shard_size differ"):
        packed(tmp_path / "pictures", tmp_path / "shards", shard_size=3)
    write_picture(tmp_path / "pictures" / "cat" / "more.png", noise(9, 8, 8, 3))
    with pytest.raises(SpecError, match="samples differ"):
        packed(tmp_path / "pictures", tmp_path / "shards")
    monkeypatch.setattr(pack_module, "MAX_SHARDS", 2)
    with pytest.raises(SpecError, match="more than 2 shards; use a larger one"):
        packed(tmp_path / "pictures", tmp_path / "more", shard_size=1)


def test_a_list_of_shards_that_is_none_is_told_at_once(tmp_path):
    write_class_folders(tmp_path / "pictures", num=4)
    packed(tmp_path / "pictures", tmp_path / "shards")
    path = tmp_path / "shards" / shards.SHARDS
    about = json.loads(path.read_text())
    for facts in about["shards"].values():
        del facts["samples"]
    for text in ("[]", json.dumps(about)):
        path.write_text(text)
        with pytest.raises(DamagedFile, match="no list of the shards"):
            packed(tmp_path / "pictures", tmp_path / "shards")
    os.truncate(path, 2**31)  # of which the disk holds nothing
    with pytest.raises(DamagedFile, match="is larger than"):
        packed(tmp_path / "pictures", tmp_path / "shards")
    with pytest.raises(DataError, match="no list of the shards"):
        opened("tar", tmp_path / "shards").card()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DamagedFile, match="it is no file"):
        packed(tmp_path / "pictures", tmp_path / "shards")
    with pytest.raises(DataError, match="no list of the shards"):
        opened("tar", tmp_path / "shards").card()


def test_other_data_sets_are_packed_as_png_and_what_is_no_picture_is_refused(tmp_path):
    write_mnist(tmp_path / "mnist")
    flags = {"dataset.name": "mnist", "dataset.root": str(tmp_path / "mnist")}
    result = pack(Ask("pretrain", flags=flags), registry(), Progress(), tmp_path / "shards")
    card = opened("tar", tmp_path / "shards").card()
    assert result.num_samples == sum(card.split_sizes.values())
    assert (card.channels, len(card.classes)) == (1, 10)
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(30)))
    rows = Ask("pretrain", flags={"dataset.name": "table", "dataset.root": str(tmp_path / "rows.csv")})
    with pytest.raises(SpecError, match="packs pictures"):
        pack(rows, registry(), Progress(), tmp_path / "no")
