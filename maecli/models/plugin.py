"""The interface of a model plugin: options, and a way to build an encoder from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from maecli import plugin_options
from maecli.models.encoder import Encoder


class ModelOptions(plugin_options.Options):
    """Options that every model has."""

    img_size: int | tuple[int, ...] | None = Field(
        default=None, description="pixels along each axis, or one number for all; default: the data's own size"
    )


class Model(ABC):
    """Base of a model plugin: a named way to build an encoder."""

    name: ClassVar[str]
    default_img_size: ClassVar[int] = 224
    """Used when neither the options nor the data give a size."""

    num_axes: ClassVar[int] = 2
    """Of the samples that `mae plugins check` tries it on: 1 where it takes rows or series alone, 3 of volumes."""

    training_only: ClassVar[frozenset[str]] = frozenset()
    """Options that change how the encoder is trained but not what its weights mean; `--init` does not hand them on."""

    can_mask: ClassVar[bool] = True
    """Whether its encoders work on a part of the patches."""

    concessions: ClassVar[Mapping[str, Any]] = {}
    """Settings, by dotted key, to take where a recipe made for other models sets these keys."""

    worth_from: ClassVar[int | None] = None
    """How many samples must be seen in training, those of each epoch counted, before a plan prefers this model.

    None: a plan never takes it unless a person names it.
    """

    Options: ClassVar[type[ModelOptions]] = ModelOptions

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def build(self, in_chans: int, img_size: tuple[int, ...]) -> Encoder:
        """Return a freshly initialised encoder. Raises ValueError for options that contradict each other."""
