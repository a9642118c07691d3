"""Conformance kit: does a plugin keep the promises that the rest of mae relies on?

In the tests of a package, three lines per plugin give one pytest test per promise:

    from maecli.testing import DatasetConformance, ModelConformance, TaskConformance, TrackerConformance

    class TestBirds(DatasetConformance):
        def dataset(self, tmp_path):                     # write a tiny copy of the data into tmp_path, or use none
            return Birds(Birds.Options(root=write_tiny(tmp_path)))

    class TestDenoise(TaskConformance):
        task = Denoise                                   # options = {"sigma": 0.1} where the defaults do not do

A task is tried on pictures that the kit makes (16 × 16 with `label` and `mask`, see `Synthetic`) and on a transformer
of 16 numbers per token; override `dataset(self, tmp_path)` to try it on other data. `ModelConformance` takes `model`,
`ModalityConformance` takes `modality`, `TrackerConformance` takes `tracker`, `ExportConformance` takes `export`.

From Python, and as `mae plugins check NAME` does it, every promise at once:

    check("task", "denoise")                             # an installed plugin by kind and name
    check("task", "boxes", dataset={"name": "birds"})    # a task on an installed data set
    check_dataset(Birds(options))                        # or the thing itself
    check_task(Denoise)
    check_model(Twins, {"depth": 2})
    check_modality(Spectra)
    check_tracker(Lines)
    check_export(Onnx)

Each returns a list of `Finding(check, problem, note, advice)`: `problem` is None where the promise is kept, else a
sentence that says what is wrong, where, and what to do; `note` says why something was not looked at; `advice` says what
would be better, such as an import that takes less time. Nothing is raised; the six classes make a warning of advice.
"""

from maecli.testing.by_name import check
from maecli.testing.conformance import (
    DatasetConformance,
    ExportConformance,
    ModalityConformance,
    ModelConformance,
    TaskConformance,
    TrackerConformance,
)
from maecli.testing.datasets import check_dataset
from maecli.testing.exports import check_export
from maecli.testing.finding import Finding
from maecli.testing.modalities import check_modality
from maecli.testing.models import check_model
from maecli.testing.synthetic import Synthetic
from maecli.testing.tasks import check_task
from maecli.testing.trackers import check_tracker

__all__ = [
    "DatasetConformance",
    "ExportConformance",
    "Finding",
    "ModalityConformance",
    "ModelConformance",
    "Synthetic",
    "TaskConformance",
    "TrackerConformance",
    "check",
    "check_dataset",
    "check_export",
    "check_modality",
    "check_model",
    "check_task",
    "check_tracker",
]
