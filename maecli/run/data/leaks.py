"""Whether what a run will be tested on was trained on before, by the run that it starts from."""

from __future__ import annotations

from maecli.data.dataset import Dataset
from maecli.data.members import Members, read_members
from maecli.errors import MaeError
from maecli.registry import Registry
from maecli.run.checkpoint import run_of
from maecli.run.data.paths import INIT, place_of
from maecli.run.directory import SPLITS
from maecli.run.open import make_dataset
from maecli.schema import RunSpec
from maecli.spec.validate import validate
from maecli.storage.tables import cell_text


def leak_of(spec: RunSpec, dataset: Dataset, members: Members, registry: Registry) -> str | None:
    """Return in words how many test samples the run of `--init` was trained on; None where it tells of none.

    Samples are the same where both runs have them from one folder under one name.
    """
    init = place_of(INIT, spec.init, spec.paths)
    run = run_of(init.expanduser()) if init is not None else None
    if run is None:
        return None
    try:
        before = read_members(run.path / SPLITS)
        tree = run.read_spec()
        first = validate(tree, tree["verb"], registry)
        root = make_dataset(first.dataset, registry, first.paths).root
        if before is None or first.dataset.name != spec.dataset.name or not root.samefile(dataset.root):
            return None
    except (MaeError, OSError, ValueError):  # what cannot be compared is no leak
        return None
    trained_on = set(before["train"])
    num = sum(cell_text(key) in trained_on for key in members["test"])
    if not num:
        return None
    how = "without their labels" if first.verb == "pretrain" else "with their labels"
    return (
        f"{num:,} of {len(members['test']):,} test samples were among those that {init} was trained on, {how}: what is "
        "measured on test may be better than on new data; pretrain on the splits of today to rule that out"
    )
