"""What every encoder, transformer or convolutional, tells the tasks that build on it.

Shapes: B batch, C channels, S spatial axes, N patches, K kept, T prefix tokens, D embed_dim, G grid cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


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

    @property
    def grid(self) -> tuple[int, ...]:
        """Patches along each axis at the encoder's own image size."""
        return tuple(size // patch for size, patch in zip(self.img_size, self.patch_size, strict=True))

    @abstractmethod
    def forward(self, x: Tensor, ids_keep: Tensor | None = None) -> Tensor:
        """Return tokens (B, T + N, D) of x (B, C, *S), or (B, T + K, D) of the patches in `ids_keep` (B, K).

        Normalised, ready for a head or a decoder. x may have another size than the encoder's own: positions
        are interpolated.
        """

    @abstractmethod
    def features(self, x: Tensor, depths: Sequence[int]) -> list[Tensor]:
        """Return maps (B, D, *G) after the given numbers of blocks, 1 to `depth`; for dense heads."""

    @abstractmethod
    def layer_of(self, name: str) -> int:
        """Return the layer, 0 (embeddings) to `depth` + 1 (last norm), of a parameter; for layer-wise decay."""

    @property
    def decoder_defaults(self) -> tuple[int, int, int]:
        """Suggest a decoder for masked autoencoding: (embed_dim, depth, num_heads)."""
        return 512, 8, 16
