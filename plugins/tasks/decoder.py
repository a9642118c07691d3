"""Options of the decoder that pretraining has behind the encoder."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from maecli import api

Positive = Annotated[int, Field(ge=1)]


class DecoderOptions(api.Options):
    """Options of a task whose module has a `Decoder`."""

    decoder_embed_dim: Positive | None = Field(default=None, description="default: what suits the model")
    decoder_depth: Positive | None = Field(default=None, description="default: what suits the model")
    decoder_num_heads: Positive | None = Field(default=None, description="default: what suits the model")
    decoder_mlp_ratio: float = Field(default=4.0, gt=0, description="width of the MLP, in decoder_embed_dims")

    def decoder_of(self, encoder: api.Encoder) -> api.nets.Decoder:
        """Return a new decoder for the tokens of an encoder."""
        return api.nets.Decoder.suited(
            encoder, self.decoder_embed_dim, self.decoder_depth, self.decoder_num_heads, self.decoder_mlp_ratio
        )
