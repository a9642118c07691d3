from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from maecli.errors import PluginError, SpecError
from maecli.registry import registry
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import Layer, difference, flatten, merge, nest
from maecli.spec.recipes import parse_sets, read_config, read_document
from maecli.spec.resolve import Offer, resolve
from maecli.spec.validate import validate_options


def resolved(verb: str = "pretrain", *sets: str, offer: Offer | None = None, **sources: Any) -> RunSpec:
    return resolve(Ask(verb, sets=sets, **sources), registry(), offer)


def value(spec: RunSpec, key: str) -> Any:
    return flatten(spec.model_dump(mode="json"))[key]


def error_of(*sets: str, verb: str = "pretrain", **sources: Any) -> str:
    with pytest.raises(SpecError) as caught:
        resolved(verb, *sets, **sources)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flattening_and_nesting_are_inverse():
    tree = {"a": {"b": 1, "c": {"d": [1, {"e": 2}]}}, "f": None}
    flat = {"a.b": 1, "a.c.d": [1, {"e": 2}], "f": None}
    assert flatten(tree) == flat
    assert nest(flat) == tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-.5e+2", -50.0),
        ("2", 2),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("", None),
        ("[1, 2e-1]", [1, 0.2]),
        ("cat", "cat"),
        ("nan", "nan"),
        ("3 apples: e", {"3 apples": "e"}),
        ("a=b", "a=b"),
    ],
)
def test_values_of_set_are_read_as_yaml_with_all_numbers(text, expected):
    assert parse_sets([f"a.b={text}"]) == flatten({"a.b": expected})


def test_later_assignments_win():
    assert parse_sets(["a.b=1", "a.c=2", "a.b=3"]) == {"a.b": 3, "a.c": 2}


@pytest.mark.parametrize("assignment", ["a.b", "=3", " =3"])
def test_an_assignment_needs_a_key_and_a_value(assignment):
    with pytest.raises(SpecError) as caught:
        parse_sets([assignment])
    assert str(caught.value) == f"--set {assignment!r} is not of the form a.b=c"


def test_a_value_that_is_no_yaml_is_told():
    with pytest.raises(SpecError, match=r"--set a is not valid YAML: "):
        parse_sets(["a=[1"])


def test_a_value_cannot_be_a_section_too():
    with pytest.raises(SpecError, match=r"a\.b\.c: b is a value, not a section"):
        parse_sets(["a.b=1", "a.b.c=2"])


def test_strings_in_documents_stay_strings():
    text = "pretrain: {a: '3 apples: red', b: 1e-3, c: [2e2, x], d: '-e ['}"
    assert read_document(text, "pretrain", "x") == {"a": "3 apples: red", "b": 0.001, "c": [200.0, "x"], "d": "-e ["}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "x must be a YAML mapping"),
        ("- a", "x must be a YAML mapping"),
        ("a: [", "x is not valid YAML: "),
        ("finetune: {}", "x has no section for pretrain, only for finetune"),
        ("pretrain: {}\nseed: 1", "x: a recipe has sections per verb, not seed"),
        ("pretrain: 3", "x: pretrain must be a YAML mapping"),
        ("verb: finetune", "x is a spec of mae finetune, not of mae pretrain"),
    ],
)
def test_documents_that_do_not_fit_are_refused(text, words):
    with pytest.raises(SpecError) as caught:
        read_document(text, "pretrain", "x")
    assert str(caught.value).startswith(words)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"--config .*none\.yaml cannot be read: "):
        read_config(tmp_path / "none.yaml", "pretrain")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match=r"--config .*binary\.yaml is not text in UTF-8"):
        read_config(tmp_path / "binary.yaml", "pretrain")


def test_a_layer_that_names_another_plugin_drops_the_options_of_the_first():
    settings, sources = merge(
        [
            Layer("low", {"model.name": "a", "model.width": 3, "seed": 1}),
            Layer("same", {"model.name": "a", "model.depth": 2}),
            Layer("other", {"model.name": "b", "model.height": 4}),
        ]
    )
    assert settings == {"model.name": "b", "model.height": 4, "seed": 1}
    assert sources == {"model.name": "other", "model.height": "other", "seed": "low"}


def test_a_layer_without_a_name_keeps_the_options():
    settings, _ = merge([Layer("low", {"model.name": "a", "model.width": 3}), Layer("top", {"model.depth": 2})])
    assert settings == {"model.name": "a", "model.width": 3, "model.depth": 2}


@pytest.mark.parametrize("chosen", ["digits", 5, ["digits"]])
def test_a_plugin_section_is_more_than_a_name(chosen):
    with pytest.raises(SpecError) as caught:
        merge([Layer("--set", {"dataset": chosen})])
    assert str(caught.value) == f"--set: dataset is a section; write dataset.name: {chosen}"


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("pretrain: {train: {epochs: 30, batch_size: 30, base_lr: 3e-4, warmup_epochs: 3}}")
    return path


def test_each_source_lies_over_the_one_before(config):
    data = {"dataset.name": "digits"}
    offered = {"dataset": {"name": "digits"}, "model": {"name": "vit-lite", "depth": 2}, "data": {}}
    plain = resolved(flags=data)
    assert plain.sources["trackers"] == "recipe defaults"
    assert plain.sources["train.epochs"] == "recipe digits"
    assert value(plain, "train.epochs") == yaml.safe_load(registry().recipe("digits"))["pretrain"]["train"]["epochs"]
    assert value(plain, "model.depth") != 2
    assert value(resolved(flags=data, offer=offered), "model.depth") == 2
    sets = ("train.batch_size=40", "train.base_lr=4")
    found = resolved("pretrain", *sets, config=config, flags=data | {"train.base_lr": 5.0})
    expected = {"epochs": (30, str(config)), "batch_size": (40, "--set"), "base_lr": (5.0, "flag")}
    assert {key: (value(found, f"train.{key}"), found.sources[f"train.{key}"]) for key in expected} == expected


def test_a_file_lies_over_what_init_offers(tmp_path):
    offered = {"dataset": {"name": "digits"}, "model": {"name": "vit-lite", "depth": 2, "embed_dim": 64}, "data": {}}
    (tmp_path / "config.yaml").write_text("finetune: {task: {name: classify}, model: {depth: 3}}")
    found = resolved("finetune", config=tmp_path / "config.yaml", offer=offered)
    assert (value(found, "model.depth"), value(found, "model.embed_dim")) == (3, 64)


def test_init_does_not_hand_on_what_only_concerned_its_training():
    model = {"name": "vit-lite", "depth": 2, "drop_path": 0.3}
    offered = {"dataset": {"name": "digits"}, "model": model, "data": {}}
    found = resolved("finetune", offer=offered)
    own = yaml.safe_load(registry().recipe("digits"))["finetune"]["model"]["drop_path"]
    assert (value(found, "model.depth"), value(found, "model.drop_path")) == (2, own)


def test_init_hands_on_how_pixels_are_normalised_to_the_same_data_set_only():
    data = {"mean": [0.4], "std": [0.2], "channels": 3, "workers": 2}
    offered = {"dataset": {"name": "digits"}, "model": {"name": "vit-lite"}, "data": data}
    same = resolved("finetune", offer=offered)
    assert (value(same, "data.mean"), value(same, "data.channels")) == ([0.4], 3)
    other = resolved("finetune", offer=offered, flags={"dataset.name": "mnist"})
    assert (value(other, "data.mean"), value(other, "data.channels"), value(other, "data.workers")) == (None, None, 2)


def test_options_that_init_offers_without_a_name_go_to_any_model_that_has_them():
    offered = {"model": {"depth": 3, "patch_size": 2, "unheard_of": 1}}
    found = resolved("finetune", offer=offered, flags={"dataset.name": "digits"})
    assert (value(found, "model.name"), value(found, "model.depth"), value(found, "model.patch_size")) == (
        "vit-lite",
        3,
        2,
    )
    assert found.sources["model.depth"] == "--init"
    named = resolved("finetune", offer=offered, flags={"dataset.name": "digits", "model.name": "vit-tiny"})
    assert value(named, "model.depth") == 12


def test_set_speaks_of_the_plugin_that_the_flag_names():
    found = resolved("pretrain", "model.embed_dim=48", flags={"dataset.name": "digits", "model.name": "vit"})
    assert (value(found, "model.name"), value(found, "model.embed_dim")) == ("vit", 48)
    other = ("model.name=vit-lite", "model.embed_dim=48")
    found = resolved("pretrain", *other, flags={"dataset.name": "digits", "model.name": "vit"})
    assert value(found, "model.embed_dim") == 768


def test_another_model_forgets_the_recipes_options():
    found = resolved(flags={"dataset.name": "digits", "model.name": "vit-tiny", "model.patch_size": 2})
    assert (value(found, "model.depth"), value(found, "model.embed_dim")) == (12, 192)


def test_what_a_recipe_says_and_the_encoder_cannot_do_is_replaced():
    cnn = {"dataset.name": "mnist", "task.name": "classify", "model.name": "resnet18"}
    found = resolved("finetune", flags=cnn)
    assert (value(found, "task.patch_drop"), value(found, "train.layer_decay")) == (0.0, 1.0)
    assert found.sources["task.patch_drop"] == "what the encoder can do"
    frozen = resolved("finetune", "train.freeze=true", flags=cnn | {"model.name": "vit-lite"})
    assert (value(frozen, "task.patch_drop"), value(frozen, "train.layer_decay")) == (0.0, 0.8)


def test_what_a_person_says_is_never_replaced():
    cnn = {"dataset.name": "mnist", "task.name": "classify", "model.name": "resnet18"}
    found = resolved("finetune", "task.patch_drop=0.5", "train.layer_decay=0.9", flags=cnn)
    assert (value(found, "task.patch_drop"), value(found, "train.layer_decay")) == (0.5, 0.9)


def test_every_option_of_the_plugins_is_in_the_spec():
    found = resolved(flags={"dataset.name": "digits"})
    assert value(found, "task.norm_pix_loss") is False
    assert value(found, "model.mlp_ratio") == 2.0
    assert value(found, "dataset.root") is None


def test_a_spec_resolves_to_itself(tmp_path):
    first = resolved("finetune", "train.base_lr=1e-3", flags={"dataset.name": "digits", "task.name": "classify"})
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(first.model_dump(mode="json")))
    assert resolved("finetune", config=tmp_path / "spec.yaml").model_dump() == first.model_dump()


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["dataset.name=digts"], "unknown dataset 'digts'; did you mean 'digits'?; installed: "),
        (
            ["dataset.name=digits", "model.name=vit-tin"],
            "unknown model 'vit-tin'; did you mean 'vit-tiny'?; installed: ",
        ),
        (["dataset.name=digits", "trackers=[jsn]"], "unknown tracker 'jsn'; did you mean 'jsonl'?"),
        (["dataset.name=digits", "epoch=3"], "unknown key 'epoch'; known: "),
        (
            ["dataset.name=digits", "train.epoch=3"],
            "unknown key 'train.epoch'; did you mean 'epochs'?; known: base_lr, ",
        ),
        (
            ["dataset.name=digits", "model.embeddim=3"],
            "unknown key 'model.embeddim'; did you mean 'embed_dim'?; known: ",
        ),
        (["dataset.name=digits", "train.epochs=0"], "train.epochs is 0: input should be greater than or equal to 1"),
        (["dataset.name=digits", "train.epochs=many"], "train.epochs is 'many': input should be a valid integer"),
        (["dataset.name=digits", "train=3"], "train is 3: input should be a valid dictionary"),
        (["dataset.name=digits", "model.patch_size=0"], "model.patch_size is 0: input should be greater than or equal"),
        (["dataset.name=digits", "data.mean=[a]"], "data.mean is 'a': input should be a valid number"),
        (["dataset.name=digits", "augment.zoom=[1]"], "augment.zoom is [1]: field required"),
        (["dataset.name=digits", "augment.zoom=[2, 1]"], "augment.zoom (2.0, 1.0) must be two rising numbers above 0"),
        (
            ["dataset.name=digits", "train.micro_batch_size=999", "train.batch_size=128"],
            "train.micro_batch_size (999) must not be above train.batch_size (128)",
        ),
        (["version=2", "dataset.name=digits"], "version is 2: input should be 1"),
        ([], "dataset is not set: give --dataset, a --recipe or a --config file"),
        (["dataset.root=x"], "dataset.name is not set: give --dataset, a --recipe or a --config file"),
    ],
)
def test_wrong_settings_get_one_sentence(sets, words):
    assert error_of(*sets).startswith(words)


def test_a_wrong_option_names_its_plugin():
    assert error_of("dataset.name=digits", "task.mask_ratio=2").endswith("(options of reconstruct)")


def test_an_unknown_recipe_offers_the_nearest():
    assert error_of(recipe="mnst").startswith("unknown recipe 'mnst'; did you mean 'mnist'?; installed: ")


def test_fine_tuning_needs_a_task():
    message = error_of("dataset.name=digits", "task.name=null", verb="finetune")
    assert message.startswith("task.name is None: input should be a valid string")


def test_options_that_a_plugin_requires_are_asked_for():
    from maecli.plugin_options import Options

    class Needy(Options):
        key: str

    with pytest.raises(SpecError) as caught:
        validate_options("dataset", "needy", {}, Needy)
    assert str(caught.value) == (
        "dataset.key is not set: give --set dataset.key=…, a --recipe or a --config file (options of needy)"
    )


def test_a_refused_plugin_is_no_mistake_in_the_spec(monkeypatch):
    from maecli.registry import Registry

    def refuse(self: Registry, name: str) -> None:
        raise PluginError("broken")

    monkeypatch.setattr(Registry, "model", refuse)
    with pytest.raises(PluginError):
        resolved(flags={"dataset.name": "digits"})


def test_the_difference_of_two_specs_names_keys_and_values():
    old = {"train": {"epochs": 2, "beta1": 0.9}, "out": "a", "init": None}
    new = {"train": {"epochs": 3, "beta1": 0.9}, "out": "b", "seed": 1}
    assert difference(old, new, frozenset({"out"})) == ["seed: None -> 1", "train.epochs: 2 -> 3"]


def test_a_section_for_the_task_is_taken_instead_of_the_verbs_own():
    text = "finetune: {seed: 1}\nfinetune-segment: {seed: 2}"
    assert read_document(text, "finetune", "x", task="segment") == {"seed": 2}
    assert read_document(text, "finetune", "x", task="classify") == {"seed": 1}
    assert read_document(text, "finetune", "x") == {"seed": 1}
    assert read_document("finetune-segment: {seed: 2}", "finetune", "x", required=False, task="classify") == {}
    with pytest.raises(SpecError, match=r"^x has no section for finetune, only for finetune-segment$"):
        read_document("finetune-segment: {seed: 2}", "finetune", "x", task="classify")


def test_a_recipes_section_follows_the_task_that_a_flag_or_a_set_names(tmp_path):
    file = tmp_path / "recipe.yaml"
    dataset = "dataset: {name: digits}"
    file.write_text(f"finetune: {{seed: 1, {dataset}}}\nfinetune-classify: {{seed: 2, {dataset}}}")
    by_flag = resolved("finetune", config=file, flags={"task.name": "classify"})
    by_set = resolved("finetune", "task.name=classify", config=file)
    assert by_flag.seed == by_set.seed == 2


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("train.base_lr=.nan", "train.base_lr is nan: input should be a finite number"),
        ("train.base_lr=.inf", "train.base_lr is inf: input should be a finite number"),
        ("train.epochs=.inf", "train.epochs is inf: input should be a finite number"),
        ("train.base_lr=1e999", "--set train.base_lr is not valid YAML: line 1: '1e999' is no number of 64 bits"),
        ("task.mask_ratio=.nan", "task.mask_ratio is nan: input should be a finite number (options of reconstruct)"),
        ("train.epochs=99999999999", "train.epochs is 99999999999: input should be less than 2147483648"),
        ("seed=9223372036854775808", "seed is 9223372036854775808: input should be less than 9223372036854775808"),
        ("data.workers=2000", "data.workers is 2000: input should be less than or equal to 1024"),
        ("data.labels=" + "9" * 19, "data.labels 9999999999999999999 must be a share above 0%"),
        ("a..b=1", "the key 'a..b' has an empty part; write keys as in train.epochs"),
        (".=1", "the key '.' has an empty part"),
        ("a" + ".a" * 64 + "=1", " has more than 64 parts"),
        ("dataset=voc", "--set: dataset is a section; write dataset.name: voc"),
        ("train.epochs=" + "[" * 9000, "--set train.epochs is not valid YAML: "),
        ("task.head=" + "x" * 5000, "unknown key 'task.head'"),
        ("x" * 5000 + "=1", " … "),
    ],
)
def test_odd_values_are_refused_in_a_sentence(assignment, sentence):
    with pytest.raises(SpecError) as raised:
        resolved("pretrain", assignment, recipe="digits")
    assert sentence in str(raised.value)
    assert len(str(raised.value)) < 500
