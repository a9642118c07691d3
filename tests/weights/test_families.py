"""Families of published vision transformers beside the plain ones: their features, or why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from reference_models import DEPTH, HEADS, HIDDEN, PATCH, SIZE, D, difference, inputs, randomise, timm_tokens, timm_vit

from maecli.errors import SpecError
from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.masking import random_masking
from maecli.models.vit import VisionTransformer
from maecli.registry import registry
from maecli.run.open import make_model
from maecli.schema import PluginSection
from maecli.weights.files import WeightFile, read_weights
from maecli.weights.fit import load_encoder_weights
from maecli.weights.formats import import_encoder

SIZES = {
    "image_size": SIZE,
    "patch_size": PATCH,
    "hidden_size": D,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
}


def dinov2(**settings):
    from transformers import Dinov2Config, Dinov2Model

    return randomise(Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=2, **settings)))


def dinov2_with_registers():
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    return randomise(Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SIZES, mlp_ratio=2, num_register_tokens=3)))


def dinov3():
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    settings = {"intermediate_size": HIDDEN, "num_register_tokens": 2, "rope_theta": 50.0}
    return randomise(DINOv3ViTModel(DINOv3ViTConfig(**SIZES, **settings)))


def clip(**settings):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return randomise(CLIPVisionModel(CLIPVisionConfig(**SIZES, intermediate_size=HIDDEN, projection_dim=8, **settings)))


def tokens_of(peer, x):
    found = peer(x).last_hidden_state
    norm = getattr(peer, "post_layernorm", None)  # CLIP's stands behind the choice of a token
    return found if norm is None else norm(found)


def imported(state, **config):
    return import_encoder(WeightFile(Path("file"), "torch", dict(state), config=config))


def encoder_of(weights):
    """Return the encoder that a run builds from what the weights offer, with these weights."""
    section = PluginSection(**{"name": "vit", **weights.offer()["model"]})
    encoder = make_model(section, registry()).build(weights.in_chans, (SIZE, SIZE))
    load_encoder_weights(encoder, weights)
    return encoder.eval()


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (dinov2, "Hugging Face DINOv2"),
        (dinov2_with_registers, "Hugging Face DINOv2"),
        (dinov3, "Hugging Face DINOv3"),
        (clip, "Hugging Face CLIP"),
        (lambda: clip(hidden_act="gelu"), "Hugging Face CLIP"),
    ],
)
@torch.no_grad()
def test_a_folder_of_hugging_face_gives_the_features_of_its_model(make, title, tmp_path):
    peer, x = make(), inputs(SIZE, SIZE)
    peer.save_pretrained(tmp_path)
    weights = import_encoder(read_weights(tmp_path))
    expected = tokens_of(peer, x)
    assert weights.format == title
    assert difference(encoder_of(weights)(x), expected) <= 1e-5
    assert expected.std() > 0.1


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_dinov3_is_known_by_the_names_of_its_files_and_of_its_modules(prefix, tmp_path):
    peer = dinov3()
    peer.save_pretrained(tmp_path)
    state = {f"{prefix}{name}": tensor for name, tensor in peer.state_dict().items()}
    written, in_memory = import_encoder(read_weights(tmp_path)), imported(state, rope_theta=50.0, image_size=SIZE)
    assert f"{prefix}model.layer.0.norm1.weight" in state, "else transformers has one set of names again"
    assert (in_memory.format, in_memory.rotary) == (written.format, written.rotary)
    assert in_memory.tensors.keys() == written.tensors.keys()
    assert all(in_memory.tensors[name].equal(tensor) for name, tensor in written.tensors.items())


@pytest.mark.parametrize("settings", [{"reg_tokens": 2, "init_values": 0.5}, {"reg_tokens": 2, "no_embed_class": True}])
@torch.no_grad()
def test_registers_of_timm_give_the_same_tokens(settings):
    peer, x = timm_vit(**settings), inputs(SIZE, SIZE)
    weights = imported(peer.state_dict(), num_attention_heads=HEADS)
    assert weights.model_options()["registers"] == 2
    assert difference(encoder_of(weights)(x), timm_tokens(peer, x)) <= 1e-5


@torch.no_grad()
def test_clip_of_timm_gives_the_same_tokens():
    from functools import partial

    from timm.layers.activations import QuickGELU

    norm = partial(torch.nn.LayerNorm, eps=1e-5)
    peer, x = timm_vit(pre_norm=True, act_layer=QuickGELU, norm_layer=norm), inputs(SIZE, SIZE)
    weights = imported(peer.state_dict(), architecture="vit_tiny_clip_quickgelu", num_attention_heads=HEADS)
    assert difference(encoder_of(weights)(x), timm_tokens(peer, x)) <= 1e-5


def test_an_encoder_with_another_activation_is_refused():
    weights = imported(timm_vit().state_dict(), hidden_act="quick_gelu")
    with pytest.raises(SpecError, match=r"model\.activation \(gelu\) must be quick_gelu, as in file: with another its"):
        load_encoder_weights(VisionTransformer((SIZE, SIZE), (PATCH, PATCH), 3, D, DEPTH, HEADS, HIDDEN / D), weights)


def test_an_encoder_with_registers_is_pretrained_and_gives_maps_of_its_patches_alone():
    encoder = VisionTransformer((8, 8), (4, 4), 3, 8, 1, 2, registers=3, pre_norm=True, activation="quick_gelu")
    x = torch.randn(2, 3, 8, 8)
    module = MaskedAutoencoder(encoder, Decoder(encoder, 8, 1, 2))
    module(x, random_masking(torch.rand(2, 4), 0.5)).backward()
    assert encoder.reg_token.grad.abs().sum() > 0
    assert encoder(x).shape == (2, 1 + 3 + 4, 8)
    (maps,) = encoder.features(x, [1])
    assert maps.flatten(2).transpose(1, 2).equal(encoder(x)[:, 4:])


@pytest.mark.parametrize(
    ("names", "config", "says"),
    [
        (
            [],
            {"architecture": "vit_small_patch16_dinov3"},
            "blocks of EVA, as DINOv3 and EVA-02 have in timm;",
        ),
        (["blocks.0.gamma_1"], {}, "blocks of EVA, as DINOv3"),
        (["encoder.layer.0.lambda_1"], {"model_type": "beit"}, "blocks of BEiT, which know places by biases within"),
        (["blocks.0.gamma_1", "blocks.0.attn.relative_position_bias_table"], {}, "blocks of BEiT"),
        (["encoder.relative_position_bias.relative_position_bias_table"], {}, "blocks of BEiT"),
        (["cls_token", "dist_token"], {}, "the distillation token of DeiT, which all its patches attend to;"),
        (["deit.embeddings.distillation_token"], {"model_type": "deit"}, "the distillation token of DeiT"),
        (["rope_embed.periods"], {}, "the names of DINOv3's own code; take the same model in Hugging Face's form"),
        (["layer.0.mlp.gate_proj.weight"], {}, r"gated MLPs \(SwiGLU\)"),
        (
            ["encoder.layer.0.mlp.weights_in.weight"],
            {},
            r"gated MLPs \(SwiGLU\), as DINOv2's and DINOv3's largest have",
        ),
        (["visual.transformer.resblocks.0.attn.in_proj_weight"], {}, "the names of open_clip; take the same model in"),
    ],
)
def test_what_an_encoder_of_ours_cannot_compute_is_refused_by_name(names, config, says):
    state = {name: torch.zeros(1) for name in names or ["x"]}
    with pytest.raises(SpecError, match=f"file has {says}"):
        imported(state, **config)


def test_mlps_that_timm_packs_with_their_gate_are_refused():
    state = timm_vit().state_dict()
    state["blocks.0.mlp.fc2.weight"] = state["blocks.0.mlp.fc2.weight"][:, : HIDDEN // 2]
    with pytest.raises(SpecError, match="file has gated MLPs"):
        imported(state)


def test_rotary_positions_are_those_of_the_patches_that_are_seen():
    settings = {"registers": 1, "rotary": 100.0}
    encoder = VisionTransformer((8, 12), (4, 4), 3, 16, 2, 2, **settings).eval()
    x, order = torch.randn(2, 3, 8, 12), torch.tensor([[4, 0, 5, 2, 1, 3]]).expand(2, -1)
    with torch.no_grad():
        whole, shuffled = encoder(x), encoder(x, ids_keep=order)
        assert difference(shuffled[:, 2:], whole[:, 2:][:, order[0]]) <= 1e-5
        encoder.rotary = 10.0
        assert difference(encoder(x), whole) > 1e-4


def test_rotary_positions_need_heads_that_axes_can_share():
    with pytest.raises(ValueError, match=r"on 2 axes need heads whose width \(6\) 4 divides"):
        VisionTransformer((8, 8), (4, 4), 3, 12, 1, 2, rotary=100.0)


def test_an_encoder_with_other_positions_is_refused():
    weights = imported(timm_vit().state_dict(), num_attention_heads=HEADS)
    encoder = VisionTransformer((SIZE, SIZE), (PATCH, PATCH), 3, D, DEPTH, HEADS, HIDDEN / D, rotary=100.0)
    with pytest.raises(SpecError, match=r"model\.rotary \(100\.0\) must be None, as in file"):
        load_encoder_weights(encoder, weights)
