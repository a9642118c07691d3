"""Vision transformers from two-core size to ViT-H, and hybrids with a convolutional stem."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from maecli import api

from .hybrid import HybridVisionTransformer

Positive = Annotated[int, Field(ge=1)]


class ViT(api.Model):
    """A plain vision transformer; every size can be changed."""

    name = "vit"
    training_only = frozenset({"drop_path"})

    class Options(api.ModelOptions):
        patch_size: Positive | tuple[Positive, ...] = Field(
            default=16, description="pixels along each axis, or one number for all"
        )
        embed_dim: Positive = Field(default=768, description="width of the tokens")
        depth: Positive = Field(default=12, description="number of blocks")
        num_heads: Positive = Field(default=12, description="attention heads")
        mlp_ratio: float = Field(default=4.0, gt=0, description="width of the MLP, in embed_dims")
        drop_path: float = Field(
            default=0.0, ge=0, lt=1, description="stochastic depth of the last block, rising from 0"
        )
        layer_scale: float | None = Field(default=None, gt=0, description="initial LayerScale; none without")
        learned_pos_embed: bool = Field(default=False, description="train the positions, starting from sine and cosine")
        per_channel: bool = Field(
            default=False, description="read each channel of a series by itself, by the same weights, arXiv:2211.14730"
        )
        final_norm: bool = Field(
            default=True,
            description="normalise tokens after the last block; without it they keep their sizes, of which forecasts "
            "are almost linear",
        )

        registers: int = Field(
            default=0, ge=0, le=64, description="further tokens beside the class token, arXiv:2309.16588"
        )
        pre_norm: bool = Field(default=False, description="normalise tokens before the first block too, as CLIP does")
        activation: Literal["gelu", "quick_gelu"] = Field(
            default="gelu", description="of the MLPs; quick_gelu: OpenAI's CLIP"
        )
        rotary: float | None = Field(
            default=None, gt=1, description="base of rotary positions, instead of added ones; DINOv3: 100"
        )
        norm_eps: float = Field(
            default=1e-6, gt=0, lt=1, description="what layer norms add to the variance; CLIP: 1e-5"
        )

    decoder: ClassVar[tuple[int, int, int]] = (512, 8, 16)
    """The decoder that suits this size in pretraining: embed_dim, depth, num_heads."""

    encoder: ClassVar[type[api.nets.VisionTransformer]] = api.nets.VisionTransformer

    def build(self, in_chans: int, img_size: tuple[int, ...]) -> api.Encoder:
        settings = self.options.model_dump(exclude={"img_size", "patch_size"})
        patch = self.options.patch_size
        patch_size = (patch,) * len(img_size) if isinstance(patch, int) else patch
        return self.encoder(img_size, patch_size, in_chans, decoder=self.decoder, **settings)


class ViTLite(ViT):
    """128 × 6: minutes on two CPU cores, for pictures of about 28 to 32 pixels."""

    name = "vit-lite"
    default_img_size = 32
    worth_from = 0
    decoder = (64, 2, 4)

    class Options(ViT.Options):
        patch_size: Positive | tuple[Positive, ...] = 4
        embed_dim: Positive = 128
        depth: Positive = 6
        num_heads: Positive = 4
        mlp_ratio: float = 2.0


class ViTTiny(ViT):
    """192 × 12 (DeiT-Ti), 5.7M parameters at 224: arXiv:2012.12877, table 1."""

    name = "vit-tiny"
    worth_from = 10_000_000
    decoder = (128, 4, 4)

    class Options(ViT.Options):
        embed_dim: Positive = 192
        num_heads: Positive = 3


class ViTSmall(ViT):
    """384 × 12 (DeiT-S), 22M parameters: arXiv:2012.12877, table 1."""

    name = "vit-small"
    worth_from = 50_000_000
    decoder = (256, 4, 8)

    class Options(ViT.Options):
        embed_dim: Positive = 384
        num_heads: Positive = 6


class ViTBase(ViT):
    """768 × 12, 86M parameters, as in MAE: arXiv:2111.06377, section 4; ViT, arXiv:2010.11929, table 1."""

    name = "vit-base"
    worth_from = 500_000_000


class ViTLarge(ViT):
    """1024 × 24, 304M parameters, as in MAE: arXiv:2111.06377, section 4."""

    name = "vit-large"

    class Options(ViT.Options):
        embed_dim: Positive = 1024
        depth: Positive = 24
        num_heads: Positive = 16


class ViTHuge(ViT):
    """1280 × 32 with patches of 14, 632M parameters, as in MAE: arXiv:2111.06377, section 4."""

    name = "vit-huge"

    class Options(ViT.Options):
        patch_size: Positive | tuple[Positive, ...] = 14
        embed_dim: Positive = 1280
        depth: Positive = 32
        num_heads: Positive = 16


class Hybrid(ViT):
    """A ViT whose patches are embedded by 3×3 convolutions that see visible patches only."""

    name = "hybrid"
    encoder = HybridVisionTransformer

    class Options(ViT.Options):
        stem_units: int = Field(
            default=1, ge=0, description="residual units of two convolutions at each resolution of the stem"
        )


class HybridLite(Hybrid):
    """128 × 4 behind convolutions: minutes on two CPU cores, for pictures of about 28 to 32 pixels."""

    name = "hybrid-lite"
    default_img_size = 32
    decoder = ViTLite.decoder

    class Options(Hybrid.Options):
        patch_size: Positive | tuple[Positive, ...] = 4
        embed_dim: Positive = 128
        depth: Positive = 4
        num_heads: Positive = 4
        mlp_ratio: float = 2.0


class HybridSmall(Hybrid):
    """The hybrid of `vit-small`: 384 × 12."""

    name = "hybrid-small"
    decoder = ViTSmall.decoder

    class Options(Hybrid.Options):
        embed_dim: Positive = 384
        num_heads: Positive = 6


@api.hookimpl
def mae_models() -> list[type[api.Model]]:
    return [ViT, ViTLite, ViTTiny, ViTSmall, ViTBase, ViTLarge, ViTHuge, Hybrid, HybridLite, HybridSmall]
