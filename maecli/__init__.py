"""Pretrain vision transformers by masked autoencoding, fine-tune them, and know how good they are."""

__version__ = "0.1.0"
