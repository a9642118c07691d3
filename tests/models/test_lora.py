from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from maecli.models.heads import Classifier, ClassifierHead
from maecli.models.lora import LoraLinear, add_lora, is_lora, merged, merged_tensors
from maecli.models.vit import VisionTransformer
from maecli.schema import TrainSpec
from maecli.training.loop.optim import WeightAverage, parameter_groups

LAYERS = ("qkv", "proj", "fc1", "fc2")
X = torch.linspace(-1, 1, 4 * 64).reshape(4, 1, 8, 8)


def classifier(seed=0, **settings):
    torch.manual_seed(seed)
    return Classifier(
        VisionTransformer((8, 8), (2, 2), 1, embed_dim=12, depth=2, num_heads=2, **settings), ClassifierHead(12, 3)
    )


def adapted(rank=2, alpha=6.0, layers=LAYERS, **settings):
    module = classifier(**settings)
    add_lora(module.encoder, rank, alpha, layers)
    return module


def trained(module, steps=3, **settings):
    """Return a module after some steps on its own outputs, and those outputs before."""
    optimizer = torch.optim.AdamW(parameter_groups(module, TrainSpec(**settings)), lr=1e-2)
    for _ in range(steps):
        nn.functional.cross_entropy(module(X), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
        optimizer.zero_grad()
    return module


def test_an_adapter_begins_as_what_it_adapts():
    assert torch.equal(adapted()(X), classifier()(X))


def test_a_layer_is_the_sum_that_the_paper_writes():
    layer = LoraLinear(nn.Linear(6, 4), rank=2, alpha=3.0)
    nn.init.normal_(layer.lora_b)
    x = torch.randn(5, 6)
    added = 1.5 * x @ layer.lora_a.T @ layer.lora_b.T
    torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias) + added)
    assert np.linalg.matrix_rank((layer.merged().weight - layer.weight).detach().numpy(), tol=1e-5) == 2


def test_adapters_layer_norms_and_the_head_learn_and_nothing_else():
    module = adapted(learned_pos_embed=True)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    after = trained(module, weight_decay=0.5).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    norms = {name for name in before if "norm" in name}
    assert changed == {name for name in before if is_lora(name) or name.startswith("head.")} | norms
    assert len([name for name in changed if is_lora(name)]) == 2 * 2 * len(LAYERS)
    num = sum(parameter.numel() for parameter in module.encoder.parameters() if parameter.requires_grad)
    assert num == 2 * 2 * ((12 + 36) + (12 + 12) + (12 + 48) + (48 + 12)) + 5 * 24


def test_merged_weights_give_the_same():
    module = trained(adapted()).eval()
    whole, plain = merged(module), classifier(seed=1).eval()
    assert not any(isinstance(part, LoraLinear) for part in whole.modules())
    assert any(isinstance(part, LoraLinear) for part in module.modules())
    assert not torch.equal(module(X), classifier().eval()(X))
    torch.testing.assert_close(whole(X), module(X), rtol=1e-5, atol=1e-6)
    plain.load_state_dict(merged_tensors(module.state_dict(), 6.0))
    assert torch.equal(plain(X), whole(X))


def test_an_average_follows_what_learns():
    module = adapted()
    average, before = WeightAverage(module, 0.5), module.encoder.blocks[0].mlp.fc2.weight.clone()
    average.update(trained(module), 1)
    theirs, mine = module.encoder.blocks[0].mlp.fc2, average.module.encoder.blocks[0].mlp.fc2
    torch.testing.assert_close(mine.lora_b, theirs.lora_b * (1 - 2 / 11))
    assert torch.equal(mine.weight, before)


def test_adapters_do_not_decay_and_learn_at_the_rate_of_their_layer():
    groups = parameter_groups(adapted(), TrainSpec(weight_decay=0.1, layer_decay=0.5))
    found = {name: (group["lr_scale"], group["weight_decay"]) for group in groups for name in group["names"]}
    assert found["encoder.blocks.0.attn.qkv.lora_a"] == (0.25, 0.0)
    assert found["encoder.blocks.1.mlp.fc1.lora_b"] == (0.5, 0.0)
    assert found["head.0.weight"] == (1.0, 0.1)
    assert not any(name.endswith("fc1.weight") for name in found)


@torch.no_grad()
def test_dropout_leaves_out_inputs_of_the_adapter_alone():
    torch.manual_seed(0)
    base, x = nn.Linear(400, 3), torch.ones(1, 400)
    layer = LoraLinear(base, rank=1, alpha=1.0, dropout=0.5)
    nn.init.ones_(layer.lora_a)
    nn.init.ones_(layer.lora_b)
    assert 1 < abs(float((layer(x) - base(x))[0, 0]) - 400) < 100
    torch.testing.assert_close(layer.eval()(x) - base(x), torch.full((1, 3), 400.0))


def test_frozen_blocks_have_no_adapters():
    module = classifier()
    module.encoder.freeze_blocks(1)
    add_lora(module.encoder, 2, 6.0, ("qkv",))
    learning = {name for name, parameter in module.encoder.named_parameters() if parameter.requires_grad}
    assert {name for name in learning if is_lora(name)} == {"blocks.1.attn.qkv.lora_a", "blocks.1.attn.qkv.lora_b"}
    assert not any(name.startswith("blocks.0.") for name in learning)


@pytest.mark.parametrize(
    ("rank", "layers", "message"),
    [
        (2, ("qkv", "query"), "adapt.layers names query; the linear layers of its blocks: fc1, fc2, proj, qkv"),
        (12, ("fc1",), "adapt.rank (12) must be below 12, the full rank of the layers that it adapts"),
    ],
)
def test_what_does_not_suit_is_refused(rank, layers, message):
    with pytest.raises(ValueError, match=f"^{message.replace('(', '.').replace(')', '.')}$"):
        add_lora(classifier().encoder, rank, 1.0, layers)


def test_an_encoder_whose_blocks_have_no_linear_layers_is_refused():
    module = classifier()
    module.encoder.freeze_blocks(2)
    with pytest.raises(ValueError, match="its blocks have no linear layers that learn"):
        add_lora(module.encoder, 2, 1.0, ("qkv",))
