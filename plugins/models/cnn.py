"""Convolutional networks, to compare with: torchvision's, trained by the same trainer.

They start from random weights and read whole pictures, so masked autoencoding is not for them. Batch norm, where a
network has it, averages over a micro-batch: gradients of micro-batches are summed, its statistics are not shared.

Shapes: B batch, C channels, H, W height and width, D embed_dim, N cells of the last map, h, w its height and width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from maecli import api

SMALL_BELOW = 64
"""Pixels of the shorter side below which `stem` auto is small."""

Layers = tuple[tuple[str, ...], ...]
"""Names of the modules that run in turn: of the stem, of each of the stages, of what follows the last one."""


class ConvEncoder(api.Encoder):
    """A network of torchvision without its classifier; its last map's cells are the tokens.

    The mean of the tokens is global average pooling. Tensors keep torchvision's names, below `net`.
    """

    num_prefix_tokens = 0
    can_mask = False

    def __init__(
        self,
        net: nn.Module,
        layers: Layers,
        pyramid: Sequence[int],
        stride: int,
        rounds_up: bool,
        in_chans: int,
        img_size: Sequence[int],
    ) -> None:
        """Take the widths of the stages' maps as `pyramid`, and how many pixels lie between cells of the last one.

        `rounds_up` says whether a stage that halves an odd length keeps the larger half.
        """
        super().__init__()
        self.net, self.layers = net, layers
        self.pyramid, self.embed_dim, self.depth = tuple(pyramid), pyramid[-1], len(pyramid)
        self.in_chans, self.img_size = in_chans, tuple(img_size)
        self.patch_size = (stride,) * len(self.img_size)
        self.rounds_up = rounds_up
        self.batch_norm = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())

    @property
    def grid(self) -> tuple[int, ...]:
        return self._grid_of(self.img_size)

    def _grid_of(self, size: Sequence[int]) -> tuple[int, ...]:
        up = self.rounds_up
        return tuple(-(-n // s) if up else n // s for n, s in zip(size, self.patch_size, strict=True))

    def present(self, valid: Tensor | None, ids_keep: Tensor | None = None) -> None:
        """All cells of the last map count: each sees far more than its own patch."""

    def forward(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Return tokens (B, N, D) of x (B, C, H, W), missing cells 0. Raises ValueError for `ids_keep`."""
        if ids_keep is not None:
            raise ValueError("a convolutional network reads whole pictures: no patch can be left out")
        return self.features(x, (self.depth,), valid)[0].flatten(2).transpose(1, 2)

    def features(self, x: Tensor, depths: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        """Return maps (B, D, …) after the given stages, 1 to `depth`, D as in `pyramid`."""
        if self.training and self.batch_norm and len(x) == 1 and set(self._grid_of(x.shape[2:])) == {1}:
            raise api.SpecError(
                "batch norm cannot learn from one picture at a time whose last map is a single cell; raise "
                "--micro-batch-size or --batch-size so that no batch has a rest of one, or --img-size"
            )
        x, maps = api.nets.zero_missing(x, valid), {}
        for number, names in enumerate(self.layers):
            for name in names:
                x = self.net.get_submodule(name)(x)
            stage = min(number, self.depth)  # what follows the last stage belongs to its map
            if stage in depths:
                maps[stage] = x
        return [maps[stage] for stage in depths]

    def layer_of(self, name: str) -> int:
        inner = name.removeprefix("net.")
        return next(
            number
            for number, modules in enumerate(self.layers)
            if any(inner.startswith(f"{module}.") for module in modules)
        )


class CNN(api.Model):
    """Base of the networks: four stages, each half as fine as the one before."""

    can_mask = False
    concessions: ClassVar[Mapping[str, Any]] = {"train.layer_decay": 1.0}
    """Layers of a network from scratch learn alike; a recipe's decay is meant for a pretrained transformer."""
    layers: ClassVar[Layers]
    pyramid: ClassVar[tuple[int, int, int, int]]
    rounds_up: ClassVar[bool] = True

    class Options(api.ModelOptions):
        stem: Literal["auto", "imagenet", "small"] = Field(
            default="auto",
            description="small: without the first two halvings, so that the last map is 8 times as coarse as the "
            f"picture instead of 32; auto: small for pictures below {SMALL_BELOW} pixels",
        )

    def build(self, in_chans: int, img_size: tuple[int, ...]) -> ConvEncoder:
        if len(img_size) != 2:
            raise ValueError(f"it reads pictures, not data of {len(img_size)} axes; take a vit model")
        stem = self.options.stem
        small = min(img_size) < SMALL_BELOW if stem == "auto" else stem == "small"
        stride = 8 if small else 32
        if not self.rounds_up and min(img_size) < stride:
            way = "" if small else " or set model.stem to small"
            raise ValueError(f"img_size ({min(img_size)}) must be at least {stride}; raise --img-size{way}")
        net = self.net(in_chans, small)
        return ConvEncoder(net, self.layers, self.pyramid, stride, self.rounds_up, in_chans, img_size)

    @abstractmethod
    def net(self, in_chans: int, small: bool) -> nn.Module:
        """Return the network with the modules that `layers` names and no others that have parameters."""


class ResNet(CNN):
    """Residual networks, arXiv:1512.03385.

    A small stem is one 3 × 3 convolution, as that paper's networks for CIFAR-10 have (section 4.2); widths and depths
    stay those for ImageNet.
    """

    layers = (("conv1", "bn1", "relu", "maxpool"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))

    def net(self, in_chans: int, small: bool) -> nn.Module:
        net = getattr(_torchvision(), self.name)(num_classes=1)
        size, stride = (3, 1) if small else (7, 2)
        net.conv1 = nn.Conv2d(in_chans, 64, size, stride, size // 2, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        if small:
            net.maxpool = nn.Identity()
        del net.fc
        return net


class ResNet18(ResNet):
    """18 layers, 11.2M parameters: arXiv:1512.03385, table 1."""

    name = "resnet18"
    pyramid = (64, 128, 256, 512)


class ResNet34(ResNet):
    """34 layers, 21.3M parameters: arXiv:1512.03385, table 1."""

    name = "resnet34"
    pyramid = (64, 128, 256, 512)


class ResNet50(ResNet):
    """50 layers, 23.5M parameters: arXiv:1512.03385, table 1.

    torchvision's halves in the 3 × 3 convolution of a block, the paper's in its first one.
    """

    name = "resnet50"
    pyramid = (256, 512, 1024, 2048)


class ConvNeXtTiny(CNN):
    """ConvNeXt-T, 27.8M parameters: arXiv:2201.03545, section 3.

    Each token is normalised before they are averaged; the original normalises their mean. A small stem is one 3 × 3
    convolution.
    """

    name = "convnext-tiny"
    training_only = frozenset({"drop_path"})
    layers = (
        ("features.0",),
        ("features.1",),
        ("features.2", "features.3"),
        ("features.4", "features.5"),
        ("features.6", "features.7"),
        ("norm",),
    )
    pyramid = (96, 192, 384, 768)
    rounds_up = False

    class Options(CNN.Options):
        drop_path: float = Field(
            default=0.0, ge=0, lt=1, description="stochastic depth of the last block, rising from 0"
        )

    def net(self, in_chans: int, small: bool) -> nn.Module:
        net = _torchvision().convnext_tiny(num_classes=1, stochastic_depth_prob=self.options.drop_path)
        size, stride, padding = (3, 1, 1) if small else (4, 4, 0)
        conv = nn.Conv2d(in_chans, self.pyramid[0], size, stride, padding)
        nn.init.trunc_normal_(conv.weight, std=0.02)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        net.features[0][0] = conv
        net.norm = net.classifier[0]
        del net.classifier
        return net


class EfficientNetB0(CNN):
    """EfficientNet-B0, 4.0M parameters: arXiv:1905.11946, table 1."""

    name = "efficientnet-b0"
    training_only = frozenset({"drop_path"})
    layers = (
        ("features.0", "features.1"),
        ("features.2",),
        ("features.3",),
        ("features.4", "features.5"),
        ("features.6", "features.7"),
        ("features.8",),
    )
    pyramid = (24, 40, 112, 1280)

    class Options(CNN.Options):
        drop_path: float = Field(
            default=0.0, ge=0, lt=1, description="stochastic depth behind the last block, rising from 0"
        )

    def net(self, in_chans: int, small: bool) -> nn.Module:
        net = _torchvision().efficientnet_b0(num_classes=1, stochastic_depth_prob=self.options.drop_path)
        return _adapted(net, in_chans, small)


class MobileNetV3Small(CNN):
    """MobileNetV3-Small, 0.9M parameters: arXiv:1905.02244, table 2.

    Without the wide layer that the original has between pooling and classes; task.head mlp puts one there.
    """

    name = "mobilenet-v3-small"
    layers = (
        ("features.0",),
        ("features.1",),
        ("features.2", "features.3"),
        tuple(f"features.{i}" for i in range(4, 9)),
        tuple(f"features.{i}" for i in range(9, 12)),
        ("features.12",),
    )
    pyramid = (16, 24, 48, 576)

    def net(self, in_chans: int, small: bool) -> nn.Module:
        return _adapted(_torchvision().mobilenet_v3_small(num_classes=1), in_chans, small)


def _adapted(net: Any, in_chans: int, small: bool) -> nn.Module:
    """Give a network whose first convolution is `features[0][0]` its channels and stem; take its classifier away."""
    first = net.features[0][0]
    conv = nn.Conv2d(in_chans, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    net.features[0][0] = conv
    if small:
        halving = [module for module in net.modules() if isinstance(module, nn.Conv2d) and module.stride == (2, 2)]
        for module in halving[:2]:
            module.stride = (1, 1)
    del net.classifier
    return net


def _torchvision() -> Any:
    from torchvision import models  # type: ignore[import-untyped]  # takes seconds; only a model that is built needs it

    return models


@api.hookimpl
def mae_models() -> list[type[api.Model]]:
    return [ResNet18, ResNet34, ResNet50, ConvNeXtTiny, EfficientNetB0, MobileNetV3Small]
