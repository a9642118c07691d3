from __future__ import annotations

import json

import pytest
from write_data import write_class_folders, write_mask_folder
from written import csv_rows

from maecli.errors import Interrupted
from maecli.measures import wilson_interval
from maecli.registry import registry
from maecli.run.directory import RunDirectory
from maecli.run.exported.evaluate import dealt_again
from maecli.run.listing import newest_finished_run
from maecli.run.restore import restore
from maecli.spec.ask import Ask
from maecli.spec.resolve import resolve
from maecli.sweep.folds import plan_folds

pytestmark = pytest.mark.usefixtures("without_charts")

NUM = 5
"""Pictures of each of two classes."""


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    write_class_folders(root, num=NUM)
    return root


@pytest.fixture
def folds_of(toy_finetune, pets, tmp_path):
    """Return the arguments of a cross-validation of two folds, of an epoch each."""
    data = ("--dataset", "folder", "--root", pets, "--out", tmp_path / "all")
    return (*toy_finetune, "--epochs", "1", "--batch-size", "2", "--folds", "2", *data)


@pytest.fixture(scope="module")
def pretraining(tmp_path_factory, pets):
    from conftest import TOY_DECODER, TOY_MODEL, TOY_RUN, call

    out = tmp_path_factory.mktemp("runs") / "before"
    data = ("--dataset", "folder", "--root", pets, "--epochs", "1", "--batch-size", "2", "--out", out)
    assert call("pretrain", *TOY_MODEL, *TOY_DECODER, *TOY_RUN, *data).exit_code == 0
    return out


def splits_of(run):
    return {row["file"]: row["split"] for row in csv_rows(run / "splits.csv")}


def test_every_sample_is_measured_once_by_a_run_that_did_not_learn_from_it(mae, folds_of, tmp_path):
    outcome = mae(*folds_of, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    run, found = tmp_path / "all", outcome.json
    dealt = {row["file"]: row["fold"] for row in csv_rows(run / "folds/folds.csv")}
    assert len(dealt) == 2 * NUM
    for number in "12":
        splits = splits_of(run / f"folds/fold-{number}")
        assert {key for key, name in splits.items() if name == "test"} == {
            k for k, fold in dealt.items() if fold == number
        }
    assert sorted(splits_of(run).values()) == ["train"] * (2 * NUM - 1) + ["val"], "the last run learns from all"

    pooled, folds = found["evaluation"], found["folds"]
    hits = round(sum(one["metrics"][0]["value"] * one["num_samples"] for one in folds.values()))
    assert [one["num_samples"] for one in folds.values()] == [NUM, NUM]
    assert (pooled["split"], pooled["num_samples"]) == ("folds", 2 * NUM)
    assert pooled["metrics"][0]["value"] == pytest.approx(hits / (2 * NUM))
    assert pooled["metrics"][0]["interval"] == pytest.approx(wilson_interval(hits, 2 * NUM))
    assert pooled["metrics"][0]["baselines"]["chance"] == 0.5
    assert pooled["tables"][0]["title"] == "Folds"
    assert "mean ± standard deviation" in pooled["notes"][1]
    assert json.loads((run / "evaluation/folds.json").read_text())["metrics"] == pooled["metrics"]
    assert "Cross-validation" in (run / "report.html").read_text()
    assert (run / "folds/report.html").is_file()
    assert newest_finished_run("classify", tmp_path).path == run


def test_an_exported_file_is_measured_on_the_fold_of_its_run_where_its_data_are_given(
    mae, folds_of, pets, tmp_path, capsys
):
    """A file records what a checkpoint does of its run, which stands in for one here."""
    assert mae(*folds_of, "--set", "data.fold=2").exit_code == 0
    run = tmp_path / "all"

    def keys(root):
        restored = restore(run, registry(), print, settings={"dataset.root": root})
        return sorted(dealt_again(restored, root, registry(), print).samples("test").keys)

    assert keys(pets) == sorted(key for key, name in splits_of(run).items() if name == "test")
    assert f"{pets} holds the data of the run, by the numbers of its splits; they are dealt as for fold 2 of 2" in (
        capsys.readouterr().out
    )
    write_class_folders(tmp_path / "others", num=NUM + 1)
    own = restore(run, registry(), print, settings={"dataset.root": tmp_path / "others"}).data
    assert keys(tmp_path / "others") == sorted(own.samples("test").keys)
    assert "dealt" not in capsys.readouterr().out


def test_an_interrupted_cross_validation_goes_on_where_it_was(mae, folds_of, tmp_path, monkeypatch):
    import maecli.sweep.run as doing

    whole = doing.train

    def stopped(spec, *args, **options):
        if spec.data.fold == 2:
            raise Interrupted("saved at step 1; --resume goes on from there")
        return whole(spec, *args, **options)

    monkeypatch.setattr(doing, "train", stopped)
    assert mae(*folds_of).exit_code == 130
    run = tmp_path / "all"
    first = (run / "folds/fold-1/summary.json").read_bytes()
    assert not (run / "summary.json").exists()
    monkeypatch.setattr(doing, "train", whole)
    refused = mae(*folds_of)
    assert refused.exit_code == 2
    assert "use --resume to go on" in refused.stderr
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert (run / "folds/fold-1/summary.json").read_bytes() == first
    assert RunDirectory(run).is_finished
    other = mae("finetune", "--resume", "--out", run, "--folds", "3")
    assert other.exit_code == 2
    assert "data.folds: 2 -> 3" in other.stderr


def test_a_pretraining_that_saw_the_test_parts_is_told_with_the_figure(mae, folds_of, pretraining, tmp_path):
    outcome = mae(*folds_of, "--init", pretraining, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    seen = sum(name == "train" for name in splits_of(pretraining).values())
    sentence = (
        f"{seen} of {2 * NUM} test samples were among those that {pretraining} was trained on, without their labels"
    )
    assert outcome.json["evaluation"]["notes"][-1].startswith(sentence)
    assert outcome.stderr.count(sentence) == 1, "before the first fold"
    assert "test samples were among" in (tmp_path / "all/report.html").read_text()
    assert "test samples were among" in outcome.json["folds"]["fold-1"]["notes"][-1]


def test_each_fold_can_have_a_pretraining_without_its_test_part(mae, folds_of, pretraining, tmp_path):
    outcome = mae(*folds_of, "--init", pretraining, "--fold-pretrain", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    folds = tmp_path / "all/folds"
    for number in "12":
        before, after = splits_of(folds / f"fold-{number}-pretrain"), splits_of(folds / f"fold-{number}")
        assert before == after
        assert RunDirectory(folds / f"fold-{number}").read_spec()["init"] == str(folds / f"fold-{number}-pretrain")
    assert "test samples were among" not in json.dumps(outcome.json)
    assert RunDirectory(tmp_path / "all").read_spec()["init"] == str(pretraining)


def test_weights_that_learnt_the_labels_of_the_folds_are_refused(mae, toy_finetune, pictures, finetuned, tmp_path):
    data = ("--dataset", "folder", "--root", pictures, "--folds", "2", "--out", tmp_path / "all")
    outcome = mae(*toy_finetune, *data, "--init", finetuned)
    assert outcome.exit_code == 2
    assert f"--init {finetuned} learnt the labels of 32 of 40 samples that the folds are tested on" in outcome.stderr
    assert not (tmp_path / "all/spec.yaml").exists()


def test_masks_have_one_confusion_matrix_over_all_folds(mae, toy_finetune, tmp_path):
    write_mask_folder(tmp_path / "masks", 6)
    args = [*toy_finetune, "--epochs", "1", "--folds", "2", "--dataset", "folder", "--root", tmp_path / "masks"]
    args += ["--batch-size", "2"]
    args[args.index("classify")] = "segment"
    outcome = mae(*args, "--out", tmp_path / "all", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    pooled = outcome.json["evaluation"]
    assert pooled["num_samples"] == 6
    assert pooled["metrics"][0]["name"] == "miou"
    assert pooled["metrics"][0]["interval"] is not None, "by resampling the pictures of all folds"
    pixels = sum(row[1] for row in pooled["tables"][1]["rows"])
    assert pixels == 6 * (80 - 4), "all but void, once"


def test_too_few_samples_of_a_class_end_with_a_number_of_folds_that_fits(mae, folds_of, tmp_path):
    outcome = mae(*folds_of, "--folds", "7")
    assert outcome.exit_code == 3
    assert "class 'cat' is in 5 pictures, too few for 7 folds; give --folds 5" in outcome.stderr
    assert not (tmp_path / "all/spec.yaml").exists()


def test_a_run_of_all_folds_has_no_test_split_to_be_measured_on(pets):
    from maecli.errors import DataError
    from maecli.outputs.faults import Faults
    from maecli.run.open import Data

    spec = spec_of(pets)
    with pytest.raises(DataError, match="it learnt from all, and its folds tell how good it is"):
        Data(spec, registry(), ("image", "label"), Faults(lambda _: None, False)).samples("test")


def spec_of(root, **flags):
    chosen = {"dataset.name": "folder", "dataset.root": str(root), "task.name": "classify", "data.folds": 3}
    return resolve(Ask("finetune", flags=chosen | flags), registry())


def test_the_runs_of_folds_differ_in_their_fold_alone(pets):
    spec = spec_of(pets)
    plan = plan_folds(spec, registry())
    assert [job.name for job in plan.jobs] == ["fold-1", "fold-2", "fold-3"]
    assert [job.spec.data.fold for job in plan.jobs] == [1, 2, 3]
    data = spec.data.model_copy(update={"fold": 2})
    assert plan.jobs[1].spec == spec.model_copy(update={"data": data, "out": None})


def test_a_pretraining_for_each_fold_needs_one_of_the_same_data(mae, folds_of, pretraining, tmp_path):
    write_class_folders(tmp_path / "others", num=4)
    outcome = mae(*folds_of, "--root", tmp_path / "others", "--init", pretraining, "--fold-pretrain")
    assert outcome.exit_code == 2
    assert f"{pretraining} learnt from other data; leave it out" in outcome.stderr
    assert mae(*folds_of, "--fold-pretrain").stderr == (
        "mae: fold_pretrain pretrains for each of data.folds as the run of init was: give --folds and --init\n"
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"data.fold": 4}, r"data.fold \(4\) must be one of data.folds \(3\)"),
        ({"data.folds": 1}, "data.folds is 1"),
        ({"data.folds": None, "data.fold": 1}, r"data.fold \(1\) must be one of data.folds \(not set\)"),
    ],
)
def test_a_fold_is_one_of_the_folds(pets, data, sentence):
    with pytest.raises(Exception, match=sentence):
        spec_of(pets, **data)


def test_a_sweep_does_not_cross_validate(mae, tmp_path, pets):
    (tmp_path / "sweep.yaml").write_text("sweep: {finetune: {task: {name: classify}, data: {folds: 2}}}")
    data = ("--dataset", "folder", "--root", pets)
    outcome = mae("sweep", "--config", tmp_path / "sweep.yaml", *data, "--dry-run")
    assert outcome.exit_code == 2
    assert "cross-validate by mae finetune --folds" in outcome.stderr
