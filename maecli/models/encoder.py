"""What every encoder, transformer or convolutional, tells the tasks that build on it.

Shapes: B batch, C channels, S spatial axes, N patches, K kept, T prefix tokens, D embed_dim, G grid cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from torch import Tensor, nn

from maecli.models.levels import WindowNorm
from maecli.models.missing import present_patches


class Encoder(nn.Module, ABC):
    """A module from pictures, series or volumes to tokens.

    Subclasses set these in `__init__`.
    """

    embed_dim: int
    img_size: tuple[int, ...]
    patch_size: tuple[int, ...]
    in_chans: int
    num_prefix_tokens: int
    """How many tokens before the patches' (1 for a class token)."""
    depth: int
    frozen: bool = False
    """Whether it stays as it is while a head learns; see `freeze`."""
    frozen_blocks: int = 0
    """How many of its first blocks, and the embedding before them, stay as they are; see `freeze_blocks`."""
    can_mask: ClassVar[bool] = True
    """Whether `forward` can leave patches out; without that there is no masked autoencoding."""
    per_channel: bool = False
    """Whether it reads one channel at a time: `in_chans` is then 1, whatever the data have.

    Tasks of series give it each channel as a sample, see `split_channels`; of several its tokens are means over them.
    """
    by_cell: ClassVar[tuple[str, ...]] = ("pos_embed",)
    """Tensors (1, N, …, D) with an entry for each patch, which where patches are cells with names goes by these.

    What a cell has more than one axis of begins with what means the same in all tables.
    """
    window_norm: ClassVar[WindowNorm] = "revin"
    """What suits it best to take from a window of a series before it reads that."""
    pyramid: tuple[int, ...] = ()
    """Widths of the maps after each stage when they get coarser with depth, as in most convolutional networks.

    Empty when the maps of all blocks are alike, `embed_dim` wide on the same grid.
    """
    decoder_defaults: tuple[int, int, int] = (512, 8, 16)
    """What decoder suits it in masked autoencoding: embed_dim, depth, num_heads."""

    def freeze(self) -> None:
        """Keep the weights as they are: no gradient, and evaluation mode even while the rest is trained.

        So neither dropout nor stochastic depth acts, running statistics stay, and autograd records nothing.
        """
        self.frozen = True
        self.requires_grad_(False).eval()

    def freeze_blocks(self, num: int) -> None:
        """Keep the embedding and the first `num` blocks as they are, as `freeze` keeps all.

        No weight before the first that learns needs a gradient, so autograd records nothing up to there. Raises
        ValueError for more blocks than there are.
        """
        if num > self.depth:
            raise ValueError(f"train.freeze_blocks ({num}) must be at most {self.depth}, the number of its blocks")
        self.frozen_blocks = num
        for name, parameter in self.named_parameters():
            if self.layer_of(name) <= num:
                parameter.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode and not self.frozen)
        for part in self._frozen_parts():
            part.eval()
        return self

    def _frozen_parts(self) -> Iterator[nn.Module]:
        """Yield the modules all of whose parameters lie in the blocks that stay as they are."""
        for name, part in self.named_modules() if self.frozen_blocks else ():
            layers = [self.layer_of(f"{name}.{parameter}") for parameter, _ in part.named_parameters()] if name else []
            if layers and max(layers) <= self.frozen_blocks:
                yield part

    @property
    def grid(self) -> tuple[int, ...]:
        """Patches along each axis at the encoder's own image size."""
        return tuple(size // patch for size, patch in zip(self.img_size, self.patch_size, strict=True))

    @abstractmethod
    def forward(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Return tokens (B, T + N, D) of x (B, C, *S), or (B, T + K, D) of the patches in `ids_keep` (B, K).

        Normalised, ready for a head or a decoder. x may have another size than the encoder's own: positions
        are interpolated. Raises ValueError for `ids_keep` where it cannot mask. Cells of x that are not `valid`
        (B, C, *S) have no say, and tokens of patches that are not `present` are 0.
        """

    @abstractmethod
    def features(self, x: Tensor, depths: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        """Return maps (B, D, *G) after the given numbers of blocks, 1 to `depth`; for dense heads.

        Those of an encoder with a `pyramid` have widths and grids of their own, the last one `embed_dim` and `grid`.
        `valid` as for `forward`.
        """

    def present(self, valid: Tensor | None, ids_keep: Tensor | None = None) -> Tensor | None:
        """Return which patches, or which of those in `ids_keep`, have a cell that is `valid`: (B, N or K) bool.

        None: all tokens stand for something, as they do where nothing is missing, or where patches overlap.
        """
        if valid is None:
            return None
        present = present_patches(valid, self.patch_size)
        return present if ids_keep is None else present.gather(1, ids_keep)

    @abstractmethod
    def layer_of(self, name: str) -> int:
        """Return the layer, 0 (embeddings) to `depth` + 1 (last norm), of a parameter; for layer-wise decay."""
