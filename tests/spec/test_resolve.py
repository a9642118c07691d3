from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from maecli.errors import PluginError, SpecError
from maecli.registry import registry
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import flatten
from maecli.spec.resolve import Offer, resolve


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
    spec = resolved("pretrain", *sets, config=config, flags=data | {"train.base_lr": 5.0})
    expected = {"epochs": (30, str(config)), "batch_size": (40, "--set"), "base_lr": (5.0, "flag")}
    assert {key: (value(spec, f"train.{key}"), spec.sources[f"train.{key}"]) for key in expected} == expected


def test_a_file_lies_over_what_init_offers(tmp_path):
    offered = {"dataset": {"name": "digits"}, "model": {"name": "vit-lite", "depth": 2, "embed_dim": 64}, "data": {}}
    (tmp_path / "config.yaml").write_text("finetune: {task: {name: classify}, model: {depth: 3}}")
    spec = resolved("finetune", config=tmp_path / "config.yaml", offer=offered)
    assert (value(spec, "model.depth"), value(spec, "model.embed_dim")) == (3, 64)


def test_init_does_not_hand_on_what_only_concerned_its_training():
    model = {"name": "vit-lite", "depth": 2, "drop_path": 0.3}
    offered = {"dataset": {"name": "digits"}, "model": model, "data": {}}
    spec = resolved("finetune", offer=offered)
    own = yaml.safe_load(registry().recipe("digits"))["finetune"]["model"]["drop_path"]
    assert (value(spec, "model.depth"), value(spec, "model.drop_path")) == (2, own)


def test_init_hands_on_how_pixels_are_normalised_to_the_same_data_set_only():
    data = {"mean": [0.4], "std": [0.2], "channels": 3, "workers": 2}
    offered = {"dataset": {"name": "digits"}, "model": {"name": "vit-lite"}, "data": data}
    same = resolved("finetune", offer=offered)
    assert (value(same, "data.mean"), value(same, "data.channels")) == ([0.4], 3)
    other = resolved("finetune", offer=offered, flags={"dataset.name": "mnist"})
    assert (value(other, "data.mean"), value(other, "data.channels"), value(other, "data.workers")) == (None, None, 2)


def test_options_that_init_offers_without_a_name_go_to_any_model_that_has_them():
    offered = {"model": {"depth": 3, "patch_size": 2, "unheard_of": 1}}
    spec = resolved("finetune", offer=offered, flags={"dataset.name": "digits"})
    assert (value(spec, "model.name"), value(spec, "model.depth"), value(spec, "model.patch_size")) == (
        "vit-lite",
        3,
        2,
    )
    assert spec.sources["model.depth"] == "--init"
    named = resolved("finetune", offer=offered, flags={"dataset.name": "digits", "model.name": "vit-tiny"})
    assert value(named, "model.depth") == 12


def test_set_speaks_of_the_plugin_that_the_flag_names():
    spec = resolved("pretrain", "model.embed_dim=48", flags={"dataset.name": "digits", "model.name": "vit"})
    assert (value(spec, "model.name"), value(spec, "model.embed_dim")) == ("vit", 48)
    other = ("model.name=vit-lite", "model.embed_dim=48")
    spec = resolved("pretrain", *other, flags={"dataset.name": "digits", "model.name": "vit"})
    assert value(spec, "model.embed_dim") == 768


def test_another_model_forgets_the_recipes_options():
    spec = resolved(flags={"dataset.name": "digits", "model.name": "vit-tiny", "model.patch_size": 2})
    assert (value(spec, "model.depth"), value(spec, "model.embed_dim")) == (12, 192)


def test_what_a_recipe_says_and_the_encoder_cannot_do_is_replaced():
    cnn = {"dataset.name": "mnist", "task.name": "classify", "model.name": "resnet18"}
    spec = resolved("finetune", flags=cnn)
    assert (value(spec, "task.patch_drop"), value(spec, "train.layer_decay")) == (0.0, 1.0)
    assert spec.sources["task.patch_drop"] == "what the encoder can do"
    frozen = resolved("finetune", "train.freeze=true", flags=cnn | {"model.name": "vit-lite"})
    assert (value(frozen, "task.patch_drop"), value(frozen, "train.layer_decay")) == (0.0, 0.8)


def test_what_a_person_says_is_never_replaced():
    cnn = {"dataset.name": "mnist", "task.name": "classify", "model.name": "resnet18"}
    spec = resolved("finetune", "task.patch_drop=0.5", "train.layer_decay=0.9", flags=cnn)
    assert (value(spec, "task.patch_drop"), value(spec, "train.layer_decay")) == (0.5, 0.9)


def test_every_option_of_the_plugins_is_in_the_spec():
    spec = resolved(flags={"dataset.name": "digits"})
    assert value(spec, "task.norm_pix_loss") is False
    assert value(spec, "model.mlp_ratio") == 2.0
    assert value(spec, "dataset.root") is None


def test_a_spec_resolves_to_itself(tmp_path):
    first = resolved("finetune", "train.base_lr=1e-3", flags={"dataset.name": "digits", "task.name": "classify"})
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(first.model_dump(mode="json")))
    assert resolved("finetune", config=tmp_path / "spec.yaml").model_dump() == first.model_dump()


def test_a_chain_of_transforms_stays_as_it_was_written(tmp_path):
    written = [{"name": "GaussianBlur", "blur_limit": [3, 5], "p": 0.3}, {"name": "CLAHE"}]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"augment": {"chain": written}}))
    first = resolved(config=tmp_path / "run.yaml", flags={"dataset.name": "digits"})
    assert value(first, "augment.chain") == written
    assert not first.augment.changes_nothing
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(first.model_dump(mode="json")))
    assert resolved(config=tmp_path / "spec.yaml").model_dump() == first.model_dump()
    other = resolved("pretrain", "augment.chain=[{name: CLAHE}]", config=tmp_path / "spec.yaml")
    assert value(other, "augment.chain") == [{"name": "CLAHE"}]


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        *(
            (
                ["dataset.name=digits", f"augment.chain={text}"],
                f"augment.chain {read} must be a list of transforms, each with its name, as in [{{name: CLAHE}}]",
            )
            for text, read in (
                ("CLAHE", "'CLAHE'"),
                ("[CLAHE]", "['CLAHE']"),
                ("{name: CLAHE}", "{'name': 'CLAHE'}"),
                ("[{p: 1}]", "[{'p': 1}]"),
            )
        ),
        (
            ["dataset.name=digits", "augment.chain=[{name: CLAHE}]", "data.loading=resident"],
            "data.loading resident keeps samples at the model's size, and augment.chain changes them before they are",
        ),
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
        (["dataset.val_share=0.2"], "dataset.name is not set: give --dataset, a --recipe or a --config file"),
    ],
)
def test_wrong_settings_get_one_sentence(sets, words):
    assert error_of(*sets).startswith(words)


def test_a_wrong_option_names_its_plugin():
    assert error_of("dataset.name=digits", "task.mask_ratio=2").endswith("(options of reconstruct)")


def test_an_unknown_recipe_offers_the_nearest():
    assert error_of(recipe="mnst").startswith("unknown recipe 'mnst'; did you mean 'mnist'?; installed: ")


def test_fine_tuning_needs_a_task(monkeypatch):
    monkeypatch.setattr(registry().dataset("voc"), "recipe", None)
    message = error_of("dataset.name=voc", verb="finetune")
    assert message == "task is not set: give --task, a --recipe or a --config file"


def test_a_refused_plugin_is_no_mistake_in_the_spec(monkeypatch):
    from maecli.registry import Registry

    def refuse(self: Registry, name: str) -> None:
        raise PluginError("broken")

    monkeypatch.setattr(Registry, "model", refuse)
    with pytest.raises(PluginError):
        resolved(flags={"dataset.name": "digits"})


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
        ("dataset=", "--set: dataset is a section; write dataset.name: NAME, or leave it out"),
        ("model.name=null", "--set: model.name is null, which names none; name one, or leave it out"),
        ("task.name=none", "unknown task 'none'; installed: classify"),
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


def test_a_root_alone_is_for_the_data_set_that_reads_any_folder(monkeypatch):
    spec = resolved(flags={"dataset.root": "somewhere"})
    assert (spec.dataset.name, spec.dataset.options["root"]) == ("folder", "somewhere")
    assert value(resolved(flags={"dataset.root": "somewhere", "dataset.name": "mnist"}), "dataset.name") == "mnist"
    offered = {"dataset": {"name": "voc"}, "model": {"name": "vit-lite"}, "data": {}}
    assert value(resolved(flags={"dataset.root": "somewhere"}, offer=offered), "dataset.name") == "voc"
    monkeypatch.setattr(registry().dataset("voc"), "meant_by_root", True)
    assert (
        error_of("dataset.root=somewhere") == "dataset.name is not set: give --dataset, a --recipe or a --config file"
    )
