"""What a task promises of its predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from maecli.testing.finding import Broken, describe_error, expect
from maecli.testing.saving import hand_over
from maecli.testing.tasks.alike import close
from maecli.testing.tasks.drawing import PNG
from maecli.testing.tasks.subject import TaskSubject
from maecli.text import brief, some
from maecli.training.task import Answer, Prediction

PLAIN = (str, int, float, bool)


def prediction(subject: TaskSubject) -> None:
    """Each picture alone gives one row of plain values, and files as bytes, or as what returns them."""
    batch, name = subject.picture_batch(), subject.plugin.name
    try:
        rows = subject.predict(batch)
    except KeyError as error:
        raise Broken(
            f"predict() wants {error} of the batch; inference has pictures and nothing else: "
            f"predict from batch['image'] ({describe_error(error)})"
        ) from error
    expect(
        isinstance(rows, list) and len(rows) == len(batch),
        f"predict() returns {len(rows) if isinstance(rows, Sequence) else type(rows).__name__} predictions for "
        f"{len(batch)} samples; return a list with one per sample, in order",
    )
    for key, prediction in zip(batch.keys, rows, strict=True):
        expect(
            isinstance(prediction, Prediction),
            f"predict() returns {type(prediction).__name__} for {key!r}; return api.Prediction(row, files)",
        )
        for column, value in prediction.row.items():
            expect(
                type(value) in PLAIN,
                f"predict(): {column!r} of {key!r} is {type(value).__name__}; rows are written as CSV and JSON: give "
                "str, int, float or bool",
            )
            expect(
                not isinstance(value, float) or math.isfinite(value),
                f"predict(): {column!r} of {key!r} is {value}; give a finite number",
            )
        expect(
            "path" not in prediction.row,
            f"predict(): the row of {key!r} has a column 'path', which is where the picture's own path goes; rename it",
        )
        expect(
            "truth" not in prediction.row,
            f"predict(): the row of {key!r} has a column 'truth', which is where what is known of it goes; rename it",
        )
        expect(
            bool(prediction.row) or bool(prediction.files),
            f"predict() says nothing of {key!r}; {name} must give a row of values or a file",
        )
        for suffix, contents in prediction.files.items():
            data = contents() if callable(contents) else contents
            expect(
                suffix.startswith(".") and "/" not in suffix and isinstance(data, bytes),
                f"predict(): file {suffix!r} of {key!r} is {type(data).__name__}; give bytes under a suffix such as "
                "'.png', or a function that returns them",
            )
            expect(
                not suffix.endswith(".png") or data.startswith(PNG),
                f"predict(): file {suffix!r} of {key!r} is no PNG; write one, or name it otherwise",
            )
    _check_answer(subject.task.answer, batch.keys, [prediction.row for prediction in rows])
    columns = [list(prediction.row) for prediction in rows]
    expect(
        all(each == columns[0] for each in columns),
        f"predict() gives other columns for {batch.keys[0]!r} than for another sample of the batch; give every row the "
        "same ones",
    )


def _check_answer(answer: Answer | None, keys: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    if answer is None:
        return
    for key, row in zip(keys, rows, strict=True):
        expect(
            isinstance(row.get(answer.column), str),
            f"answer.column is {answer.column!r}, and the row of {key!r} has {brief(row.get(answer.column))} there; "
            "name the column in which predict() writes the name of a class",
        )
        for name, column in (("probability", answer.probability), ("margin", answer.margin)):
            value = row.get(column)
            expect(
                not column or (isinstance(value, float) and 0 <= value <= 1),
                f"answer.{name} is {column!r}, and the row of {key!r} has {brief(value)} there; name a column of "
                "numbers in [0, 1], or none",
            )
        unsure = row.get(answer.unsure, False)
        expect(
            isinstance(unsure, bool),
            f"answer.unsure is {answer.unsure!r}, and the row of {key!r} has {brief(unsure)} there; name a column of "
            "True and False, or none",
        )


def alone(subject: TaskSubject) -> None:
    """What is predicted for a picture does not depend on the pictures beside it."""
    batch = subject.picture_batch()
    for key, one, other in zip(batch.keys, batch.micro_batches(1), subject.predict(batch), strict=True):
        row = subject.predict(one)[0].row
        apart = [name for name, value in other.row.items() if not close(value, row.get(name))]
        expect(
            not apart,
            f"predict(): {some(apart)} of {key!r} is {some(other.row[name] for name in apart[:1])} in a batch and "
            f"{some(row.get(name) for name in apart[:1])} alone; work on each sample by itself, with "
            "module.eval()'s statistics",
        )


def saving(subject: TaskSubject) -> None:
    """A module with the weights of a checkpoint predicts what the saved one did."""
    batch, other = subject.picture_batch(), subject.build(seed=1)
    hand_over(f"the module of {subject.plugin.name}", subject.module, other)
    first, second = subject.predict(batch), subject.predict(batch, other)
    for key, one, two in zip(batch.keys, first, second, strict=True):
        apart = [name for name, value in one.row.items() if not close(value, two.row.get(name))]
        apart += [name for name in one.files if _contents(one, name) != _contents(two, name)]
        expect(
            not apart,
            f"{some(apart)} of {key!r} differs after saving and loading; keep all that predictions depend on in "
            "parameters and buffers of the module, or in the options",
        )


def _contents(prediction: Prediction, suffix: str) -> bytes | None:
    contents = prediction.files.get(suffix)
    return contents() if callable(contents) else contents
