"""What nobody set is planned, told in words, and lands in the spec as plain numbers; what a person sets stands."""

import json

import numpy as np
import pytest
import torch
import yaml
from write_data import noise, write_class_folders, write_picture, write_pictures

from maecli.data.sample import TensorSplit
from maecli.plan.survey import flat_share, mirror_images_are_alike, thumbnails
from maecli.spec.resolve import LENGTH

SHORT = ("--time", "5s", "--workers", 0, "--set", "trackers=[jsonl]")


@pytest.fixture
def planned(mae):
    """Return a function that gives what a dry run of some arguments resolves to: its spec, and where it comes from."""

    def resolve(*args):
        outcome = mae(*args, "--dry-run", "--json")
        assert outcome.exit_code == 0, outcome.stderr
        return outcome.json["spec"], outcome.json["sources"], outcome

    return resolve


def test_all_that_nobody_set_is_planned_and_told(planned, pictures):
    spec, sources, outcome = planned("pretrain", "--dataset", "folder", "--root", pictures, *SHORT)
    for key in ("model.name", "model.patch_size", "train.batch_size", "train.epochs", "train.base_lr", "augment.crop"):
        assert sources[key] == "plan", key
    assert spec["model"]["img_size"] == 8
    assert spec["train"]["batch_size"] == 8
    [line] = [line for line in outcome.stderr.splitlines() if line.startswith("40 ")]
    assert "40 pictures (32 train, 4 val, 4 test) of about 8 × 8 on " in line
    assert f"batches of {spec['train']['batch_size']}, " in line
    assert outcome.json["estimated_seconds"] <= 100  # the fewest steps, on a machine as busy as any


def test_what_a_person_sets_stands_and_the_rest_suits_it(planned, pictures):
    told = ("finetune", "--task", "classify", "--dataset", "folder", "--root", pictures, *SHORT[2:])
    spec, sources, _ = planned(*told, "--epochs", 3, "--batch-size", 8, "--patch-size", 4)
    assert (spec["train"]["epochs"], spec["train"]["batch_size"], spec["model"]["patch_size"]) == (3, 8, 4)
    smaller, _, _ = planned(*told, "--epochs", 3, "--batch-size", 2, "--patch-size", 4)
    rates = [each["train"]["base_lr"] * each["train"]["batch_size"] / 256 for each in (smaller, spec)]
    assert rates[0] / rates[1] == pytest.approx(0.5, rel=0.1)
    assert sources["train.base_lr"] == "plan"
    assert spec["train"]["warmup_epochs"] < 1


def test_adapters_are_given_a_higher_rate_in_all_layers_alike_which_is_told(planned, pictures, pretrained):
    told = ("finetune", "--task", "classify", "--dataset", "folder", "--root", pictures, "--init", pretrained)
    all_weights, _, _ = planned(*told, "--epochs", 1, *SHORT[2:])
    spec, sources, outcome = planned(*told, "--epochs", 1, *SHORT[2:], "--adapt", "lora")
    assert spec["train"]["base_lr"] / all_weights["train"]["base_lr"] == pytest.approx(4, rel=0.05)
    assert (all_weights["train"]["layer_decay"], spec["train"]["layer_decay"]) == (0.75, 1)
    assert sources["train.base_lr"] == sources["train.layer_decay"] == "plan"
    assert ", adapters at 4 times the rate of all weights" in outcome.stderr


def test_a_frozen_encoder_sees_unchanged_samples(planned, pictures, pretrained):
    told = ("--dataset", "folder", "--root", pictures, "--init", pretrained, "--epochs", 1)
    spec, _, _ = planned("finetune", "--task", "classify", *told, "--freeze")
    assert not spec["augment"]["flip"]
    assert spec["augment"]["crop"] == "none"


def test_a_run_goes_on_and_is_repeated_as_it_was_planned(tmp_path, mae, monkeypatch):
    write_class_folders(tmp_path / "pictures", num=13)
    told = ("pretrain", "--dataset", "folder", "--root", tmp_path / "pictures", *SHORT[2:], "--out", tmp_path / "run")
    outcome = mae(*told, "--epochs", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert "\nplan    26 pictures (20 train, 3 val, 3 test) of about " in outcome.stderr
    text = (tmp_path / "run/spec.yaml").read_text()

    monkeypatch.setattr("maecli.verbs.train.make_plan", None)
    assert mae(*told, "--resume").exit_code == 0
    assert (tmp_path / "run/spec.yaml").read_text() == text
    again = mae("pretrain", "--config", tmp_path / "run/spec.yaml", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.stderr
    spec, other = (yaml.safe_load((tmp_path / name / "spec.yaml").read_text()) for name in ("run", "again"))
    assert spec | {"out": None} == other | {"out": None}


def test_what_a_recipe_says_is_not_planned(planned, mae):
    _, sources, _ = planned("pretrain", "--dataset", "digits", "--epochs", 1)
    assert "plan" not in sources.values()


@pytest.mark.parametrize("named", [(), ("--recipe", "digits")])
def test_with_a_time_a_recipe_is_followed_for_as_long(planned, mae, named):
    told = ("pretrain", "--dataset", "digits", "--workers", 0, *named)
    whole, _, _ = planned(*told)
    spec, sources, outcome = planned(*told, "--time", "5s")
    assert {key for key, source in sources.items() if source == "plan"} == set(LENGTH)
    assert spec["train"]["epochs"] < whole["train"]["epochs"]
    for tree in (spec, whole):
        tree["train"] = {key: value for key, value in tree["train"].items() if f"train.{key}" not in LENGTH}
        del tree["eval_every_epochs"], tree["checkpoint"]["every_epochs"]
    assert spec == whole
    assert "batches of 32, 100 steps (2.6 epochs), about " in outcome.stderr


def test_a_file_that_says_how_long_a_run_trains_is_not_planned(tmp_path, mae):
    file = tmp_path / "spec.yaml"
    file.write_text("dataset: {name: digits}\ntrain: {epochs: 2}\n")
    outcome = mae("pretrain", "--config", file, "--time", "1m")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: --time plans how long a run trains, and {file} says it already; leave one of them out\n"
    )


def test_time_that_is_left_over_pays_for_the_comparison_which_is_told_and_counted(planned, pictures, pretrained, mae):
    told = ("finetune", "--task", "classify", "--dataset", "folder", "--root", pictures, "--init", pretrained)
    _, sources, outcome = planned(*told, "--time", "5m", *SHORT[2:])
    assert sources["train.layer_decay"] == "plan"
    assert outcome.json["compared_with"] == ["the same from scratch"]
    assert " more for the same from random weights, to tell whether pretraining pays" in outcome.stderr
    _, _, alone = planned(*told, "--time", "5m", *SHORT[2:], "--compare", "none")
    assert "compared_with" not in alone.json
    assert "from random weights" not in alone.stderr
    shown = mae("plan", *told[1:], "--time", "5m", "--workers", 0, "--json").json["choices"]
    assert all(0 < choice["compared_seconds"] <= choice["estimated_seconds"] / 2 + 0.1 for choice in shown)


def test_a_directory_that_is_taken_is_refused_before_time_is_spent(tmp_path, pictures, mae, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/mine.txt").touch()
    monkeypatch.setattr("maecli.verbs.train.make_plan", None)
    outcome = mae("pretrain", "--dataset", "folder", "--root", pictures, "--out", tmp_path / "run")
    assert outcome.exit_code == 2
    assert "is not empty" in outcome.stderr


def test_thirteen_pictures_of_any_size_are_enough(tmp_path, planned):
    write_pictures(tmp_path / "in", 13, (30, 300))
    spec, _, _ = planned("pretrain", "--dataset", "folder", "--root", tmp_path / "in", *SHORT)
    height, width = spec["model"]["img_size"]
    assert width > 4 * height
    assert spec["train"]["batch_size"] == 8


def test_ways_to_train_are_shown_with_what_each_gives_up(mae, pictures):
    outcome = mae("plan", "--dataset", "folder", "--root", pictures, "--time", "8s", "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith("40 pictures (32 train, 4 val, 4 test) of about 8 × 8 on ")
    assert "--time 2s" not in outcome.stdout.splitlines()[0]
    choices = mae(*("plan", "--dataset", "folder", "--root", pictures, "--time", "8s", "--workers", 0, "--json")).json[
        "choices"
    ]
    names = [choice["name"] for choice in choices]
    assert "planned" in names
    steps = [choice["steps"] for choice in choices]
    assert steps == sorted(steps)
    assert all(choice["gives_up"] for choice in choices if choice["name"] != "planned")
    assert json.dumps(choices[0]["settings"])


def test_photographs_may_be_mirrored_and_writing_may_not():
    noisy = TensorSplit({"image": _tensor([noise(seed, 3, 16, 16) for seed in range(120)])})
    assert mirror_images_are_alike(thumbnails(noisy))
    corners = []
    for seed in range(120):
        picture = noise(seed, 3, 16, 16) // 2
        picture[:, :6, :6] += 120  # brighter at the upper left, as ink in a digit
        corners.append(picture)
    assert not mirror_images_are_alike(thumbnails(TensorSplit({"image": _tensor(corners)})))
    assert mirror_images_are_alike(thumbnails(TensorSplit({"image": _tensor(corners[:10])})))


def test_parts_in_which_nothing_varies_are_counted():
    flat = np.zeros((3, 12, 12), np.uint8)
    flat[:, :6, :6] = noise(0, 3, 6, 6)
    share = flat_share(thumbnails(TensorSplit({"image": _tensor([flat] * 4)})))
    assert share == pytest.approx(0.75, abs=0.1)
    assert flat_share(thumbnails(TensorSplit({"image": _tensor([noise(1, 3, 24, 24)])}))) < 0.1


def _tensor(pictures):
    return torch.from_numpy(np.stack(pictures))


def test_a_picture_that_cannot_be_read_stops_no_plan(tmp_path, planned):
    write_pictures(tmp_path / "in", 60)
    data = (tmp_path / "in/003.png").read_bytes()
    (tmp_path / "in/003.png").write_bytes(data[:60])
    write_picture(tmp_path / "in/extra.png", noise(3, 8, 8, 3))
    spec, _, _ = planned("pretrain", "--dataset", "folder", "--root", tmp_path / "in", *SHORT)
    assert spec["model"]["img_size"] == 8
