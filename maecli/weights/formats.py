"""The encoders of other implementations under our names.

Every name is first written as timm does, which is how the official MAE does and nearly how we do. What differs then:
their class token has a position of its own, which is added to our `cls_token`; their patch embedding is a convolution,
ours a linear layer over patches; some keep queries, keys and values apart.

Shapes: D embed_dim, C channels, p patch sizes, N patches.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from maecli.errors import SpecError
from maecli.models.blocks import ACTIVATIONS
from maecli.weights.adapt import describe_size, linear_of_kernel, side_of
from maecli.weights.choose import choose
from maecli.weights.encoder_weights import BLOCK, EncoderWeights
from maecli.weights.files import WeightFile
from maecli.weights.implementations import CLIP, FORMATS, KERNEL, NORM_EPS, recognise
from maecli.weights.other_kinds import check_kind, check_plain_mlp
from maecli.weights.pixels import scale_on_record, size_on_record
from maecli.weights.qkv import join_qkv
from maecli.weights.their_decoder import import_decoder

HEAD = re.compile(
    r"((cls_|distillation_)?classifier|decoder\w*|fc|head\w*|pooler|pre_logits|attn_pool|mask_token|visual_projection|"
    r"embeddings\.position_ids)(\.|$)"
)
"""Beginnings of names, as timm writes them, that belong to a decoder or a head."""
PREFIX_TOKENS: tuple[str, ...] = ("cls_token", "dist_token", "reg_token")
TOKENS = (*PREFIX_TOKENS, "pos_embed")
AXES = (
    (re.compile(r"blocks\.\d+\.(norm[12]|attn\.(qkv|q|k|v|proj)|mlp\.fc[12])\.bias"), (1,)),
    (re.compile(r"(blocks\.\d+\.norm[12]|norm|fc_norm)\.(weight|bias)"), (1,)),
    (re.compile(r"blocks\.\d+\.(attn\.(qkv|q|k|v|proj)|mlp\.fc[12])\.weight"), (2,)),
    (re.compile("|".join(TOKENS)), (3,)),
    (re.compile(re.escape(KERNEL)), (3, 4, 5)),
)
"""Names, and how many axes what bears them has in every vision transformer that is known here."""
USUAL_GRID = (14, 14)
"""Of 224 pixels in patches of 16, where rotary positions tell none and no file does."""
MAX_PATCH = 1024
"""Pixels of a patch along an axis: resampling it takes a matrix of their square."""


def import_encoder(file: WeightFile, choice: str = "") -> EncoderWeights:
    """Return the encoder of another implementation under our names, float32; `choice` names one of several.

    Biases of queries, keys, values and patches that theirs lacks are zero. A `fc_norm`, which stands behind the
    pooling, becomes our `norm` before it. Tensors that ours has no place for keep their names: whether they may be left
    out is not decided here.
    Raises SpecError for a file of unknown names or of several encoders, and for models that compute something else.
    """
    file = choose(file, choice)
    check_kind(file)
    recognised = recognise(file.tensors)
    if recognised is None:
        raise SpecError(_unknown(file))
    form, prefix = recognised.format, recognised.prefix
    config = _config_of_pictures(file.config)
    activation = _activation(file, config, form.activation)
    inside = {form.canonical(name[len(prefix) :]): name for name in file.tensors if name.startswith(prefix)}
    ours = {name: file.tensors[theirs] for name, theirs in inside.items() if not HEAD.match(name)}
    tensors = {name: _floating(tensor, name, file) for name, tensor in ours.items()}
    if form is CLIP:
        _add_axes(tensors)
    _check_blocks(tensors, file)
    num_heads = _heads_on_record(file, config, len(tensors[KERNEL]))
    changed = _complete_biases(tensors)
    join_qkv(tensors)
    _leave_unit_scales_out(tensors)
    kernel = tensors.pop(KERNEL)
    tensors["patch_embed.weight"] = linear_of_kernel(kernel)
    if "patch_embed.proj.bias" in tensors:
        tensors["patch_embed.bias"] = tensors.pop("patch_embed.proj.bias")
    patch_size = tuple(kernel.shape[2:])
    embed_dim, in_chans = kernel.shape[:2]
    rotary = _rotary(config, form.rotary)
    grid = _grid_on_record(config, patch_size)
    if rotary is None:
        grid = _split_positions(tensors, grid)
    else:
        grid = grid or USUAL_GRID
        tensors["pos_embed"] = torch.zeros(1, math.prod(grid), embed_dim)
    return EncoderWeights(
        source=file.source,
        format=recognised.title,
        tensors=tensors,
        patch_size=patch_size,
        in_chans=in_chans,
        grid=grid,
        num_heads=num_heads,
        changed=changed | _complete(tensors),
        num_others=len(file.tensors) - len(ours),
        activation=activation,
        rotary=rotary,
        norm_eps=_norm_eps(config, CLIP.norm_eps if "norm_pre.weight" in tensors else form.norm_eps),
        pixels=scale_on_record(file, in_chans),
        img_size=size_on_record(file, patch_size)
        or tuple(cells * patch for cells, patch in zip(grid, patch_size, strict=False)),
        decoder=import_decoder(file, embed_dim, patch_size, in_chans, grid),
    )


def _unknown(file: WeightFile) -> str:
    names = list(file.tensors)
    some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    titles = ", ".join(dict.fromkeys(each.title for each in FORMATS))
    return (
        f"{file.path} holds no vision transformer that can be recognised by its {len(names)} tensors ({some}); known "
        f"are the ViTs of {titles}, and runs of mae"
    )


def _config_of_pictures(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a `config.json` that is about pictures, where it is of a model of pictures and text."""
    part = config.get("vision_config")
    return part if isinstance(part, dict) else config


def _activation(file: WeightFile, config: Mapping[str, Any], usual: str) -> str:
    """Return the activation of the MLPs. Raises SpecError for one that an encoder of ours cannot have."""
    if "quickgelu" in str(config.get("architecture")):  # of timm
        return "quick_gelu"
    activation = config.get("hidden_act", usual)
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise SpecError(
            f"{file.path} is a model with the activation {activation}; an encoder of mae has {' or '.join(ACTIVATIONS)}"
        )
    return activation


def _add_axes(tensors: dict[str, Tensor]) -> None:
    """Give the class token and the positions of CLIP, (D) and (1 + N, D), the axes that others have, in place."""
    for name, num in (("cls_token", 1), ("pos_embed", 2)):
        if name in tensors and tensors[name].ndim == num:
            tensors[name] = tensors[name].reshape(1, -1, tensors[name].shape[-1])


def _check_blocks(tensors: Mapping[str, Tensor], file: WeightFile) -> None:
    """Refuse what only begins like a vision transformer, such as blocks with a gated MLP."""
    check_plain_mlp(tensors, file)
    for name, axes in ((KERNEL, (3, 4, 5)), ("blocks.0.norm1.weight", (1,)), ("blocks.0.mlp.fc1.weight", (2,))):
        if name not in tensors or tensors[name].ndim not in axes:
            raise SpecError(f"{file.path} is a transformer of another kind: it has no usual {name}")
    for name, tensor in tensors.items():
        for pattern, axes in AXES:
            if pattern.fullmatch(name) and (tensor.ndim not in axes or not tensor.numel()):
                raise _other_kind(name, tensor, file)
    for name, tensor in tensors.items():
        if name in TOKENS and (len(tensor), tensor.shape[-1]) != (1, len(tensors[KERNEL])):
            raise _other_kind(name, tensor, file)
    if max(tensors[KERNEL].shape[2:]) > MAX_PATCH:
        raise SpecError(f"{file.path} has patches of {describe_size(tensors[KERNEL].shape[2:])}, over {MAX_PATCH}")
    if len(tensors[KERNEL]) != len(tensors["blocks.0.norm1.weight"]):
        raise _other_kind(KERNEL, tensors[KERNEL], file)
    numbers = {match[1] for name in tensors if (match := BLOCK.match(name))}
    if numbers != {str(number) for number in range(len(numbers))}:
        raise SpecError(f"{file.path} lacks some of the blocks 0 to {max(numbers, key=lambda n: (len(n), n))[:20]}")


def _other_kind(name: str, tensor: Tensor, file: WeightFile) -> SpecError:
    return SpecError(f"{file.path} is a transformer of another kind: its {name} is {describe_size(tensor.shape)}")


def _floating(tensor: Tensor, name: str, file: WeightFile) -> Tensor:
    if tensor.is_floating_point():
        return tensor.to(torch.float32)
    if name.endswith((".weight", ".bias", "_token", "_embed")):
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise SpecError(f"{file.path} is quantised: {name} is {dtype}; take the weights in floating point")
    return tensor


def _complete_biases(tensors: dict[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Make biases of keys that are not there where queries and values have some, in place; say which."""
    made = {}
    for name in [name for name in tensors if name.endswith(".attn.q.bias")]:
        key = name.replace(".attn.q.", ".attn.k.")
        if key not in tensors:
            tensors[key] = torch.zeros_like(tensors[name])
            made[name.replace(".attn.q.", ".attn.qkv.")] = key
    return {"zeros for the key biases that it lacks": tuple(made)} if made else {}


def _leave_unit_scales_out(tensors: dict[str, Tensor]) -> None:
    """Take layer scales out, in place, that are all 1 and so do nothing, as of a model that must have some."""
    scales = [name for name in tensors if name.endswith(".gamma")]
    if all((tensors[name] == 1).all() for name in scales):
        for name in scales:
            del tensors[name]


def _complete(tensors: dict[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Make what ours has and theirs expresses in another way, in place; return what was made of which tensors."""
    changed = {}
    weights = [name for name in tensors if name.endswith(".attn.qkv.weight")]
    biases = [name.replace(".weight", ".bias") for name in weights]
    if weights and not any(name in tensors for name in biases):
        for weight, bias in zip(weights, biases, strict=True):
            tensors[bias] = torch.zeros(len(tensors[weight]))
        changed["zeros for the qkv biases that it lacks"] = tuple(biases)
    if "patch_embed.bias" not in tensors:
        tensors["patch_embed.bias"] = torch.zeros(len(tensors["patch_embed.weight"]))
        changed["zeros for the bias of the patches that it lacks"] = ("patch_embed.bias",)
    behind = ("fc_norm.weight", "fc_norm.bias")
    if all(name in tensors for name in behind):
        norms = [tensors.pop(name) for name in behind]
        if "norm.weight" not in tensors:
            ours = ("norm.weight", "norm.bias")
            tensors.update(zip(ours, norms, strict=True))
            changed["fc_norm, which stood behind the pooling, to norm before it"] = ours
    return changed


def _heads_on_record(file: WeightFile, config: Mapping[str, Any], embed_dim: int) -> int | None:
    """Return the attention heads that a `config.json` tells. Raises SpecError for a number that cannot be."""
    heads = config.get("num_attention_heads")
    if type(heads) is not int:
        return None
    if not 1 <= heads <= embed_dim or embed_dim % heads:
        raise SpecError(f"{file.path}: its config.json gives {heads:.20g} attention heads for a width of {embed_dim}")
    return heads


def _grid_on_record(config: Mapping[str, Any], patch_size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the grid that a `config.json` tells, or ()."""
    size = config.get("image_size")
    sizes = [size] * len(patch_size) if isinstance(size, int) else size
    if not isinstance(sizes, list) or len(sizes) != len(patch_size) or not all(isinstance(n, int) for n in sizes):
        return ()
    return tuple(length // cells for length, cells in zip(sizes, patch_size, strict=True))


def _split_positions(tensors: dict[str, Tensor], on_record: tuple[int, ...]) -> tuple[int, ...]:
    """Take the class token's row out of `pos_embed` and add it to `cls_token`, in place; return the patches' grid.

    A square grid is told by its number of cells; where that does not work, () is returned.
    """
    pos_embed = tensors.get("pos_embed")
    if pos_embed is None or pos_embed.ndim != 3:
        return ()
    counts = {name: tensors[name].shape[1] for name in PREFIX_TOKENS if name in tensors}
    rows, expected = pos_embed.shape[1], math.prod(on_record) if on_record else None
    num_prefix = _num_prefix(rows, counts, expected)
    if num_prefix and "cls_token" in tensors:
        tensors["cls_token"] = tensors["cls_token"] + pos_embed[:, :1]
    if num_prefix == sum(counts.values()) and (num := counts.get("reg_token")):
        tensors["reg_token"] = tensors["reg_token"] + pos_embed[:, num_prefix - num : num_prefix]
    tensors["pos_embed"] = pos_embed[:, num_prefix:]
    if rows - num_prefix == expected:
        return on_record
    side = side_of(rows - num_prefix)
    return (side, side) if side else ()


def _num_prefix(rows: int, counts: Mapping[str, int], expected: int | None) -> int:
    """Return how many of the rows of positions are those of tokens before the patches: of all, of the first, of none.

    As many patches as `expected` decide, else a square grid of them, else all tokens have a position.
    """
    choices = dict.fromkeys([sum(counts.values()), min(counts.get("cls_token", 0), 1), 0])
    by_record = [num for num in choices if rows - num == expected]
    by_side = [num for num in choices if side_of(rows - num)]
    return [*by_record, *by_side, *choices][0]


def _rotary(config: Mapping[str, Any], usual: float | None) -> float | None:
    """Return the base of rotary positions, None for a kind without them."""
    base = config.get("rope_theta", usual)
    return usual if usual is None or type(base) not in (int, float) or not 1 < base < math.inf else float(base)


def _norm_eps(config: Mapping[str, Any], usual: float | None) -> float | None:
    """Return what layer norms add to the variance where that is more than in ours, None where it is not."""
    eps = config.get("layer_norm_eps", usual)
    return float(eps) if isinstance(eps, (int, float)) and NORM_EPS < eps < 1 else None
