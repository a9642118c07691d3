"""What a model promises: the encoder that it builds tells the truth about its tokens.

Shapes: B batch, C channels, T prefix tokens, N patches, K kept, D embed_dim.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.models.encoder import Encoder
from maecli.models.plugin import Model, ModelOptions
from maecli.testing.finding import Broken, Finding, Stages, expect, find_all, must_work
from maecli.testing.gradients import check_step
from maecli.testing.imports import imports
from maecli.testing.options import check_class, check_options, spec
from maecli.testing.saving import hand_over
from maecli.text import some

SMALLER: Mapping[str, Any] = {"embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "patch_size": 8}
"""What the kit sets at most, where a model has an option of this name and the author says nothing: a step in
milliseconds."""
CHANNELS, PICTURES, AXIS = 3, 2, 32


class ModelSubject:
    """A model that is looked at, and an encoder of it."""

    def __init__(
        self, plugin: type[Model], options: Mapping[str, Any] | None = None, img_size: tuple[int, ...] | None = None
    ) -> None:
        self.plugin, self.settings = plugin, options
        self.img_size = (AXIS,) * plugin.num_axes if img_size is None else img_size

    @cached_property
    def options(self) -> Any:
        usual = {name: field.default for name, field in self.plugin.Options.model_fields.items()}
        smaller = {name: _smaller(usual[name], most) for name, most in SMALLER.items() if name in usual}
        return self.plugin.Options.model_validate(smaller if self.settings is None else self.settings)

    def build(self, seed: int = 0) -> Encoder:
        """Return a new encoder, its weights drawn from a seed."""
        torch.manual_seed(seed)
        return self.plugin(self.options).build(CHANNELS, self.img_size)

    @cached_property
    def encoder(self) -> Encoder:
        return self.build().eval()

    @cached_property
    def pictures(self) -> Tensor:
        return torch.randn(PICTURES, CHANNELS, *self.img_size, generator=torch.Generator().manual_seed(0))

    @property
    def num_patches(self) -> int:
        return math.prod(self.encoder.grid)


def _smaller(usual: Any, most: float) -> Any:
    return min(usual, most) if isinstance(usual, (int, float)) else most


def options(subject: ModelSubject) -> None:
    """The class has a name and a docstring; each option has a default and a description."""
    plugin = subject.plugin
    check_class(plugin)
    check_options(plugin, ModelOptions)
    unknown = sorted(set(plugin.training_only) - set(plugin.Options.model_fields))
    expect(not unknown, f"{plugin.__name__}.training_only names {some(unknown)}, which is none of its options")


def build(subject: ModelSubject) -> None:
    """The encoder is built for the given pictures, and says what it is like."""
    name = subject.plugin.name
    what = f"{name} cannot be built for pictures of {subject.img_size}"
    with must_work(what, "give the kit options or an img_size that suit it"):
        encoder = subject.encoder
    expect(
        isinstance(encoder, Encoder),
        f"{name}.build() returns {type(encoder).__name__}; derive the network from api.Encoder",
    )
    attributes = ("embed_dim", "img_size", "patch_size", "in_chans", "num_prefix_tokens", "depth")
    absent = [name for name in attributes if not hasattr(encoder, name)]
    expect(not absent, f"the encoder of {name} has no {some(absent)}; set it in __init__, as api.Encoder says")
    channels = 1 if encoder.per_channel else CHANNELS
    expect(
        tuple(encoder.img_size) == subject.img_size and encoder.in_chans == channels,
        f"the encoder of {name} was asked for {CHANNELS} channels of {subject.img_size} and says {encoder.in_chans} of "
        f"{tuple(encoder.img_size)}; keep what build() is given, or 1 channel where per_channel is set",
    )
    expect(
        subject.plugin.can_mask == encoder.can_mask,
        f"{name} says can_mask = {subject.plugin.can_mask} and its encoder {encoder.can_mask}; say the same",
    )


def repeatable(subject: ModelSubject) -> None:
    """One seed gives one set of weights."""
    first, second = subject.encoder.state_dict(), subject.build().state_dict()
    apart = [name for name in first if not torch.equal(first[name], second[name])]
    expect(
        not apart,
        f"{some(apart)} of {subject.plugin.name} differs between two encoders of one seed; draw weights from torch's "
        "generator, which is seeded before build()",
    )


@torch.no_grad()
def tokens(subject: ModelSubject) -> None:
    """Tokens are as many and as wide as the encoder says, also of a part of the patches."""
    encoder, name, x = subject.encoder, subject.plugin.name, subject.pictures
    T, N, D = encoder.num_prefix_tokens, subject.num_patches, encoder.embed_dim
    shape = tuple(encoder(x).shape)
    expect(
        shape == (len(x), T + N, D),
        f"the encoder of {name} gives tokens {shape} of {len(x)} pictures; by its own words ({T} prefix tokens, a grid "
        f"of {encoder.grid}, embed_dim {D}) they are {(len(x), T + N, D)}",
    )
    ids_keep = torch.stack([torch.randperm(N, generator=torch.Generator().manual_seed(i)) for i in range(len(x))])
    ids_keep = ids_keep[:, : max(1, N // 4)]
    if not encoder.can_mask:
        try:
            encoder(x, ids_keep)
        except ValueError:
            return
        raise Broken(f"{name} cannot leave patches out (can_mask = False) and takes ids_keep; raise ValueError for it")
    shape = tuple(encoder(x, ids_keep).shape)
    expect(
        shape == (len(x), T + ids_keep.shape[1], D),
        f"the encoder of {name} gives tokens {shape} of {ids_keep.shape[1]} kept patches; they are "
        f"{(len(x), T + ids_keep.shape[1], D)}, or can_mask = False",
    )
    hidden = torch.ones(len(x), N).scatter_(1, ids_keep, 0.0).reshape(len(x), 1, *encoder.grid)  # 1 = hidden
    changed = x + 10 * F.interpolate(hidden, size=tuple(encoder.img_size))
    expect(
        torch.allclose(encoder(x, ids_keep), encoder(changed, ids_keep), atol=1e-5),
        f"the tokens of {name} change with pixels of patches that are hidden; embed and mix the patches in ids_keep "
        "alone, or what is to be predicted is seen",
    )


@torch.no_grad()
def features(subject: ModelSubject) -> None:
    """There is a map after each of `depth` blocks, as wide as the encoder says."""
    encoder, name, x = subject.encoder, subject.plugin.name, subject.pictures
    depths = list(range(1, encoder.depth + 1))
    maps = encoder.features(x, depths)
    expect(
        len(maps) == len(depths), f"features() of {name} gives {len(maps)} maps for {len(depths)} depths; give one each"
    )
    for depth, shape in zip(depths, (tuple(tensor.shape) for tensor in maps), strict=True):
        width = encoder.pyramid[depth - 1] if encoder.pyramid else encoder.embed_dim
        grid = shape[2:] if encoder.pyramid and depth < encoder.depth else encoder.grid
        expect(
            shape == (len(x), width, *grid),
            f"features() of {name} gives {shape} after {depth} of {encoder.depth} blocks; by its own words it is "
            f"{(len(x), width, *grid)}",
        )


@torch.no_grad()
def missing(subject: ModelSubject) -> None:
    """Cells that are missing have no say."""
    encoder, name, x = subject.encoder, subject.plugin.name, subject.pictures
    valid = torch.ones_like(x, dtype=torch.bool)
    valid[:, :, : x.shape[2] // 2] = False
    with must_work(f"the encoder of {name} takes no `valid`", "give forward() and features() what api.Encoder has"):
        known, unknown = (
            [encoder(each, valid=valid), *encoder.features(each, (encoder.depth,), valid=valid)]
            for each in (x, torch.where(valid, x, torch.nan))
        )
    expect(
        all(one.equal(other) for one, other in zip(known, unknown, strict=True)),
        f"what {name} makes of pictures changes with missing cells; begin with api.nets.zero_missing(x, valid)",
    )


def layers(subject: ModelSubject) -> None:
    """Each parameter belongs to a layer from 0 to depth + 1."""
    encoder, last = subject.encoder, subject.encoder.depth + 1
    for path, _ in encoder.named_parameters():
        layer = encoder.layer_of(path)
        expect(
            isinstance(layer, int) and 0 <= layer <= last,
            f"layer_of({path!r}) of {subject.plugin.name} is {layer!r}; give 0 (embeddings) to {last} (last norm), for "
            "learning rates that fall with depth",
        )


def training(subject: ModelSubject) -> None:
    """One step has a finite loss, and its gradients reach every parameter that learns, if there is any."""
    encoder = copy.deepcopy(subject.encoder).train()
    if not list(encoder.parameters()):  # a head on the window itself is the model
        return
    check_step(subject.plugin.name, encoder, lambda: encoder(subject.pictures).square().mean())


def freezing(subject: ModelSubject) -> None:
    """A frozen encoder gives the same tokens in training as in evaluation."""
    encoder = copy.deepcopy(subject.encoder)
    encoder.freeze()
    with torch.no_grad():
        training, evaluation = encoder.train()(subject.pictures), encoder.eval()(subject.pictures)
    expect(
        torch.equal(training, evaluation),
        f"the frozen encoder of {subject.plugin.name} gives other tokens in training than in evaluation; leave "
        "freeze() and train() as api.Encoder has them",
    )


def saving(subject: ModelSubject) -> None:
    """An encoder with the weights of a checkpoint gives the tokens of the saved one."""
    encoder, other = subject.encoder, subject.build(seed=1).eval()
    hand_over(f"the encoder of {subject.plugin.name}", encoder, other)
    with torch.no_grad():
        same = torch.allclose(encoder(subject.pictures), other(subject.pictures), atol=1e-6)
    expect(
        same,
        f"the tokens of {subject.plugin.name} differ after saving and loading; keep all that they depend on in "
        "parameters and buffers, or in the options",
    )


STAGES: Stages = (
    (options, spec, imports),
    (build,),
    (repeatable, tokens, features, missing, layers),
    (training, freezing, saving),
)


def check_model(
    model: type[Model], options: Mapping[str, Any] | None = None, img_size: tuple[int, ...] | None = None
) -> list[Finding]:
    """Return a finding for each promise of a model for pictures (3, *img_size), by default of 32 along each axis.

    Without `options` the model is made small where its options have the usual names (embed_dim, depth, num_heads).
    """
    return find_all(STAGES, ModelSubject(model, options, img_size))
