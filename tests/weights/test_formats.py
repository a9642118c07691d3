from __future__ import annotations

import json

import pytest
import torch
from reference_models import (
    DEPTH,
    D,
    difference,
    hf_mae_tokens,
    hf_tokens,
    hf_vit,
    hf_vit_mae,
    inputs,
    official_mae,
    timm_tokens,
    timm_vit,
    torchvision_tokens,
    torchvision_vit,
)
from safetensors.torch import save_file

from maecli.errors import SpecError
from maecli.models.vit import VisionTransformer
from maecli.weights.files import WeightFile, read_weights
from maecli.weights.fit import load_encoder_weights
from maecli.weights.formats import import_encoder
from maecli.weights.implementations import recognise


def in_file(state, config=None, pixels=None):
    return WeightFile("file", "safetensors", dict(state), config=config or {}, pixels=pixels or {})


def encoder_for(weights, img_size=(32, 32), in_chans=3, heads=4, norm_eps=1e-6):
    """Return an encoder of the deduced shape with these weights; such narrow models have more heads than is usual."""
    options = weights.model_options() | {"num_heads": heads, "norm_eps": norm_eps}
    patch = options.pop("patch_size")
    encoder = VisionTransformer(img_size, (patch, patch), in_chans, **options)
    load_encoder_weights(encoder, weights)
    return encoder.eval()


PEERS = {
    "timm": (timm_vit, timm_tokens, 1e-6, "timm or official MAE"),
    "timm with LayerScale": (lambda: timm_vit(init_values=0.1), timm_tokens, 1e-6, "timm or official MAE"),
    "timm without qkv biases": (lambda: timm_vit(qkv_bias=False), timm_tokens, 1e-6, "timm or official MAE"),
    "timm, class token without position": (
        lambda: timm_vit(no_embed_class=True),
        timm_tokens,
        1e-6,
        "timm or official MAE",
    ),
    "torchvision": (torchvision_vit, torchvision_tokens, 1e-6, "torchvision ViT"),
    "Hugging Face": (hf_vit, hf_tokens, 1e-12, "Hugging Face ViT"),
    "Hugging Face without qkv biases": (lambda: hf_vit(qkv_bias=False), hf_tokens, 1e-12, "Hugging Face ViT"),
    "Hugging Face MAE": (hf_vit_mae, hf_mae_tokens, 1e-12, "Hugging Face ViTMAE"),
}


@pytest.mark.parametrize("name", PEERS)
@torch.no_grad()
def test_another_implementations_model_gives_the_same_tokens_as_ours_with_its_weights(name):
    make, tokens, eps, title = PEERS[name]
    peer, x = make(), inputs(32, 32)
    weights = import_encoder(in_file(peer.state_dict()))
    expected = tokens(peer, x)
    assert weights.format == title
    assert difference(encoder_for(weights, norm_eps=eps)(x), expected) <= 1e-5
    assert difference(encoder_for(weights)(x), expected) <= 1e-4  # the epsilon of ours, whatever theirs is
    assert expected.std() > 0.1


@pytest.mark.parametrize("make", [hf_vit, hf_vit_mae])
@torch.no_grad()
def test_a_folder_of_hugging_face_is_read_with_its_published_names_and_its_heads(make, tmp_path):
    peer, x = make(), inputs(32, 32)
    peer.save_pretrained(tmp_path)
    file = read_weights(tmp_path)
    assert any(".attention.attention.query." in name for name in file.tensors)
    weights = import_encoder(file)
    assert (weights.num_heads, weights.grid, weights.in_chans) == (4, (4, 4), 3)
    tokens = hf_tokens if make is hf_vit else hf_mae_tokens
    assert difference(encoder_for(weights, norm_eps=1e-12)(x), tokens(peer, x)) <= 1e-5


@torch.no_grad()
def test_the_encoder_of_an_official_mae_is_taken_and_its_decoder_left():
    state, x = official_mae(), inputs(32, 32)
    weights = import_encoder(in_file(state))
    assert (weights.format, weights.num_others) == ("official MAE", 8)
    assert difference(encoder_for(weights)(x), timm_tokens(timm_vit(num_classes=0), x)) <= 1e-5


@torch.no_grad()
def test_what_stands_before_every_name_does_not_matter():
    state = {f"module.backbone.{name}": tensor for name, tensor in timm_vit().state_dict().items()}
    weights, x = import_encoder(in_file(state | {"module.neck.weight": torch.zeros(3)})), inputs(32, 32)
    assert weights.num_others == 3  # the classifier's two, and the neck
    assert difference(encoder_for(weights)(x), timm_tokens(timm_vit(), x)) <= 1e-5


def test_half_precision_becomes_float32():
    state = {name: tensor.half() for name, tensor in timm_vit().state_dict().items()}
    assert {tensor.dtype for tensor in import_encoder(in_file(state)).tensors.values()} == {torch.float32}


def test_the_shape_is_deduced_from_the_tensors():
    weights = import_encoder(in_file(timm_vit(patch_size=(8, 4), in_chans=5).state_dict()))
    options = {"patch_size": [8, 4], "embed_dim": D, "depth": DEPTH, "num_heads": 1, "mlp_ratio": 1.5}
    assert weights.model_options() == options | {"layer_scale": None}
    assert weights.in_chans == 5
    assert weights.num_heads is None
    assert import_encoder(in_file(timm_vit(init_values=0.1).state_dict())).model_options()["layer_scale"] is not None


@pytest.mark.parametrize(("embed_dim", "heads"), [(192, 3), (768, 12), (1024, 16), (1280, 16), (200, 2), (30, 1)])
def test_heads_that_are_not_recorded_are_as_many_as_published_models_have(embed_dim, heads):
    state = timm_vit(embed_dim=embed_dim, num_heads=1, depth=1).state_dict()
    assert import_encoder(in_file(state)).assumed_heads == heads


def test_a_grid_that_is_not_square_is_told_by_the_config():
    state = hf_vit(image_size=(24, 48)).state_dict()
    assert import_encoder(in_file(state)).grid == ()
    assert import_encoder(in_file(state, {"image_size": [24, 48], "patch_size": 8})).grid == (3, 6)


@torch.no_grad()
def test_a_norm_behind_the_pooling_becomes_the_one_before_it_and_is_told():
    peer = timm_vit(global_pool="avg")
    assert "norm.weight" not in peer.state_dict()
    weights = import_encoder(in_file(peer.state_dict()))
    assert weights.tensors["norm.bias"].equal(peer.state_dict()["fc_norm.bias"])
    encoder = VisionTransformer((32, 32), (8, 8), 3, D, DEPTH, 4, 1.5)
    said = load_encoder_weights(encoder, weights)
    assert "2 adapted (fc_norm, which stood behind the pooling, to norm before it)" in said


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"reg_tokens": 2}, "reg_token left over"),
        ({"qk_norm": True}, "blocks.0.attn.q_norm.weight left over"),
        ({"pre_norm": True}, "norm_pre.weight left over"),
        ({"class_token": False, "global_pool": "avg"}, "cls_token missing instead of 1×1×32"),
    ],
)
def test_what_computes_something_else_is_refused_by_name(settings, name):
    weights = import_encoder(in_file(timm_vit(**settings).state_dict()))
    with pytest.raises(SpecError) as caught:
        load_encoder_weights(VisionTransformer((32, 32), (8, 8), 3, D, DEPTH, 4, 1.5), weights)
    assert name in str(caught.value)


def test_the_rows_of_register_tokens_are_no_patches_positions():
    weights = import_encoder(in_file(timm_vit(reg_tokens=3).state_dict()))
    assert weights.grid == (4, 4)
    assert weights.tensors["pos_embed"].shape == (1, 16, D)


def test_a_model_with_another_activation_is_refused():
    with pytest.raises(
        SpecError, match="file is a model with the activation relu; an encoder of mae has gelu or quick_gelu"
    ):
        import_encoder(in_file(hf_vit().state_dict(), {"hidden_act": "relu"}))


def test_a_larger_epsilon_of_the_norms_is_taken_over_or_told():
    state = hf_vit().state_dict()
    assert "norm_eps" not in import_encoder(in_file(state, {"layer_norm_eps": 1e-12})).model_options()
    weights = import_encoder(in_file(state, {"layer_norm_eps": 1e-5}))
    assert weights.model_options()["norm_eps"] == 1e-5
    assert "its layer norms" not in load_encoder_weights(encoder_for(weights, norm_eps=1e-5), weights)
    said = load_encoder_weights(encoder_for(weights), weights)
    assert "its layer norms add 1e-05 to the variance, ours 1e-06" in said


def test_normalisation_and_size_of_pictures_are_offered_where_they_are_on_record():
    pixels = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "size": {"height": 64, "width": 32}}
    offer = import_encoder(in_file(timm_vit().state_dict(), {}, pixels)).offer()
    assert offer["data"] == {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
    assert offer["model"]["img_size"] == [64, 32]
    offer = import_encoder(in_file(timm_vit().state_dict())).offer()
    assert (offer["data"], offer["model"]["img_size"]) == ({}, 32)


def test_quantised_weights_are_refused():
    state = timm_vit().state_dict() | {"norm.bias": torch.zeros(D, dtype=torch.int8)}
    with pytest.raises(SpecError, match=r"file is quantised: norm\.bias is int8; take the weights in floating point"):
        import_encoder(in_file(state))


def test_blocks_of_another_kind_are_refused_by_name():
    state = timm_vit().state_dict()
    state["blocks.0.mlp.w12.weight"] = state.pop("blocks.0.mlp.fc1.weight")  # a gated MLP
    with pytest.raises(SpecError) as caught:
        import_encoder(in_file(state))
    assert str(caught.value) == (
        "file has gated MLPs (SwiGLU), as DINOv2's and DINOv3's largest have; an encoder of mae has plain ones"
    )


@pytest.mark.parametrize(
    "names",
    [
        ["conv1.weight", "bn1.weight", "fc.weight", "fc.bias"],
        ["layers.0.blocks.0.attn.qkv.weight", "patch_embed.proj.weight"],  # a Swin transformer
        [f"{side}.{name}" for side in ("student", "teacher") for name in timm_vit().state_dict()],
    ],
)
def test_what_is_no_vision_transformer_or_two_is_not_recognised(names):
    assert recognise(names) is None


def test_an_unknown_file_is_told_by_its_first_tensors(tmp_path):
    save_file({f"{name}.weight": torch.zeros(1) for name in ("bn1", "conv1", "fc", "layer1")}, tmp_path / "net")
    with pytest.raises(SpecError) as caught:
        import_encoder(read_weights(tmp_path / "net"))
    assert str(caught.value) == (
        f"{tmp_path / 'net'} holds no vision transformer that can be recognised by its 4 tensors (bn1.weight, "
        "conv1.weight, fc.weight, …); known are the ViTs of timm or official MAE, Hugging Face, Hugging Face "
        "DINOv2, Hugging Face DINOv3, Hugging Face CLIP, torchvision, and runs of mae"
    )


def test_the_config_is_read_beside_the_weights_of_a_folder_only(tmp_path):
    state = {name: tensor.contiguous() for name, tensor in hf_vit().state_dict().items()}
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 4}))
    for name, heads in (("model.safetensors", 4), ("other.safetensors", None)):
        save_file(state, tmp_path / name)
        assert import_encoder(read_weights(tmp_path / name)).num_heads == heads
