"""What files of weights are called."""

from __future__ import annotations

from maecli.weights.shards import INDEX

CONFIG, PIXELS_CONFIG = "config.json", "preprocessor_config.json"
WHOLE_FILES = ("model.safetensors", "pytorch_model.bin")
FOLDER_FILES = tuple(name for whole in WHOLE_FILES for name in (whole, whole + INDEX))
"""What a folder of Hugging Face's calls its weights; `config.json` beside them describes the model, and
`preprocessor_config.json` what is done to its pictures."""
KNOWN_AS = " or ".join(WHOLE_FILES)
SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")
"""Of files of weights that have other names."""
