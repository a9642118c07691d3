from __future__ import annotations

import pytest
from write_data import write_pictures

from maecli.errors import SpecError
from maecli.registry import registry
from maecli.spec.ask import Ask
from maecli.verbs.sweep import plan_sweep, settings_of_plan


def test_the_command_line_lies_over_the_file(tmp_path):
    file = tmp_path / "ratios.yaml"
    file.write_text("sweep: {grid: {pretrain.task.mask_ratio: [0.5], model.depth: [1]}, settings: {model: {depth: 1}}}")
    plan, out = plan_sweep(
        Ask("sweep", config=file, sets=["model.embed_dim=32"], flags={"dataset.name": "digits", "device": "cpu"}),
        registry(),
        grid=["pretrain.task.mask_ratio=0.6,0.7"],
        seeds="2",
        without=["finetune"],
    )
    sweep = plan.sweep
    assert sweep.grid == {"model.depth": [1], "pretrain.task.mask_ratio": [0.6, 0.7]}
    assert sweep.settings == {"model.depth": 1, "model.embed_dim": 32, "dataset.name": "digits", "device": "cpu"}
    assert (sweep.seeds, sweep.verbs, out) == ((0, 1), ("pretrain",), tmp_path / "runs/sweep-ratios")


def test_settings_are_told_once_with_the_values_that_vary_and_their_source(tmp_path):
    file = tmp_path / "ratios.yaml"
    file.write_text("sweep: {pretrain: {model: {depth: 2}}, finetune: {task.name: classify}, arms: {full: {}}}")
    plan, _ = plan_sweep(
        Ask("sweep", config=file, flags={"dataset.name": "digits", "device": "cpu"}),
        registry(),
        grid=["pretrain.task.mask_ratio=0.6,0.7"],
        seeds="2",
    )
    told = {(runs, setting.key): setting[1:] for runs, setting in settings_of_plan(plan)}
    assert told["pretrain", "task.mask_ratio"] == ("0.6, 0.7", "grid")
    assert told["pretrain", "model.depth"] == ("2", "sweep.pretrain")
    assert told["finetune full", "task.name"] == ("classify", "sweep.finetune")
    assert told["finetune full", "device"] == ("cpu", "sweep")
    assert told["finetune full", "seed"] == ("0, 1", "sweep")
    assert told["finetune full", "init"][0].startswith("pretrain-mask-ratio-0.6-seed0, pretrain-mask-ratio-0.6-seed1, ")
    assert ("pretrain", "out") not in told


@pytest.mark.parametrize(
    ("flags", "name"),
    [({"dataset.name": "digits"}, "digits"), ({"dataset.root": "many cats"}, "many-cats")],
)
def test_a_sweep_without_a_name_is_called_as_its_data(tmp_path, monkeypatch, flags, name):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "many cats", 2)
    settings = ["model.name=vit", "model.patch_size=4", "model.img_size=8"]
    sets = [*settings, "train.epochs=1", "train.batch_size=8", "task.name=reconstruct"]
    ask = Ask("sweep", sets=sets, flags={**flags, "device": "cpu"})
    plan, out = plan_sweep(ask, registry(), grid=["pretrain.task.mask_ratio=0.6,0.7"], without=["finetune"])
    assert plan.sweep.name == name
    assert out == tmp_path / f"runs/sweep-{name}"


@pytest.mark.parametrize("key", ["grid", "settings"])
def test_what_must_be_a_mapping_is_told(tmp_path, key):
    file = tmp_path / "ratios.yaml"
    file.write_text(f"sweep: {{{key}: [1]}}")
    with pytest.raises(SpecError, match=f"sweep.{key} must be a YAML mapping"):
        plan_sweep(Ask("sweep", config=file), registry())
