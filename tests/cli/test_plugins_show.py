"""What a plugin says of itself: `mae plugins show` and `--help-options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from installed import DATASET, dataset_package, look_again, write_package
from pydantic import BaseModel, Field

from maecli.cli.show.answers import words
from maecli.registry.describe import describe_options, type_words


def test_show_tells_words_options_card_and_command(site, mae):
    dataset_package(site)
    look_again()
    outcome = mae("plugins", "show", "birds")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("dataset birds, of mae-birds 1.2 (mae_birds)\n\nNoise of two kinds.\n")
    found = mae("plugins", "show", "dataset.birds", "--json").json
    assert found["options"] == [
        {
            "key": "dataset.root",
            "type": "path | null",
            "default": "null",
            "description": "folder that holds the data; default: MAE_DATA, else ./data",
        },
        {"key": "dataset.side", "type": "int >= 4", "default": "8", "description": "pixels along each side"},
    ]
    for each in found["options"]:
        assert each["key"] in outcome.stdout
    assert found["card"]["split_sizes"] == {"train": 16, "val": 4, "test": 4}
    assert "train 16, val 4, test 4" in outcome.stdout
    assert outcome.stdout.endswith("\nnext:\n  mae pretrain --dataset birds\n      use it\n")


def test_show_tells_numbers_in_four_digits(site, mae):
    text = DATASET.format(cls="Birds", name="birds").replace("mean=(0.5,)", "mean=(2 / 3,)")
    write_package(site, "mae-birds", {"dataset.birds": "mae_birds"}, mae_birds=text)
    look_again()
    lines = [line.split() for line in mae("plugins", "show", "birds").stdout.splitlines()]
    assert ["mean", "0.6667"] in lines
    assert mae("plugins", "show", "birds", "--json").json["card"]["mean"] == [2 / 3]


def test_show_survives_a_card_that_fails(site, mae):
    text = DATASET.format(cls="Birds", name="birds").replace("return api.DataCard(", "return dict(zip(1)) or dict(")
    write_package(site, "mae-birds", {"dataset.birds": "mae_birds"}, mae_birds=text)
    look_again()
    found = mae("plugins", "show", "birds", "--json").json
    assert found["card"] is None
    assert found["no_card"] == "Birds.card() fails: TypeError: 'int' object is not iterable"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "int"),
        (bool, "true | false"),
        (str | None, "text | null"),
        (Path | None, "path | null"),
        (Literal["mean", "cls"], "mean | cls"),
        (Annotated[int, Field(ge=0)] | None, "int >= 0 | null"),
        (tuple[float, ...], "list of float"),
        (tuple[int, int], "list of 2: int"),
        (int | tuple[int, ...] | None, "int | list of int | null"),
        (list[str], "list of text"),
        (dict[str, int], "dict"),
    ],
)
def test_a_type_is_told_as_set_takes_it(annotation, words):
    assert type_words(annotation) == words


def test_defaults_and_limits_are_told_as_set_takes_them():
    class Options(BaseModel):
        needed: int | None = Field(ge=1)
        on: bool = True
        size: tuple[int, int] = (3, 4)
        name: str = "x"
        rates: list[float] = Field(default_factory=lambda: [0.5])
        half: int = Field(default_factory=lambda data: data["size"][0] // 2)
        failing: int = Field(default_factory=lambda: 1 // 0)

    found = describe_options("task", Options)
    assert [option.default for option in found] == [
        *("required", "true", "[3, 4]", "x", "[0.5]"),
        *("computed", "computed"),
    ]
    assert found[0].type == "int >= 1 | null"


def test_show_says_where_data_are_missed(mae, tmp_path):
    found = mae("plugins", "show", "dataset.folder", "--root", tmp_path / "nowhere", "--json").json
    assert found["card"] is None
    assert str(tmp_path / "nowhere") in found["no_card"]
    assert found["command"] == f"mae pretrain --dataset folder --root {tmp_path / 'nowhere'}"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "classify",
            ["for: mae finetune", "task.pool", "mean | cls", "mae finetune --dataset YOUR-DATASET --task classify"],
        ),
        ("reconstruct", ["for: mae pretrain", "task.mask_ratio", "--set task.name=reconstruct"]),
        ("vit", ["masked autoencoding: yes", "model.depth", "mae pretrain --dataset YOUR-DATASET --model vit"]),
        ("resnet18", ["masked autoencoding: no", "mae finetune --dataset YOUR-DATASET --model resnet18"]),
        ("jsonl", ["--set trackers=[jsonl]"]),
        ("recipe.digits", ["for: ", "mae pretrain --recipe digits"]),
    ],
)
def test_show_knows_every_kind(mae, name, says):
    outcome = mae("plugins", "show", name)
    assert outcome.exit_code == 0
    for each in says:
        assert each in outcome.stdout


def test_show_of_a_broken_plugin_gives_its_line(site, mae):
    write_package(site, "mae-rotten", {"task.rot": "mae_rotten"}, "0.3", mae_rotten="1 / 0")
    look_again()
    outcome = mae("plugins", "show", "rot", "--json")
    assert outcome.exit_code == 4
    assert outcome.json["error"] == (
        "mae-rotten 0.3: task 'rot' cannot be imported: ZeroDivisionError: division by zero"
    )


def test_options_in_help_are_those_of_the_chosen_plugins_in_their_own_words(mae):
    outcome = mae("finetune", "--task", "classify", "--help-options", "--json")
    dataset, task, model = outcome.json["plugins"]
    assert (dataset["name"], task["name"]) == ("", "classify")
    assert model["kind"] == "model"
    [smoothing] = [each for each in task["options"] if each["key"] == "task.label_smoothing"]
    assert smoothing == {
        "key": "task.label_smoothing",
        "type": "float >= 0, < 1",
        "default": "0.0",
        "description": "arXiv:1512.00567, section 7; of several labels, each is smoothed towards one half",
    }
    plain = mae("finetune", "--task", "classify", "--help-options")
    assert plain.exit_code == 0
    assert "dataset: none is chosen; `mae plugins` lists them" in plain.stdout
    assert "task classify: Cross-entropy on pooled tokens; top-1 accuracy beside majority and chance." in plain.stdout
    assert "task.label_smoothing" in plain.stdout


def test_options_in_help_tell_what_settings_make_of_them(mae):
    outcome = mae("pretrain", "--dataset", "digits", "--mask-ratio", 0.5, "--help-options", "--json")
    dataset, task, _ = outcome.json["plugins"]
    assert dataset["name"] == "digits"
    assert task["here"]["task.mask_ratio"] == "0.5 (flag)"
    assert outcome.stderr == ""


def test_numbers_that_belong_together_are_shown_together():
    assert words([[0.0, 255.0], [-12.5, 30.0]]) == "(0, 255), (-12.5, 30)"
    assert words([0.0, 255.0]) == "0, 255"


def test_what_a_mapping_leaves_empty_is_not_shown():
    assert words({"bits": 16, "mask": None, "name": "", "zero": 0, "on": False}) == "bits 16, zero 0, on no"
