"""The head that tasks on pooled tokens share."""

from __future__ import annotations

import pytest
from classifying import batch, encoder
from maecli_plugins.tasks.classify.task import Classify
from maecli_plugins.tasks.pooled.head import HeadOptions, features_of, outputs_of
from maecli_plugins.tasks.regress.task import Regress

from maecli import api


@pytest.mark.parametrize("task", [Classify, Regress])
def test_tasks_on_pooled_tokens_have_the_same_options_of_their_head(task):
    assert list(task.Options.model_fields)[:3] == list(HeadOptions.model_fields)


@pytest.mark.parametrize(
    ("head_norm", "frozen", "norm"), [("auto", True, "batch"), ("auto", False, "none"), ("none", True, "none")]
)
def test_features_of_a_frozen_encoder_are_standardised_unless_told_otherwise(head_norm, frozen, norm):
    made = encoder()
    made.frozen = frozen
    assert HeadOptions(head_norm=head_norm).norm_on(made) == norm


def test_outputs_are_the_same_of_samples_and_of_their_features():
    made = encoder()
    module = api.nets.Classifier(made, api.nets.ClassifierHead(made.embed_dim, 3))
    samples = batch([0, 1])
    features = api.Batch({"features": features_of(module, samples)}, samples.draws, samples.keys)
    assert outputs_of(module, samples).equal(outputs_of(module, features))
