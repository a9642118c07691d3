from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from maecli.models.heads import Classifier, ClassifierHead
from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.vit import VisionTransformer
from maecli.schema import TrainSpec
from maecli.training.loop.optim import (
    WeightAverage,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    parameter_groups,
    peak_rate,
    rate_at,
    set_rate,
)


def encoder(**settings):
    torch.manual_seed(0)
    return VisionTransformer((8, 8), (4, 4), 1, embed_dim=8, depth=2, num_heads=2, **settings)


def classifier(**settings):
    return Classifier(encoder(**settings), ClassifierHead(8, 3))


def settings_of(module, spec):
    """Return name → (lr_scale, weight_decay)."""
    return {
        name: (group["lr_scale"], group["weight_decay"])
        for group in parameter_groups(module, spec)
        for name in group["names"]
    }


def test_biases_norms_and_tokens_are_not_decayed():
    settings = settings_of(classifier(layer_scale=0.1, learned_pos_embed=True), TrainSpec(weight_decay=0.3))
    decayed = {name for name, (_, decay) in settings.items() if decay}
    parts = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    assert decayed == {
        "encoder.patch_embed.weight",
        *(f"encoder.blocks.{i}.{part}.weight" for i in (0, 1) for part in parts),
        "head.0.weight",
    }
    assert {settings[name][1] for name in decayed} == {0.3}
    for name in ("encoder.cls_token", "encoder.pos_embed", "encoder.blocks.0.ls1.gamma", "encoder.norm.weight"):
        assert settings[name][1] == 0


def test_the_decoders_mask_token_is_not_decayed():
    body = encoder()
    settings = settings_of(MaskedAutoencoder(body, Decoder(body, 8, 1, 2)), TrainSpec(weight_decay=0.3))
    assert settings["decoder.mask_token"][1] == 0
    assert settings["decoder.pred.weight"][1] == 0.3


def test_every_trained_parameter_is_in_one_group_and_fixed_positions_in_none():
    module = classifier()
    names = [name for group in parameter_groups(module, TrainSpec(layer_decay=0.7)) for name in group["names"]]
    assert sorted(names) == sorted(name for name, value in module.named_parameters() if value.requires_grad)
    assert "encoder.pos_embed" not in names


def test_rates_fall_with_every_layer_below_the_head():
    settings = settings_of(classifier(), TrainSpec(layer_decay=0.5))
    scales = {name: scale for name, (scale, _) in settings.items()}
    assert scales["head.0.weight"] == scales["encoder.norm.weight"] == 1
    assert scales["encoder.blocks.1.mlp.fc1.weight"] == 0.5
    assert scales["encoder.blocks.0.attn.qkv.bias"] == 0.25
    assert scales["encoder.patch_embed.weight"] == scales["encoder.cls_token"] == 0.125


def test_without_layer_decay_there_is_one_rate():
    assert {scale for scale, _ in settings_of(classifier(), TrainSpec()).values()} == {1.0}


def test_a_module_without_an_encoder_has_two_groups():
    groups = parameter_groups(nn.Linear(2, 3), TrainSpec(layer_decay=0.5))
    assert [group["names"] for group in groups] == [["weight"], ["bias"]]
    assert [group["lr_scale"] for group in groups] == [1.0, 1.0]


SCHEDULE = TrainSpec(base_lr=1e-3, batch_size=512, min_lr=1e-4, warmup_epochs=2)


def test_the_peak_rate_is_per_256_samples():
    assert peak_rate(SCHEDULE) == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 2e-3 / 20),
        (9, 1e-3),
        (19, 2e-3),
        (20, 2e-3),
        (40, 1e-4 + 1.9e-3 * (1 + math.sqrt(0.5)) / 2),  # a quarter of the cosine
        (60, (2e-3 + 1e-4) / 2),
        (80, 1e-4 + 1.9e-3 * (1 - math.sqrt(0.5)) / 2),
        (99, 1e-4 + 1.9e-3 * (1 + math.cos(math.pi * 79 / 80)) / 2),
        (100, 1e-4),
    ],
)
def test_the_rate_rises_linearly_and_falls_by_half_a_cosine(step, rate):
    assert rate_at(step, total_steps=100, steps_per_epoch=10, spec=SCHEDULE) == pytest.approx(rate)


def test_a_warm_up_longer_than_the_run_never_passes_the_peak():
    rates = [rate_at(step, total_steps=10, steps_per_epoch=10, spec=SCHEDULE) for step in range(10)]
    assert rates == pytest.approx([2e-4 * (step + 1) for step in range(10)])


def test_without_warm_up_the_first_step_has_the_peak_rate():
    assert rate_at(0, 10, 5, TrainSpec(base_lr=1e-3, batch_size=256)) == pytest.approx(1e-3)


def test_each_group_gets_its_share_of_the_rate():
    optimizer = make_optimizer(classifier(), TrainSpec(layer_decay=0.5))
    assert {group["lr"] for group in optimizer.param_groups} == {0.0}
    set_rate(optimizer, 0.8)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.1, 0.2, 0.4, 0.8])


def test_the_optimizer_is_adamw_with_the_specs_momenta():
    optimizer = make_optimizer(classifier(), TrainSpec(beta1=0.8, beta2=0.9, weight_decay=0.2))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


def step(module, optimizer, seed):
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    module(x).square().sum().backward()
    set_rate(optimizer, 0.01)
    optimizer.step()


def test_an_optimizer_goes_on_from_its_tensors_as_if_it_had_never_stopped():
    spec = TrainSpec(layer_decay=0.5)
    module = classifier()
    optimizer = make_optimizer(module, spec)
    for seed in range(3):
        step(module, optimizer, seed)
    tensors = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    step(module, optimizer, 3)

    resumed = classifier()
    resumed.load_state_dict(weights)
    second = make_optimizer(resumed, spec)
    load_optimizer_tensors(second, tensors)
    step(resumed, second, 3)
    assert all(value.equal(resumed.state_dict()[name]) for name, value in module.state_dict().items())


def test_optimizer_tensors_are_named_after_their_parameters():
    module = classifier()
    optimizer = make_optimizer(module, TrainSpec())
    assert optimizer_tensors(optimizer) == {}
    step(module, optimizer, 0)
    tensors = optimizer_tensors(optimizer)
    trained = {name for name, value in module.named_parameters() if value.requires_grad}
    assert tensors.keys() == {f"{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq") for name in trained}
    assert tensors["exp_avg.head.0.weight"].shape == module.head[0].weight.shape


def test_a_missing_optimizer_tensor_is_named():
    module = classifier()
    optimizer = make_optimizer(module, TrainSpec())
    step(module, optimizer, 0)
    tensors = optimizer_tensors(optimizer)
    del tensors["exp_avg_sq.head.0.weight"]
    with pytest.raises(KeyError, match=r"exp_avg_sq\.head\.0\.weight"):
        load_optimizer_tensors(make_optimizer(classifier(), TrainSpec()), tensors)


def constant(value):
    module = nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(value)
        module.bias.fill_(value)
    return module


def test_the_average_of_weights_starts_fast_and_ends_with_its_decay():
    average = WeightAverage(constant(0.0), decay=0.9)
    average.update(constant(1.0), step=1)  # decay (1 + 1) / (10 + 1)
    assert float(average.module.weight) == pytest.approx(9 / 11)
    average.update(constant(0.0), step=10)  # decay 11 / 20
    assert float(average.module.weight) == pytest.approx(9 / 11 * 11 / 20)
    average.update(constant(1.0), step=10_000)
    assert float(average.module.bias) == pytest.approx(0.9 * 9 / 20 + 0.1)


def test_the_average_leaves_alone_what_does_not_learn():
    module = constant(0.0)
    module.bias.requires_grad_(False)
    average = WeightAverage(module, decay=0.9)
    average.update(constant(1.0), step=1)
    assert float(average.module.weight) == pytest.approx(9 / 11)
    assert float(average.module.bias) == 0.0


def test_the_average_is_a_module_of_its_own_that_is_not_trained():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(module, decay=0.9)
    module(torch.randn(4, 2)).sum().backward()
    average.update(module, step=5)
    assert module[1].num_batches_tracked == average.module[1].num_batches_tracked == 1  # counters are copied
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    assert module.training


def test_a_longer_run_warms_up_again_and_decays_over_what_is_left():
    spec = TrainSpec(base_lr=1.0, batch_size=256, min_lr=0.1, warmup_epochs=2, rewarm_share=0.5)
    rates = [rate_at(step, 30, 2, spec, begin=10) for step in range(10, 30)]
    assert rates[:4] == pytest.approx([0.2, 0.3, 0.4, 0.5])  # from min_lr to half of the peak in two epochs
    assert rates[4] == 0.5
    assert rates[12] == pytest.approx(0.3)  # half of the way down
    assert sorted(rates[4:], reverse=True) == rates[4:]
    assert rates[-1] < 0.11


def test_a_short_longer_run_decays_too():
    spec = TrainSpec(base_lr=1.0, batch_size=256, warmup_epochs=10)
    rates = [rate_at(step, 14, 1, spec, begin=10) for step in range(10, 14)]
    assert rates == pytest.approx([0.25, 0.5, 0.5, 0.25])
