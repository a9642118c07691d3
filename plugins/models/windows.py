"""Models of series to compare with: they read a whole window and give one token of it.

`nlinear` gives the window itself, so that the task's linear head is the model; `rnn`, `lstm` and `gru` give their last
state. Each channel is read by itself, less its last value. They leave nothing out, so masked autoencoding is not for
them.

Shapes: B batch, C channels, S spatial axes, the last one time, L steps, D embed_dim, P values that are read at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from maecli import api

Positive = Annotated[int, Field(ge=1)]


class WindowEncoder(api.Encoder):
    """Base of encoders with one token (B, 1, D) of a whole window."""

    num_prefix_tokens = 0
    can_mask = False
    window_norm: ClassVar[api.nets.WindowNorm] = "last"

    def __init__(self, in_chans: int, img_size: Sequence[int], embed_dim: int, depth: int, per_channel: bool) -> None:
        super().__init__()
        self.per_channel, self.in_chans = per_channel, 1 if per_channel else in_chans
        self.img_size = self.patch_size = tuple(img_size)
        self.embed_dim, self.depth = embed_dim, depth

    def forward(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Return tokens (B, 1, D) of x (B, C, *S), missing cells 0. Raises ValueError for `ids_keep`."""
        if ids_keep is not None:
            raise ValueError("this model reads whole windows: no patch can be left out")
        if self.per_channel and x.shape[1] > 1:
            return api.nets.mean_over_channels(self, x, None, valid)
        return self.states(api.nets.zero_missing(x, valid), (self.depth,))[0].unsqueeze(1)

    def features(self, x: Tensor, depths: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        """Return maps (B, D, 1, …) after the given layers, of several channels their means."""
        x, channels = api.nets.zero_missing(x, valid), x.shape[1]
        if self.per_channel:
            x = api.nets.split_channels(x)
        states = self.states(x, depths)
        if self.per_channel:
            states = [state.reshape(-1, channels, state.shape[1]).mean(1) for state in states]
        return [state.reshape(*state.shape, *[1] * len(self.img_size)) for state in states]

    def present(self, valid: Tensor | None, ids_keep: Tensor | None = None) -> None:
        """The one token always stands for something."""

    def states(self, x: Tensor, depths: Sequence[int]) -> list[Tensor]:
        """Return what the window x (B, C, *S) is after the given layers, 1 to `depth`, each (B, D)."""
        raise NotImplementedError


class WholeWindow(WindowEncoder):
    """The window itself, without a single parameter."""

    def __init__(self, in_chans: int, img_size: Sequence[int], per_channel: bool) -> None:
        num = math.prod(img_size) * (1 if per_channel else in_chans)
        super().__init__(in_chans, img_size, num, 1, per_channel)

    def states(self, x: Tensor, depths: Sequence[int]) -> list[Tensor]:
        return [x.flatten(1) for _ in depths]

    def layer_of(self, name: str) -> int:
        return 0


class RecurrentEncoder(WindowEncoder):
    """The last state of a recurrent network, in float32."""

    def __init__(
        self,
        kind: type[nn.RNNBase],
        in_chans: int,
        img_size: Sequence[int],
        embed_dim: int,
        depth: int,
        patch_size: int,
        per_channel: bool,
    ) -> None:
        super().__init__(in_chans, img_size, embed_dim, depth, per_channel)
        if img_size[-1] % patch_size:
            raise ValueError(f"img_size ({img_size[-1]}) must be a multiple of patch_size ({patch_size})")
        self.steps_at_once = patch_size
        num = math.prod(img_size[:-1]) * self.in_chans * patch_size
        self.layers = nn.ModuleList(
            kind(num if layer == 0 else embed_dim, embed_dim, batch_first=True)  # type: ignore[arg-type, call-arg]
            for layer in range(depth)
        )

    def states(self, x: Tensor, depths: Sequence[int]) -> list[Tensor]:
        x = x.flatten(1, -2).transpose(1, 2)  # (B, L, values of a step)
        x = x.reshape(x.shape[0], -1, self.steps_at_once * x.shape[2])  # (B, L / steps at once, P)
        last = []
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            for layer in self.layers:
                x, _ = layer(x)
                last.append(x[:, -1])
        return [last[depth - 1] for depth in depths]

    def layer_of(self, name: str) -> int:
        match = re.match(r"layers\.(\d+)\.", name)
        return int(match[1]) + 1 if match else 0


class WindowModel(api.Model):
    """Base of the models: from scratch, all layers learn alike."""

    can_mask = False
    concessions: ClassVar[Mapping[str, Any]] = {"train.layer_decay": 1.0}

    class Options(api.ModelOptions):
        per_channel: bool = Field(
            default=True, description="read each channel of a series by itself, by the same weights"
        )


class NLinear(WindowModel):
    """One linear layer from a window less its last value to what follows: arXiv:2205.13504, section 4."""

    name = "nlinear"

    def build(self, in_chans: int, img_size: tuple[int, ...]) -> WholeWindow:
        return WholeWindow(in_chans, img_size, self.options.per_channel)


class Recurrent(WindowModel):
    """Base of the recurrent networks."""

    kind: ClassVar[type[nn.RNNBase]]

    class Options(WindowModel.Options):
        embed_dim: Positive = Field(default=128, description="width of the state")
        depth: Positive = Field(default=1, description="number of layers")
        patch_size: Positive = Field(default=1, description="steps that are read at once")

    def build(self, in_chans: int, img_size: tuple[int, ...]) -> RecurrentEncoder:
        options = self.options
        sizes = (options.embed_dim, options.depth, options.patch_size)
        return RecurrentEncoder(self.kind, in_chans, img_size, *sizes, options.per_channel)


class RNN(Recurrent):
    """A plain recurrent network (tanh) over the steps of a window."""

    name = "rnn"
    kind = nn.RNN


class LSTM(Recurrent):
    """Long short-term memory over the steps of a window."""

    name = "lstm"
    kind = nn.LSTM


class GRU(Recurrent):
    """Gated recurrent units over the steps of a window: arXiv:1406.1078; of several steps at once, arXiv:2308.11200."""

    name = "gru"
    kind = nn.GRU


@api.hookimpl
def mae_models() -> list[type[api.Model]]:
    return [NLinear, RNN, LSTM, GRU]
