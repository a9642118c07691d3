from __future__ import annotations

import pytest

from maecli.errors import SpecError
from maecli.registry import registry
from maecli.sweep.definition import make_sweep
from maecli.sweep.plan import Plan, label_of, make_plan


def planned(tree: dict, **changes: object) -> Plan:
    return make_plan(make_sweep(tree | changes), registry())


def names(plan: Plan) -> list[str]:
    return [job.name for job in plan.jobs]


def test_a_key_of_pretraining_pretrains_at_each_point(tree):
    plan = planned(tree, grid={"pretrain.task.mask_ratio": [0.5, 0.75]}, seeds=2)
    assert names(plan) == [
        f"{verb}-mask-ratio-{ratio}-seed{seed}"
        for ratio in (0.5, 0.75)
        for seed in (0, 1)
        for verb in ("pretrain", "finetune")
    ]
    pretrain, finetune = plan.jobs[2:4]
    assert finetune.init is pretrain
    assert (pretrain.spec.seed, finetune.spec.seed) == (1, 1)
    assert pretrain.spec.task.options["mask_ratio"] == 0.5


def test_a_key_of_fine_tuning_shares_the_pretraining(tree):
    plan = planned(tree, grid={"finetune.train.base_lr": [0.001, 0.01]})
    assert names(plan) == ["pretrain-seed0", "finetune-base-lr-0.001-seed0", "finetune-base-lr-0.01-seed0"]
    assert [job.init for job in plan.jobs[1:]] == [plan.jobs[0]] * 2


def test_fine_tuning_takes_data_and_model_of_its_pretraining(tree):
    finetune = planned(tree, grid={"model.depth": [1, 2]}).jobs[3]
    assert (finetune.spec.dataset.name, finetune.spec.model.options["embed_dim"]) == ("digits", 16)
    assert finetune.spec.model.options["depth"] == 2


def test_an_arm_from_scratch_knows_nothing_of_the_pretraining_and_is_run_once(tree):
    plan = planned(
        tree,
        arms={"pretrained": {}, "scratch": {"scratch": True}},
        grid={"pretrain.task.mask_ratio": [0.5, 0.75], "model.depth": [1, 2]},
    )
    scratch = [job for job in plan.jobs if job.arm == "scratch"]
    assert [job.name for job in scratch] == ["finetune-scratch-depth-1-seed0", "finetune-scratch-depth-2-seed0"]
    assert [job.point for job in scratch] == [{"depth": "1"}, {"depth": "2"}]
    assert all(job.init is None and job.spec.model.options["embed_dim"] == 16 for job in scratch)
    assert len(plan.jobs) == 4 + 4 + 2


def test_an_arm_with_the_total_time_comes_after_what_it_counts(tree):
    plan = planned(tree, arms={"longer": {"total_time_of": "tuned"}, "tuned": {}})
    assert names(plan) == ["pretrain-seed0", "finetune-tuned-seed0", "finetune-longer-seed0"]
    assert plan.jobs[2].time_of == (plan.jobs[0], plan.jobs[1])
    assert plan.jobs[2].init is None


def test_a_named_axis_sets_several_keys_of_both_verbs(tree):
    sizes = {"small": {"model.depth": 1}, "large": {"model.depth": 3, "pretrain.task.decoder_depth": 2}}
    plan = planned(tree, grid={"size": sizes})
    assert names(plan) == [f"{verb}-{size}-seed0" for size in sizes for verb in ("pretrain", "finetune")]
    pretrain, finetune = plan.jobs[2:]
    assert (pretrain.spec.model.options["depth"], pretrain.spec.task.options["decoder_depth"]) == (3, 2)
    assert finetune.spec.model.options["depth"] == 3


def test_fine_tuning_may_be_on_other_data(tree):
    tree["finetune"]["dataset"] = {"name": "mnist"}
    pretrain, finetune = planned(tree).jobs
    assert (pretrain.spec.dataset.name, finetune.spec.dataset.name) == ("digits", "mnist")
    assert finetune.spec.model.options["embed_dim"] == 16


def test_settings_are_written_like_the_grid(tree):
    settings = {"pretrain.task.mask_ratio": 0.6, "model.depth": 2, "finetune.task": {"head": "mlp"}}
    pretrain, finetune = planned(tree, settings=settings).jobs
    assert pretrain.spec.task.options["mask_ratio"] == 0.6
    assert finetune.spec.task.options["head"] == "mlp"
    assert pretrain.spec.model.options["depth"] == finetune.spec.model.options["depth"] == 2


def test_a_sweep_may_only_pretrain_or_only_fine_tune(tree):
    assert names(planned(tree | {"finetune": False})) == ["pretrain-seed0"]
    alone = tree["finetune"] | {"dataset": {"name": "digits"}}
    assert names(planned({"finetune": alone}, grid={"train.base_lr": [0.1]})) == ["finetune-base-lr-0.1-seed0"]


def test_a_mistake_in_the_last_point_shows_before_the_first_run(tree):
    with pytest.raises(SpecError, match=r"unknown key 'model.dept'; did you mean 'depth'"):
        planned(tree, grid={"size": {"small": {"model.depth": 1}, "large": {"model.dept": 2}}})
    with pytest.raises(
        SpecError, match=r"task.mask_ratio is 1.5: input should be less than 1 \(options of reconstruct\)"
    ):
        planned(tree, grid={"pretrain.task.mask_ratio": [0.5, 1.5]})


def test_what_there_would_be_without_the_grid_is_known(tree):
    arms = {"pretrained": {}, "scratch": {"scratch": True}}
    plan = planned(tree, grid={"pretrain.task.mask_ratio": [0.5, 0.75], "model.depth": [1, 2]}, arms=arms, seeds=2)
    usual = [job for job in plan.jobs if job.usual]
    assert {job.name for job in usual} == {
        f"{name}depth-1-seed{seed}"
        for name in ("pretrain-mask-ratio-0.75-", "finetune-pretrained-mask-ratio-0.75-", "finetune-scratch-")
        for seed in (0, 1)
    }
    assert not [job for job in planned(tree, grid={"model.depth": [2, 3]}).jobs if job.usual]
    named = {"small": {"model.name": "vit-lite"}, "large": {"model.name": "vit-tiny"}}
    del tree["pretrain"]["model"]
    assert len(planned(tree, grid={"size": named}).jobs) == 4


def test_two_axes_of_one_key_are_refused(tree):
    said = r"ratio and mask_ratio of the grid both set pretrain.task.mask_ratio; leave one out"
    with pytest.raises(SpecError, match=said):
        planned(tree, grid={"ratio": {"half": {"pretrain.task.mask_ratio": 0.5}}, "pretrain.task.mask_ratio": [0.6]})


def test_values_are_written_as_people_read_them():
    assert [label_of(value) for value in (0.75, 1e-3, 4, [2, 4], True, None, "grid")] == [
        *("0.75", "0.001", "4", "2x4", "true", "none", "grid")
    ]


def test_what_nobody_set_is_planned_once_for_all_runs_and_recorded(pictures):
    tree = {
        "pretrain": {},
        "finetune": {"task": {"name": "classify"}},
        "settings": {
            "dataset.name": "folder",
            "dataset.root": str(pictures),
            "pretrain.train.epochs": 1,
            "finetune.train.epochs": 1,
        },
        "grid": {"model.name": ["vit-lite", "vit-tiny"]},
        "seeds": 2,
    }
    plan = planned(tree)
    for verb in ("pretrain", "finetune"):
        specs = [job.spec for job in plan.jobs if job.verb == verb]
        assert len(specs) == 4
        assert {spec.model.name for spec in specs} == {"vit-lite", "vit-tiny"}
        assert {spec.model.options["img_size"] for spec in specs} == {8}
        assert len({(spec.train.batch_size, spec.train.base_lr, spec.augment) for spec in specs}) == 1
        assert {spec.sources["train.base_lr"] for spec in specs} == {"plan"}
    recorded = plan.sweep.planned["pretrain"] | {"train.base_lr": 0.125}
    again = planned(tree, planned={"pretrain": recorded, "finetune": plan.sweep.planned["finetune"]})
    assert {job.spec.train.base_lr for job in again.jobs if job.verb == "pretrain"} == {0.125}
