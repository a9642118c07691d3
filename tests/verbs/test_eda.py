"""`mae eda` writes a page and numbers, at one stroke, and says what is wrong with data that cannot be used."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from toy_dataset import Shapes, shapes
from toy_grids import series, tables, volumes
from write_data import noise, write_mixed_folder, write_palette, write_picture, write_table, write_voc

from maecli.eda.findings import Findings
from maecli.errors import DataError, Fault, SpecError
from maecli.modalities.preprocess import Preprocess
from maecli.progress import Progress
from maecli.registry import registry
from maecli.schema import AugmentSpec
from maecli.spec.ask import Ask
from maecli.spec.recipes import parse_sets
from maecli.verbs import eda as verb
from maecli.verbs.eda import _as_word, eda, resolve_eda

SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background is started without
from maecli.modalities.pictures.modality import Pictures
survey = Pictures.survey
Pictures.survey = lambda *args: (time.sleep(0.2), survey(*args))[1]
from maecli.cli import interruption, main
interruption.GRACE_S = 60  # to put away what is begun, however slow a machine is
sys.argv = ["mae", *sys.argv[1:]]
main()
"""


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the page empty, which spares its drawing; return the list of what there was to draw."""
    galleries = []
    monkeypatch.setattr(verb, "eda_sections", lambda _, gallery: galleries.append(gallery) or [])
    return galleries


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Return a function that runs `eda` on a data set of the test's own, as if a plugin had brought it."""

    def run(dataset, size=(24, 32), **changes):
        monkeypatch.setattr(verb, "make_dataset", lambda *_: dataset)
        sets = [f"{key}={value}" for key, value in changes.pop("sets", {}).items()]
        flags = {"dataset.name": "digits", "model.img_size": [*size], "out": str(tmp_path / "out")}
        specs = resolve_eda(Ask("eda", sets=["model.patch_size=4", *sets], flags=flags), registry())
        return eda(specs, registry(), Progress(), **changes)

    return run


@pytest.mark.slow
def test_the_page_shows_what_was_found(toy):
    result = toy(shapes(num_train=8))
    page = result.report.read_text(encoding="utf-8")
    for word in (
        *("What to know", "Pictures", "Values", "Classes", "Masks", "Boxes", "As the model sees them", "Copies"),
        *("What predicting background everywhere scores", "Resolved spec", "Environment", ">pretrain<"),
        *("are background: read mIoU", "8 train, 3 val, 3 test"),
    ):
        assert word in page, word
    assert "No copies were found" in page
    assert 'src="http' not in page
    files = {path.name for path in (result.out / "pictures").iterdir()}
    assert files == {
        *("augmented.png", "box-areas.png", "box-aspect-ratios.png", "box-class-frequencies.png"),
        *("class-frequencies.png", "foreground.png", "masks.png", "mask-class-frequencies.png"),
        *("objects-per-picture.png", "region-areas.png", "samples-per-class.png"),
    }
    stored = Findings.model_validate_json((result.out / "eda.json").read_text(encoding="utf-8"))
    assert stored == result.findings
    assert stored.boxes["train"].objects == (4, 4)


def test_masks_go_with_their_pictures_through_augmentation(toy, undrawn):
    toy(shapes(num_train=8), sets={"augment.crop": "random-resized", "augment.flip": "true"})
    (gallery,) = undrawn
    assert [example.key for example in gallery.first] == [f"train/{i}.png" for i in range(5)]
    pretraining, fine_tuning = gallery.augmented
    assert (pretraining.by, fine_tuning.by) == ("pretraining", "fine-tuning")
    assert all(example.mask is None for example in pretraining.examples)
    assert [example.key for example in fine_tuning.examples] == [example.key for example in gallery.first]
    for before, after in zip(gallery.first, fine_tuning.examples, strict=True):
        assert after.mask is not None
        assert after.image.shape == (3, 24, 32)
        assert not np.array_equal(before.image, after.image)
        inside = np.isin(after.mask, (1, 2))
        assert set(np.unique(after.mask)) <= {0, 1, 2, 255}
        if inside.sum() > 20:
            assert after.image[:, inside].mean() > 0.85, "the bright square is where its mask is"


@pytest.mark.parametrize(("flags", "size"), [({}, "8 × 8"), ({"model.img_size": 16}, "16 × 16")])
def test_pictures_are_shown_at_the_size_that_training_plans(pictures, tmp_path, undrawn, flags, size):
    own = {"dataset.name": "folder", "dataset.root": str(pictures), "out": str(tmp_path / "out"), "device": "cpu"}
    result = eda(resolve_eda(Ask("eda", flags=own | flags), registry()), registry(), Progress())
    (gallery,) = undrawn
    assert all(f"resized to {size}" in each.how for each in gallery.augmented)
    assert any("try a smaller --img-size" in sentence for sentence in result.findings.advice) == bool(flags)


def test_a_chain_is_shown_as_training_applies_it(toy, undrawn):
    still = {"augment.translate": 0, "augment.rotate": 0, "augment.zoom": [1, 1]}
    chain = "[{name: InvertImg, p: 1}, {name: HorizontalFlip, p: 1.0}]"
    toy(shapes(num_train=8), sets={"augment.chain": chain, **still})
    (gallery,) = undrawn
    fine_tuning = gallery.augmented[-1]
    assert fine_tuning.how.startswith("changed by InvertImg then HorizontalFlip, the centred part")
    for before, after in zip(gallery.first, fine_tuning.examples, strict=True):
        assert np.allclose(after.image, 1 - before.image[:, :, ::-1], atol=1e-5)
        assert np.array_equal(after.mask, before.mask[:, ::-1])


def test_pictures_without_classes_are_shown_in_rows_without_a_title(toy, undrawn):
    toy(shapes(num_train=8, fields=("image",)))
    (gallery,) = undrawn
    assert [(title, [example.key for example in examples]) for title, examples in gallery.classes] == [
        ("", [f"train/{i}.png" for i in range(6)]),
        ("", ["train/6.png", "train/7.png"]),
    ]


def test_copies_are_shown_side_by_side_and_every_problem_is_listed(toy):
    dataset = Shapes(
        {"train": [1, 2, 3, 4, 5], "val": [2], "test": [7]},
        ("image",),
        {f"train/{i}.png": "truncated file" for i in (3, 4)},
        [("VOC/a.xml", "a box lies outside the image")],
    )
    result = toy(dataset)
    assert (result.out / "pictures" / "copies.png").exists()
    assert any("1 of 1 pictures of val is in train too" in sentence for sentence in result.findings.advice)
    page = result.report.read_text(encoding="utf-8")
    for word in ("exact", "Files that break a rule", "VOC/a.xml", "a box lies outside the image", "train/4.png"):
        assert word in page
    assert len(result.findings.faults) == 3


@pytest.mark.slow
@pytest.mark.parametrize("fields", [("image", "label"), ("image", "mask")])
def test_sets_with_less_to_them_get_a_page_too(toy, fields):
    page = toy(shapes(fields=fields)).report.read_text(encoding="utf-8")
    assert ("Masks</h2>" in page) is ("mask" in fields)
    assert "Boxes</h2>" not in page
    assert "As the model sees them</h2>" in page


def test_an_unusable_set_names_the_files_that_break_a_rule(toy):
    broken = {f"train/{i}.png": "empty file" for i in range(2)}
    rules = [(f"{i}.xml", "is no XML") for i in range(4)]
    with pytest.raises(DataError) as caught:
        toy(shapes(2, 0, 0, broken=broken, rules=rules))
    assert str(caught.value) == (
        "none of the 2 pictures of shapes can be read; train/0.png, for one: empty file; besides, 0.xml: is no XML; "
        "1.xml: is no XML; 2.xml: is no XML; and 2 more"
    )
    assert caught.value.faults == tuple(Fault(*fault) for fault in (*rules, *broken.items()))
    assert caught.value.unnamed_faults == [Fault("3.xml", "is no XML"), Fault("train/1.png", "empty file")]


def test_a_file_that_breaks_the_rule_of_another_is_named_too(toy):
    with pytest.raises(DataError) as caught:
        toy(shapes(1, 0, 0, broken={"train/0.png": "empty file"}, rules=[("0.png", "empty file"), ("b", "empty file")]))
    assert str(caught.value).endswith("train/0.png, for one: empty file; besides, b: empty file")


@pytest.mark.usefixtures("undrawn")
def test_an_earlier_page_is_replaced_only_if_asked_for(toy):
    result = toy(shapes())
    with pytest.raises(SpecError, match="holds what mae eda wrote already; use another --out, or --overwrite"):
        toy(shapes())
    toy(shapes(num_train=4), overwrite=True)
    assert json.loads((result.out / "eda.json").read_text())["pictures"]["train"]["num"] == 4
    (result.out / "thesis.tex").write_text("years of work")
    with pytest.raises(SpecError, match=r"holds what mae eda did not write \(thesis\.tex\), so it stays"):
        toy(shapes(), overwrite=True)
    assert (result.out / "thesis.tex").exists()


STILL = {"augment.translate": 0, "augment.rotate": 0, "augment.zoom": [1, 1]}


@pytest.mark.parametrize(
    ("make", "size", "word"), [(series, [24], "windows"), (volumes, [8, 8, 8], "volumes"), (tables, [4], "rows")]
)
def test_samples_of_other_kinds_are_drawn_as_they_are_and_as_training_gives_them(toy, undrawn, make, size, word):
    result = toy(make(), size, sets=STILL | {"model.patch_size": 1})
    (gallery,) = undrawn
    assert len(gallery.first) == 5
    assert gallery.augmented[0].by == "pretraining"
    for example in (*gallery.first, *gallery.augmented[-1].examples):
        assert example.image.ndim == 3
        assert len(example.image) == 3
        assert (example.mask is not None or example.objects is not None) is (make is volumes)
    assert result.findings.words.many == word


def test_augmentation_that_does_not_suit_the_samples_is_refused_before_they_are_gone_over(toy):
    with pytest.raises(SpecError, match=r"augment\.rotate does not suit series"):
        toy(series(), [24], sets={"augment.rotate": 5})


def test_a_file_in_the_way_is_refused(toy, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(SpecError, match="out is a file; choose another --out"):
        toy(shapes())


def test_augmentation_is_told_in_words():
    spec = AugmentSpec(crop="scale-jitter", flip=True, color=0.3, rotate=10)
    preprocess = Preprocess((160, 160), 3, (0, 255), (0.5,) * 3, (0.2,) * 3)
    assert verb.describe_augment(spec, preprocess) == (
        "scaled by 0.5 to 2, a random part of 160 × 160, mirrored half of the time, turned by up to 10°, brightness, "
        "contrast and saturation changed by up to 30%"
    )


@pytest.mark.slow
def test_the_command_works_on_a_real_plugin(mae, tmp_path):
    pad = ("--set", "augment.crop=pad")
    outcome = mae("eda", "--dataset", "digits", "--out", tmp_path / "out", "--json", *pad)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["report"] == str(tmp_path / "out" / "report.html")
    assert {name: each["num"] for name, each in outcome.json["pictures"].items()} == {
        "train": 1257,
        "val": 180,
        "test": 360,
    }
    assert outcome.json["labels"]["test"]["present"][1] == 37
    assert "pictures of train: 1,257 of 1,257" in outcome.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".mae", "report.html", "eda.json", "pictures"}
    assert (tmp_path / "out" / "pictures" / "augmented.png").exists()


@pytest.mark.slow
def test_pictures_that_are_made_for_a_task_are_shown_when_it_is_asked_for(mae, tmp_path, undrawn):
    sets = ("--set", "dataset.train_canvases=12", "--set", "dataset.val_canvases=4", "--set", "dataset.test_canvases=4")
    outcome = mae("eda", "--dataset", "digits", "--task", "segment", "--out", tmp_path / "out", "--json", *sets)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["masks"]["train"]["num"] == 12
    assert outcome.json["card"]["size"] == [8, 8]
    assert outcome.json["mask_card"]["size"] == [20, 28]
    (gallery,) = undrawn
    assert [augmented.by for augmented in gallery.augmented] == ["fine-tuning"], "pretraining never sees the canvases"


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_a_mixed_folder_gets_a_page_and_exits_with_3(mae, tmp_path):
    mixed = write_mixed_folder(tmp_path / "mixed", num=60)
    outcome = mae("eda", "--dataset", "folder", "--root", tmp_path / "mixed", "--img-size", "16")
    assert outcome.exit_code == 3, outcome.stderr
    out = tmp_path / "runs" / "eda-mixed"
    listed = {fault["path"] for fault in json.loads((out / "eda.json").read_text())["faults"]}
    assert f"mae: {len(listed):,} faults, the first of them: " in outcome.stderr
    assert f"open {out / 'report.html'}\n" in outcome.stdout
    assert listed == set(mixed.broken) | set(mixed.truncated) | set(mixed.arrays)
    assert "resized to 16×16" in outcome.stdout


LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<annotation><object><name>&c;</name></object></annotation>
"""


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda voc: shutil.rmtree(voc / "ImageSets"), "ImageSets"),
        (lambda voc: (voc / "JPEGImages/2012_000001.jpg").unlink(), "2012_000001"),
        (lambda voc: (voc / "Annotations/2012_000001.xml").write_text(LAUGHS), "2012_000001.xml"),
        (lambda voc: write_palette(voc / "SegmentationClass/2012_000001.png", np.full((21, 30), 37, np.uint8)), "37"),
        (lambda voc: (voc / "JPEGImages/2012_000001.jpg").write_bytes(b""), "JPEGImages/2012_000001.jpg: empty file"),
    ],
    ids=["no ImageSets", "absent picture", "billion laughs", "mask of 37", "empty picture"],
)
@pytest.mark.usefixtures("undrawn")
def test_a_bad_devkit_is_told_in_one_sentence_and_left_as_it_is(mae, tmp_path, damage, words):
    voc = write_voc(tmp_path / "data", train=4, val=2, only_main=1)
    damage(voc)
    before = {path: path.read_bytes() for path in voc.rglob("*") if path.is_file()}
    outcome = mae("eda", "--dataset", "voc", "--img-size", "16", "-q")
    assert outcome.exit_code == 3
    assert words in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in voc.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("how", [("-q",), ("--json", "-q")], ids=["quiet", "json"])
def test_every_fault_of_the_lists_is_told(mae, tmp_path, how):
    voc = write_voc(tmp_path / "data", train=6, val=2, only_main=0)
    for i in range(5):
        (voc / f"JPEGImages/2012_{i:06d}.jpg").unlink()
    outcome = mae("eda", "--dataset", "voc", *how)
    assert outcome.exit_code == 3
    *listed, sentence = outcome.stderr.splitlines()
    assert sentence.startswith("mae: ")
    rules = {f"names 2012_{i:06d}, but there is no JPEGImages/2012_{i:06d}.jpg" for i in range(5)}
    assert all(rule in outcome.stderr for rule in rules)
    assert not any(line in sentence for line in listed), "none is told twice"
    if "--json" in how:
        assert outcome.json["exit_code"] == 3
        assert rules <= {fault["reason"] for fault in outcome.json["faults"]}


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_voc_gets_a_page_that_tells_its_two_kinds_of_lists_apart(mae, tmp_path):
    write_voc(tmp_path / "data")
    outcome = mae("eda", "--dataset", "voc", "--img-size", "16", "-q", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr == ""
    page = (tmp_path / "runs" / "eda-voc" / "report.html").read_text(encoding="utf-8")
    for words in ("Classes of the masks", "Classes of the boxes", "which pretraining follows"):
        assert words in page, words
    assert outcome.json["boxes"]["train"]["num"] != outcome.json["masks"]["train"]["num"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--dataset", "folder"), 2, "needs --root"),
        (("--dataset", "digitz"), 2, "did you mean 'digits'"),
        (("--dataset", "digits", "--set", "dataset.colour=1"), 2, "unknown key 'dataset.colour'"),
        (("--dataset", "digits", "--task", "segmnt"), 2, "unknown task 'segmnt'; did you mean 'segment'?"),
        (("--dataset", "digits", "--task", "reconstruct"), 2, "task reconstruct is for mae pretrain"),
        (("--dataset", "voc", "--set", "task.head=nonsense"), 2, "task.head is 'nonsense'"),
        ((), 2, "dataset"),
    ],
)
def test_a_wrong_call_is_one_sentence(mae, args, code, words):
    outcome = mae("eda", *args)
    assert outcome.exit_code == code
    assert words in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_what_is_set_of_a_task_is_for_fine_tuning():
    specs = resolve_eda(Ask("eda", sets=["task.head=upernet"], flags={"dataset.name": "voc"}), registry())
    assert {verb: spec.task.name for verb, spec in specs.items()} == {"pretrain": "reconstruct", "finetune": "segment"}
    assert specs["finetune"].task.options["head"] == "upernet"


def test_a_folder_without_pictures_exits_with_3(mae, tmp_path):
    outcome = mae("eda", "--dataset", "folder", "--root", tmp_path)
    assert outcome.exit_code == 3
    assert "no pictures in" in outcome.stderr


@pytest.mark.slow
def test_interrupting_leaves_nothing_behind(tmp_path):
    for i in range(80):
        write_picture(tmp_path / "in" / f"{i}.png", noise(i, 8, 8, 3))
    out = tmp_path / "runs" / "page"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "eda", "--dataset", "folder", "--root", tmp_path / "in", "--out", out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("pictures of train: ")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "mae: interrupted; nothing was written"
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_counting_tells_rate_and_remaining_time(monkeypatch):
    told = []

    class Told(Progress):
        def update(self, done, total, parts, line, phase=""):
            told.append((done, total, parts, line))

    clock = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    one_more = Told().count("pictures of train", 4)
    for _ in range(4):
        one_more()
    assert [done for done, *_ in told] == [1, 2, 3, 4]
    assert told[1] == (
        *(2, 4, ("pictures of train", "2 of 4", "2 s left", "1/s")),
        "pictures of train: 2 of 4  1/s  2 s left",
    )


def test_the_commands_that_follow_keep_what_is_set_of_the_data(mae, tmp_path):
    path = write_table(tmp_path)
    sets = ("--set", "dataset.target=size", "--set", "dataset.types.rooms=category", "--set", "dataset.missing=[gone]")
    lines = mae("eda", "--dataset", "table", "--root", path, *sets).stdout.splitlines()
    _, first, _, second, _ = lines[lines.index("next:") :]
    kept = ["--root", str(path), *sets[:-1], 'dataset.missing=["gone"]']
    assert sorted(shlex.split(first)[4:]) == sorted(kept), "or pretraining would see what is to be predicted"
    assert "--task regress --init" in second


@pytest.mark.parametrize("name", ["@size", "size: [", "yes", "1e3", "a\nb", "\x1b[31m"])
def test_names_of_columns_are_quoted_as_set_reads_them(name):
    assert parse_sets([f"dataset.target={_as_word(name, 'dataset.target')}"]) == {"dataset.target": name}


def test_the_last_lines_are_commands_that_follow(mae, pictures, tmp_path):
    lines = mae("eda", "--dataset", "folder", "--root", pictures, "--img-size", "16").stdout.splitlines()
    _, first, _, second, _ = lines[lines.index("next:") :]
    assert first.split() == ["mae", "pretrain", "--dataset", "folder", "--root", str(pictures)]
    assert second.split()[:2] == ["mae", "finetune"]


def test_of_many_samples_some_are_looked_at(toy, undrawn):
    result = toy(shapes(80), samples=60)
    assert result.findings.pictures["train"].num == 56
    assert result.findings.card.split_sizes["train"] == 80
    assert "were looked at, chosen by the fixed seed" in result.findings.card.notes[-1]
