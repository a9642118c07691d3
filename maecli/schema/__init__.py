"""What a run is: one pydantic object per verb, written to the run directory and into every checkpoint.

A plugin's section holds its name and its options; the options are checked by the plugin's own model after look-up
(`maecli.spec.validate`), so that these modules, and `mae --help`, load no plugin and no torch.
"""

from __future__ import annotations

from maecli.schema.run import (
    AUTO,
    CHANGEABLE_ON_EXTEND,
    CHANGEABLE_ON_RESUME,
    FORMAT_VERSION,
    PLUGIN_SECTIONS,
    SPECS,
    AdaptSpec,
    CheckpointSpec,
    FinetuneSpec,
    PretrainSpec,
    ResolvedPath,
    RunSpec,
    TrainSpec,
)
from maecli.schema.samples import AugmentSpec, DataSpec, Fit, Transform
from maecli.schema.sections import PluginSection, Section

__all__ = [
    "AUTO",
    "CHANGEABLE_ON_EXTEND",
    "CHANGEABLE_ON_RESUME",
    "FORMAT_VERSION",
    "PLUGIN_SECTIONS",
    "SPECS",
    "AdaptSpec",
    "AugmentSpec",
    "CheckpointSpec",
    "DataSpec",
    "FinetuneSpec",
    "Fit",
    "PluginSection",
    "PretrainSpec",
    "ResolvedPath",
    "RunSpec",
    "Section",
    "TrainSpec",
    "Transform",
]
