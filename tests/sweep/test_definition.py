from __future__ import annotations

import pytest

from maecli.errors import SpecError
from maecli.registry import registry
from maecli.sweep.definition import find_tree, make_sweep, parse_grid, parse_seeds


def test_the_values_of_a_grid_key_are_yaml():
    assert parse_grid(["mask_ratio=0.5,0.75", "model.patch_size=[2,4],4", "train.base_lr=1e-3"]) == {
        "mask_ratio": [0.5, 0.75],
        "model.patch_size": [[2, 4], 4],
        "train.base_lr": [0.001],
    }
    assert parse_grid(["data.labels=1%,100%", "task.mask=random,grid"]) == {
        "data.labels": ["1%", "100%"],
        "task.mask": ["random", "grid"],
    }


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["mask_ratio"], "--grid 'mask_ratio' is not of the form KEY=VALUE,VALUE, such as model.patch_size=2,4"),
        (["mask_ratio="], "--grid 'mask_ratio=' is not of the form KEY=VALUE,VALUE, such as model.patch_size=2,4"),
        (["=1,2"], "--grid '=1,2' is not of the form KEY=VALUE,VALUE, such as model.patch_size=2,4"),
        (["a=1", "a=2"], "--grid a is given twice; write all its values in one: a=VALUE,VALUE"),
        (["a=[1"], "--grid a is not valid YAML: "),
        (["a=1,null"], "--grid 'a=1,null' has an empty value; the values are separated by single commas"),
    ],
)
def test_a_grid_that_cannot_be_read_is_told(texts, words):
    with pytest.raises(SpecError) as caught:
        parse_grid(texts)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(("text", "seeds"), [("3", (0, 1, 2)), ("1", (0,)), ("0,5", (0, 5)), ("7,", (7,))])
def test_seeds_are_a_number_or_a_list(text, seeds):
    assert make_sweep({"seeds": parse_seeds(text)}).seeds == seeds


@pytest.mark.parametrize("text", ["many", "-1", "", "1,-2"])
def test_other_seeds_are_refused(text):
    with pytest.raises(SpecError, match=f"--seeds {text!r} is neither a number of seeds nor a list of them such as"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("tree", "verbs"),
    [
        ({}, ("pretrain", "finetune")),
        ({"pretrain": None}, ("pretrain",)),
        ({"finetune": {"task": {"name": "classify"}}}, ("finetune",)),
        ({"pretrain": False}, ("finetune",)),
        ({"pretrain": {}, "finetune": False}, ("pretrain",)),
    ],
)
def test_a_sweep_does_what_has_a_section_or_both(tree, verbs):
    assert make_sweep(tree).verbs == verbs


def test_settings_are_dotted_or_nested():
    sweep = make_sweep({"arms": {"probe": {"train.freeze": True, "task": {"head": "linear"}, "recipe": "digits"}}})
    assert sweep.arms["probe"].settings == {"train.freeze": True, "task.head": "linear"}
    assert sweep.arms["probe"].recipe == "digits"


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"sedes": 3}, "unknown key 'sweep.sedes'; did you mean 'seeds'?; known: arms, finetune, grid, name, "),
        ({"seeds": 0}, "seeds is 0: give how many, at least 1, or a list of them"),
        ({"seeds": [1, 1]}, "seeds [1, 1] has one seed twice"),
        ({"pretrain": False, "finetune": False}, "a sweep without pretraining and without fine-tuning does nothing"),
        ({"pretrain": {}, "arms": {"a": {}}}, "arms are fine-tunings, but this sweep has no section finetune"),
        ({"arms": {"a b": {}}}, "the arm 'a b' must be named by letters, digits, - and _"),
        (
            {"arms": {"long": {"total_time_of": "tned"}, "tuned": {}}},
            "arms.long.total_time_of is 'tned'; did you mean ",
        ),
        (
            {"arms": {"a": {"scratch": True}, "b": {"total_time_of": "a"}}},
            "arms.b.total_time_of is 'a'; arms that start",
        ),
        (
            {"finetune": {}, "arms": {"a": {}, "b": {"total_time_of": "a"}}},
            "arms.b.total_time_of counts a pretraining's time, but this sweep has none",
        ),
        ({"grid": {"seed": []}}, "the grid key seed has no values"),
        ({"grid": {"mask_ratio": [0.5, 0.5]}}, "the grid key mask_ratio has a value twice: [0.5, 0.5]"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_one_sentence(tree, words):
    with pytest.raises(SpecError) as caught:
        make_sweep(tree)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_a_recipe_without_a_sweep_serves_both_verbs():
    assert find_tree(registry(), "digits", None) == {
        "name": "digits",
        "pretrain": {"recipe": "digits"},
        "finetune": {"recipe": "digits"},
    }


def test_a_file_needs_the_section_and_gives_the_name(tmp_path):
    file = tmp_path / "ratios.yaml"
    file.write_text("about: none\npretrain: {}\n")
    with pytest.raises(SpecError, match=r"ratios.yaml has no section sweep; write what varies below `sweep:`"):
        find_tree(registry(), None, file)
    file.write_text("sweep: {seeds: 2}\n")
    assert find_tree(registry(), None, file) == {"name": "ratios", "seeds": 2}
    file.write_text("sweep: [1]\n")
    with pytest.raises(SpecError, match="sweep must be a YAML mapping"):
        find_tree(registry(), None, file)
    with pytest.raises(SpecError, match="give --recipe or --config, not both: each says what the sweep is"):
        find_tree(registry(), "digits", file)
    with pytest.raises(SpecError, match=r"--config .*nowhere cannot be read"):
        find_tree(registry(), None, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"seeds": 10**9}, "seeds is 1000000000: a sweep takes at most 1,000"),
        ({"seeds": [2**63]}, "input should be less than 9223372036854775808"),
        ({"grid": {"seed": list(range(1001))}}, "the grid key seed has 1,001 values; a sweep takes at most 1,000"),
        ({"grid": {f"k{i}": [1, 2, 3] for i in range(100)}}, "make 5.15e+47 points; a sweep takes at most 10,000"),
    ],
)
def test_a_sweep_of_more_runs_than_anybody_meant_is_refused(tree, sentence):
    with pytest.raises(SpecError) as raised:
        make_sweep(tree)
    assert sentence in str(raised.value)
