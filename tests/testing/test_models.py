from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field, PlainSerializer
from torch import nn

from maecli import api
from maecli.testing import check_model, models
from maecli.testing.finding import names

pytestmark = pytest.mark.usefixtures("told_costs")


class Base(api.Model):
    """A small transformer."""

    name = "small"
    encoder: type[api.nets.VisionTransformer] = api.nets.VisionTransformer

    def build(self, in_chans, img_size):
        return self.encoder(img_size, (8, 8), in_chans, 16, 2, 2, mlp_ratio=2.0)


def of(encoder, **attributes):
    made = encoder if isinstance(encoder, type) else staticmethod(encoder)
    return type("Wrong", (Base,), {"__doc__": "A small transformer.", "encoder": made, **attributes})


class Wordless(api.nets.VisionTransformer):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        del self.depth


class Elsewhere(api.nets.VisionTransformer):
    def __init__(self, img_size, *args, **options):
        super().__init__((16, 16), *args, **options)


class Unmaskable(api.nets.VisionTransformer):
    can_mask = False


class Unseeded(api.nets.VisionTransformer):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        nn.init.constant_(self.cls_token, np.random.uniform())


class Headless(api.nets.VisionTransformer):
    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x, ids_keep, valid)[:, 1:]


class Whole(api.nets.VisionTransformer):
    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x, None, valid)


class Peeking(api.nets.VisionTransformer):
    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x, ids_keep, valid) + api.nets.zero_missing(x, valid).mean()


class LastOnly(api.nets.VisionTransformer):
    def features(self, x, depths, valid=None):
        return super().features(x, depths, valid)[-1:]


class Coarse(api.nets.VisionTransformer):
    def features(self, x, depths, valid=None):
        return [each[:, :, ::2] for each in super().features(x, depths, valid)]


class Guessing(api.nets.VisionTransformer):
    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x, ids_keep)


class Deaf(api.nets.VisionTransformer):
    def features(self, x, depths):
        return super().features(x, depths)


class Upwards(api.nets.VisionTransformer):
    def layer_of(self, name):
        return -1 if name == "cls_token" else super().layer_of(name)


class Unused(api.nets.VisionTransformer):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.spare = nn.Linear(2, 2)


class Restless(api.nets.VisionTransformer):
    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x, ids_keep, valid) * (2 if self.training else 1)

    def train(self, mode=True):
        return nn.Module.train(self, mode)


class Remembering(api.nets.VisionTransformer):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.factor = float(torch.rand(()))

    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x, ids_keep, valid) * self.factor


class Bare(Base):
    """A small transformer."""

    class Options(api.ModelOptions):
        width: int = 16


class Rounding(Base):
    """A small transformer."""

    class Options(api.ModelOptions):
        sigma: Annotated[float, PlainSerializer(round)] = Field(default=0.5, description="noise")


WRONG = [
    (Bare, "options", "Bare.Options describes width with no word"),
    (
        of(api.nets.VisionTransformer, training_only={"drop"}),
        "options",
        "Wrong.training_only names drop, which is none",
    ),
    (
        of(lambda *args, **options: nn.Identity()),
        "build",
        "small.build() returns Identity; derive the network from api.",
    ),
    (of(lambda *args, **options: 1 / 0), "build", "small cannot be built for pictures of (32, 32): ZeroDivisionError"),
    (of(Wordless), "build", "the encoder of small has no depth; set it in __init__, as api.Encoder says"),
    (of(Elsewhere), "build", "was asked for 3 channels of (32, 32) and says 3 of (16, 16); keep what build() is given"),
    (of(Unmaskable), "build", "small says can_mask = True and its encoder False; say the same"),
    (of(Unseeded), "repeatable", "cls_token of small differs between two encoders of one seed; draw weights from"),
    (
        of(Headless),
        "tokens",
        "gives tokens (2, 16, 16) of 2 pictures; by its own words (1 prefix tokens, a grid of (4,",
    ),
    (of(Whole), "tokens", "gives tokens (2, 17, 16) of 4 kept patches; they are (2, 5, 16), or can_mask = False"),
    (of(Peeking), "tokens", "the tokens of small change with pixels of patches that are hidden; embed and mix"),
    (of(Unmaskable, can_mask=False), "tokens", "small cannot leave patches out (can_mask = False) and takes ids_keep"),
    (of(LastOnly), "features", "features() of small gives 1 maps for 2 depths; give one each"),
    (of(Coarse), "features", "features() of small gives (2, 16, 2, 4) after 1 of 2 blocks; by its own words it is (2,"),
    (of(Guessing), "missing", "what small makes of pictures changes with missing cells; begin with api.nets.zero"),
    (of(Deaf), "missing", "the encoder of small takes no `valid`: TypeError"),
    (of(Upwards), "layers", "layer_of('cls_token') of small is -1; give 0 (embeddings) to 3 (last norm)"),
    (of(Unused), "training", "no gradient reaches spare.weight, spare.bias of small; use it in the loss"),
    (of(Restless), "freezing", "the frozen encoder of small gives other tokens in training than in evaluation"),
    (of(Remembering), "saving", "the tokens of small differ after saving and loading; keep all that they depend on in"),
    (Rounding, "spec", "the options sigma come back from a spec file as another value, such as 0.0 for 0.5; use types"),
]


def test_each_check_has_a_model_that_fails_it():
    assert {check for _, check, _ in WRONG} == {*names(models.STAGES)} - {"imports"}


@pytest.mark.parametrize(("wrong", "check", "sentence"), WRONG)
def test_a_wrong_model_fails_that_check_alone_with_a_sentence(wrong, check, sentence):
    problems = {finding.check: finding.problem for finding in check_model(wrong) if finding.problem}
    assert list(problems) == [check]
    assert sentence in problems[check]


def test_a_small_transformer_keeps_every_promise():
    assert [finding for finding in check_model(Base) if finding.problem or finding.note] == []
