"""Compare `--adapt lora` with peft's LoRA on one ViT: start, outputs, gradients, ten steps of AdamW, merged weights.

peft is no dependency of ours, and needs an environment of its own:

    uv venv /tmp/peft
    uv pip install --python /tmp/peft/bin/python peft timm .
    /tmp/peft/bin/python benchmarks/peft_parity.py

Both have the weights of a random timm ViT, and the same A and B. It prints the greatest difference of each, in float64,
relative to the greatest value, and ends with 1 where one is above `MOST`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import peft
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from maecli.models.lora import LoraLinear, add_lora, merged
from maecli.models.vit import VisionTransformer
from maecli.weights.files import read_weights
from maecli.weights.fit import load_encoder_weights
from maecli.weights.formats import import_encoder

MOST = 1e-12
SIZE, WIDTH, DEPTH, HEADS = 64, 96, 4, 3
RANK, ALPHA, LAYERS = 8, 16.0, ("qkv", "proj", "fc1", "fc2")


def models() -> tuple[VisionTransformer, nn.Module]:
    """Return our encoder and timm's with the same weights, in float64."""
    shape = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS}
    theirs = timm.models.VisionTransformer(img_size=SIZE, patch_size=16, num_classes=0, **shape).double()
    ours = VisionTransformer((SIZE, SIZE), (16, 16), learned_pos_embed=True, **shape).double()
    nn.init.zeros_(theirs.cls_token)  # we keep its sum with its position, in float32
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "timm.safetensors"
        save_file(theirs.state_dict(), file)
        load_encoder_weights(ours, import_encoder(read_weights(file)))
    return ours, theirs


def difference(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the greatest difference of tensors, relative to the greatest value of theirs."""
    with torch.no_grad():
        return max(float((mine - yours).abs().max() / yours.abs().max()) for mine, yours in pairs)


def matrices(mine: LoraLinear, yours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return A of both, and B of both."""
    return [
        (mine.lora_a, yours.lora_A["default"].weight),
        (mine.lora_b, yours.lora_B["default"].weight),
    ]


def adapted(ours: VisionTransformer, theirs: nn.Module) -> tuple[nn.Module, dict[str, tuple[LoraLinear, nn.Module]]]:
    """Give both the same adapters, by their names, and layer norms that stay; return peft's model, too."""
    add_lora(ours, RANK, ALPHA, LAYERS)
    pattern = rf"blocks\.\d+\.(attn|mlp)\.({'|'.join(LAYERS)})"
    wrapped = peft.get_peft_model(theirs, peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=pattern)).double()
    for part in ours.modules():
        if isinstance(part, nn.LayerNorm):  # which peft leaves as they are
            part.requires_grad_(False)
    parts = {name: part for name, part in ours.named_modules() if isinstance(part, LoraLinear)}
    return wrapped, {name: (part, theirs.get_submodule(name)) for name, part in parts.items()}


def learn(module: nn.Module, loss: Callable[[], Tensor]) -> None:
    """Do ten steps of AdamW."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-3, weight_decay=0.0)
    for _ in range(10):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def main() -> int:
    torch.manual_seed(0)
    ours, theirs = models()
    x = torch.randn(4, 3, SIZE, SIZE).double()
    weights = torch.randn(4, 1 + (SIZE // 16) ** 2, WIDTH).double()

    def loss(out: Tensor) -> Tensor:
        return (out * weights).mean() + out.square().mean()

    plain = ours(x).detach()
    wrapped, layers = adapted(ours, theirs)
    found = {"outputs at the start": difference([(ours(x), plain), (theirs.forward_features(x), plain)])}
    for mine, yours in layers.values():
        nn.init.normal_(mine.lora_b, std=0.1)
        with torch.no_grad():
            for own, other in matrices(mine, yours):
                other.copy_(own)
    found["outputs"] = difference([(ours(x), theirs.forward_features(x))])
    loss(ours(x)).backward()
    loss(theirs.forward_features(x)).backward()
    pairs = [pair for both in layers.values() for pair in matrices(*both)]
    found["gradients"] = difference((own.grad, other.grad) for own, other in pairs)
    learn(ours, lambda: loss(ours(x)))
    learn(wrapped, lambda: loss(theirs.forward_features(x)))
    found["outputs after ten steps"] = difference([(ours(x), theirs.forward_features(x))])
    whole, base = merged(ours), wrapped.merge_and_unload()
    found["merged weights"] = difference(
        (whole.get_submodule(name).weight, base.get_submodule(name).weight) for name in layers
    )
    found["outputs of merged weights"] = difference([(whole(x), ours(x))])
    print(f"peft {peft.__version__}, timm {timm.__version__}: {len(layers)} layers, rank {RANK}, alpha {ALPHA:g}")
    for name, value in found.items():
        print(f"{name}: {value:.1e}")
    return int(max(found.values()) > MOST)


if __name__ == "__main__":
    sys.exit(main())
