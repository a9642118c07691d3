"""What came of a comparison, as it is kept in the directory of the run."""

from __future__ import annotations

import contextlib

from pydantic import ValidationError

from maecli.errors import DamagedFile, MaeError
from maecli.reports.payoff import Payoff
from maecli.run.directory import RunDirectory
from maecli.storage.documents import read_json_object
from maecli.storage.files import disk_errors
from maecli.storage.shareable import shareable

FOLDER = "comparison"


def write_payoff(run: RunDirectory, name: str, payoff: Payoff) -> None:
    """Keep what was measured of a run and its companions beside the evaluation of that name."""
    run.ledger.claim(f"{FOLDER}/")
    with disk_errors(run.path):
        (run.path / FOLDER).mkdir(exist_ok=True)
    run.write_json(f"{FOLDER}/{name}.json", shareable(payoff.model_dump(mode="json")))


def read_payoff(run: RunDirectory, name: str) -> Payoff | None:
    """Return what was kept; None where nothing was, or where the run was measured again since."""
    try:
        payoff = Payoff.model_validate(read_json_object(run.path / FOLDER / f"{name}.json"))
        evaluation = run.evaluation(name)
    except (FileNotFoundError, DamagedFile, ValidationError):
        return None
    same = evaluation is not None and evaluation.metrics[:1] == (payoff.pretrained.metric,)
    return payoff if same else None


def payoff_of(run: RunDirectory) -> Payoff | None:
    """Return the comparison that speaks for a run: on test, else on validation; None without one."""
    with contextlib.suppress(MaeError):
        return read_payoff(run, "test") or read_payoff(run, "val")
    return None
